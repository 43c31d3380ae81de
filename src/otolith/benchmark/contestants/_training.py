"""A compact training loop for encoders that learn from nothing (the protocol of WHAR Arena).

AdamW with a cosine from the first rate to 0, class-weighted cross entropy, and the epoch with the
best macro-F1 on the validation people; with the settings of `Learning`.
"""

# B batch, N windows, C channels, D width, K classes, M batches

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
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
from otolith.core.randomness import permutation, step_seed
from otolith.windows.batch import Batch
from otolith.windows.dataset import WindowDataset

_EVALUATED = 256  # windows of a batch without gradient


class Classifier(nn.Module):
    """An encoder with a linear layer.

    Args:
        encoder: Gives `Tokens` with `pooled_BD`.
        num_classes: K.
    """

    def __init__(self, encoder: nn.Module, num_classes: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = nn.LazyLinear(num_classes)

    def forward(self, batch: Batch) -> Tensor:
        """Return logits [B, K]."""
        return self.head(self.pooled(batch))

    def pooled(self, batch: Batch) -> Tensor:
        """Return features [B, D]."""
        return self.encoder(batch).pooled_BD


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
        self.device = _device(learning.device)

    def inputs(self, windows: WindowDataset) -> WindowDataset:
        """Return the windows themselves."""
        return windows

    def fit(self, lessons: Sequence[Lesson], num_classes: int, seed: int) -> Fitted:
        """Train on the lessons' windows; without validation people the last epoch counts."""
        if not sum(len(lesson.train) for lesson in lessons):
            raise DataError("There is no window to learn from.", "Use more people or data.")
        with _own_draws():
            torch.manual_seed(step_seed(seed, 0, 0))
            scale = None
            if self._learning.is_standardised:
                scale = measure_scale([(lesson.inputs, lesson.train) for lesson in lessons])
            encoder = self._encoder.module.Encoder(self._encoder.config)
            model = Classifier(encoder, num_classes).to(self.device)
            with torch.no_grad():
                first = next(lesson for lesson in lessons if len(lesson.train))
                model.eval()(_batch(first.inputs, first.train[:2], 0, scale, self.device))
            trainer = _Trainer(
                model, lessons, num_classes, seed, self._learning, scale, self.device
            )
            epoch = trainer.run()
        return _Fitted(model.eval(), num_classes, scale, self.device, epoch)


class _Trainer:
    """Trains a classifier in place and leaves the weights of its best epoch."""

    def __init__(
        self,
        model: Classifier,
        lessons: Sequence[Lesson],
        num_classes: int,
        seed: int,
        learning: Learning,
        scale: ChannelScale | None,
        device: str,
    ) -> None:
        self.model, self.lessons, self.num_classes = model, lessons, num_classes
        self.seed, self.learning, self.scale, self.device = seed, learning, scale, device
        label_N = np.concatenate([lesson.label_N[lesson.train] for lesson in lessons])
        self.weights_K = _class_weights(label_N, num_classes, learning.class_weights).to(device)
        if not any(p.requires_grad for p in model.encoder.parameters()):
            raise ConfigError("The encoder has nothing to train.", "Use statistics_lr instead.")
        self.optimizer = torch.optim.AdamW(
            model.parameters(), lr=learning.lr, weight_decay=learning.weight_decay
        )

    def run(self) -> int:
        """Train; returns the number of the chosen epoch, from 1 on."""
        steps = self.learning.epochs * len(self._plan(0))
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, steps)
        best, best_epoch, weights = -1.0, self.learning.epochs, None
        for epoch in range(self.learning.epochs):
            self._epoch(epoch, schedule)
            found = self._validate()
            if found is None:
                continue
            if found > best:
                best, best_epoch = found, epoch + 1
                weights = copy.deepcopy(self.model.state_dict())
            elif self.learning.patience and epoch + 1 - best_epoch >= self.learning.patience:
                break
        if weights is not None:
            self.model.load_state_dict(weights)
        return best_epoch

    def _plan(self, epoch: int) -> list[tuple[Lesson, np.ndarray]]:
        """Batches of the epoch: each from one data set, in random order."""
        size, plan = self.learning.batch_size, []
        for number, lesson in enumerate(self.lessons):
            count = len(lesson.train)
            rows = lesson.train[permutation(self.seed, epoch, count, f"rows {number}")]
            parts = np.array_split(rows, max(1, round(count / size))) if count else []
            plan += [(lesson, part) for part in parts]
        return [plan[i] for i in permutation(self.seed, epoch, len(plan), "plan")]

    def _epoch(self, epoch: int, schedule: torch.optim.lr_scheduler.LRScheduler) -> None:
        self.model.train()
        for step, (lesson, rows) in enumerate(self._plan(epoch)):
            torch.manual_seed(step_seed(self.seed, epoch, step + 1))
            batch = _batch(lesson.inputs, rows, epoch, self.scale, self.device)
            target_B = torch.from_numpy(lesson.label_N[rows]).to(self.device)
            loss = F.cross_entropy(self.model(batch), target_B, weight=self.weights_K)
            if not bool(torch.isfinite(loss)):
                raise TrainingError(
                    f"The loss of epoch {epoch + 1} is {float(loss)}.",
                    "Lower learning.lr, or check the signals.",
                )
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self.optimizer.step()
            schedule.step()

    def _validate(self) -> float | None:
        """Macro-F1 on the validation people; None without any."""
        truth, chosen = [], []
        for lesson in self.lessons:
            if len(lesson.validation):
                scores = _evaluate(
                    self.model, lesson.inputs, lesson.validation, self.scale, self.device
                )
                truth.append(lesson.label_N[lesson.validation])
                chosen.append(scores[0].argmax(1))
        if not truth:
            return None
        return macro_f1(np.concatenate(truth), np.concatenate(chosen), self.num_classes)


class _Fitted(Fitted):
    """A trained classifier."""

    def __init__(
        self,
        model: Classifier,
        num_classes: int,
        scale: ChannelScale | None,
        device: str,
        epoch: int,
    ) -> None:
        self._model, self._num_classes = model, num_classes
        self._scale, self._device = scale, device
        self.num_parameters = sum(p.numel() for p in model.parameters())
        self.chosen = {"epoch": float(epoch)}

    def scores(self, inputs: Any, rows: np.ndarray) -> np.ndarray:
        """Return the softmax of the logits."""
        if not len(rows):
            return np.zeros((0, self._num_classes))
        logits_NK = _evaluate(self._model, inputs, rows, self._scale, self._device)[0]
        return torch.from_numpy(logits_NK).double().softmax(1).numpy()

    def features(self, inputs: Any, rows: np.ndarray) -> np.ndarray:
        """Return what the linear layer sees."""
        return _evaluate(self._model, inputs, rows, self._scale, self._device)[1]


def _evaluate(
    model: Classifier,
    windows: WindowDataset,
    rows: np.ndarray,
    scale: ChannelScale | None,
    device: str,
) -> tuple[np.ndarray, np.ndarray]:
    """Logits [N, K] and features [N, D] of the windows at positions `rows`."""
    model.eval()
    logits, features = [], []
    with torch.inference_mode():
        for start in range(0, len(rows), _EVALUATED):
            batch = _batch(windows, rows[start : start + _EVALUATED], 0, scale, device)
            pooled = model.pooled(batch)
            features.append(pooled.float().cpu().numpy())
            logits.append(model.head(pooled).float().cpu().numpy())
    return np.concatenate(logits), np.concatenate(features)


def _batch(
    windows: WindowDataset, rows: np.ndarray, epoch: int, scale: ChannelScale | None, device: str
) -> Batch:
    batch = windows.batch(rows, epoch)
    if scale is not None:
        streams = {n: scale.apply(s) if s.channels else s for n, s in batch.streams.items()}
        batch = replace(batch, streams=streams)
    return batch if device == "cpu" else batch.to(device)


def _class_weights(label_N: np.ndarray, num_classes: int, how: str) -> Tensor:
    """Weights [K] with mean 1 over the samples; classes that nobody has weigh 0."""
    count_K = np.bincount(label_N, minlength=num_classes).astype(np.float64)
    if how == "none":
        return torch.ones(num_classes)
    weight_K = np.where(count_K > 0, len(label_N) / np.maximum(count_K, 1), 0.0)
    return torch.from_numpy(weight_K / max(int((count_K > 0).sum()), 1)).float()


@contextmanager
def _own_draws() -> Iterator[None]:
    """Leave torch's generators as they were found."""
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices=devices):
        yield


def _device(wanted: str) -> str:
    if wanted == "cuda" and not torch.cuda.is_available():
        raise ConfigError("There is no CUDA device here.", "Set learning.device to cpu or auto.")
    return "cuda" if wanted != "cpu" and torch.cuda.is_available() else "cpu"
