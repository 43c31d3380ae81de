"""Scaled cosine error of reconstructed features (GraphMAE, Hou et al., KDD 2022)."""

# R rows, D width

from __future__ import annotations

from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from otolith.core.config import config
from otolith.objectives import LossOutput
from otolith.objectives._gather import global_mean


@config
class Config:
    """Settings.

    Args:
        alpha: Power of (1 - cosine); larger ones let easy rows weigh less.
    """

    alpha: Annotated[float, Field(gt=0)] = 1.0


class Objective(nn.Module):
    """Mean of (1 - cosine)^alpha over the rows of the global batch.

    Args:
        config: Settings.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config

    def forward(self, predicted_RD: Tensor, target_RD: Tensor) -> LossOutput:
        """Return the loss; gradient flows to the target too unless it is detached."""
        cosine_R = F.cosine_similarity(predicted_RD.float(), target_RD.float(), dim=1, eps=1e-12)
        # rounding may push a cosine over 1, where a fractional power has no value
        error_R = (1 - cosine_R).clamp(min=0).pow(self.config.alpha)
        count = torch.tensor(len(error_R), device=error_R.device)
        total = global_mean(error_R.sum(), count)
        return LossOutput(total=total, parts={"graph": total.detach()}, is_global=True)
