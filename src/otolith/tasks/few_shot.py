"""Few-shot: k example windows per class from other people, no training of the encoder."""

from __future__ import annotations

from dataclasses import field
from typing import Literal

import numpy as np

from otolith.core.config import config
from otolith.core.errors import DataError
from otolith.datasets._part import DatasetPart
from otolith.tasks._classifiers import fit_predict, normalise, prototypes, standardise
from otolith.tasks._model import Model
from otolith.tasks._result import Result, summarise
from otolith.tasks._windows import EvaluationWindows, Labelled, choose_folds, labelled_windows
from otolith.tasks.probe import counts, pool


@config
class Config:
    """Settings of few-shot classification.

    Args:
        windows: How recordings are cut.
        shots: Example windows per class.
        folds: Number of folds by person, or `official`.
        head: `prototypes` (cosine to class means) or `logistic`.
        seeds: One draw of examples each.
    """

    windows: EvaluationWindows = field(default_factory=EvaluationWindows)
    shots: int = 5
    folds: int | str = 5
    head: Literal["prototypes", "logistic"] = "logistic"
    seeds: tuple[int, ...] = (0, 1, 2)


def evaluate(model: Model, part: DatasetPart, settings: Config) -> Result:
    """Draw examples from the training people of each fold and test on the others.

    Features are standardised with the examples and the unlabelled windows of the training
    people; test people play no part.

    Raises:
        DataError: A class has too few example windows.
        LeakageError: Nobody is left to test on.
    """
    data = labelled_windows(part, settings.windows)
    features = model.embed_windows(data.windows)
    rows = []
    for repetition, seed in enumerate(settings.seeds):
        folds, described, warnings = choose_folds(model, part, data, settings.folds, seed)
        for number, fold in enumerate(folds):
            shots = draw_shots(data, fold.train, settings.shots, seed=seed * 1000 + number)
            scaled_train, test = standardise(features[fold.train], features[fold.test])
            examples = scaled_train[np.searchsorted(fold.train, shots)]
            if settings.head == "prototypes":
                means = prototypes(examples, data.label_N[shots], len(data.labels))
                scores = normalise(test) @ means.T
            else:
                scores = fit_predict(
                    "logistic", examples, data.label_N[shots], test,
                    num_classes=len(data.labels), seed=seed,
                )  # fmt: skip
            rows.append((fold.test, scores, repetition))
    return summarise(
        pool(rows, data),
        labels=data.labels,
        task="few_shot",
        model=model.name,
        data=part.name,
        protocol=f"{settings.shots} examples per class from other people, {settings.head}; {described}",
        counts={**counts(data, folds), "shots": settings.shots},
        settings=settings,
        warnings=warnings,
    )


def draw_shots(data: Labelled, train: np.ndarray, shots: int, *, seed: int) -> np.ndarray:
    """Draw example windows of every class, spread over people as evenly as possible.

    Args:
        data: Labelled windows.
        train: Indices that may be drawn from.
        shots: Examples per class.
        seed: Seed of the draw.

    Returns:
        Sorted window indices, int64.

    Raises:
        DataError: A class has fewer windows than `shots`.
    """
    generator = np.random.default_rng([seed, 11])
    chosen = []
    for label, name in enumerate(data.labels):
        rows = generator.permutation(train[data.label_N[train] == label])
        if len(rows) < shots:
            raise DataError(
                f'The class "{name}" has {len(rows)} windows of other people, fewer than {shots} shots.',
                "Use fewer shots, a shorter stride, or leave the class out.",
            )
        rank = _rank_within(data.subject_N[rows])
        chosen.append(rows[np.argsort(rank, kind="stable")][:shots])
    return np.sort(np.concatenate(chosen))


def _rank_within(people: np.ndarray) -> np.ndarray:
    """Position of each row among the rows of the same person."""
    _, inverse = np.unique(people, return_inverse=True)
    order = np.argsort(inverse, kind="stable")
    starts = np.searchsorted(inverse[order], np.arange(inverse.max() + 1))
    rank = np.empty(len(people), dtype=np.int64)
    rank[order] = np.arange(len(people)) - starts[inverse[order]]
    return rank
