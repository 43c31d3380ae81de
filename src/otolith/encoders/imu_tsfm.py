"""Patch and channel transformer for motion signals of any rate and any set of channels (TSFM).

A window is cut into patches of equal duration; every (patch, channel) becomes a token; blocks
alternate attention over patches and over channels. `encode` gives features [B, P, C, D];
`forward` gives the same as `Tokens` on the grid time x channel (`unfold` turns them back).
"""

# B batch, P patches, N samples of a patch, C channels, D width, S tokens (P * C)

from __future__ import annotations

from typing import Any, Literal

import pydantic
import torch
from torch import Tensor, nn

from otolith.core.config import config
from otolith.core.errors import DataError, suggest
from otolith.encoders import Grid, Tokens, _imu_patches
from otolith.encoders._imu_patches import Patches, PatchProcessor
from otolith.encoders._presets import fill_from_preset
from otolith.encoders._tsfm_blocks import Block, channel_mask, time_mask
from otolith.encoders._tsfm_positions import ChannelPosition, ChannelTexts, TimePosition
from otolith.encoders._tsfm_tokenizers import CnnTokenizer, SpectralTemporalTokenizer
from otolith.windows.batch import Batch

_LARGE = {"width": 512, "num_heads": 8, "feedforward_width": 2048}
_SMALL = {"width": 384, "num_heads": 8, "feedforward_width": 1536}
PRESETS: dict[str, dict[str, Any]] = {
    "debug": {"width": 32, "num_heads": 2, "num_layers": 2, "feedforward_width": 64,
              "conv_filters": (8, 16)},
    "tiny": {"width": 192, "num_heads": 4, "num_layers": 4, "feedforward_width": 768,
             "tokenizer": "spectral_temporal"},
    "small": {**_SMALL, "num_layers": 4},
    "small_deep": {**_SMALL, "num_layers": 8, "tokenizer": "spectral_temporal"},
    "medium": {**_LARGE, "num_layers": 8, "tokenizer": "spectral_temporal"},
    "large": {**_LARGE, "num_layers": 12, "tokenizer": "spectral_temporal"},
}  # fmt: skip


@config
class Config:
    """Settings of the encoder.

    Args:
        preset: Size that fills the settings that are not given: debug, tiny, small, small_deep,
            medium or large; empty = the defaults below, which are those of `small`.
        stream: Name of the motion stream to read.
        processor: How the stream is patched.
        width: Token width D.
        num_heads: Heads of every attention.
        num_layers: Blocks.
        feedforward_width: Hidden width of the feed-forward parts.
        tokenizer: `cnn` or `spectral_temporal`.
        conv_filters: Filters of the tokenizer's convolution layers.
        kernel_sizes: Kernel sizes of every convolution layer.
        spectral_share: Share of the width that the spectral part fills.
        dropout: Share of dropped elements while training.
        has_channel_attention: Whether channels attend to each other.
        channel_text_width: Width of the sentence embeddings that describe channels; None = no
            channel positions.
        has_levels: Whether mean and deviation of every patch are added to its token (not in the
            authors' model, whose normalised patches know no posture and no strength).
        max_positions: Longest window in patches.
        patch_chunk_size: Patches that the tokenizer handles at a time; None = what fits the cache.
        upstream_quirks: `attend_to_padded_patches`: padded patches are seen by real ones, as in the
            authors' code before 2026-02-17; needed for checkpoints of that time.
    """

    preset: str = ""
    stream: str = "imu"
    processor: _imu_patches.Config = _imu_patches.Config()  # settings are frozen
    width: int = 384
    num_heads: int = 8
    num_layers: int = 4
    feedforward_width: int = 1536
    tokenizer: Literal["cnn", "spectral_temporal"] = "cnn"
    conv_filters: tuple[int, ...] = (32, 64)
    kernel_sizes: tuple[int, ...] = (5,)
    spectral_share: float = 0.25
    dropout: float = 0.1
    has_channel_attention: bool = True
    channel_text_width: int | None = 384
    has_levels: bool = False
    max_positions: int = 5000
    patch_chunk_size: int | None = None
    upstream_quirks: tuple[Literal["attend_to_padded_patches"], ...] = ()

    @pydantic.model_validator(mode="before")
    @classmethod
    def _fill_from_preset(cls, data: Any) -> Any:
        """Add the preset's values for keys that are not given."""
        return fill_from_preset(data, PRESETS)

    def __post_init__(self) -> None:
        """Check that the sizes fit together."""
        if self.width % self.num_heads or self.width % 2:
            raise ValueError(
                f"width {self.width} must be even and a multiple of num_heads {self.num_heads}"
            )
        if any(size % 2 == 0 for size in self.kernel_sizes) or not self.conv_filters:
            raise ValueError(
                f"kernel_sizes {self.kernel_sizes} must be odd and conv_filters not empty"
            )


class Encoder(nn.Module):
    """TSFM encoder.

    Args:
        config: Settings.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.processor = PatchProcessor(config.processor)
        self.tokenizer = _make_tokenizer(config)
        spread = 0.1 / config.width**0.5
        self.mask_token = nn.Parameter(torch.randn(1, 1, 1, config.width) * spread)
        self.pad_token = nn.Parameter(torch.randn(1, 1, 1, config.width) * spread)
        self.time_position = TimePosition(config.max_positions, config.width)
        self.level = nn.Linear(2, config.width) if config.has_levels else None
        self.channel_position = None
        if config.channel_text_width is not None:
            self.channel_position = ChannelPosition(config.channel_text_width, config.width)
        self.blocks = nn.ModuleList(
            Block(
                config.width,
                config.num_heads,
                config.feedforward_width,
                config.dropout,
                has_channel_attention=config.has_channel_attention,
            )
            for _ in range(config.num_layers)
        )

    def prepare(self, batch: Batch) -> Patches:
        """Cut the encoder's stream of a batch into patches; draws durations while training.

        Raises:
            DataError: The batch has no such stream.
        """
        name = self.config.stream
        if name not in batch.streams:
            raise DataError(
                f'The batch has no stream "{name}".', suggest(name, sorted(batch.streams))
            )
        keys_B = batch.keys_B if self.training and len(batch.keys_B) else None
        return self.processor(batch.streams[name], batch.datasets, keys_B)

    def forward(self, batch: Batch, texts: ChannelTexts | None = None) -> Tokens:
        """Encode the stream of a batch.

        Args:
            batch: Batch with the stream `config.stream`.
            texts: Descriptions of the channels; None = no channel positions.

        Returns:
            Tokens [B, P * C, D], time outermost; pooled = mean of the real tokens.
        """
        patches = self.prepare(batch)
        return self.tokens(self.encode(patches, texts=texts), patches)

    def tokens(self, features_BPCD: Tensor, patches: Patches) -> Tokens:
        """Wrap features [B, P, C, D] of these patches as `Tokens`."""
        real_BPC = patches.mask_BP[:, :, None] & patches.channel_mask_BC[:, None, :]
        weight = real_BPC.unsqueeze(-1).to(features_BPCD.dtype)
        count = weight.sum((1, 2)).clamp(min=1.0)
        strides = patches.stride_s_B
        same = len(strides) > 0 and bool((strides == strides[0]).all())
        return Tokens(
            features_BND=features_BPCD.flatten(1, 2),
            mask_BN=real_BPC.flatten(1),
            grid=Grid(
                axes=("time", "channel"),
                sizes=(features_BPCD.shape[1], features_BPCD.shape[2]),
                seconds_per_step=float(strides[0]) if same else None,
            ),
            pooled_BD=(features_BPCD * weight).sum((1, 2)) / count,
        )

    def encode(
        self,
        patches: Patches,
        *,
        texts: ChannelTexts | None = None,
        masked_BP: Tensor | None = None,
        dropped_BC: Tensor | None = None,
        temporal_mask_PP: Tensor | None = None,
    ) -> Tensor:
        """Encode patches.

        Args:
            patches: Patches with their masks.
            texts: Descriptions of the channels.
            masked_BP: bool, True = hide this patch behind the mask token, in all channels.
            dropped_BC: bool, True = hide this channel behind the mask token, in all patches.
            temporal_mask_PP: True (or 1) in row i, column j = patch i may look at patch j.

        Returns:
            Features [B, P, C, D]; those of padded patches and channels mean nothing.
        """
        tokens = self.embed_patches(
            patches, texts=texts, masked_BP=masked_BP, dropped_BC=dropped_BC
        )
        sees_padding = "attend_to_padded_patches" in self.config.upstream_quirks
        return self.transform(
            tokens,
            mask_BP=None if sees_padding else patches.mask_BP,
            mask_BC=patches.channel_mask_BC,
            temporal_mask_PP=temporal_mask_PP,
        )

    def embed_patches(
        self,
        patches: Patches,
        *,
        texts: ChannelTexts | None = None,
        masked_BP: Tensor | None = None,
        dropped_BC: Tensor | None = None,
    ) -> Tensor:
        """Return what enters the blocks: tokens with special tokens and positions [B, P, C, D].

        Raises:
            DataError: The window has more patches than `max_positions`.
        """
        batch, num_patches, num_samples, channels = patches.values_BPNC.shape
        if num_patches > self.config.max_positions:
            raise DataError(
                f"A window has {num_patches} patches but max_positions is {self.config.max_positions}.",
                "Use longer patches or shorter windows.",
            )
        padded_BP1 = ~patches.mask_BP.unsqueeze(-1)
        masked_BPC = padded_BP1.new_zeros(batch, num_patches, channels)
        if masked_BP is not None:
            masked_BPC = masked_BPC | (masked_BP.unsqueeze(-1) & ~padded_BP1)
        if dropped_BC is not None:
            masked_BPC = masked_BPC | dropped_BC.unsqueeze(1)
        signals_MN = patches.values_BPNC.transpose(2, 3).reshape(-1, num_samples)
        tokens = self._tokenise(signals_MN, masked_BPC | padded_BP1, num_patches)
        tokens = tokens.view(batch, num_patches, channels, -1)
        if self.level is not None:
            if patches.levels_BPC2 is None:
                raise DataError(
                    "These patches do not say their levels, which has_levels needs.",
                    "Make them with PatchProcessor.",
                )
            tokens = tokens + self.level(patches.levels_BPC2.to(tokens.dtype))
        tokens = torch.where(padded_BP1.unsqueeze(-1), self.pad_token.to(tokens.dtype), tokens)
        tokens = torch.where(masked_BPC.unsqueeze(-1), self.mask_token.to(tokens.dtype), tokens)
        tokens = tokens + self.time_position(num_patches)
        if texts is not None and self.channel_position is not None:
            tokens = tokens + self.channel_position(texts)
        return tokens

    def transform(
        self,
        tokens_BPCD: Tensor,
        *,
        mask_BP: Tensor | None = None,
        mask_BC: Tensor | None = None,
        temporal_mask_PP: Tensor | None = None,
        layer_outputs: list[Tensor] | None = None,
    ) -> Tensor:
        """Run the blocks on tokens [B, P, C, D].

        Args:
            tokens_BPCD: Tokens with positions.
            mask_BP: bool, True = patch may be looked at; None = all.
            mask_BC: bool, True = channel may be looked at; None = all.
            temporal_mask_PP: As in `encode`.
            layer_outputs: A list that receives the output of every block.
        """
        batch, patches, channels, width = tokens_BPCD.shape
        over_time = time_mask(_unless_full(mask_BP), temporal_mask_PP)
        over_channels = channel_mask(_unless_full(mask_BC), patches)
        x = tokens_BPCD.reshape(-1, width)
        for block in self.blocks:
            x = block(x, (batch, patches, channels), over_time, over_channels)
            if layer_outputs is not None:
                layer_outputs.append(x.view(tokens_BPCD.shape))
        return x.view(batch, patches, channels, width)

    def _tokenise(self, signals_MN: Tensor, hidden_BPC: Tensor, num_patches: int) -> Tensor:
        """Tokens [M, D]; signals that a special token will replace are not computed."""
        chunk = self.config.patch_chunk_size
        if chunk is not None:
            chunk = chunk * len(signals_MN) // num_patches
        visible = (~hidden_BPC).flatten().nonzero().squeeze(1)
        if len(visible) == len(signals_MN):
            return self.tokenizer(signals_MN, chunk)
        tokens = self.tokenizer(signals_MN[visible], chunk)
        return tokens.new_zeros(len(signals_MN), tokens.shape[1]).index_copy(0, visible, tokens)


def unfold(tokens: Tokens) -> Tensor:
    """Return the features of `Tokens` on a time x channel grid as [B, P, C, D]."""
    return tokens.features_BND.unflatten(1, tokens.grid.sizes)


def _make_tokenizer(config: Config) -> CnnTokenizer | SpectralTemporalTokenizer:
    common = (config.width, config.conv_filters, config.kernel_sizes, config.dropout)
    if config.tokenizer == "cnn":
        return CnnTokenizer(*common)
    size = config.processor.patch_size
    return SpectralTemporalTokenizer(*common, size, config.spectral_share)


def _unless_full(mask: Tensor | None) -> Tensor | None:
    """None for a mask that hides nothing, so that attention takes its fastest path on a CPU."""
    if mask is None or (mask.device.type == "cpu" and bool(mask.all())):
        return None
    return mask
