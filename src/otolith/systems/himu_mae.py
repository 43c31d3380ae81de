"""HIMU-MAE pretraining: a masked autoencoder on spectrograms of motion signals.

The decoder may be told a video feature of the same window. Differences from the authors' code, on
purpose: missing channels do not count, masks are drawn per sample, a model for more sensors starts
from one for fewer with pixels and channels in their places, and position tables stay fixed.
`upstream_quirks` brings the last two back.
"""

# B batch, N patches, K visible and M hidden patches, V values of a patch, C channels, D width
# X width of the context, H rows and W columns of a map

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from otolith.core.config import config, parse
from otolith.encoders import _mae_decoder, _mae_masks, imu_spectrogram_mae
from otolith.encoders._mae import select_tokens, unpatchify
from otolith.encoders._mae_masks import Masking, check_masking, draw_masking
from otolith.objectives import LossOutput, masked_pixels
from otolith.systems import KeyReport, _himu_official, _map_statistics
from otolith.systems import System as BaseSystem
from otolith.systems._context import ContextConfig, read_context
from otolith.systems._himu_transfer import TransferQuirk, adapt_channels
from otolith.windows.batch import Batch

Quirk = TransferQuirk | Literal["freeze_decoder_makes_position_tables_trainable"]


@config
class Config:
    """Settings.

    Args:
        encoder: The encoder, with the transform of signals into maps.
        decoder: The decoder.
        masking: What is hidden.
        context: The video feature that the decoder is told; None = motion alone.
        is_target_normalised: Whether pixels are normalised per patch before they are compared.
        freeze: `decoder`: the decoder's blocks, last normalisation and prediction stay as they are.
        upstream_quirks: Behaviour of the authors' code that is kept only on request:
            `prediction_rows_tiled_against_pixel_layout` and `decoder_embedding_redrawn` when weights
            for fewer channels are taken over; `freeze_decoder_makes_position_tables_trainable`.
    """

    encoder: imu_spectrogram_mae.Config = Field(default_factory=imu_spectrogram_mae.Config)
    decoder: _mae_decoder.Config = Field(default_factory=_mae_decoder.Config)
    masking: _mae_masks.Config = Field(default_factory=_mae_masks.Config)
    context: ContextConfig | None = None
    is_target_normalised: bool = True
    freeze: Literal["none", "decoder"] = "none"
    upstream_quirks: tuple[Quirk, ...] = ()

    @property
    def trains_positions(self) -> bool:
        """Whether the quirk about position tables is in force."""
        quirk = "freeze_decoder_makes_position_tables_trainable"
        return self.freeze == "decoder" and quirk in self.upstream_quirks


@dataclass(frozen=True, kw_only=True)
class Reconstruction:
    """What a masked autoencoder sees and makes of it.

    Args:
        signal_BCT: Signals at the rate of the spectrogram.
        image_BCHW: Maps, normalised as the encoder sees them.
        predicted_BCHW: The same with the hidden patches as predicted.
        hidden_BHW: bool, True = pixel of a hidden patch.
    """

    signal_BCT: Tensor
    image_BCHW: Tensor
    predicted_BCHW: Tensor
    hidden_BHW: Tensor


class System(BaseSystem):
    """Encoder, decoder and loss.

    Args:
        config: Settings.
    """

    official_key_prefix = "decoder_pos_embed"
    official_training_data = ("egoexo4d", "wear")

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        encoder, decoder = config.encoder, config.decoder
        if config.trains_positions:
            encoder = dataclasses.replace(encoder, preset="", has_trainable_positions=True)
            decoder = dataclasses.replace(decoder, has_trainable_positions=True)
        check_masking(encoder.grid, config.masking, needs_hidden=True)
        self.encoder = imu_spectrogram_mae.Encoder(encoder)
        self.decoder = _mae_decoder.Decoder(
            decoder, encoder.width, encoder.grid, encoder.num_values,
            config.context.width if config.context else 0,
        )  # fmt: skip
        self.objective = masked_pixels.Objective(
            masked_pixels.Config(is_target_normalised=config.is_target_normalised)
        )
        if config.freeze == "decoder":
            self.decoder.freeze()

    def train(self, mode: bool = True) -> System:
        """Switch the mode; a frozen decoder stays in evaluation mode."""
        super().train(mode)
        if self.config.freeze == "decoder":
            self.decoder.freeze()
        return self

    def embed(self, batch: Batch) -> Tensor:
        """Return the mean over all tokens of the encoder [B, D], float32."""
        return self.encoder(batch).pooled_BD.float()

    def embed_signals(self, signals_BCT: Tensor, rate_hz: float) -> Tensor:
        """Return features [B, D], float32, of windows [B, C, T] without a batch around them.

        Args:
            signals_BCT: Windows without NaN.
            rate_hz: Their rate in Hz.
        """
        image = self.encoder.processor.images(signals_BCT, rate_hz)
        x = self.encoder.encode(self.encoder.patches(image))
        return self.encoder.tokens(x).pooled_BD.float()

    def loss(self, batch: Batch) -> LossOutput:
        """Hide patches and return the error of their reconstruction."""
        patches = self.encoder.patches(self.encoder.prepare(batch))
        masking = draw_masking(batch.keys_B, self.encoder.config.grid, self.config.masking)
        return self.compare(
            patches,
            masking.to(patches.device),
            read_context(batch, self.config.context),
            self._real_values(batch),
        )

    def compare(
        self,
        patches_BNV: Tensor,
        masking: Masking,
        context_BX: Tensor | None = None,
        real_BV: Tensor | None = None,
    ) -> LossOutput:
        """Return the loss of given patches and masks.

        Args:
            patches_BNV: Patches of the maps.
            masking: Which are hidden.
            context_BX: Video feature.
            real_BV: bool, True = value of a real channel; None = all.
        """
        visible = self.encoder.encode(patches_BNV, masking)
        predicted = self.decoder(visible, masking, context_BX, only_hidden=True)
        return self.objective(predicted, select_tokens(patches_BNV, masking.hide_BM), real_BV)

    @torch.no_grad()
    def reconstruct(self, batch: Batch, masking: _mae_masks.Config | None = None) -> Reconstruction:
        """Return maps with their hidden patches as the model imagines them.

        A model with normalised targets predicts patches up to their level and contrast; these are
        taken from the input, as is usual for such pictures.

        Args:
            batch: Windows; which patches are hidden follows from their keys.
            masking: What is hidden; None = as in training.
        """
        image = self.encoder.prepare(batch)
        patches = self.encoder.patches(image)
        grid = self.encoder.config.grid
        chosen = self.config.masking if masking is None else masking
        drawn = draw_masking(batch.keys_B, grid, chosen).to(patches.device)
        visible = self.encoder.encode(patches, drawn)
        predicted = self.decoder(visible, drawn, read_context(batch, self.config.context))
        mean, deviation = self.objective.levels(patches, self._real_values(batch))
        hidden = drawn.hidden[..., None]
        filled = torch.where(hidden, predicted.float() * deviation + mean, patches)
        side = self.encoder.config.patch_px
        return Reconstruction(
            signal_BCT=self.encoder.processor.signals(batch),
            image_BCHW=image,
            predicted_BCHW=unpatchify(filled, grid, side),
            hidden_BHW=unpatchify(hidden.expand(-1, -1, side * side), grid, side).squeeze(1),
        )

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return one group without decay (biases and other one-dimensional tensors) and one with."""
        named = [(n, p) for n, p in self.named_parameters() if p.requires_grad]
        plain = [p for n, p in named if p.ndim == 1 or n.endswith(".bias")]
        decaying = [p for n, p in named if not (p.ndim == 1 or n.endswith(".bias"))]
        return [
            {"name": "no-decay", "params": plain, "weight_decay": 0.0},
            {"name": "decay", "params": decaying},
        ]

    def warm_up(self, batches: Iterable[Batch]) -> None:
        """Measure the statistics of the maps where they are wanted, unless the weights bring them."""
        processor = self.encoder.processor
        _map_statistics.measure(processor.statistics_3C, processor.moments, batches)

    def adapt_weights(self, weights: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Bring weights for another number of channels, or another context, into this one's shapes.

        Raises:
            CheckpointError: The number of channels is no multiple of that of the weights.
        """
        return adapt_channels(weights, self.state_dict(), self.config.upstream_quirks)

    @classmethod
    def from_official(
        cls, state: Mapping[str, Tensor], settings: Mapping[str, Any]
    ) -> tuple[System, KeyReport]:
        """Build the system from a pretraining checkpoint of the authors.

        Args:
            state: Weights by official key.
            settings: The authors' settings, such as `img_size` and `num_heads`.

        Raises:
            CheckpointError: Weights are missing, superfluous, or do not fit the settings.
        """
        system = cls(parse(Config, _himu_official.pretrain_settings(state, settings)))
        return system, _himu_official.load(system, state, _himu_official.pretrain_names, "himu_mae")

    def to_official(self) -> dict[str, Tensor]:
        """Return the weights under the authors' key names."""
        return _himu_official.unload(self, _himu_official.pretrain_names)

    def official_settings(self) -> dict[str, Any]:
        """Return the authors' settings that the weights do not show."""
        config, masking = self.config, self.config.masking
        found = _himu_official.encoder_settings_back(
            self.encoder.config, self.encoder.processor.spectrogram
        )
        found["decoder_num_heads"] = config.decoder.num_heads
        found["no_shift"] = tuple(config.decoder.shift) == (0, 0)
        found["norm_pix_loss"] = config.is_target_normalised
        if masking.kind in {"random", "grid"}:
            found["mask_2d"] = masking.kind == "grid"
            found["mask_ratio"] = masking.share
            found["mask_t_prob"] = masking.frequency_share
            found["mask_f_prob"] = masking.time_share
        return found

    def _real_values(self, batch: Batch) -> Tensor | None:
        """Which values of a patch belong to real channels, bool [B, V]; None = all."""
        real_BC = self.encoder.processor.real_channels(batch)
        if real_BC is None or bool(real_BC.all()):
            return None
        return real_BC.repeat(1, self.config.encoder.patch_px**2)


def is_pretraining_state(weights: Mapping[str, Tensor]) -> bool:
    """Return whether weights by our keys belong to this system."""
    return "decoder.mask_token" in weights


def encoder_weights(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the encoder's part of this system's weights."""
    return {key: value for key, value in weights.items() if key.startswith("encoder.")}
