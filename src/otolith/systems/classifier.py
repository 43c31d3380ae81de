"""Classifier: any system's embedding with a linear layer on top, trained with labels.

The base is frozen (`freeze: base`) or trained with lower rates towards the input
(`layer_decay`, as in Clark et al., ICLR 2020).
"""

# B batch, D width, K classes

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, Any, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from otolith.core.config import component, config
from otolith.core.errors import ConfigError
from otolith.objectives import LossOutput
from otolith.objectives._gather import global_mean, num_processes, sum_over_processes
from otolith.systems import SYSTEMS, plain_encoder
from otolith.systems import System as BaseSystem
from otolith.windows.batch import Batch
from otolith.windows.needed import needed_target


@config
class Config:
    """Settings of the classifier.

    Args:
        base: The system whose `embed` is used.
        width: Width D of the base's embedding.
        labels: Class names; targets are indices into them.
        class_weights: Weight of each class in the loss; empty = all 1.
        freeze: `base`: only the linear layer learns; `none`: everything does.
        layer_decay: Factor of the learning rate per layer towards the input.
        head_lr_scale: Factor of the learning rate of the linear layer.
        label_smoothing: Share of the target that is spread over all classes.
        dropout: Dropout before the linear layer.
        target: Name of the class target in the batch.
    """

    base: component(SYSTEMS)  # pyrefly: ignore  # the field type is made at run time
    width: Annotated[int, Field(gt=0)]
    labels: tuple[str, ...]
    class_weights: tuple[Annotated[float, Field(gt=0)], ...] = ()
    freeze: Literal["none", "base"] = "none"
    layer_decay: Annotated[float, Field(gt=0, le=1)] = 0.8
    head_lr_scale: Annotated[float, Field(gt=0)] = 10.0
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    target: str = "label"


class System(BaseSystem):
    """Embedding, normalisation, dropout, linear layer.

    Args:
        config: See `Config`.
        base: A loaded base; None builds one from `config.base`.
    """

    def __init__(self, config: Config, base: BaseSystem | None = None) -> None:
        super().__init__()
        _check(config)
        self.config = config
        self.base = base if base is not None else config.base.module.System(config.base.config)
        self.norm = nn.LayerNorm(config.width, elementwise_affine=False)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(config.width, len(config.labels))
        nn.init.trunc_normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)
        weights = torch.tensor(config.class_weights or [1.0] * len(config.labels))
        self.register_buffer("class_weights", weights, persistent=False)
        if config.freeze == "base":
            self.base.requires_grad_(requires_grad=False)

    def train(self, mode: bool = True) -> System:
        """Switch the mode; a frozen base stays in evaluation mode."""
        super().train(mode)
        if self.config.freeze == "base":
            self.base.eval()
        return self

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names, in the order of `classify`'s columns."""
        return self.config.labels

    def embed(self, batch: Batch) -> Tensor:
        """Return the base's embedding [B, D]."""
        return self.base.embed(batch)

    def classify(self, batch: Batch) -> Tensor:
        """Return logits [B, K], one column per entry of `labels`."""
        return self.head(self.dropout(self.norm(self.base.embed(batch))))

    def loss(self, batch: Batch) -> LossOutput:
        """Return the weighted cross entropy over the global batch, without unlabelled samples."""
        target = needed_target(batch, self.config.target)
        logits = self.classify(batch)
        per_sample = F.cross_entropy(
            logits,
            target,
            weight=self.class_weights,
            ignore_index=-1,
            reduction="none",
            label_smoothing=self.config.label_smoothing,
        )
        known = target >= 0
        weight = sum_over_processes(self.class_weights[target.clamp(min=0)][known].sum())
        right = (logits.argmax(1) == target)[known].float().sum()
        return LossOutput(
            total=per_sample.sum() * num_processes() / weight.clamp(min=1e-6),
            parts={"accuracy": global_mean(right, known.sum())},
            per_sample_B=per_sample.detach() if bool(known.all()) else None,
            is_global=True,
        )

    def warm_up(self, batches: Iterable[Batch]) -> None:
        """Fit the input of a base that learns here alone; others were prepared in their own training."""
        if isinstance(self.base, plain_encoder.System):
            self.base.warm_up(batches)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return one group per depth with its rate; norms and biases do not decay.

        The linear layer learns fastest; the base's parts behind its encoder learn as fast as the
        base allows, and every block below learns `layer_decay` times as fast as the one above it.
        """
        named = [(n, p) for n, p in self.base.named_parameters() if p.requires_grad]
        depths = [_depth(name) for name, _ in named]
        deepest = max((d for d in depths if d is not None), default=0)
        groups: dict[tuple[int, bool], dict[str, Any]] = {}
        for (_, parameter), depth in zip(named, depths, strict=True):
            below_top = deepest + 1 - (deepest + 1 if depth is None else depth)
            decays = parameter.ndim > 1
            group = groups.setdefault(
                (below_top, decays),
                {
                    "name": f"base-{below_top}{'' if decays else '-no-decay'}",
                    "params": [],
                    "lr_scale": self.config.layer_decay**below_top,
                    **({} if decays else {"weight_decay": 0.0}),
                },
            )
            group["params"].append(parameter)
        head = {
            "name": "head",
            "params": list(self.head.parameters()),
            "lr_scale": self.config.head_lr_scale,
        }
        return [*groups.values(), head]


def _check(config: Config) -> None:
    """Refuse settings that contradict each other."""
    if len(set(config.labels)) < max(2, len(config.labels)):
        raise ConfigError(
            f"The classifier has the labels {', '.join(config.labels) or '(none)'}.",
            "Give two or more different labels.",
        )
    if config.class_weights and len(config.class_weights) != len(config.labels):
        raise ConfigError(
            f"There are {len(config.class_weights)} class_weights for {len(config.labels)} labels.",
            "Give one weight per label, or none.",
        )


def _depth(name: str) -> int | None:
    """Depth of a parameter in the base's encoder: 0 before the blocks, then 1, 2, ...

    None = it stands behind the encoder (or the base has no part of that name).
    """
    if not re.search(r"(?:^|\.)encoder\.", name):
        return None
    match = re.search(r"(?:layers|blocks)\.(\d+)\.", name)
    return int(match[1]) + 1 if match else 0
