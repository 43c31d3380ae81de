"""EVI-MAE fine-tuning: class logits from motion, video or both, with the graph in one or two streams.

One stream joins the mean token and the graph's vector before one head; two streams give the graph a
head of its own, which is pulled towards the (detached) logits of the first. Targets may hold several
classes; the loss is binary cross entropy. The authors cannot run video-only and inference modes with a
graph in one stream; here they are refused with a reason, or run where the motion is there.
"""

# B batch, N tokens, D width, G width of the graph, K classes

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import Annotated, Any, Literal

import pydantic
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from otolith.core.config import config, parse
from otolith.core.errors import CheckpointError
from otolith.encoders import fused_evi_mae
from otolith.encoders._evi_blocks import IMU, JOINT, VIDEO
from otolith.encoders._presets import fill_from_preset
from otolith.encoders.fused_evi_mae import Inputs
from otolith.objectives import LossOutput
from otolith.objectives._gather import global_mean
from otolith.systems import KeyReport, _evi_official, _map_statistics
from otolith.systems import System as BaseSystem
from otolith.systems._evi_settings import encoder_settings, modalities_of
from otolith.systems._evi_settings_back import encoder_settings_back
from otolith.windows.batch import Batch
from otolith.windows.needed import needed_target

Mode = Literal["both", "imu", "video", "imu_of_both", "video_of_both"]
PRESETS: dict[str, dict[str, Any]] = {
    "debug": {"encoder": {"preset": "debug"}},
    "published": {},
}


@config
class Config:
    """Settings of fine-tuning.

    Args:
        preset: `debug` or `published` fills the settings that are not given; empty = the defaults
            below, which are the published ones.
        encoder: Encoders of motion and video, unified blocks, sensor graph.
        labels: Class names; targets are indices into them.
        mode: What is read: `both` together; `imu` or `video` alone, through norms of its own;
            `imu_of_both` or `video_of_both`: a model of both that is given one at inference,
            through both kinds of norms.
        two_streams: Whether the graph has a head of its own.
        agreement_weight: Weight of the distance between the logits of the two heads.
        label_smoothing: Positives become 1 - s, all others s / K.
        head_lr_scale: Factor of the learning rate of the heads.
        target: Name of the target in the batch: `multi_label` [B, K] or `label` [B].
    """

    preset: str = ""
    encoder: fused_evi_mae.Config = field(default_factory=fused_evi_mae.Config)
    labels: Annotated[tuple[str, ...], Field(min_length=2)]
    mode: Mode = "both"
    two_streams: bool = False
    agreement_weight: Annotated[float, Field(ge=0)] = 0.1
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.1
    head_lr_scale: Annotated[float, Field(gt=0)] = 100.0
    target: Literal["multi_label", "label"] = "multi_label"

    @pydantic.model_validator(mode="before")
    @classmethod
    def _fill_preset(cls, data: Any) -> Any:
        return fill_from_preset(data, PRESETS)

    @pydantic.model_validator(mode="after")
    def _fits(self) -> Config:
        if len(set(self.labels)) != len(self.labels):
            raise ValueError("labels must differ")
        needed = {"imu": {"imu", "both"}, "video": {"video", "both"}}.get(self.mode, {"both"})
        if self.encoder.modalities not in needed:
            raise ValueError(f"mode {self.mode} needs encoder.modalities {sorted(needed)[0]}")
        if self.two_streams and self.encoder.graph is None:
            raise ValueError("two_streams needs encoder.graph")
        if not self.two_streams and self.encoder.graph and self.mode in {"video", "video_of_both"}:
            raise ValueError(
                f"mode {self.mode} has no sensors for the graph: set encoder.graph to null or "
                "two_streams to true"
            )
        return self


class System(BaseSystem):
    """Encoder and heads.

    Args:
        config: Settings.
    """

    official_key_prefix = "mlp_head."
    official_training_data = ("cmu_mmac", "wear")

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.encoder = fused_evi_mae.Encoder(config.encoder)
        graph = config.encoder.graph
        joined = 0 if graph is None or config.two_streams else graph.width
        self.head = _head(config.encoder.width + joined, len(config.labels))
        self.graph_head = None
        if config.two_streams and graph is not None:
            self.graph_head = _head(graph.width, len(config.labels))

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names, in the order of `classify`'s columns."""
        return self.config.labels

    def embed(self, batch: Batch) -> Tensor:
        """Return what the head reads, float32 [B, D] or [B, D + G]."""
        features, graph = self._features(self._prepared(batch), self.config.mode)
        return self._joined(features, graph).float()

    def tokens(self, batch: Batch) -> Tensor:
        """Return the encoders' tokens side by side and the graph's vector, float32 [B, N * D + G].

        They lie before the unified block, so every column belongs to one place of one modality.
        """
        inputs = self._prepared(batch)
        found = [self.encoder.encode_imu(inputs), self.encoder.encode_video(inputs)]
        flat = [x.flatten(1) for x in found if x is not None]
        graph = None if inputs.imu_BNV is None else self.encoder.graph_vector(inputs)
        return torch.cat(flat if graph is None else [*flat, graph], 1).float()

    def classify(self, batch: Batch) -> Tensor:
        """Return logits [B, K], one column per entry of `labels`."""
        return self.logits(self._prepared(batch), self.config.mode)[0]

    def logits(self, inputs: Inputs, mode: Mode) -> tuple[Tensor, Tensor | None]:
        """Return the logits of the head and, with two streams, of the graph's head.

        Args:
            inputs: What the encoder reads.
            mode: See `Config`.
        """
        features, graph = self._features(inputs, mode)
        own = self.head(self._joined(features, graph))
        if self.graph_head is None or graph is None:
            return own, None
        return own, self.graph_head(graph)

    def loss(self, batch: Batch) -> LossOutput:
        """Return the loss over samples with a target; unlabelled ones (-1) do not count."""
        target_BK, known_B = self._targets(batch)
        logits, graph_logits = self.logits(self._prepared(batch), self.config.mode)
        smooth = self.config.label_smoothing
        soft_BK = target_BK * (1 - smooth) + (1 - target_BK) * smooth / target_BK.shape[1]
        count = known_B.sum()
        losses_B = _cross_entropy(logits, soft_BK)
        parts = {"classes": global_mean((losses_B * known_B).sum(), count).detach()}
        if graph_logits is not None:
            graph_B = _cross_entropy(graph_logits, soft_BK)
            apart_B = (logits.detach() - graph_logits).float().square().mean(1)
            losses_B = losses_B + graph_B + self.config.agreement_weight * apart_B
            parts["graph"] = global_mean((graph_B * known_B).sum(), count).detach()
        right_B = target_BK.gather(1, logits.argmax(1, keepdim=True))[:, 0] > 0
        parts["accuracy"] = global_mean((right_B & known_B).float().sum(), count)
        return LossOutput(
            total=global_mean((losses_B * known_B).sum(), count),
            parts=parts,
            per_sample_B=losses_B.detach() if bool(known_B.all()) else None,
            is_global=True,
        )

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return the encoder, and the heads with their higher rate."""
        heads = [p for n, p in self.named_parameters() if not n.startswith("encoder.")]
        return [
            {"name": "encoder", "params": list(self.encoder.parameters())},
            {"name": "heads", "params": heads, "lr_scale": self.config.head_lr_scale},
        ]

    def warm_up(self, batches: Iterable[Batch]) -> None:
        """Measure the statistics of the motion maps, unless the weights bring them."""
        if (imu := self.encoder.imu) is not None:
            _map_statistics.measure(imu.statistics_3, imu.moments, batches)

    @classmethod
    def from_official(
        cls, state: Mapping[str, Tensor], settings: Mapping[str, Any]
    ) -> tuple[System, KeyReport]:
        """Build the system from an official fine-tuning checkpoint.

        Args:
            state: Weights with the authors' keys, with or without the prefix `module.`.
            settings: The authors' settings, and `labels`, the class names, which the file lacks;
                without them classes are numbered.

        Raises:
            CheckpointError: The weights are no such checkpoint or contradict the settings.
        """
        plain = _evi_official.unwrapped(state)
        if "mlp_head.1.weight" not in plain:
            raise CheckpointError(
                "The weights have no mlp_head.1.weight, so they are not fine-tuned.",
                "Use the system evi_mae for pretraining checkpoints.",
            )
        count = int(plain["mlp_head.1.weight"].shape[0])
        labels = tuple(settings.get("labels") or (f"class {i}" for i in range(count)))
        if len(labels) != count:
            raise CheckpointError(
                f"There are {len(labels)} labels for {count} classes.", "Give one label per class."
            )
        modalities = modalities_of(plain, settings, is_pretraining=False)
        encoder = encoder_settings(plain, settings, modalities=modalities)
        two_streams = "another_mlp_head.1.weight" in plain
        plain_settings = {
            "encoder": encoder,
            "labels": labels,
            "two_streams": two_streams,
            "mode": modalities,
        }
        system = cls(parse(Config, plain_settings))
        graph = system.config.encoder.graph
        report = _evi_official.load(
            system, plain, net=None if graph is None else graph.net, what="evi_mae_classifier"
        )
        return system, report

    def to_official(self) -> dict[str, Tensor]:
        """Return the weights as an official fine-tuning checkpoint."""
        graph = self.config.encoder.graph
        return _evi_official.wrapped(self, None if graph is None else graph.net)

    def official_settings(self) -> dict[str, Any]:
        """Return the authors' settings that the weights do not show, and the class names."""
        return {**encoder_settings_back(self.encoder), "labels": self.config.labels}

    def _prepared(self, batch: Batch) -> Inputs:
        """What the mode reads; a stream that it does not read need not be there."""
        return self.encoder.prepare(batch, _read_by(self.config.mode))

    def _features(self, inputs: Inputs, mode: Mode) -> tuple[Tensor, Tensor | None]:
        """Mean token [B, D], and the vector of the graph [B, G] where there is one."""
        encoder = self.encoder
        wanted = _read_by(mode)
        found = {
            IMU: encoder.encode_imu(inputs) if IMU in wanted else None,
            VIDEO: encoder.encode_video(inputs) if VIDEO in wanted else None,
        }
        tokens = torch.cat([x for x in found.values() if x is not None], 1)
        if mode == "both":
            features = encoder.unify(tokens, JOINT)
        elif mode in (IMU, VIDEO):
            features = encoder.unify(tokens, mode)
        else:
            own = wanted[0]
            features = (encoder.unify(tokens, JOINT) + encoder.unify(tokens, own)) / 2
        graph = encoder.graph_vector(inputs) if IMU in wanted else None
        return features.mean(1), graph

    def _joined(self, features: Tensor, graph: Tensor | None) -> Tensor:
        if graph is None or self.config.two_streams:
            return features
        return torch.cat([features, graph], 1)

    def _targets(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Targets [B, K] of 0 and 1, and which samples have one, bool [B]."""
        target = needed_target(batch, self.config.target)
        if target.ndim == 2:
            return target.float(), (target > 0).any(1)
        known_B = target >= 0
        hot = F.one_hot(target.clamp(min=0), len(self.config.labels)).float()
        return hot * known_B[:, None], known_B


def _read_by(mode: Mode) -> tuple[str, ...]:
    return (IMU, VIDEO) if mode == "both" else (mode.removesuffix("_of_both"),)


def _head(width: int, num_classes: int) -> nn.Sequential:
    return nn.Sequential(nn.LayerNorm(width), nn.Linear(width, num_classes))


def _cross_entropy(logits_BK: Tensor, target_BK: Tensor) -> Tensor:
    """Binary cross entropy per sample, [B]."""
    return F.binary_cross_entropy_with_logits(logits_BK.float(), target_BK, reduction="none").mean(
        1
    )
