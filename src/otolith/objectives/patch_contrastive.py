"""Patch-wise contrast of two views: NT-Xent (Chen et al. 2020) over all patches of all processes.

The positive of a patch is the same patch in the other view; every other patch of the global
batch, of both views, is a negative, other patches of the same window included.
"""

# B batch, P patches, D width, N patches of this process, M patches of all processes

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from otolith.core.config import config
from otolith.objectives import LossOutput
from otolith.objectives._gather import gather_rows, global_mean


@config
class Config:
    """Settings.

    Args:
        temperature: Divisor of the cosine similarities.
    """

    temperature: float = 0.2

    def __post_init__(self) -> None:
        """Check the temperature."""
        if self.temperature <= 0:
            raise ValueError("temperature must be positive")


class Objective(nn.Module):
    """Loss between two views of the same patches.

    Args:
        config: Settings.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config

    def forward(self, first_BPD: Tensor, second_BPD: Tensor, mask_BP: Tensor) -> LossOutput:
        """Return the loss.

        Args:
            first_BPD: Vectors of the first view; need not be normalised.
            second_BPD: Vectors of the second view.
            mask_BP: bool, True = real patch.
        """
        first_ND, second_ND = first_BPD[mask_BP].float(), second_BPD[mask_BP].float()
        own = F.normalize(torch.stack([first_ND, second_ND], 1), dim=-1)
        everyone, start = gather_rows(own)
        rows_ND = own.transpose(0, 1).flatten(0, 1)
        columns_MD = everyone.transpose(0, 1).flatten(0, 1)
        logits_NM = rows_ND @ columns_MD.T / self.config.temperature
        position = torch.arange(len(own), device=own.device) + start
        other = position + len(everyone)
        self_N, positive_N = torch.cat([position, other]), torch.cat([other, position])
        logits_NM = logits_NM.scatter(1, self_N.unsqueeze(1), -torch.inf)
        losses_N = F.cross_entropy(logits_NM, positive_N, reduction="none")
        total = global_mean(losses_N.sum(), torch.tensor(len(losses_N), device=own.device))
        return LossOutput(
            total=total,
            parts={"contrast": total.detach()},
            per_sample_B=_per_sample(losses_N.detach(), mask_BP),
        )


def _per_sample(losses_N: Tensor, mask_BP: Tensor) -> Tensor:
    """Mean loss of the patches of every sample, [B]."""
    sample_N = mask_BP.nonzero()[:, 0].repeat(2)
    sums_B = losses_N.new_zeros(len(mask_BP)).index_add(0, sample_N, losses_N)
    return sums_B / (2 * mask_BP.sum(1)).clamp(min=1)
