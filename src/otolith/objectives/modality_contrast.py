"""Contrast of two modalities of the same moment: InfoNCE at a fixed temperature (EVI-MAE)."""

# N samples of this process, M samples of all processes, D width

from __future__ import annotations

from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from otolith.core.config import config
from otolith.objectives import LossOutput
from otolith.objectives._gather import gather_rows, global_mean


@config
class Config:
    """Settings.

    Args:
        temperature: Divisor of the cosine similarities.
        both_directions: Whether motion also chooses among the videos; the authors let only every
            video choose among the motions.
    """

    temperature: Annotated[float, Field(gt=0)] = 0.05
    both_directions: bool = False


class Objective(nn.Module):
    """Every video finds its motion among those of the global batch.

    Args:
        config: Settings.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config

    def forward(self, imu_ND: Tensor, video_ND: Tensor) -> LossOutput:
        """Return the loss and the share of right choices.

        Args:
            imu_ND: Vectors of motion; need not be normalised.
            video_ND: Vectors of video; row n belongs to row n of the motion.
        """
        own = F.normalize(torch.stack([imu_ND.float(), video_ND.float()], 1), dim=-1)
        everyone, start = gather_rows(own)
        target_N = torch.arange(len(own), device=own.device) + start
        losses, right = self._choose(own[:, 1], everyone[:, 0], target_N)
        if self.config.both_directions:
            back, right_back = self._choose(own[:, 0], everyone[:, 1], target_N)
            losses, right = (losses + back) / 2, (right + right_back) / 2
        count = torch.tensor(len(own), device=own.device)
        total = global_mean(losses.sum(), count)
        return LossOutput(
            total=total,
            parts={
                "contrast": total.detach(),
                "contrast_accuracy": global_mean(right.sum(), count),
            },
            per_sample_B=losses.detach(),
            is_global=True,
        )

    def _choose(
        self, rows_ND: Tensor, others_MD: Tensor, target_N: Tensor
    ) -> tuple[Tensor, Tensor]:
        logits_NM = rows_ND @ others_MD.T / self.config.temperature
        losses_N = F.cross_entropy(logits_NM, target_N, reduction="none")
        return losses_N, (logits_NM.argmax(1) == target_N).float()
