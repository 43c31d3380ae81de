"""Reconstruction of hidden patches or tubelets: mean squared error (He et al., CVPR 2022)."""

# B batch, N tokens, V values of a token

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from otolith.core.config import config
from otolith.objectives import LossOutput
from otolith.objectives._gather import global_mean


@config
class Config:
    """Settings.

    Args:
        is_target_normalised: Whether the values of every target token are normalised by their own
            mean and standard deviation.
        eps: Added to the variance.
    """

    is_target_normalised: bool = True
    eps: Annotated[float, Field(gt=0)] = 1e-6


class Objective(nn.Module):
    """Squared error per token, averaged over the hidden tokens of the global batch.

    Args:
        config: Settings.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config

    def forward(
        self,
        predicted_BNV: Tensor,
        target_BNV: Tensor,
        hidden_BN: Tensor | None = None,
        value_mask_BV: Tensor | None = None,
    ) -> LossOutput:
        """Return the loss.

        Args:
            predicted_BNV: Predictions.
            target_BNV: Targets, not normalised.
            hidden_BN: bool, True = the token counts; None = all count.
            value_mask_BV: bool, True = the value was measured; None = all were.
        """
        target_BNV = target_BNV.float()
        if self.config.is_target_normalised:
            target_BNV = normalised(target_BNV, self.config.eps, value_mask_BV)
        squared = (predicted_BNV.float() - target_BNV).square()
        if value_mask_BV is None:
            error_BN = squared.mean(2)
        else:
            weight = value_mask_BV[:, None].to(squared)
            error_BN = (squared * weight).sum(2) / weight.sum(2).clamp(min=1.0)
        count_B = torch.full_like(error_BN[:, 0], error_BN.shape[1])
        if hidden_BN is not None:
            error_BN = error_BN * hidden_BN
            count_B = hidden_BN.sum(1).to(error_BN)
        total = global_mean(error_BN.sum(), count_B.sum())
        return LossOutput(
            total=total,
            parts={"reconstruction": total.detach()},
            per_sample_B=(error_BN.sum(1) / count_B.clamp(min=1.0)).detach(),
            is_global=True,
        )


def normalised(values_BNV: Tensor, eps: float, value_mask_BV: Tensor | None = None) -> Tensor:
    """Return values with mean 0 and unbiased variance 1 per token, over measured values alone."""
    if value_mask_BV is None:
        variance, mean = torch.var_mean(values_BNV, dim=2, keepdim=True)
    else:
        weight = value_mask_BV[:, None].to(values_BNV)
        count = weight.sum(2, keepdim=True)
        mean = (values_BNV * weight).sum(2, keepdim=True) / count.clamp(min=1.0)
        deviation = (values_BNV - mean).square() * weight
        variance = deviation.sum(2, keepdim=True) / (count - 1).clamp(min=1.0)
    return (values_BNV - mean) * (variance + eps).rsqrt()
