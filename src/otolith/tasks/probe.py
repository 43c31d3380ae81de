"""Probe: a shallow classifier on frozen features, tested on people it has not seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Annotated, Protocol

import numpy as np
from pydantic import Field

from otolith.core.config import config
from otolith.core.randomness import rng
from otolith.datasets._part import DatasetPart
from otolith.metrics.classification import report_classification
from otolith.tasks._classifiers import HeadName, fit_predict
from otolith.tasks._model import Model
from otolith.tasks._people import Fold, subject_folds
from otolith.tasks._result import Predictions, Result, summarise
from otolith.tasks._windows import (
    EvaluationWindows,
    Folds,
    Labelled,
    Seeds,
    Share,
    choose_folds,
    labelled_windows,
)

Positive = Annotated[float, Field(gt=0.0)]


@config
class Config:
    """Settings of the probe.

    Args:
        windows: How recordings are cut.
        folds: Number of folds by person, or `official`.
        head: `logistic` or `forest`.
        strengths: Inverse penalties of `logistic`; the best macro-F1 in folds over the training
            people is taken.
        num_trees: Trees of `forest`.
        train_fraction: Share of the training windows of each class to learn from.
        seeds: One repetition each.
    """

    windows: EvaluationWindows = field(default_factory=EvaluationWindows)
    folds: Folds = 5
    head: HeadName = "logistic"
    strengths: Annotated[tuple[Positive, ...], Field(min_length=1)] = (0.01, 0.1, 1.0)
    num_trees: Annotated[int, Field(ge=1)] = 200
    train_fraction: Share = 1.0
    seeds: Seeds = (0,)


def evaluate(model: Model, part: DatasetPart, settings: Config) -> Result:
    """Train and test the classifier on each fold.

    Args:
        model: Any model that embeds.
        part: Labelled data set.
        settings: See `Config`.

    Returns:
        Numbers over the test windows of all folds.

    Raises:
        LeakageError: Nobody is left to test on.
        DataError: The windows hold fewer than two classes.
    """
    data = labelled_windows(part, settings.windows)
    features = model.embed_windows(data.windows)
    return run_folds(
        model,
        part,
        data,
        settings,
        lambda fold, seed: _run_fold(features, data, fold, settings, seed),
        task="probe",
        protocol=f"{settings.head} on frozen features",
    )


class FoldSettings(Protocol):
    """What `run_folds` reads of a task's settings."""

    @property
    def folds(self) -> int | str:
        """Number of folds, or `official`."""

    @property
    def seeds(self) -> tuple[int, ...]:
        """One repetition each."""


def run_folds(
    model: Model,
    part: DatasetPart,
    data: Labelled,
    settings: FoldSettings,
    score: Callable[[Fold, int], np.ndarray],
    *,
    task: str,
    protocol: str,
    extra_counts: Mapping[str, int] | None = None,
) -> Result:
    """Run a task on every fold of every repetition and put the numbers together.

    Args:
        model: The model.
        part: Its data set.
        data: The windows.
        settings: Folds and seeds.
        score: (fold, seed) -> scores [N, K] of the fold's test windows.
        task: Name of the task.
        protocol: What is done in a fold.
        extra_counts: Further counts for the result.

    Raises:
        LeakageError: Nobody is left to test on.
    """
    rows, warnings, folds, described = [], {}, [], ""
    for repetition, seed in enumerate(settings.seeds):
        folds, described, notes = choose_folds(model, part, data, settings.folds, seed)
        warnings |= dict.fromkeys(notes)
        rows += [(fold.test, score(fold, seed), repetition) for fold in folds]
    return summarise(
        pool(rows, data),
        labels=data.labels,
        task=task,
        model=model.name,
        data=part.name,
        protocol=f"{protocol}; {described}",
        counts={**counts(data, folds), **(extra_counts or {})},
        settings=settings,
        warnings=tuple(warnings),
    )


def pool(rows: list[tuple[np.ndarray, np.ndarray, int]], data: Labelled) -> Predictions:
    """Join (test windows, scores [N, K], repetition) of all folds."""
    test = np.concatenate([r[0] for r in rows])
    scores = np.concatenate([r[1] for r in rows])
    return Predictions(
        truth_N=data.label_N[test],
        predicted_N=scores.argmax(axis=1),
        subjects_N=data.subject_N[test],
        repetition_N=np.concatenate([np.full(len(r[0]), r[2]) for r in rows]),
        window_N=test,
        scores_NK=scores,
    )


def counts(data: Labelled, folds: list[Fold]) -> dict[str, int]:
    """Counts for the result."""
    return {
        "subjects": len(np.unique(data.subject_N)),
        "windows": len(data.label_N),
        "folds": len(folds),
    }


def _run_fold(
    features: np.ndarray, data: Labelled, fold: Fold, settings: Config, seed: int
) -> np.ndarray:
    """Scores of the fold's test windows."""
    train = take_fraction(fold.train, data.label_N, settings.train_fraction, seed)
    strength = _choose_strength(features, data, train, settings, seed)
    return fit_predict(
        settings.head,
        features[train],
        data.label_N[train],
        features[fold.test],
        num_classes=len(data.labels),
        seed=seed,
        strength=strength,
        num_trees=settings.num_trees,
    )


def take_fraction(train: np.ndarray, label_N: np.ndarray, fraction: float, seed: int) -> np.ndarray:
    """Keep a share of the windows of each class (at least one)."""
    if fraction >= 1.0:
        return train
    generator = rng(seed, purpose="fraction")
    kept = []
    for label in np.unique(label_N[train]):
        rows = train[label_N[train] == label]
        kept.append(generator.permutation(rows)[: max(1, round(fraction * len(rows)))])
    return np.sort(np.concatenate(kept))


def _choose_strength(
    features: np.ndarray, data: Labelled, train: np.ndarray, settings: Config, seed: int
) -> float:
    """Choose the penalty on the training people alone; the test people play no part."""
    people = np.unique(data.subject_N[train])
    if settings.head != "logistic" or len(settings.strengths) == 1 or len(people) < 2:
        return settings.strengths[-1]
    label_N = data.label_N[train]
    inner = subject_folds(data.subject_N[train], labels_N=label_N, num_folds=3, seed=seed)
    tested = np.concatenate([fold.test for fold in inner])
    found = []
    for strength in settings.strengths:
        predicted = [
            fit_predict(
                "logistic",
                features[train[fold.train]],
                label_N[fold.train],
                features[train[fold.test]],
                num_classes=len(data.labels),
                seed=seed,
                strength=strength,
            ).argmax(axis=1)
            for fold in inner
        ]
        report = report_classification(label_N[tested], np.concatenate(predicted), data.labels)
        found.append(report.macro_f1)
    return settings.strengths[int(np.argmax(found))]
