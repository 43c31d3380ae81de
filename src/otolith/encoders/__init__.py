"""Encoders: batch -> features; one file per encoder (`imu_*`, `video_*`, `text_*`, `fused_*`).

A component file holds a `Config` (made by `otolith.core.config.config`) and an
`Encoder(nn.Module)` whose constructor takes that config.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from otolith.core.registry import Registry

ENCODERS = Registry("otolith.encoders", "encoder")


@dataclass(frozen=True, kw_only=True)
class Grid:
    """How tokens are laid out.

    Args:
        axes: Names of the token axes, outermost first, such as ("time", "channel").
        sizes: Length of each axis; the product is the number of tokens before masking.
        seconds_per_step: Time between neighbours on the time axis in s; None if it differs.
    """

    axes: tuple[str, ...]
    sizes: tuple[int, ...]
    seconds_per_step: float | None = None


@dataclass(frozen=True, kw_only=True)
class Tokens:
    """Output of an encoder.

    Args:
        features_BND: Token features.
        mask_BN: bool, True = real token.
        grid: Layout of the tokens.
        keep_BN: int64 indices of the kept tokens of a masked encoder; None = all.
        levels: Features of a pyramid, finest first; empty if there is none.
        pooled_BD: One vector per sample; where it is not as wide as the tokens, the encoder's
            `width` tells its width.
    """

    features_BND: Tensor
    mask_BN: Tensor
    grid: Grid
    keep_BN: Tensor | None = None
    levels: tuple[Tensor, ...] = ()
    pooled_BD: Tensor
