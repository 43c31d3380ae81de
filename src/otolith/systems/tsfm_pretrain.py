"""TSFM Stage 1: masked reconstruction and patch-wise contrast of two views, without labels.

View 1 hides patches and channels, view 2 is an augmented copy. Both go through the encoder as one
batch. Differences from the authors' code, on purpose: padding is masked, a hidden channel is
reconstructed from the others, the kind of mask is drawn per sample, and the running means of the
losses are part of the weights' file. `upstream_quirks` brings the first two back.
"""

# B batch, P patches, N samples of a patch, C channels, D width, E width of projections or texts

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import field
from typing import Any, Literal

import torch
from torch import Tensor, nn

from otolith.core.config import component, config, select
from otolith.core.errors import CheckpointError
from otolith.encoders import ENCODERS, imu_tsfm
from otolith.encoders._imu_patches import Patches
from otolith.encoders._tsfm_positions import ChannelTexts, sinusoid
from otolith.heads._token_projection import TokenProjection
from otolith.objectives import LossOutput, masked_reconstruction, patch_contrastive
from otolith.objectives._balance import BalancedSum
from otolith.systems import KeyReport, _tsfm_masks
from otolith.systems import System as BaseSystem
from otolith.systems._official import (
    Names,
    convert_from_official,
    convert_to_official,
    require_all,
    strip_wrappers,
)
from otolith.systems._tsfm_masks import Masks, draw_masks
from otolith.systems._tsfm_official import (
    IGNORED,
    SINUSOID_KEY,
    TRAINING_DATA,
    check_sinusoid,
    encoder_config,
    encoder_names,
    flat_settings,
)
from otolith.windows.batch import Batch
from otolith.windows.channel_texts import describe_channels as describe
from otolith.windows.transforms import PRESETS as VIEWS
from otolith.windows.transforms import Augment, Augmenter

Quirk = Literal["padding_is_data", "dropped_channels_without_loss"]
_PREFIX = "encoder."
_HEADS = {
    "projection.hidden.": "projection_head.0.",
    "projection.output.": "projection_head.2.",
    "reconstruction.": "reconstruction_head.",
}


@config
class Config:
    """Settings of Stage 1.

    Args:
        encoder: The encoder; `encoder.preset` chooses a size.
        channel_text: Text encoder for the descriptions of channels; None = none.
        masking: What view 1 hides.
        view: Augmentation that makes view 2, applied to the normalised patches joined in time.
        projection_hidden_width: Hidden width of the projection for the contrast.
        projection_width: Width of the projection for the contrast.
        reconstruction_weight: Weight of the masked reconstruction.
        contrast_weight: Weight of the contrast.
        temperature: Temperature of the contrast.
        is_target_normalised: Whether reconstruction targets are normalised per patch and channel.
        is_balanced: Whether each loss is divided by its running mean.
        balance_decay: Share of the old running mean that is kept per step.
        pooling: What `embed` gives: `mean` over all real tokens [D], for any channels;
            `per_channel`, the mean over time of every channel, joined [C * D], for data whose
            windows have the same channels in the same order.
        upstream_quirks: Behaviour of the authors' code that is kept only on request:
            `padding_is_data` cuts and trains on padding as if it were signal;
            `dropped_channels_without_loss` leaves hidden channels out of the reconstruction.
    """

    encoder: imu_tsfm.Config = field(default_factory=imu_tsfm.Config)
    channel_text: component(ENCODERS) | None = field(  # pyrefly: ignore  # a field type made by a call
        default_factory=lambda: select(ENCODERS, "text_minilm")
    )
    masking: _tsfm_masks.Config = field(default_factory=_tsfm_masks.Config)
    view: Augment = field(default_factory=lambda: Augment(steps=VIEWS["weak"]))
    projection_hidden_width: int = 512
    projection_width: int = 256
    reconstruction_weight: float = 1.0
    contrast_weight: float = 1.0
    temperature: float = 0.2
    is_target_normalised: bool = True
    is_balanced: bool = True
    balance_decay: float = 0.99
    pooling: Literal["mean", "per_channel"] = "mean"
    upstream_quirks: tuple[Quirk, ...] = ()


class System(BaseSystem):
    """Encoder with a projection for the contrast and a head for the reconstruction.

    Args:
        config: Settings.
    """

    official_key_prefix = "projection_head."
    official_training_data = TRAINING_DATA

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        width = config.encoder.width
        self.encoder = imu_tsfm.Encoder(config.encoder)
        self.projection = TokenProjection(
            width, config.projection_hidden_width, config.projection_width
        )
        self.reconstruction = nn.Linear(width, config.encoder.processor.patch_size)
        self.balance = BalancedSum(
            ("reconstruction", "contrast"),
            decay=config.balance_decay,
            is_balanced=config.is_balanced,
        )
        self.reconstruct = masked_reconstruction.Objective(
            masked_reconstruction.Config(
                is_target_normalised=config.is_target_normalised,
                reconstructs_dropped_channels="dropped_channels_without_loss"
                not in config.upstream_quirks,
            )
        )
        self.contrast = patch_contrastive.Objective(
            patch_contrastive.Config(temperature=config.temperature)
        )
        self.channel_text = None
        if config.channel_text is not None and self.encoder.channel_position is not None:
            self.channel_text = config.channel_text.module.Encoder(config.channel_text.config)
        if self.channel_text is None and self.encoder.channel_position is not None:
            self.encoder.channel_position.requires_grad_(False)

    def embed(self, batch: Batch) -> Tensor:
        """Return one vector per sample, float32, pooled as the settings say.

        Call it in evaluation mode.
        """
        patches = self._prepare(batch)
        patches.require_real(batch.names)
        features = self.encoder.encode(patches, texts=self.describe_channels(batch))
        if self.config.pooling == "mean":
            return self.encoder.tokens(features, patches).pooled_BD.float()
        real_BP11 = patches.mask_BP[:, :, None, None].to(features.dtype)
        mean_BCD = (features * real_BP11).sum(1) / real_BP11.sum(1).clamp(min=1.0)
        real_BC1 = patches.channel_mask_BC.unsqueeze(-1).to(features.dtype)
        return (mean_BCD * real_BC1).flatten(1).float()

    def loss(self, batch: Batch) -> LossOutput:
        """Return the loss; patch durations, masks and view 2 are drawn from `batch.keys_B`.

        In evaluation mode view 2 is the same signal as view 1, unmasked.
        """
        patches = self._prepare(batch)
        masks = draw_masks(
            batch.keys_B, patches.mask_BP, patches.channel_mask_BC, self.config.masking
        )
        second_BPNC = self._second_view(batch, patches) if self.training else patches.values_BPNC
        return self.compare(patches, second_BPNC, masks, self.describe_channels(batch))

    def compare(
        self,
        patches: Patches,
        second_BPNC: Tensor,
        masks: Masks,
        texts: ChannelTexts | None = None,
    ) -> LossOutput:
        """Return the loss of two given views under given masks.

        Args:
            patches: View 1.
            second_BPNC: View 2, with the same masks of padding.
            masks: What is hidden in view 1.
            texts: Descriptions of the channels.
        """
        first_BPCD, second_BPCD = self.encode_views(patches, second_BPNC, masks, texts)
        reconstruction = self.reconstruct(
            self.reconstruction(first_BPCD).transpose(2, 3),
            patches.values_BPNC,
            masked_BP=masks.masked_BP,
            mask_BP=patches.mask_BP,
            channel_mask_BC=patches.channel_mask_BC,
            dropped_BC=masks.dropped_BC,
        )
        projected = [
            self.projection.mean_over_channels(view, patches.channel_mask_BC)
            for view in (first_BPCD, second_BPCD)
        ]
        contrast = self.contrast(*projected, patches.mask_BP)
        losses = {"reconstruction": reconstruction.total, "contrast": contrast.total}
        weights = {
            "reconstruction": self.config.reconstruction_weight,
            "contrast": self.config.contrast_weight,
        }
        return LossOutput(
            total=self.balance(losses, weights),
            parts=reconstruction.parts | contrast.parts,
            per_sample_B=_weighted(reconstruction, contrast, weights),
            is_global=True,
            logged=torch.stack([weights[n] * loss.detach() for n, loss in losses.items()]).sum(),
        )

    def encode_views(
        self,
        patches: Patches,
        second_BPNC: Tensor,
        masks: Masks,
        texts: ChannelTexts | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return the features of both views, each [B, P, C, D], from one pass of the encoder."""
        both = masks.with_open_view()
        features = self.encoder.encode(
            patches.joined(second_BPNC),
            texts=None if texts is None else texts.repeated(2),
            masked_BP=both.masked_BP,
            dropped_BC=both.dropped_BC,
        )
        first_BPCD, second_BPCD = features.chunk(2)
        return first_BPCD, second_BPCD

    def describe_channels(self, batch: Batch) -> ChannelTexts | None:
        """Return the sentence embeddings of the channels of a batch; None without a text encoder.

        Raises:
            DataError: The stream does not say what its channels are.
        """
        if self.channel_text is None:
            return None
        stream = batch.streams[self.config.encoder.stream]
        described = describe(stream, [], add_rate=False)
        return ChannelTexts(
            embeddings_UE=self.channel_text.sentences(described.texts[1:]).detach(),
            index_BC=described.index_BC - 1,
        )

    @classmethod
    def from_official(
        cls, state: Mapping[str, Tensor], settings: Mapping[str, Any]
    ) -> tuple[System, KeyReport]:
        """Build the system from an official Stage-1 `model_state_dict`.

        Args:
            state: Weights with the authors' keys.
            settings: The authors' settings (`config` of the checkpoint); may be empty for the
                published sizes.

        Raises:
            CheckpointError: The weights are no Stage-1 checkpoint or contradict the settings.
        """
        state = strip_wrappers(state)
        for key in ("projection_head.0.weight", "projection_head.2.weight"):
            if key not in state:
                raise CheckpointError(
                    f"The weights have no {key}, so they are no Stage-1 checkpoint.",
                    "Use the system tsfm_align for Stage 2.",
                )
        encoder_state = {
            k.removeprefix(_PREFIX): v for k, v in state.items() if k.startswith(_PREFIX)
        }
        check_sinusoid(encoder_state)
        system = cls(_config_from_official(state, encoder_state, settings))
        ignored = {_PREFIX + pattern: why for pattern, why in IGNORED.items()}
        found, report = convert_from_official(
            state, system.state_dict(), system.official_names(), ignored
        )
        require_all(report, "tsfm_pretrain", optional="encoder.channel_position.input.")
        system.load_state_dict(found, strict=False)
        return system, report

    def to_official(self) -> dict[str, Tensor]:
        """Return the weights as an official Stage-1 `model_state_dict`."""
        official = convert_to_official(self.state_dict(), self.official_names())
        settings = self.config.encoder
        official[_PREFIX + SINUSOID_KEY] = sinusoid(settings.max_positions, settings.width)
        return official

    def official_names(self) -> Names:
        """Return the function our key -> official keys."""
        encoder = encoder_names(self.config.encoder)

        def names(key: str) -> tuple[str, ...]:
            if key.startswith(_PREFIX):
                return tuple(_PREFIX + part for part in encoder(key.removeprefix(_PREFIX)))
            for own, official in _HEADS.items():
                if key.startswith(own):
                    return (official + key.removeprefix(own),)
            return ()

        return names

    def _prepare(self, batch: Batch) -> Patches:
        if "padding_is_data" not in self.config.upstream_quirks:
            return self.encoder.prepare(batch)
        name = self.config.encoder.stream
        stream = batch.streams[name]
        full = dataclasses.replace(
            stream,
            mask_BT=torch.ones_like(stream.mask_BT),
            channel_mask_BC=stream.mask_BT.new_ones(len(batch), stream.values.shape[2]),
        )
        return self.encoder.prepare(
            dataclasses.replace(batch, streams={**batch.streams, name: full})
        )

    def _second_view(self, batch: Batch, patches: Patches) -> Tensor:
        """View 2: the normalised patches of a sample, joined in time, augmented as one signal.

        Signals stay in full precision; only the encoder computes in a lower one.
        """
        values = patches.values_BPNC
        num_samples = values.shape[2]
        name = self.config.encoder.stream
        joined = dataclasses.replace(
            batch.streams[name],
            values=values.flatten(1, 2).float(),
            mask_BT=patches.mask_BP.repeat_interleave(num_samples, 1),
            channel_mask_BC=patches.channel_mask_BC,
            rate_hz_B=num_samples / patches.patch_s_B,
        ).to("cpu")
        augmenter = Augmenter(self.config.view, purpose="view")
        with torch.autocast("cpu", enabled=False):
            view = augmenter(dataclasses.replace(batch, streams={name: joined}))
        return view.streams[name].values.to(values).view(values.shape)


def _weighted(
    reconstruction: LossOutput, contrast: LossOutput, weights: Mapping[str, float]
) -> Tensor | None:
    """Weighted sum of the losses of every sample, [B]."""
    if reconstruction.per_sample_B is None or contrast.per_sample_B is None:
        return None
    return (
        weights["reconstruction"] * reconstruction.per_sample_B
        + weights["contrast"] * contrast.per_sample_B
    )


def _config_from_official(
    state: Mapping[str, Tensor], encoder_state: Mapping[str, Tensor], settings: Mapping[str, Any]
) -> Config:
    given = flat_settings(settings)
    encoder = encoder_config(encoder_state, given)
    has_text = encoder.channel_text_width is not None and "text_minilm" in ENCODERS.names()
    return Config(
        encoder=encoder,
        channel_text=select(ENCODERS, "text_minilm") if has_text else None,
        projection_hidden_width=int(state["projection_head.0.weight"].shape[0]),
        projection_width=int(state["projection_head.2.weight"].shape[0]),
        reconstruction_weight=float(given.get("mae_weight", 1.0)),
        contrast_weight=float(given.get("contrastive_weight", 1.0)),
        temperature=float(given.get("temperature", 0.2)),
        is_target_normalised=bool(given.get("norm_target", True)),
        balance_decay=float(given.get("ema_decay", 0.99)),
    )
