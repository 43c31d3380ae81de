"""Vision transformer on spectrograms of motion signals, the encoder of masked autoencoders (HIMU-MAE).

Channels of the signal are channels of the image, frequencies its rows, time its columns. Hidden
patches are neither embedded nor encoded.
"""

# B batch, T samples, C channels, H rows and W columns of the map, N patches, K kept tokens
# V values of a patch, D width

from __future__ import annotations

from typing import Annotated, Any

import pydantic
import torch
from pydantic import Field
from torch import Tensor, nn

from otolith.core.config import config
from otolith.encoders import Grid, Tokens, _imu_spectrograms
from otolith.encoders._imu_spectrograms import SpectrogramProcessor
from otolith.encoders._mae import (
    PatchEmbedding,
    init_weights,
    make_blocks,
    patchify,
    select_tokens,
    sine_positions,
)
from otolith.encoders._mae_masks import Masking
from otolith.encoders._presets import fill_from_preset
from otolith.windows.batch import Batch

Positive = Annotated[int, Field(gt=0)]
PRESETS: dict[str, dict[str, Any]] = {
    "debug": {
        "width": 32, "num_layers": 2, "num_heads": 4, "patch_px": 8,
        "processor": {
            "num_channels": 6,
            "spectrogram": {"rate_hz": 160.0, "num_rows": 32, "num_columns": 64},
        },
    },
    "small": {"width": 384, "num_layers": 8, "num_heads": 6},
    "base": {"width": 768, "num_layers": 12, "num_heads": 12},
    "large": {"width": 1024, "num_layers": 24, "num_heads": 16},
    "huge": {"width": 1280, "num_layers": 32, "num_heads": 16},
}  # fmt: skip


@config
class Config:
    """Settings of the encoder.

    Args:
        preset: Size that fills the settings that are not given: debug, small, base, large or huge;
            empty = the defaults below, which are those of `base`.
        processor: How the stream becomes a map.
        patch_px: Side of a patch in pixels of the map.
        width: Token width D.
        num_layers: Blocks.
        num_heads: Heads.
        feedforward_ratio: Width of the feed-forward parts over `width`.
        norm_eps: Added to the variance of the normalisations.
        drop_path: Probability of leaving out a part of the last block for a sample while training; it
            rises linearly from 0 in the first block.
        has_last_norm: Whether the tokens are normalised at the end.
        has_trainable_positions: Whether the position table learns.
    """

    preset: str = ""
    processor: _imu_spectrograms.Config = Field(default_factory=_imu_spectrograms.Config)
    patch_px: Positive = 16
    width: Positive = 768
    num_layers: Positive = 12
    num_heads: Positive = 12
    feedforward_ratio: Annotated[float, Field(gt=0)] = 4.0
    norm_eps: float = 1e-6
    drop_path: Annotated[float, Field(ge=0, lt=1)] = 0.0
    has_last_norm: bool = True
    has_trainable_positions: bool = False

    @pydantic.model_validator(mode="before")
    @classmethod
    def _fill_from_preset(cls, data: Any) -> Any:
        return fill_from_preset(data, PRESETS)

    def __post_init__(self) -> None:
        """Check that the sizes fit together."""
        if self.width % self.num_heads or self.width % 4:
            raise ValueError(
                f"width {self.width} must be a multiple of 4 and of num_heads {self.num_heads}"
            )
        rows, columns = self.processor.image_size
        if rows % self.patch_px or columns % self.patch_px:
            raise ValueError(
                f"a map of {rows} x {columns} is no multiple of patch_px {self.patch_px}"
            )

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of the token grid."""
        rows, columns = self.processor.image_size
        return rows // self.patch_px, columns // self.patch_px

    @property
    def num_values(self) -> int:
        """Values V of a patch."""
        return self.patch_px**2 * self.processor.num_channels


class Encoder(nn.Module):
    """Encoder.

    Args:
        config: Settings.
    """

    positions_1ND: Tensor

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.processor = SpectrogramProcessor(config.processor)
        self.cls_token = nn.Parameter(torch.empty(1, 1, config.width))
        table = sine_positions(config.grid, config.width)[None]
        if config.has_trainable_positions:
            self.positions_1ND = nn.Parameter(table)
        else:
            self.register_buffer("positions_1ND", table)
        self.patch_embedding = PatchEmbedding(
            config.processor.num_channels, config.patch_px, config.width
        )
        self.blocks = make_blocks(
            config.num_layers, config.width, config.num_heads,
            int(config.width * config.feedforward_ratio),
            norm_eps=config.norm_eps, drop_path=config.drop_path,
        )  # fmt: skip
        self.norm = (
            nn.LayerNorm(config.width, eps=config.norm_eps) if config.has_last_norm else None
        )
        self.blocks.apply(init_weights)
        nn.init.normal_(self.cls_token, std=0.02)

    def prepare(self, batch: Batch) -> Tensor:
        """Return the maps of the encoder's stream [B, C, H, W], float32.

        Raises:
            DataError: The batch has no such stream, or its windows have other channels.
        """
        return self.processor(batch, is_training=self.training)

    def forward(self, batch: Batch, masking: Masking | None = None) -> Tokens:
        """Encode the stream of a batch.

        Args:
            batch: Batch with the stream `config.processor.stream`.
            masking: Which patches are hidden; None = none.

        Returns:
            Tokens without the class token; pooled = their mean.
        """
        return self.tokens(self.encode(self.patches(self.prepare(batch)), masking), masking)

    def patches(self, image_BCHW: Tensor) -> Tensor:
        """Cut maps into patches [B, N, V]."""
        return patchify(image_BCHW, self.config.patch_px)

    def encode(self, patches_BNV: Tensor, masking: Masking | None = None) -> Tensor:
        """Encode patches.

        Args:
            patches_BNV: Patches of the maps.
            masking: Which are hidden; None = none.

        Returns:
            Class token and visible tokens [B, 1 + K, D] in the order of `masking.keep_BK`.
        """
        positions = self.positions_1ND[0, 1:]
        if masking is not None:
            patches_BNV = select_tokens(patches_BNV, masking.keep_BK)
            positions = select_tokens(positions, masking.keep_BK)
        x = self.patch_embedding(patches_BNV) + positions
        cls = (self.cls_token + self.positions_1ND[:, :1]).to(x.dtype).expand(len(x), -1, -1)
        x = torch.cat([cls, x], dim=1)
        for block in self.blocks:
            x = block(x)
        return x if self.norm is None else self.norm(x)

    def tokens(self, x_BKD: Tensor, masking: Masking | None = None) -> Tokens:
        """Wrap the result of `encode` as `Tokens`; the class token is left out."""
        features = x_BKD[:, 1:]
        grid = self.config.grid
        return Tokens(
            features_BND=features,
            mask_BN=features.new_ones(features.shape[:2], dtype=torch.bool),
            grid=Grid(
                axes=("frequency", "time"),
                sizes=grid,
                seconds_per_step=self.config.processor.window_s / grid[1],
            ),
            keep_BN=None if masking is None else masking.keep_BK,
            pooled_BD=features.mean(1),
        )
