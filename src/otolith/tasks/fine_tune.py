"""Fine-tune: train the linear layer, or everything, and test on people it has not seen."""

# N windows, K classes

from __future__ import annotations

import copy
import tempfile
from dataclasses import field
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from otolith.core.config import Selected, config
from otolith.core.errors import CheckpointError
from otolith.datasets._part import DatasetPart
from otolith.systems import SYSTEMS
from otolith.systems.classifier import Config as ClassifierConfig
from otolith.systems.classifier import System as Classifier
from otolith.tasks._model import Model
from otolith.tasks._people import Fold, subject_folds
from otolith.tasks._result import Result, summarise
from otolith.tasks._windows import EvaluationWindows, Labelled, choose_folds, labelled_windows
from otolith.tasks.probe import counts, pool, take_fraction
from otolith.training.callbacks import Callback
from otolith.training.config import EarlyStopConfig, OptimizerConfig, ScheduleConfig, TrainingConfig
from otolith.training.loop import fit
from otolith.windows.dataset import WindowDataset
from otolith.windows.loader import BatchLoader, make_loader
from otolith.windows.sampling import GlobalBatchSampler


@config
class Config:
    """Settings of fine-tuning.

    Args:
        windows: How recordings are cut.
        folds: Number of folds by person, or `official`.
        what: `head`: only the linear layer; `all`: the whole model.
        class_weights: `balanced` weighs classes by their rarity, `none` all the same.
        train_fraction: Share of the training windows of each class to learn from.
        validation_folds: One of so many parts of the training people chooses the epoch.
        layer_decay: Factor of the learning rate per layer towards the input.
        training: The loop.
        seeds: One repetition each.
    """

    windows: EvaluationWindows = field(default_factory=EvaluationWindows)
    folds: int | str = 5
    what: Literal["head", "all"] = "all"
    class_weights: Literal["balanced", "none"] = "balanced"
    train_fraction: float = 1.0
    validation_folds: int = 5
    layer_decay: float = 0.8
    training: TrainingConfig = field(
        default_factory=lambda: TrainingConfig(
            epochs=30,
            batch_size=64,
            optimizer=OptimizerConfig(lr=3e-4, weight_decay=0.01),
            schedule=ScheduleConfig(name="cosine", warmup_epochs=1),
            early_stop=EarlyStopConfig(patience=6),
        )
    )
    seeds: tuple[int, ...] = (0,)


def evaluate(
    model: Model, part: DatasetPart, settings: Config, *, callbacks: tuple[Callback, ...] = ()
) -> Result:
    """Train on the training people of each fold and test on the others.

    The epoch is chosen on people held out from the training people; the test people play no part.

    Raises:
        CheckpointError: The model has no weights to train.
        LeakageError: Nobody is left to test on.
    """
    if not model.system.trainable:
        raise CheckpointError(
            f'"{model.name}" has no weights to fine-tune.', "Use probe, few_shot or knn with it."
        )
    data = labelled_windows(part, settings.windows)
    rows = []
    for repetition, seed in enumerate(settings.seeds):
        folds, described, warnings = choose_folds(model, part, data, settings.folds, seed)
        for fold in folds:
            scores = _run_fold(model, data, fold, settings, seed, callbacks)
            rows.append((fold.test, scores, repetition))
    return summarise(
        pool(rows, data),
        labels=data.labels,
        task="fine_tune",
        model=model.name,
        data=part.name,
        protocol=f"fine-tuning of {settings.what}; {described}",
        counts=counts(data, folds),
        settings=settings,
        warnings=warnings,
    )


def _run_fold(
    model: Model,
    data: Labelled,
    fold: Fold,
    settings: Config,
    seed: int,
    callbacks: tuple[Callback, ...],
) -> np.ndarray:
    """Train on one fold; return the scores of its test windows."""
    inner = subject_folds(
        data.subject_N[fold.train], num_folds=settings.validation_folds, seed=seed
    )[0]
    train = take_fraction(fold.train[inner.train], data.label_N, settings.train_fraction, seed)
    validation = fold.train[inner.test]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        classifier = _classifier(model, data, train, settings)
    with tempfile.TemporaryDirectory() as folder:
        fit(
            classifier,
            _loader(data.windows, train, settings, seed, shuffle=True),
            _loader(data.windows, validation, settings, seed, shuffle=False),
            settings.training,
            folder=Path(folder),
            system_name="classifier",
            seed=seed,
            callbacks=callbacks,
        )
        from otolith.training.checkpoints import load_model_folder

        best, _ = load_model_folder(Path(folder) / "checkpoints" / "best")
    return _scores(best, data.windows, fold.test, settings.training.batch_size)


def _classifier(model: Model, data: Labelled, train: np.ndarray, settings: Config) -> Classifier:
    """A copy of the model with a fresh linear layer."""
    base = copy.deepcopy(model.system)
    width = model.embed_batch(data.windows.batch(train[:1], epoch=0)).shape[1]
    weights: tuple[float, ...] = ()
    if settings.class_weights == "balanced":
        frequency = np.bincount(data.label_N[train], minlength=len(data.labels))
        weights = tuple((len(train) / len(data.labels) / np.maximum(frequency, 1)).tolist())
    name = type(model.system).__module__.rsplit(".", 1)[-1]
    chosen = ClassifierConfig(
        base=Selected(SYSTEMS, name, model.system.config),
        width=width,
        labels=data.labels,
        class_weights=weights,
        freeze="base" if settings.what == "head" else "none",
        layer_decay=settings.layer_decay,
        target="label",
    )
    return Classifier(chosen, base)


def _loader(
    windows: WindowDataset, rows: np.ndarray, settings: Config, seed: int, *, shuffle: bool
) -> BatchLoader:
    sampler = GlobalBatchSampler(
        len(rows), settings.training.batch_size, seed=seed, shuffle=shuffle
    )
    return make_loader(windows.select(rows), sampler, num_workers=settings.training.num_workers)


def _scores(system: Classifier, windows: WindowDataset, rows: np.ndarray, size: int) -> np.ndarray:
    """Class probabilities [N, K] of the given windows."""
    system.eval()
    parts = []
    with torch.inference_mode():
        for start in range(0, len(rows), size):
            batch = windows.batch(rows[start : start + size], epoch=0)
            parts.append(system.classify(batch).float().softmax(dim=1).numpy())
    return np.concatenate(parts)
