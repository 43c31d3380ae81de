"""Masked pixels: mean squared error of hidden patches, over all their values (He et al., CVPR 2022).

The target is normalised per patch with its unbiased variance if asked for. Values of missing
channels do not count.
"""

# B batch, M hidden patches, V values of a patch

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from otolith.core.config import config
from otolith.objectives import LossOutput


@config
class Config:
    """Settings.

    Args:
        is_target_normalised: Whether the target is normalised per patch.
        eps: Added to the variance of a patch.
    """

    is_target_normalised: bool = True
    eps: Annotated[float, Field(ge=0)] = 1e-6


class Objective(nn.Module):
    """Loss of hidden patches.

    Args:
        config: Settings.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config

    def forward(
        self, predicted_BMV: Tensor, target_BMV: Tensor, real_BV: Tensor | None = None
    ) -> LossOutput:
        """Compare.

        Args:
            predicted_BMV: Predicted values of the hidden patches.
            target_BMV: Their pixels.
            real_BV: bool, True = value of a real channel; None = all.
        """
        mean, deviation = self.levels(target_BMV, real_BV)
        error = (predicted_BMV.float() - (target_BMV - mean) / deviation).square()
        if real_BV is None:
            per_sample = error.mean((1, 2))
        else:
            weight = real_BV[:, None].to(error.dtype)
            per_sample = (error * weight).sum((1, 2)) / (weight.sum((1, 2)) * error.shape[1]).clamp(
                min=1.0
            )
        total = per_sample.mean()
        return LossOutput(
            total=total,
            parts={"reconstruction": total.detach()},
            per_sample_B=per_sample.detach(),
        )

    def levels(
        self, target_BMV: Tensor, real_BV: Tensor | None = None
    ) -> tuple[Tensor | float, Tensor | float]:
        """Return mean and deviation of every patch [B, M, 1]; 0 and 1 if targets stay as they are."""
        if not self.config.is_target_normalised:
            return 0.0, 1.0
        if real_BV is None:
            variance, mean = torch.var_mean(target_BMV, dim=2, keepdim=True)
        else:
            weight = real_BV[:, None].to(target_BMV.dtype)
            count = weight.sum(2, keepdim=True)
            mean = (target_BMV * weight).sum(2, keepdim=True) / count.clamp(min=1.0)
            squares = ((target_BMV - mean) * weight).square().sum(2, keepdim=True)
            variance = squares / (count - 1.0).clamp(min=1.0)
        return mean, (variance + self.config.eps).sqrt()
