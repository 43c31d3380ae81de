"""HIMU-MAE downstream: classes from the pretrained encoder, probed or fine-tuned, with or without video.

`freeze: encoder` is linear probing: the encoder and its feature's normalisation get no gradient and
stay in evaluation mode. Start from pretrained weights with `init_from`.
"""

# B batch, D width, X width of the video feature, K classes, H rows and W columns of a map

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from otolith.core import randomness
from otolith.core.config import config, parse
from otolith.core.errors import ConfigError
from otolith.encoders import _mae_masks, imu_spectrogram_mae
from otolith.encoders._mae_masks import Masking, check_masking, draw_masking
from otolith.heads import modality_fusion
from otolith.objectives import LossOutput, soft_cross_entropy
from otolith.objectives._gather import global_mean, sum_over_processes
from otolith.objectives.soft_cross_entropy import balanced_weights, mix_samples
from otolith.systems import KeyReport, _himu_official, _map_statistics
from otolith.systems import System as BaseSystem
from otolith.systems._context import ContextConfig, read_context
from otolith.systems._himu_transfer import adapt_statistics
from otolith.systems._layer_decay import layer_decay_groups
from otolith.systems.himu_mae import encoder_weights, is_pretraining_state
from otolith.windows.batch import Batch
from otolith.windows.needed import needed_target

Quirk = Literal[
    "multimodal_probe_trains_everything",
    "label_smoothing_applied_twice_with_mixup",
    "class_weights_not_normalised",
    "video_feature_not_mixed",
]


@config
class Config:
    """Settings.

    Args:
        encoder: The encoder; its last normalisation follows from `pooling`.
        head: What makes classes of the feature.
        context: The video feature that the head reads; None = motion alone.
        labels: Class names; targets are indices into them.
        pooling: `mean`: normalised mean of the patch tokens; `cls`: the normalised class token.
        freeze: `encoder`: only the head learns (probing); `none`: everything does (fine-tuning).
        masking: Tokens that are hidden while training; None = none.
        mixup: Parameter of the distribution by which two samples are mixed; 0 = not at all.
        label_smoothing: Share of the target that is spread over all classes.
        class_weights: Weight of each class in the loss; empty = 1.
        is_balanced: Whether classes are weighted by their rarity in the training data, counted before
            the first step.
        layer_decay: Factor of the learning rate per layer towards the input.
        target: Name of the class target in the batch.
        upstream_quirks: Behaviour of the authors' code that is kept only on request; see
            docs/himu_mae.md.
    """

    encoder: imu_spectrogram_mae.Config = Field(default_factory=imu_spectrogram_mae.Config)
    head: modality_fusion.Config = Field(default_factory=modality_fusion.Config)
    context: ContextConfig | None = None
    labels: Annotated[tuple[str, ...], Field(min_length=2)]
    pooling: Literal["mean", "cls"] = "mean"
    freeze: Literal["none", "encoder"] = "none"
    masking: _mae_masks.Config | None = None
    mixup: Annotated[float, Field(ge=0)] = 0.0
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.1
    class_weights: tuple[Annotated[float, Field(gt=0)], ...] = ()
    is_balanced: bool = False
    layer_decay: Annotated[float, Field(gt=0, le=1)] = 0.75
    target: str = "label"
    upstream_quirks: tuple[Quirk, ...] = ()

    def __post_init__(self) -> None:
        """Check what contradicts itself."""
        if len(set(self.labels)) < len(self.labels):
            raise ValueError("labels names a class twice")
        if self.class_weights and (len(self.class_weights) != len(self.labels) or self.is_balanced):
            raise ValueError("give one of class_weights per label, or is_balanced, not both")
        if self.head.uses_video != (self.context is not None):
            raise ValueError(
                f'a head of kind "{self.head.kind}" '
                + ("needs a context" if self.head.uses_video else "reads no context")
            )

    @property
    def is_frozen(self) -> bool:
        """Whether the encoder really stays as it is."""
        trains_all = "multimodal_probe_trains_everything" in self.upstream_quirks
        return self.freeze == "encoder" and not (trains_all and self.context is not None)


class System(BaseSystem):
    """Encoder, feature, head.

    Args:
        config: Settings.
    """

    official_key_prefix = "fc_norm."
    official_training_data = ("egoexo4d",)
    class_weights_K: Tensor

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        encoder = dataclasses.replace(
            config.encoder, preset="", has_last_norm=config.pooling == "cls"
        )
        if config.masking is not None:
            check_masking(encoder.grid, config.masking, needs_hidden=False)
        self.encoder = imu_spectrogram_mae.Encoder(encoder)
        self.feature_norm = None
        if config.pooling == "mean":
            self.feature_norm = nn.LayerNorm(encoder.width, eps=encoder.norm_eps)
        width = config.context.width if config.context else 0
        self.head = modality_fusion.Head(config.head, encoder.width, width, len(config.labels))
        self.objective = soft_cross_entropy.Objective(
            soft_cross_entropy.Config(
                label_smoothing=config.label_smoothing,
                smooths_mixed_twice=self._has("label_smoothing_applied_twice_with_mixup"),
                divides_by_weights=not self._has("class_weights_not_normalised"),
            )
        )
        weights = torch.tensor(config.class_weights or [1.0] * len(config.labels))
        self.register_buffer("class_weights_K", weights)
        if config.is_frozen:
            for part in self._frozen_parts():
                part.requires_grad_(requires_grad=False)

    def train(self, mode: bool = True) -> System:
        """Switch the mode; what is frozen stays in evaluation mode."""
        super().train(mode)
        if self.config.is_frozen:
            for part in self._frozen_parts():
                part.eval()
        return self

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names, in the order of `classify`'s columns."""
        return self.config.labels

    def embed(self, batch: Batch) -> Tensor:
        """Return the encoder's feature [B, D], float32; the video feature is not part of it."""
        return self.feature(self.encoder.prepare(batch)).float()

    def classify(self, batch: Batch) -> Tensor:
        """Return logits [B, K], one column per entry of `labels`."""
        feature = self.feature(self.encoder.prepare(batch))
        return self.head(feature, read_context(batch, self.config.context))

    def feature(self, image_BCHW: Tensor, masking: Masking | None = None) -> Tensor:
        """Return the feature of maps [B, D].

        Args:
            image_BCHW: Maps from the encoder's `prepare`.
            masking: Which tokens are hidden; None = none.
        """
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.config.is_frozen):
            x = self.encoder.encode(self.encoder.patches(image_BCHW), masking)
            return x[:, 0] if self.feature_norm is None else self.feature_norm(x[:, 1:].mean(1))

    def loss(self, batch: Batch) -> LossOutput:
        """Return the cross entropy over the global batch, without unlabelled samples."""
        label_B = needed_target(batch, self.config.target)
        image = self.encoder.prepare(batch)
        video = read_context(batch, self.config.context)
        mix = self._draw_mix(batch).to(image.device) if self._mixes else None
        if mix is not None:
            image = mix_samples(image, mix)
            if video is not None and not self._has("video_feature_not_mixed"):
                video = mix_samples(video, mix)
        logits = self.head(self.feature(image, self._draw_masking(batch, image)), video)
        target = self.objective.targets(label_B, len(self.labels), mix)
        found = self.objective(logits, target, self.class_weights_K)
        known = label_B >= 0
        right = (logits.argmax(1) == label_B)[known].float().sum()
        return dataclasses.replace(found, parts={"accuracy": global_mean(right, known.sum())})

    def warm_up(self, batches: Iterable[Batch]) -> None:
        """Measure the maps where it is wanted; count the classes if rare ones are to weigh more."""
        processor = self.encoder.processor
        if not self.config.is_balanced:
            _map_statistics.measure(processor.statistics_3C, processor.moments, batches)
            return
        meter = _map_statistics.Meter(processor.statistics_3C, processor.moments)
        counts = torch.zeros_like(self.class_weights_K)
        for batch in batches:
            meter.add(batch)
            label_B = needed_target(batch, self.config.target)
            known_N = label_B[label_B >= 0]
            counts += torch.bincount(known_N, minlength=len(self.labels)).to(counts)
        meter.write()
        self.class_weights_K.copy_(balanced_weights(sum_over_processes(counts)))

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return groups by layer: the head learns fastest, every layer below `layer_decay` as fast."""
        return layer_decay_groups(
            ((n, p) for n, p in self.named_parameters() if p.requires_grad),
            _layer_of,
            self.encoder.config.num_layers + 1,
            self.config.layer_decay,
            never_decays=("encoder.cls_token", "encoder.positions_1ND"),
        )

    def adapt_weights(self, weights: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Take the encoder of a pretrained masked autoencoder; what it lacks stays as drawn.

        Class weights follow from the settings of this run, not from those of an earlier one.
        """
        own = self.state_dict()
        measured = adapt_statistics(weights, own)
        if not is_pretraining_state(weights):
            return {**weights, **measured, "class_weights_K": own["class_weights_K"]}
        taken = {k: v for k, v in encoder_weights(weights).items() if k in own}
        # The last normalisation of pretraining has no place where the mean of the tokens is used.
        return {
            **{k: v for k, v in own.items() if not k.startswith("encoder.")},
            **taken,
            **measured,
        }

    @classmethod
    def from_official(
        cls, state: Mapping[str, Tensor], settings: Mapping[str, Any]
    ) -> tuple[System, KeyReport]:
        """Build the system from a probing or fine-tuning checkpoint of the authors.

        Args:
            state: Weights by official key.
            settings: The authors' settings, such as `img_size`, `num_heads`, `labels`, `dropout`.

        Raises:
            CheckpointError: Weights are missing, superfluous, or do not fit the settings.
        """
        encoder = _himu_official.encoder_settings(state, settings)
        head = _himu_official.head_settings(state)
        classes = int(head.pop("num_classes"))
        video = int(head.pop("video_width", 0)) or (
            int(head.pop("joint_width")) - encoder["width"] if "joint_width" in head else 0
        )
        labels = tuple(settings.get("labels") or (f"class_{i}" for i in range(classes)))
        if len(labels) != classes:
            raise ConfigError(
                f"There are {len(labels)} labels and the weights have {classes} classes.",
                "Give one name per class.",
            )
        if head["kind"] == "projector" and settings.get("dropout") is not None:
            head["dropout"] = float(settings["dropout"])
        plain = {
            "encoder": encoder,
            "head": head,
            "labels": labels,
            "context": _himu_official.context_settings(video),
            "pooling": "mean" if "fc_norm.weight" in state else "cls",
        }
        system = cls(parse(Config, plain))
        names = system.official_names()
        return system, _himu_official.load(system, state, names, "himu_mae_classifier")

    def to_official(self) -> dict[str, Tensor]:
        """Return the weights under the authors' key names."""
        return _himu_official.unload(self, self.official_names())

    def official_settings(self) -> dict[str, Any]:
        """Return the authors' settings that the weights do not show, and the class names."""
        spectrogram = self.encoder.processor.spectrogram
        found = _himu_official.encoder_settings_back(self.encoder.config, spectrogram)
        if self.config.head.kind == "projector":
            found["dropout"] = self.config.head.dropout
        return {**found, "labels": self.labels}

    def official_names(self) -> _himu_official.Names:
        """Return the function our key -> official keys."""
        head = self.config.head
        return _himu_official.classifier_names(len(head.hidden_widths) if head.kind == "mlp" else 0)

    @property
    def _mixes(self) -> bool:
        return self.training and self.config.mixup > 0.0

    def _has(self, quirk: Quirk) -> bool:
        return quirk in self.config.upstream_quirks

    def _frozen_parts(self) -> list[nn.Module]:
        return [p for p in (self.encoder, self.feature_norm) if p is not None]

    def _draw_masking(self, batch: Batch, image: Tensor) -> Masking | None:
        if not self.training or self.config.masking is None:
            return None
        grid = self.encoder.config.grid
        return draw_masking(batch.keys_B, grid, self.config.masking).to(image.device)

    def _draw_mix(self, batch: Batch) -> Tensor:
        """One share for the whole batch, from the key of its first sample."""
        from scipy.special import betaincinv

        draw = randomness.uniform(batch.keys_B[:1], "mixup")[0]
        return torch.tensor(np.float32(betaincinv(self.config.mixup, self.config.mixup, draw)))


def _layer_of(name: str) -> int | None:
    """Layer of a parameter: 0 before the blocks, then 1, 2, ...; None behind them."""
    if block := re.match(r"^encoder\.blocks\.(\d+)\.", name):
        return int(block[1]) + 1
    return 0 if re.match(r"^encoder\.(cls_token|positions|patch_embedding)", name) else None
