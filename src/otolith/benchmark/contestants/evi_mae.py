"""EVI-MAE, pretrained on the windows of the training people without their labels, then taught.

Written `evi_mae:WHAT-START-WAY`. WHAT: `imu`, `video`, `fused` (intermediate fusion: features of both
before one classifier) or `late` (both alone, log probabilities added). START: `pretrained` or `scratch`. WAY:
`tuned` (every weight learns) or `probe` (the encoder stays; logistic regression). Either reads the tokens
side by side with the graph's vector, or with `reads=mean` what the published head reads, the mean token
after the unified block; the mean forgets when and where something happened.
People who are tested take no part in pretraining. One pretraining serves all contestants of a cell.
"""

# N windows, D width, K classes

from __future__ import annotations

import json
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from otolith.benchmark._settings import Learning, Positive
from otolith.benchmark.contestants import Contestant, Fitted, Lesson
from otolith.benchmark.contestants._features import fit_head
from otolith.benchmark.contestants._modality import Plan, parse_plan
from otolith.benchmark.contestants._training import (
    Course,
    Learner,
    Trainer,
    device_of,
    evaluate,
    own_draws,
)
from otolith.core.config import config, parse, to_plain
from otolith.core.errors import DataError
from otolith.core.randomness import sample_keys, step_seed
from otolith.systems import evi_mae, evi_mae_classifier
from otolith.tasks._windows import Count
from otolith.windows.batch import Batch
from otolith.windows.dataset import WindowDataset

_MEASURED = 64  # windows of a batch whose maps are measured


@config
class Schooling:
    """How one training runs: AdamW in one cycle.

    Args:
        epochs: Epochs.
        min_steps: Fewest steps, for few windows.
        batch_size: Windows of a batch.
        lr: Highest learning rate.
        weight_decay: Weight decay.
    """

    epochs: Count = 30
    min_steps: Annotated[int, Field(ge=0)] = 0
    batch_size: Count = 32
    lr: Positive = 1e-3
    weight_decay: Annotated[float, Field(ge=0.0)] = 0.05

    def course(self) -> Course:
        """Return it as the loop reads it."""
        return Course(
            epochs=self.epochs,
            batch_size=self.batch_size,
            lr=self.lr,
            weight_decay=self.weight_decay,
            has_warm_up=True,
            min_steps=self.min_steps,
        )


@config
class Config:
    """Settings, given as `learning.contestants.evi_mae`.

    Args:
        system: Settings of the system `evi_mae` as plain data; its encoder is what is taught.
        pretraining: How pretraining runs.
        tuning: How fine-tuning runs.
        teaching: Further settings of the system `evi_mae_classifier`.
        reads: What is classified: all `tokens` of the encoders side by side, or the `mean` token of
            the published head.
    """

    system: dict[str, Any] = field(default_factory=dict)
    pretraining: Schooling = field(default_factory=lambda: Schooling(epochs=60))
    tuning: Schooling = field(default_factory=lambda: Schooling(min_steps=200))
    teaching: dict[str, Any] = field(default_factory=lambda: {"head_lr_scale": 1.0})
    reads: Literal["tokens", "mean"] = "tokens"


@dataclass(kw_only=True, eq=False)
class Clips:
    """All windows of a data set, read once, and what was learned from them.

    Args:
        batch: The windows.
        pretrained: Weights by who they were learned from.
        taught: Probabilities [N, K] of a modality alone and its size, by lesson; late fusion
            adds up what single modalities found.
    """

    batch: Batch
    pretrained: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    taught: dict[str, tuple[np.ndarray, np.ndarray, int]] = field(default_factory=dict)


_READ_BEFORE: weakref.WeakKeyDictionary[WindowDataset, Clips] = weakref.WeakKeyDictionary()


def make(argument: str, learning: Learning) -> Contestant:
    """Return the contestant.

    Args:
        argument: WHAT-START-WAY.
        learning: Settings; `learning.contestants["evi_mae"]` are its own.

    Raises:
        ConfigError: The argument or a setting is wrong.
    """
    plan = parse_plan("evi_mae", argument)
    source = "learning.contestants.evi_mae"
    settings = parse(Config, learning.contestants.get("evi_mae", {}), source=source)
    system = parse(evi_mae.Config, settings.system, source=f"{source}.system")
    for what in plan.alone:
        _taught_config(settings, system, what, 2)  # mistakes are found before the first cell
    return EviContestant(f"evi_mae:{argument}", plan, settings, system, learning)


class EviContestant(Contestant):
    """The systems `evi_mae` and `evi_mae_classifier` on the same encoder.

    Args:
        name: How it stands in tables.
        plan: What is read, from where it starts, how it learns.
        settings: See `Config`.
        system: Settings of the pretraining system.
        learning: Settings of all contestants.
    """

    def __init__(
        self, name: str, plan: Plan, settings: Config, system: evi_mae.Config, learning: Learning
    ) -> None:
        self.name, self._plan, self._settings = name, plan, settings
        self._system, self._learning = system, learning
        self.identity = f"{name}|{json.dumps(to_plain(settings))}"
        self.device = device_of(learning.device)

    def inputs(self, windows: WindowDataset) -> Clips:
        """Read every window once; contestants of one benchmark share them."""
        if windows not in _READ_BEFORE:
            batch = windows.batch(np.arange(len(windows)), 0)
            _READ_BEFORE[windows] = Clips(batch=batch.to(self.device))
        return _READ_BEFORE[windows]

    def fit(self, lessons: Sequence[Lesson], num_classes: int, seed: int) -> Fitted:
        """Pretrain, teach every network that is needed, and add up what they find."""
        if len(lessons) != 1 or not len(lessons[0].train):
            raise DataError(
                f"{self.name} learns from the windows of one data set.",
                "Use cross_subject or few_labels.",
            )
        found = [self._taught(lessons[0], what, num_classes, seed) for what in self._plan.alone]
        log_NK = np.sum([np.log(np.maximum(scores, 1e-12)) for scores, _, _ in found], axis=0)
        scores_NK = np.exp(log_NK - log_NK.max(1, keepdims=True))
        return _Found(
            scores_NK / scores_NK.sum(1, keepdims=True),
            np.concatenate([features for _, features, _ in found], 1),
            sum(size for _, _, size in found),
        )

    def _taught(
        self, lesson: Lesson, what: str, num_classes: int, seed: int
    ) -> tuple[np.ndarray, np.ndarray, int]:
        """Probabilities and features of all windows by one network, and its size."""
        clips: Clips = lesson.inputs
        key = json.dumps(
            [what, self._plan.start, self._plan.way, seed, self.identity.split("|", 1)[1],
             *(rows.tolist() for rows in (lesson.train, lesson.validation, lesson.unlabelled))]
        )  # fmt: skip
        if key not in clips.taught:
            with own_draws():
                weights = self._pretrained(lesson, seed) if self._plan.start == "pretrained" else {}
                torch.manual_seed(step_seed(seed, 0, 0))
                model = self._start(lesson, what, num_classes, seed, weights)
                clips.taught[key] = self._teach(model, lesson, num_classes, seed)
        return clips.taught[key]

    def _start(
        self,
        lesson: Lesson,
        what: str,
        num_classes: int,
        seed: int,
        weights: Mapping[str, Tensor],
    ) -> _Taught:
        """A classifier with pretrained or new weights, and measured statistics."""
        source = "learning.contestants.evi_mae"
        system = evi_mae_classifier.System(
            parse(
                evi_mae_classifier.Config,
                _taught_config(self._settings, self._system, what, num_classes),
                source=source,
            )
        ).to(self.device)
        own = system.state_dict()
        system.load_state_dict({k: v for k, v in weights.items() if k in own}, strict=False)
        system.warm_up(_batches(lesson))
        model = _Taught(system, seed)
        if self._settings.reads == "tokens":
            width = system.tokens(lesson.inputs.batch.take(lesson.train[:1])).shape[1]
            model.head = TokenHead(width, num_classes).to(self.device)
        return model

    def _teach(
        self, model: _Taught, lesson: Lesson, num_classes: int, seed: int
    ) -> tuple[np.ndarray, np.ndarray, int]:
        """Fine-tune or probe."""
        every = np.arange(len(lesson.label_N))
        size = sum(p.numel() for p in model.parameters())
        if self._plan.way == "tuned":
            course = self._settings.tuning.course()
            Trainer(model, [lesson], num_classes, seed, course, self.device).run()
            logits_NK, features_ND = evaluate(model, lesson.inputs, every)
            return torch.from_numpy(logits_NK).double().softmax(1).numpy(), features_ND, size
        features_ND = evaluate(model, lesson.inputs, every)[1]
        on_features = replace(lesson, inputs=features_ND)
        fitted = fit_head("logistic", [on_features], num_classes, seed, self._learning, size)
        return fitted.scores(features_ND, every), features_ND, fitted.num_parameters

    def _pretrained(self, lesson: Lesson, seed: int) -> Mapping[str, Tensor]:
        """Weights of the pretraining on the lesson's unlabelled windows; learned once."""
        clips: Clips = lesson.inputs
        identity = self.identity.split("|", 1)[1]
        key = json.dumps([seed, identity, lesson.unlabelled.tolist()])
        if key not in clips.pretrained:
            # seeded anew, so that it does not matter which contestant needs it first
            torch.manual_seed(step_seed(seed, 0, 1))
            system = evi_mae.System(self._system).to(self.device)
            system.warm_up(_batches(lesson))
            without_labels = replace(
                lesson, train=lesson.unlabelled, validation=np.zeros(0, np.int64)
            )
            model = _Masked(system, seed)
            course = self._settings.pretraining.course()
            Trainer(model, [without_labels], 1, seed, course, self.device).run()
            clips.pretrained[key] = system.state_dict()
        return clips.pretrained[key]


class _Masked(Learner):
    """Pretraining."""

    def __init__(self, system: evi_mae.System, seed: int) -> None:
        super().__init__()
        self.system, self._seed = system, seed

    def fetch(self, inputs: Clips, rows: np.ndarray, epoch: int) -> Batch:
        """Take windows, with the keys of the epoch's draws."""
        return _fetch(inputs, rows, epoch, self._seed)

    def loss(self, fetched: Batch, target_B: Tensor) -> Tensor:
        """Return the loss of pretraining; classes play no part."""
        return self.system.loss(fetched).total

    def predict(self, fetched: Batch) -> tuple[Tensor, Tensor]:
        """Return the vectors twice: there are no classes."""
        vectors = self.system.embed(fetched)
        return vectors, vectors


class _Taught(Learner):
    """Fine-tuning; predicts logits and what is classified.

    Attributes:
        head: Classifier of all tokens; None = the head of the system.
    """

    def __init__(self, system: evi_mae_classifier.System, seed: int) -> None:
        super().__init__()
        self.system, self._seed = system, seed
        self.head: TokenHead | None = None

    def parameter_groups(self, lr: float) -> list[dict[str, Any]]:
        """Return the system's groups with their rates, and the head of the tokens."""
        groups = [
            {"params": group["params"], "lr": lr * group.get("lr_scale", 1.0)}
            for group in self.system.parameter_groups()
        ]
        if self.head is None:
            return groups
        rate = lr * self.system.config.head_lr_scale
        return [*groups, {"params": list(self.head.parameters()), "lr": rate}]

    def fetch(self, inputs: Clips, rows: np.ndarray, epoch: int) -> Batch:
        """Take windows, with the keys of the epoch's draws."""
        return _fetch(inputs, rows, epoch, self._seed)

    def loss(self, fetched: Batch, target_B: Tensor) -> Tensor:
        """Return the cross entropy of classes that exclude each other."""
        smoothing = self.system.config.label_smoothing
        return F.cross_entropy(self.predict(fetched)[0], target_B, label_smoothing=smoothing)

    def predict(self, fetched: Batch) -> tuple[Tensor, Tensor]:
        """Return logits and features."""
        if self.head is None:
            return self.system.classify(fetched), self.system.embed(fetched)
        tokens = self.system.tokens(fetched)
        return self.head(tokens), tokens


class TokenHead(nn.Module):
    """Linear layer over all tokens, whose values are standardised over the batch.

    Args:
        width: Values of all tokens.
        num_classes: K.
    """

    def __init__(self, width: int, num_classes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(width, affine=False)
        self.linear = nn.Linear(width, num_classes)
        nn.init.zeros_(self.linear.weight)

    def forward(self, tokens_BV: Tensor) -> Tensor:
        """Return logits [B, K] of the values of all tokens."""
        return self.linear(self.norm(tokens_BV))


class _Found(Fitted):
    """Probabilities and features that were computed for all windows."""

    def __init__(self, scores_NK: np.ndarray, features_ND: np.ndarray, size: int) -> None:
        self._scores_NK, self._features_ND, self.num_parameters = scores_NK, features_ND, size
        self.chosen = {}

    def scores(self, inputs: Any, rows: np.ndarray) -> np.ndarray:
        """Return probabilities of the windows at positions `rows`."""
        return self._scores_NK[rows]

    def features(self, inputs: Any, rows: np.ndarray) -> np.ndarray:
        """Return features of the windows at positions `rows`."""
        return self._features_ND[rows]


def _taught_config(
    settings: Config, system: evi_mae.Config, what: str, num_classes: int
) -> dict[str, Any]:
    """Settings of the classifier on the pretraining's encoder; classes are numbered."""
    encoder = to_plain(system.encoder)
    if what == "video":
        encoder["graph"] = None  # there are no sensors
    return {
        **settings.teaching,
        "encoder": encoder,
        "labels": [str(k) for k in range(num_classes)],
        "mode": {"fused": "both"}.get(what, what),
        "target": "label",
    }


def _fetch(clips: Clips, rows: np.ndarray, epoch: int, seed: int) -> Batch:
    batch = clips.batch.take(rows)
    return replace(batch, keys_B=sample_keys(seed, epoch, rows))


def _batches(lesson: Lesson) -> list[Batch]:
    """The windows that the statistics of the maps are measured on."""
    rows = lesson.unlabelled
    return [
        lesson.inputs.batch.take(rows[a : a + _MEASURED]) for a in range(0, len(rows), _MEASURED)
    ]
