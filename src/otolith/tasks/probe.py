"""Probe: a shallow classifier on frozen features, tested on people it has not seen."""

from __future__ import annotations

from dataclasses import field

import numpy as np

from otolith.core.config import config
from otolith.datasets._part import DatasetPart
from otolith.tasks._classifiers import HeadName, fit_predict
from otolith.tasks._model import Model
from otolith.tasks._people import Fold, subject_folds
from otolith.tasks._result import Predictions, Result, summarise
from otolith.tasks._windows import EvaluationWindows, Labelled, choose_folds, labelled_windows


@config
class Config:
    """Settings of the probe.

    Args:
        windows: How recordings are cut.
        folds: Number of folds by person, or `official`.
        head: `logistic` or `forest`.
        strengths: Inverse penalties to choose from, by folds over the training people.
        train_fraction: Share of the training windows of each class to learn from.
        seeds: One repetition each.
    """

    windows: EvaluationWindows = field(default_factory=EvaluationWindows)
    folds: int | str = 5
    head: HeadName = "logistic"
    strengths: tuple[float, ...] = (0.01, 0.1, 1.0)
    train_fraction: float = 1.0
    seeds: tuple[int, ...] = (0,)


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
    rows = []
    for repetition, seed in enumerate(settings.seeds):
        folds, described, warnings = choose_folds(model, part, data, settings.folds, seed)
        for fold in folds:
            scores = _run_fold(features, data, fold, settings, seed)
            rows.append((fold.test, scores, repetition))
    return summarise(
        pool(rows, data),
        labels=data.labels,
        task="probe",
        model=model.name,
        data=part.name,
        protocol=f"{settings.head} on frozen features; {described}",
        counts=counts(data, folds),
        settings=settings,
        warnings=warnings,
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
    )


def take_fraction(train: np.ndarray, label_N: np.ndarray, fraction: float, seed: int) -> np.ndarray:
    """Keep a share of the windows of each class (at least one)."""
    if fraction >= 1.0:
        return train
    generator = np.random.default_rng([seed, 7])
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
    inner = subject_folds(data.subject_N[train], num_folds=3, seed=seed)
    best, best_score = settings.strengths[-1], -1.0
    for strength in settings.strengths:
        right = 0
        for fold in inner:
            scores = fit_predict(
                "logistic",
                features[train[fold.train]],
                data.label_N[train[fold.train]],
                features[train[fold.test]],
                num_classes=len(data.labels),
                seed=seed,
                strength=strength,
            )
            right += int((scores.argmax(1) == data.label_N[train[fold.test]]).sum())
        if right > best_score:
            best, best_score = strength, right
    return best
