"""Class logits from a motion feature alone, or from it and a video feature.

| kind | what it does |
|---|---|
| `imu` | normalisation over the batch without scale, then one linear layer on the motion feature |
| `late_sum` | one linear layer per modality; their logits are added |
| `late_learned` | the same; a linear layer mixes both logits |
| `projector` | both features joined, one hidden layer of the motion feature's width, linear layer |
| `mlp` | both features joined, several hidden layers, linear layer |
"""

# B batch, D width of the motion feature, X width of the video feature, K classes

from __future__ import annotations

import itertools
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from otolith.core.config import config
from otolith.core.errors import DataError

Kind = Literal["imu", "late_sum", "late_learned", "projector", "mlp"]
Positive = Annotated[int, Field(gt=0)]
Share = Annotated[float, Field(ge=0, lt=1)]
_PUBLISHED_DROPOUT = {
    "imu": 0.0,
    "late_sum": 0.0,
    "late_learned": 0.3,
    "projector": 0.1,
    "mlp": 0.5,
}


@config
class Config:
    """Settings.

    Args:
        kind: See the table of this file.
        dropout: Dropout before the last layer (`mlp`: behind every hidden layer); None = the
            published one: late_learned 0.3, projector 0.1, mlp 0.5.
        hidden_widths: Widths of the hidden layers of `mlp`.
    """

    kind: Kind = "imu"
    dropout: Share | None = None
    hidden_widths: tuple[Positive, ...] = (1024, 512, 256)

    @property
    def uses_video(self) -> bool:
        """Whether the head reads a video feature."""
        return self.kind != "imu"


class Stage(nn.Module):
    """Linear layer, normalisation over the batch, GELU, dropout.

    Args:
        width: Width of the input.
        new_width: Width of the output.
        dropout: Share of dropped elements.
    """

    def __init__(self, width: int, new_width: int, dropout: float) -> None:
        super().__init__()
        self.linear = nn.Linear(width, new_width)
        self.norm = nn.BatchNorm1d(new_width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x_BD: Tensor) -> Tensor:
        """Map features."""
        return self.dropout(F.gelu(self.norm(self.linear(x_BD))))


class Head(nn.Module):
    """Head.

    Args:
        config: Settings.
        width: Width D of the motion feature.
        video_width: Width X of the video feature; 0 = none.
        num_classes: Classes K.

    Raises:
        DataError: The kind reads a video feature and there is none, or the other way round.
    """

    def __init__(self, config: Config, width: int, video_width: int, num_classes: int) -> None:
        super().__init__()
        if config.uses_video != (video_width > 0):
            raise DataError(
                f'A head of kind "{config.kind}" {"needs a" if config.uses_video else "reads no"} '
                "video feature.",
                "Set context, or choose another kind.",
            )
        self.config = config
        drop = _PUBLISHED_DROPOUT[config.kind] if config.dropout is None else config.dropout
        self.dropout = nn.Dropout(drop)
        match config.kind:
            case "imu":
                self.imu_norm = nn.BatchNorm1d(width, affine=False, eps=1e-6)
                self.probe = nn.Linear(width, num_classes)
                nn.init.trunc_normal_(self.probe.weight, std=0.01)
            case "late_sum" | "late_learned":
                self.imu = nn.Linear(width, num_classes)
                self.video = nn.Linear(video_width, num_classes)
                if config.kind == "late_learned":
                    self.fusion = nn.Linear(2 * num_classes, num_classes)
            case "projector":
                self.output = nn.Linear(width, num_classes)
                self.projector = Stage(width + video_width, width, drop)
            case "mlp":
                widths = (width + video_width, *config.hidden_widths)
                pairs = itertools.pairwise(widths)
                self.stages = nn.ModuleList(Stage(a, b, drop) for a, b in pairs)
                self.output = nn.Linear(widths[-1], num_classes)

    def forward(self, feature_BD: Tensor, video_BX: Tensor | None = None) -> Tensor:
        """Return logits [B, K].

        Raises:
            DataError: The head reads a video feature and none is given.
        """
        if self.config.kind == "imu":
            return self.probe(self.dropout(self.imu_norm(feature_BD)))
        if video_BX is None:
            raise DataError(
                f'A head of kind "{self.config.kind}" needs a video feature.', "Give one."
            )
        if self.config.kind.startswith("late"):
            logits = self.imu(feature_BD), self.video(video_BX)
            if self.config.kind == "late_sum":
                return logits[0] + logits[1]
            return self.fusion(self.dropout(torch.cat(logits, dim=1)))
        joint = torch.cat([feature_BD, video_BX.to(feature_BD.dtype)], dim=1)
        if self.config.kind == "projector":
            return self.output(self.projector(joint))
        for stage in self.stages:
            joint = stage(joint)
        return self.output(joint)
