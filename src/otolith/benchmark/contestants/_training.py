"""A compact training loop for models that learn from nothing (the protocol of WHAR Arena).

AdamW with a cosine from the first rate to 0, class-weighted cross entropy, and the epoch with the
best macro-F1 on the validation people; with the settings of `Learning`.
"""

# B batch, N windows, C channels, D width, K classes, M batches

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from otolith.benchmark._settings import Learning
from otolith.benchmark.contestants import Contestant, Fitted, Lesson
from otolith.benchmark.contestants._features import macro_f1
from otolith.benchmark.contestants._scaling import ChannelScale, measure_scale
from otolith.core.config import Selected
from otolith.core.errors import ConfigError, DataError, TrainingError
from otolith.core.randomness import permutation, rng, step_seed
from otolith.windows.batch import Batch
from otolith.windows.dataset import WindowDataset
from otolith.windows.weights import group_balanced_weights

_EVALUATED = 256  # windows of a batch without gradient


class Learner(nn.Module, ABC):
    """What the loop trains: how windows are read, what is lost, what is predicted.

    Subclasses must not read labels in `fetch`.
    """

    def parameter_groups(self, lr: float) -> list[dict[str, Any]]:
        """Return the groups of the optimizer, with their learning rates."""
        return [{"params": [p for p in self.parameters() if p.requires_grad], "lr": lr}]

    @abstractmethod
    def fetch(self, inputs: Any, rows: np.ndarray, epoch: int) -> Any:
        """Read the windows at positions `rows` of what the contestant made of a data set."""

    @abstractmethod
    def loss(self, fetched: Any, target_B: Tensor) -> Tensor:
        """Return the loss of a batch that `fetch` read."""

    @abstractmethod
    def predict(self, fetched: Any) -> tuple[Tensor, Tensor]:
        """Return logits [B, K] and features [B, D]."""


@dataclass(frozen=True, kw_only=True)
class Course:
    """How the loop runs.

    Args:
        epochs: Most epochs.
        batch_size: Windows of a batch.
        lr: Highest learning rate of AdamW.
        weight_decay: Weight decay of AdamW.
        patience: Epochs without a better validation macro-F1 after which training ends; None =
            never.
        has_warm_up: Whether the rate first rises (one cycle) instead of falling from the start.
        draw_exponent: Windows are drawn in proportion to this power of the number of windows of
            their class over that number; 1 = every window once per epoch.
        min_steps: Fewest steps, for few windows.
    """

    epochs: int
    batch_size: int
    lr: float
    weight_decay: float
    patience: int | None = None
    has_warm_up: bool = False
    draw_exponent: float = 1.0
    min_steps: int = 0


class Classifier(Learner):
    """An encoder with a linear layer.

    Args:
        encoder: Gives `Tokens` with `pooled_BD`.
        weights_K: Weight of each class in the loss.
        scale: Scale of the channels; None = physical units.
        device: Where it computes.
    """

    def __init__(
        self, encoder: nn.Module, weights_K: Tensor, scale: ChannelScale | None, device: str
    ) -> None:
        super().__init__()
        self.encoder, self._scale, self._device = encoder, scale, device
        self.register_buffer("weights_K", weights_K, persistent=False)
        self.head = nn.LazyLinear(len(weights_K))

    def fetch(self, inputs: WindowDataset, rows: np.ndarray, epoch: int) -> Batch:
        """Read and scale windows."""
        batch = inputs.batch(rows, epoch)
        if self._scale is not None:
            scale = self._scale
            streams = {n: scale.apply(s) if s.channels else s for n, s in batch.streams.items()}
            batch = replace(batch, streams=streams)
        return batch if self._device == "cpu" else batch.to(self._device)

    def loss(self, fetched: Batch, target_B: Tensor) -> Tensor:
        """Return the class-weighted cross entropy."""
        return F.cross_entropy(self.predict(fetched)[0], target_B, weight=self.weights_K)

    def predict(self, fetched: Batch) -> tuple[Tensor, Tensor]:
        """Return logits and the encoder's vector."""
        pooled_BD = self.encoder(fetched).pooled_BD
        return self.head(pooled_BD), pooled_BD


class EncoderContestant(Contestant):
    """An encoder that is trained from scratch in every cell.

    Args:
        name: How it stands in tables.
        encoder: The encoder with its settings.
        learning: How it learns.
        identity: Text of its settings.
    """

    def __init__(self, name: str, encoder: Selected, learning: Learning, identity: str) -> None:
        self.name, self._encoder, self._learning = name, encoder, learning
        self.identity = f"{name}|{identity}"
        self.device = device_of(learning.device)

    def inputs(self, windows: WindowDataset) -> WindowDataset:
        """Return the windows themselves."""
        return windows

    def fit(self, lessons: Sequence[Lesson], num_classes: int, seed: int) -> Fitted:
        """Train on the lessons' windows; without validation people the last epoch counts."""
        if not sum(len(lesson.train) for lesson in lessons):
            raise DataError("There is no window to learn from.", "Use more people or data.")
        learning = self._learning
        label_N = np.concatenate([lesson.label_N[lesson.train] for lesson in lessons])
        weights_K = _class_weights(label_N, num_classes, learning.class_weights)
        with own_draws():
            torch.manual_seed(step_seed(seed, 0, 0))
            scale = None
            if learning.is_standardised:
                scale = measure_scale([(lesson.inputs, lesson.train) for lesson in lessons])
            encoder = self._encoder.module.Encoder(self._encoder.config)
            if not any(p.requires_grad for p in encoder.parameters()):
                raise ConfigError("The encoder has nothing to train.", "Use statistics_lr instead.")
            model = Classifier(encoder, weights_K, scale, self.device).to(self.device)
            if hasattr(encoder, "fit_input"):
                encoder.fit_input(_batches(model, lessons))
            with torch.no_grad():
                first = next(lesson for lesson in lessons if len(lesson.train))
                model.eval().predict(model.fetch(first.inputs, first.train[:2], 0))
            course = Course(
                epochs=learning.epochs,
                batch_size=learning.batch_size,
                lr=learning.lr,
                weight_decay=learning.weight_decay,
                patience=learning.patience,
            )
            epoch = Trainer(model, lessons, num_classes, seed, course, self.device).run()
        return FittedLearner(model, num_classes, {"epoch": float(epoch)})


class Trainer:
    """Trains a learner in place and leaves the weights of its best epoch.

    Args:
        model: What learns.
        lessons: What from; at least one window.
        num_classes: K.
        seed: Seed of order and dropout.
        course: How.
        device: Where the learner lies.
    """

    def __init__(
        self,
        model: Learner,
        lessons: Sequence[Lesson],
        num_classes: int,
        seed: int,
        course: Course,
        device: str,
    ) -> None:
        self.model, self.lessons, self.num_classes = model, lessons, num_classes
        self.seed, self.course, self.device = seed, course, device
        label_N = np.concatenate([lesson.label_N[lesson.train] for lesson in lessons])
        weight_N = group_balanced_weights(label_N, course.draw_exponent, np.inf)
        ends = np.cumsum([len(lesson.train) for lesson in lessons])[:-1]
        self.weights = np.split(weight_N, ends)
        self.optimizer = torch.optim.AdamW(
            model.parameter_groups(course.lr), lr=course.lr, weight_decay=course.weight_decay
        )
        per_epoch = len(self._plan(0))
        self.epochs = max(course.epochs, -(-course.min_steps // per_epoch))
        self.schedule = _schedule(self.optimizer, course, self.epochs * per_epoch)

    def run(self) -> int:
        """Train; returns the number of the chosen epoch, from 1 on."""
        patience = self.course.patience
        best, best_epoch, weights = -1.0, self.epochs, None
        for epoch in range(self.epochs):
            self._epoch(epoch)
            found = self._validate()
            if found is None:
                continue
            if found > best:
                best, best_epoch = found, epoch + 1
                weights = copy.deepcopy(self.model.state_dict())
            elif patience and epoch + 1 - best_epoch >= patience:
                break
        if weights is not None:
            self.model.load_state_dict(weights)
        return best_epoch

    def _plan(self, epoch: int) -> list[tuple[Lesson, np.ndarray]]:
        """Batches of the epoch: each from one data set, in random order."""
        size, plan = self.course.batch_size, []
        for number, (lesson, weight_N) in enumerate(zip(self.lessons, self.weights, strict=True)):
            count = len(lesson.train)
            if not count:
                continue
            if self.course.draw_exponent == 1.0:
                order = permutation(self.seed, epoch, count, f"rows {number}")
            else:
                draws = rng(self.seed, epoch, f"rows {number}")
                order = draws.choice(count, count, p=weight_N / weight_N.sum())
            parts = np.array_split(lesson.train[order], max(1, round(count / size)))
            plan += [(lesson, part) for part in parts]
        return [plan[i] for i in permutation(self.seed, epoch, len(plan), "plan")]

    def _epoch(self, epoch: int) -> None:
        self.model.train()
        for step, (lesson, rows) in enumerate(self._plan(epoch)):
            torch.manual_seed(step_seed(self.seed, epoch, step + 1))
            target_B = torch.from_numpy(lesson.label_N[rows]).to(self.device)
            loss = self.model.loss(self.model.fetch(lesson.inputs, rows, epoch), target_B)
            if not bool(torch.isfinite(loss)):
                raise TrainingError(
                    f"The loss of epoch {epoch + 1} is {float(loss)}.",
                    "Lower learning.lr, or check the signals.",
                )
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self.optimizer.step()
            self.schedule.step()

    def _validate(self) -> float | None:
        """Macro-F1 on the validation people; None without any."""
        truth, chosen = [], []
        for lesson in self.lessons:
            if len(lesson.validation):
                scores = evaluate(self.model, lesson.inputs, lesson.validation)
                truth.append(lesson.label_N[lesson.validation])
                chosen.append(scores[0].argmax(1))
        if not truth:
            return None
        return macro_f1(np.concatenate(truth), np.concatenate(chosen), self.num_classes)


class FittedLearner(Fitted):
    """A trained learner.

    Args:
        model: The learner.
        num_classes: K.
        chosen: What was chosen on the validation people.
    """

    def __init__(self, model: Learner, num_classes: int, chosen: dict[str, float]) -> None:
        self._model, self._num_classes, self.chosen = model.eval(), num_classes, chosen
        self.num_parameters = sum(p.numel() for p in model.parameters())

    def scores(self, inputs: Any, rows: np.ndarray) -> np.ndarray:
        """Return the softmax of the logits."""
        if not len(rows):
            return np.zeros((0, self._num_classes))
        logits_NK = evaluate(self._model, inputs, rows)[0]
        return torch.from_numpy(logits_NK).double().softmax(1).numpy()

    def features(self, inputs: Any, rows: np.ndarray) -> np.ndarray:
        """Return what the last layer sees."""
        return evaluate(self._model, inputs, rows)[1]


def evaluate(model: Learner, inputs: Any, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return logits [N, K] and features [N, D] of the windows at positions `rows`."""
    model.eval()
    logits, features = [], []
    with torch.inference_mode():
        for start in range(0, len(rows), _EVALUATED):
            found = model.predict(model.fetch(inputs, rows[start : start + _EVALUATED], 0))
            logits.append(found[0].float().cpu().numpy())
            features.append(found[1].float().cpu().numpy())
    return np.concatenate(logits), np.concatenate(features)


def _batches(model: Classifier, lessons: Sequence[Lesson]) -> Iterator[Batch]:
    """All windows to learn from, for an encoder that measures its input first."""
    for lesson in lessons:
        for start in range(0, len(lesson.train), _EVALUATED):
            yield model.fetch(lesson.inputs, lesson.train[start : start + _EVALUATED], 0)


def _schedule(
    optimizer: torch.optim.Optimizer, course: Course, steps: int
) -> torch.optim.lr_scheduler.LRScheduler:
    """How the learning rate changes over all steps."""
    if course.has_warm_up:
        rates = [group["lr"] for group in optimizer.param_groups]
        return torch.optim.lr_scheduler.OneCycleLR(optimizer, rates, total_steps=steps + 1)
    return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)


def _class_weights(label_N: np.ndarray, num_classes: int, how: str) -> Tensor:
    """Weights [K] with mean 1 over the samples; classes that nobody has weigh 0."""
    count_K = np.bincount(label_N, minlength=num_classes).astype(np.float64)
    if how == "none":
        return torch.ones(num_classes)
    weight_K = np.where(count_K > 0, len(label_N) / np.maximum(count_K, 1), 0.0)
    return torch.from_numpy(weight_K / max(int((count_K > 0).sum()), 1)).float()


@contextmanager
def own_draws() -> Iterator[None]:
    """Leave torch's generators as they were found."""
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices=devices):
        yield


def device_of(wanted: str) -> str:
    if wanted == "cuda" and not torch.cuda.is_available():
        raise ConfigError("There is no CUDA device here.", "Set learning.device to cpu or auto.")
    return "cuda" if wanted != "cpu" and torch.cuda.is_available() else "cpu"
