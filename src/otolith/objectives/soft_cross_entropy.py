"""Cross entropy with soft targets: label smoothing, mixtures of two samples, weights per class."""

# B batch, K classes

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from otolith.core.config import config
from otolith.objectives import LossOutput
from otolith.objectives._gather import num_processes, sum_over_processes

_LEAST = 1e-6


@config
class Config:
    """Settings.

    Args:
        label_smoothing: Share of the target that is spread over all classes.
        smooths_mixed_twice: Whether targets that are mixtures are smoothed once more before they are
            mixed, as in the authors' code.
        divides_by_weights: Whether the sum is divided by the weights of the targets; the authors
            divide by the number of samples.
    """

    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.1
    smooths_mixed_twice: bool = False
    divides_by_weights: bool = True


class Objective(nn.Module):
    """Loss of class logits.

    Args:
        config: Settings.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config

    def targets(self, label_B: Tensor, num_classes: int, mix: Tensor | None = None) -> Tensor:
        """Return target shares [B, K] before the smoothing of the loss; unknown labels give zeros.

        Args:
            label_B: Class indices, -1 = unknown.
            num_classes: Classes K.
            mix: Share of the own sample; sample i is mixed with sample B - 1 - i. None = no mixture.
        """
        classes = torch.arange(num_classes, device=label_B.device)
        known_B1 = (label_B >= 0)[:, None].float()
        target = (label_B[:, None] == classes).float()
        if mix is None:
            return target
        if self.config.smooths_mixed_twice:
            target = smooth(target, self.config.label_smoothing) * known_B1
        return mix * target + (1.0 - mix) * target.flip(0)

    def forward(
        self, logits_BK: Tensor, target_BK: Tensor, class_weights_K: Tensor | None = None
    ) -> LossOutput:
        """Return the loss over the global batch.

        Args:
            logits_BK: Logits.
            target_BK: From `targets`; rows that sum to less than 1 are unknown to that extent.
            class_weights_K: Weight of every class; None = 1.
        """
        share_B1 = target_BK.sum(1, keepdim=True)
        soft = smooth(target_BK, self.config.label_smoothing, share_B1)
        weighted = soft if class_weights_K is None else soft * class_weights_K
        per_sample = -(weighted * logits_BK.float().log_softmax(1)).sum(1)
        base = weighted.sum() if self.config.divides_by_weights else share_B1.sum()
        whole = sum_over_processes(base.detach()).clamp(min=_LEAST)
        return LossOutput(
            total=per_sample.sum() * num_processes() / whole,
            per_sample_B=per_sample.detach() if bool((share_B1 > 0).all()) else None,
            is_global=True,
        )


def smooth(target_BK: Tensor, smoothing: float, share_B1: Tensor | float = 1.0) -> Tensor:
    """Spread a share of the target over all classes."""
    return target_BK * (1.0 - smoothing) + share_B1 * smoothing / target_BK.shape[1]


def mix_samples(values: Tensor, mix: Tensor) -> Tensor:
    """Return `mix` times every sample plus the rest of sample B - 1 - i (Zhang et al., ICLR 2018)."""
    return mix * values + (1.0 - mix) * values.flip(0)


def balanced_weights(counts_K: Tensor) -> Tensor:
    """Return the number of all samples over that of each class; classes without samples get 0."""
    return torch.where(counts_K > 0, counts_K.sum() / counts_K.clamp(min=1), 0.0)
