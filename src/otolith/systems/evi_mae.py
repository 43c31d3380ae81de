"""EVI-MAE pretraining: masked autoencoding of motion maps and video, contrast, sensor graph.

Zhang et al., ECCV 2024 (arXiv 2407.06628). Only visible tokens are encoded. Differences from the
authors' code, on purpose: video is hidden in tubes (their loader's tube mask is computed and not
used), hidden sensors are chosen per sample, one modality alone is not contrasted with itself, missing
sensors take no part, and validation draws no crops. Settings and `upstream_quirks` bring these back.
"""

# B batch, N tokens, K visible tokens, M hidden tokens, S sensors, V values, D width

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import pydantic
import torch
from pydantic import Field
from torch import Tensor

from otolith.core.config import config, parse
from otolith.core.errors import DataError
from otolith.core.randomness import sample_keys
from otolith.encoders import _evi_decoder, fused_evi_mae
from otolith.encoders._evi_blocks import IMU, JOINT, VIDEO
from otolith.encoders._evi_decoder import Decoder, GraphMasking
from otolith.encoders._mae import select_tokens
from otolith.encoders._presets import fill_from_preset
from otolith.encoders.fused_evi_mae import Inputs
from otolith.objectives import (
    LossOutput,
    modality_contrast,
    scaled_cosine,
    tubelet_reconstruction,
)
from otolith.systems import KeyReport, _evi_masks, _evi_official, _map_statistics
from otolith.systems import System as BaseSystem
from otolith.systems._evi_masks import (
    Masks,
    draw_imu,
    draw_nodes,
    draw_video,
    require_both_parts,
)
from otolith.systems._evi_settings import pretraining_settings
from otolith.systems._evi_settings_back import IMU_KINDS_BACK, encoder_settings_back
from otolith.windows.batch import Batch

Weight = Annotated[float, Field(ge=0)]
Quirk = Literal["contrast_with_itself"]
PRESETS: dict[str, dict[str, Any]] = {
    "debug": {
        "encoder": {"preset": "debug"},
        "decoder": {"width": 16, "depth": 2, "num_heads": 2},
    },
    "published": {},
}


@config
class Config:
    """Settings of pretraining.

    Args:
        preset: `debug` or `published` fills the settings that are not given; empty = the defaults
            below, which are the published ones.
        encoder: Encoders of motion and video, unified blocks, sensor graph.
        decoder: The token decoder.
        masking: What is hidden.
        reconstruction: Loss of hidden tokens.
        contrast: Loss between the modalities.
        graph_loss: Loss of hidden sensors.
        reconstruction_weight: Weight of the sum of the reconstruction losses.
        contrast_weight: Weight of the contrast.
        graph_weight: Weight of the graph loss.
        detach_graph_target: Whether no gradient reaches the encoder through what hidden sensors
            are compared with; the authors let it.
        upstream_quirks: Behaviour of the authors' code that is kept only on request:
            `contrast_with_itself` contrasts a modality alone with itself.
    """

    preset: str = ""
    encoder: fused_evi_mae.Config = field(default_factory=fused_evi_mae.Config)
    decoder: _evi_decoder.Config = field(default_factory=_evi_decoder.Config)
    masking: _evi_masks.Config = field(default_factory=_evi_masks.Config)
    reconstruction: tubelet_reconstruction.Config = field(
        default_factory=tubelet_reconstruction.Config
    )
    contrast: modality_contrast.Config = field(default_factory=modality_contrast.Config)
    graph_loss: scaled_cosine.Config = field(default_factory=scaled_cosine.Config)
    reconstruction_weight: Weight = 1.0
    contrast_weight: Weight = 0.01
    graph_weight: Weight = 10.0
    detach_graph_target: bool = False
    upstream_quirks: tuple[Quirk, ...] = ()

    @pydantic.model_validator(mode="before")
    @classmethod
    def _fill_preset(cls, data: Any) -> Any:
        return fill_from_preset(data, PRESETS)


@dataclass(frozen=True, kw_only=True)
class Latents:
    """Encoded visible tokens.

    Args:
        joint_BKD: Latent tokens of all modalities, motion first.
        alone: Per modality its tokens behind norms of their own, [B, K, D], for the contrast.
        nodes_BSD: One vector per sensor; None without a graph.
    """

    joint_BKD: Tensor
    alone: dict[str, Tensor]
    nodes_BSD: Tensor | None


class System(BaseSystem):
    """Encoder, token decoder, graph decoder.

    Args:
        config: Settings.
    """

    official_key_prefix = "decoder_modality_a"
    official_training_data = ("cmu_mmac", "wear", "revalexo")

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.encoder = fused_evi_mae.Encoder(config.encoder)
        num_tokens, num_values = {}, {}
        if self.encoder.imu is not None:
            rows, columns = config.encoder.imu.patch
            num_tokens[IMU] = self.encoder.imu.num_tokens
            num_values[IMU] = rows * columns * config.decoder.num_channels
        if self.encoder.video is not None:
            frames, rows, columns = config.encoder.video.tubelet
            num_tokens[VIDEO] = self.encoder.video.num_tokens
            num_values[VIDEO] = frames * rows * columns * 3
        self.decoder = Decoder(config.decoder, config.encoder.width, num_tokens, num_values)
        self.graph_masking = None
        self._check_masks()
        if config.encoder.graph is not None:
            self.graph_masking = GraphMasking(config.encoder.graph, config.encoder.imu.width)
        self.reconstruct = tubelet_reconstruction.Objective(config.reconstruction)
        self.contrast = modality_contrast.Objective(config.contrast)
        self.graph_loss = scaled_cosine.Objective(config.graph_loss)

    def embed(self, batch: Batch) -> Tensor:
        """Return one vector per sample, float32: the mean token, joined by that of the graph."""
        return self.encoder(batch).pooled_BD.float()

    def loss(self, batch: Batch) -> LossOutput:
        """Return the loss; masks are drawn from `batch.keys_B`."""
        inputs = self.encoder.prepare(batch)
        self._require_channels(inputs)
        return self.compare(inputs, self.draw_masks(batch, inputs))

    def draw_masks(self, batch: Batch, inputs: Inputs) -> Masks:
        """Return what is hidden in a batch, a function of its keys."""
        settings, device = self.config, batch.ids.device
        tokens = {}
        if self.encoder.imu is not None:
            tokens[IMU] = draw_imu(batch.keys_B, settings.encoder.imu.grid, settings.masking)
        if self.encoder.video is not None:
            tokens[VIDEO] = draw_video(batch.keys_B, settings.encoder.video.grid, settings.masking)
        nodes = None
        if self.graph_masking is not None and inputs.sensor_mask_BS is not None:
            nodes = draw_nodes(batch.keys_B, inputs.sensor_mask_BS, settings.masking)
        moved = {
            name: _evi_masks.TokenMask(
                keep_BK=mask.keep_BK.to(device), hidden_BM=mask.hidden_BM.to(device)
            )
            for name, mask in tokens.items()
        }
        return Masks(tokens=moved, nodes_BS=nodes)

    def compare(self, inputs: Inputs, masks: Masks) -> LossOutput:
        """Return the loss of given inputs under given masks."""
        latents = self.encode_visible(inputs, masks)
        hidden = {name: mask.hidden_BM for name, mask in masks.tokens.items()}
        decoded = self.decode(latents, masks, hidden)
        outputs = {
            name: self._reconstruction(name, decoded[name], inputs, hidden[name])
            for name in decoded
        }
        total = (
            self.config.reconstruction_weight
            * torch.stack([output.total for output in outputs.values()]).sum()
        )
        parts = {f"reconstruction_{name}": o.total.detach() for name, o in outputs.items()}
        if (contrast := self.contrast_of(latents)) is not None:
            total = total + self.config.contrast_weight * contrast.total
            parts |= contrast.parts
        if (graph := self.graph_of(latents, inputs, masks)) is not None:
            total = total + self.config.graph_weight * graph.total
            parts |= graph.parts
        per_sample = [o.per_sample_B for o in outputs.values() if o.per_sample_B is not None]
        return LossOutput(
            total=total,
            parts=parts,
            per_sample_B=torch.stack(per_sample).sum(0),
            is_global=True,
        )

    def encode_visible(self, inputs: Inputs, masks: Masks) -> Latents:
        """Return the latent tokens of what is visible."""
        encoder = self.encoder
        imu, nodes = encoder.encode_imu_and_nodes(inputs, _kept(masks, IMU))
        found = {IMU: imu, VIDEO: encoder.encode_video(inputs, _kept(masks, VIDEO))}
        there = {name: x for name, x in found.items() if x is not None}
        if len(there) > 1:
            alone = encoder.unify_sets({JOINT: torch.cat(list(there.values()), 1), **there})
            return Latents(joint_BKD=alone.pop(JOINT), alone=alone, nodes_BSD=nodes)
        (tokens,) = there.values()
        joint = encoder.together(tokens)
        alone = dict.fromkeys(there, joint)
        if "skip_unified_block" in encoder.config.upstream_quirks:
            alone = encoder.unify_sets(there)
        return Latents(joint_BKD=joint, alone=alone, nodes_BSD=nodes)

    def decode(
        self, latents: Latents, masks: Masks, wanted: Mapping[str, Tensor] | None = None
    ) -> dict[str, Tensor]:
        """Return decoded tokens [B, N, D] of every modality, before the heads.

        Args:
            latents: Latent tokens of what is visible.
            masks: What is hidden.
            wanted: Per modality the numbers of the tokens to return, int64 [B, M]; None = all.
        """
        keep = {name: mask.keep_BK for name, mask in masks.tokens.items()}
        return self.decoder(latents.joint_BKD, keep, wanted)

    def contrast_of(self, latents: Latents) -> LossOutput | None:
        """Return the contrast of the modalities; None where there is one alone."""
        means = {name: x.mean(1) for name, x in latents.alone.items()}
        if len(means) == 1 and "contrast_with_itself" not in self.config.upstream_quirks:
            return None
        first, *others = means.values()
        return self.contrast(first, others[0] if others else first)

    def graph_of(self, latents: Latents, inputs: Inputs, masks: Masks) -> LossOutput | None:
        """Return the loss of hidden sensors; None without a graph."""
        graph, nodes, sensors = self.encoder.graph, latents.nodes_BSD, inputs.sensor_mask_BS
        hidden_BS = masks.nodes_BS
        if self.graph_masking is None or graph is None or nodes is None or sensors is None:
            return None
        if hidden_BS is None:
            return None
        predicted = self.graph_masking(graph, nodes, hidden_BS, sensors)
        target = nodes.detach() if self.config.detach_graph_target else nodes
        return self.graph_loss(predicted[hidden_BS], target[hidden_BS])

    def warm_up(self, batches: Iterable[Batch]) -> None:
        """Measure the statistics of the motion maps, unless the weights bring them."""
        if (imu := self.encoder.imu) is not None:
            _map_statistics.measure(imu.statistics_3, imu.moments, batches)

    @classmethod
    def from_official(
        cls, state: Mapping[str, Tensor], settings: Mapping[str, Any]
    ) -> tuple[System, KeyReport]:
        """Build the system from an official pretraining checkpoint.

        Args:
            state: Weights with the authors' keys, with or without the prefix `module.`.
            settings: The authors' settings, `video` and `imu` mappings among them; may be empty
                for the published sizes. With `is_partial`, and for VideoMAE checkpoints, weights
                that the file lacks keep their random start and those of another shape are left
                out; `preset` then chooses the size.

        Raises:
            CheckpointError: The weights are no such checkpoint or contradict the settings.
        """
        plain = _evi_official.unwrapped(state)
        if settings.get("is_partial") or _evi_official.is_videomae(plain):
            system = cls(Config(preset=str(settings.get("preset", "published"))))
            return system, _evi_official.load_partly(system, plain, _net(system))
        system = cls(parse(Config, pretraining_settings(plain, settings)))
        report = _evi_official.load(system, plain, net=_net(system), what="evi_mae")
        return system, report

    def to_official(self) -> dict[str, Tensor]:
        """Return the weights as an official pretraining checkpoint."""
        return _evi_official.wrapped(self, _net(self))

    def official_settings(self) -> dict[str, Any]:
        """Return the authors' settings that the weights do not show."""
        config, masking = self.config, self.config.masking
        found = encoder_settings_back(self.encoder)
        found["imu"] |= {
            "masking_ratio": masking.imu_ratio,
            "mask_mode": IMU_KINDS_BACK[masking.imu_kind],
            "imu_graph_masking_ratio": masking.node_ratio,
        }
        found["video"] |= {
            "masking_ratio": masking.video_ratio,
            "decode_num_heads": config.decoder.num_heads,
        }
        return found | {
            "norm_pix_loss": config.reconstruction.is_target_normalised,
            "pixel_norm_eps": config.reconstruction.eps,
            "contrast_temperature": config.contrast.temperature,
            "contrast_bidirectional": config.contrast.both_directions,
            "graph_loss_alpha": config.graph_loss.alpha,
            "mae_loss_weight": config.reconstruction_weight,
            "contrast_loss_weight": config.contrast_weight,
            "graph_loss_weight": config.graph_weight,
        }

    def _reconstruction(
        self, name: str, decoded_BMD: Tensor, inputs: Inputs, hidden_BM: Tensor
    ) -> LossOutput:
        """Loss of the hidden tokens of one modality, which are all that was decoded."""
        values = inputs.imu_BNV if name == IMU else inputs.video_BNV
        assert values is not None  # noqa: S101  # the modality was decoded
        predicted = self.decoder.head[name](decoded_BMD)
        mask_BV = None
        sensors = inputs.sensor_mask_BS
        if name == IMU and sensors is not None and not bool(sensors.all()):
            per_sensor = self.config.encoder.imu.channels_per_sensor
            channels_BC = sensors.repeat_interleave(per_sensor, 1)
            mask_BV = channels_BC.repeat(1, values.shape[2] // channels_BC.shape[1])
        return self.reconstruct(predicted, select_tokens(values, hidden_BM), None, mask_BV)

    def _check_masks(self) -> None:
        """Refuse shares that leave nothing visible or hide nothing."""
        settings, key = self.config, sample_keys(0, 0, [0])
        if self.encoder.imu is not None:
            mask = draw_imu(key, settings.encoder.imu.grid, settings.masking)
            require_both_parts(mask, f"masking.imu_ratio = {settings.masking.imu_ratio}")
        if self.encoder.video is not None:
            mask = draw_video(key, settings.encoder.video.grid, settings.masking)
            require_both_parts(mask, f"masking.video_ratio = {settings.masking.video_ratio}")

    def _require_channels(self, inputs: Inputs) -> None:
        """Refuse motion with another number of channels than the decoder reconstructs."""
        if inputs.imu_BNV is None:
            return
        rows, columns = self.config.encoder.imu.patch
        found = inputs.imu_BNV.shape[2] // (rows * columns)
        if found != self.config.decoder.num_channels:
            raise DataError(
                f"The batch has {found} motion channels, the decoder "
                f"{self.config.decoder.num_channels}.",
                f"Set system.decoder.num_channels={found}, or choose other channels.",
            )


def _kept(masks: Masks, name: str) -> Tensor | None:
    return masks.tokens[name].keep_BK if name in masks.tokens else None


def _net(system: System) -> Any:
    graph = system.config.encoder.graph
    return None if graph is None else graph.net
