"""Train a classifier on labelled windows, with people held out for choosing the epoch."""

# N windows, K classes

from __future__ import annotations

import copy
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import torch

from otolith.core.config import Selected
from otolith.core.errors import CheckpointError, TrainingError
from otolith.core.progress import Progress
from otolith.systems import SYSTEMS
from otolith.systems import System as BaseSystem
from otolith.systems.classifier import Config as ClassifierConfig
from otolith.systems.classifier import System as Classifier
from otolith.tasks._model import Model
from otolith.tasks._people import subject_folds
from otolith.tasks._windows import Labelled
from otolith.tasks.probe import take_fraction
from otolith.training.callbacks import Callback, RunInfo
from otolith.training.checkpoints import find_folder, load_weights, read_model
from otolith.training.config import TrainingConfig
from otolith.training.interrupts import InterruptedRunError
from otolith.training.loop import fit
from otolith.training.saving import CHECKPOINTS
from otolith.windows.dataset import WindowDataset
from otolith.windows.loader import BatchLoader, make_loader
from otolith.windows.sampling import GlobalBatchSampler


class TuningSettings(Protocol):
    """What training a classifier reads of a task's settings."""

    @property
    def what(self) -> Literal["head", "all"]:
        """Which part learns."""

    @property
    def class_weights(self) -> Literal["balanced", "none"]:
        """How classes are weighed."""

    @property
    def train_fraction(self) -> float:
        """Share of the training windows of each class."""

    @property
    def validation_folds(self) -> int:
        """One of so many parts of the people chooses the epoch."""

    @property
    def layer_decay(self) -> float:
        """Factor of the learning rate per layer."""

    @property
    def head_lr_scale(self) -> float:
        """Factor of the learning rate of the linear layer."""

    @property
    def training(self) -> TrainingConfig:
        """The loop."""


class EpochBar(Callback):
    """Advances a bar by one per epoch and says how it goes.

    Args:
        bar: What `otolith.core.progress.progress` gives.
        text: What is being trained.
    """

    def __init__(self, bar: Progress, text: str) -> None:
        self._bar, self._text, self._left = bar, text, 0

    def on_start(self, run: RunInfo) -> None:
        """Count the epochs."""
        self._left = run.config.epochs

    def on_epoch(self, run: RunInfo, record: Mapping[str, Any]) -> None:
        """Advance by one epoch."""
        loss = (record.get("validation") or record.get("train") or {}).get("loss")
        shown = "" if loss is None else f", loss {loss:.3g}"
        self._bar.describe(f"{self._text}: epoch {record['epoch'] + 1}{shown}")
        self._bar.advance(1)
        self._left -= 1

    def on_close(self, run: RunInfo) -> None:
        """Count the epochs that an early stop saved as done."""
        self._bar.advance(max(self._left, 0))


def hold_out_people(
    data: Labelled, rows: np.ndarray, num_parts: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Divide windows into those to learn from and those of other people that choose the epoch.

    Args:
        data: Labelled windows.
        rows: Windows to divide.
        num_parts: One of so many parts of the people is held out.
        seed: Decides between equally good divisions.

    Returns:
        Windows to learn from and windows to validate on; none of the latter if all windows are of
        one person.
    """
    if len(np.unique(data.subject_N[rows])) < 2:
        return rows, rows[:0]
    inner = subject_folds(
        data.subject_N[rows], labels_N=data.label_N[rows], num_folds=num_parts, seed=seed
    )[0]
    return rows[inner.train], rows[inner.test]


def train_classifier(
    model: Model,
    data: Labelled,
    train: np.ndarray,
    validation: np.ndarray,
    settings: TuningSettings,
    seed: int,
    callbacks: tuple[Callback, ...] = (),
) -> Classifier:
    """Train a copy of the model with a linear layer; the model itself stays as it is.

    Args:
        model: What to start from.
        data: Labelled windows.
        train: Windows to learn from.
        validation: Windows that choose the epoch; none = the last epoch counts.
        settings: How to train.
        seed: Seed of the layer, the order and dropout.
        callbacks: Follow the training.

    Returns:
        The classifier with the weights of the best epoch, on the CPU, in evaluation mode.
    """
    train = take_fraction(train, data.label_N, settings.train_fraction, seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        classifier = _classifier(model, data, train, settings)
    size = settings.training.batch_size
    with tempfile.TemporaryDirectory(prefix="otolith-") as folder, _nothing_to_resume():
        fit(
            classifier,
            make_batches(data.windows, train, size, seed, shuffle=True),
            make_batches(data.windows, validation, size, seed) if len(validation) else None,
            settings.training,
            folder=Path(folder) / "run",
            system_name="classifier",
            seed=seed,
            callbacks=callbacks,
        )
        take_best(classifier, Path(folder) / "run")
    return classifier


@contextmanager
def _nothing_to_resume() -> Iterator[None]:
    """Say what an interruption means here: the run lies in a folder that is removed."""
    try:
        yield
    except InterruptedRunError:
        raise TrainingError(
            "Fine-tuning was interrupted; nothing of it was kept.", "Start the evaluation again."
        ) from None


def take_best(system: BaseSystem, run: Path) -> None:
    """Give a system that was trained in the folder `run` the weights of its best epoch."""
    best = find_folder(run / CHECKPOINTS / "best")
    load_weights(system.to("cpu"), read_model(best)[1], source=str(best))
    system.eval()


def make_batches(
    windows: WindowDataset, rows: np.ndarray, size: int, seed: int, *, shuffle: bool = False
) -> BatchLoader:
    """Return a loader of the given windows."""
    sampler = GlobalBatchSampler(len(rows), size, seed=seed, shuffle=shuffle)
    return make_loader(windows.select(rows), sampler)


def classify(system: Classifier, windows: WindowDataset, rows: np.ndarray, size: int) -> np.ndarray:
    """Return class probabilities [N, K], float64, of the given windows."""
    parts = []
    with torch.inference_mode():
        for start in range(0, len(rows), size):
            batch = windows.batch(rows[start : start + size], epoch=0)
            parts.append(system.classify(batch).double().softmax(dim=1).numpy())
    return np.concatenate(parts)


def people_facts(
    data: Labelled, train: np.ndarray, validation: np.ndarray, origins: Sequence[str] = ()
) -> dict[str, Any]:
    """Return who was learned from, in the form that the leak guard reads.

    Args:
        data: Labelled windows.
        train: Windows to learn from.
        validation: Windows that choose the epoch.
        origins: Data sets that this one was derived from, if it is a simulation.
    """
    return {
        "train_subjects": np.unique(data.subject_N[train]).tolist(),
        "validation_subjects": np.unique(data.subject_N[validation]).tolist(),
        **({"derived_from": list(origins)} if origins else {}),
    }


def require_trainable(model: Model) -> None:
    """Refuse a model without weights.

    Raises:
        CheckpointError: There is nothing to train.
    """
    if not model.system.trainable:
        raise CheckpointError(
            f'"{model.name}" has no weights to fine-tune.', "Use probe, few_shot or knn with it."
        )


def _classifier(
    model: Model, data: Labelled, train: np.ndarray, settings: TuningSettings
) -> Classifier:
    """A copy of the model with a fresh linear layer; an old linear layer is left away."""
    system, name = model.system, model.system_name
    if isinstance(system, Classifier):
        system, name = system.base, system.config.base.name
    base = copy.deepcopy(system).train()
    width = model.embed_batch(data.windows.batch(train[:1], epoch=0)).shape[1]
    weights: tuple[float, ...] = ()
    if settings.class_weights == "balanced":
        frequency = np.bincount(data.label_N[train], minlength=len(data.labels))
        weights = tuple((len(train) / len(data.labels) / np.maximum(frequency, 1)).tolist())
    chosen = ClassifierConfig(
        base=Selected(SYSTEMS, name or type(system).__module__.rpartition(".")[2], system.config),
        width=width,
        labels=data.labels,
        class_weights=weights,
        freeze="base" if settings.what == "head" else "none",
        layer_decay=settings.layer_decay,
        head_lr_scale=settings.head_lr_scale,
    )
    return Classifier(chosen, base)
