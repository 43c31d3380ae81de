"""Few-shot: k example windows per class from other people, no training of the encoder."""

from __future__ import annotations

from dataclasses import field
from typing import Literal

import numpy as np

from otolith.core.config import config
from otolith.core.errors import DataError
from otolith.core.randomness import rng
from otolith.datasets._part import DatasetPart
from otolith.tasks._classifiers import fit_predict, normalise, prototypes, standardise
from otolith.tasks._label_scores import word_prior
from otolith.tasks._model import Model
from otolith.tasks._people import Fold
from otolith.tasks._prior_examples import choose_shrinkage, fit_with_prior
from otolith.tasks._result import Result
from otolith.tasks._windows import (
    Count,
    EvaluationWindows,
    Folds,
    Labelled,
    Seeds,
    labelled_windows,
)
from otolith.tasks.probe import run_folds


@config
class Config:
    """Settings of few-shot classification.

    Args:
        windows: How recordings are cut.
        shots: Example windows per class.
        folds: Number of folds by person, or `official`.
        head: `prototypes` (cosine to class means), `logistic`, or for models with text `prior`
            (what words alone say, changed by the examples).
        seeds: One draw of examples each.
    """

    windows: EvaluationWindows = field(default_factory=EvaluationWindows)
    shots: Count = 5
    folds: Folds = 5
    head: Literal["prototypes", "logistic", "prior"] = "logistic"
    seeds: Seeds = (0, 1, 2)


def evaluate(model: Model, part: DatasetPart, settings: Config) -> Result:
    """Draw examples from the training people of each fold and test on the others.

    Features are standardised with the examples and the unlabelled windows of the training
    people; test people play no part.

    Raises:
        DataError: A class has too few example windows.
        LeakageError: Nobody is left to test on.
        CheckpointError: The head is `prior` and the model knows no words.
    """
    if settings.head == "prior":
        model.require_text()
    data = labelled_windows(part, settings.windows)
    features = model.embed_windows(data.windows)
    num_classes = len(data.labels)
    prior = _word_priors(model, data) if settings.head == "prior" else None

    def score(fold: Fold, seed: int) -> np.ndarray:
        shots = draw_shots(data, fold.train, settings.shots, seed=seed)
        if prior is not None:
            return _with_prior(features, prior, data, fold, shots)
        scaled, test = standardise(features[fold.train], features[fold.test])
        examples = scaled[np.searchsorted(fold.train, shots)]
        if settings.head == "prototypes":
            return normalise(test) @ prototypes(examples, data.label_N[shots], num_classes).T
        return fit_predict(
            "logistic", examples, data.label_N[shots], test, num_classes=num_classes, seed=seed
        )

    return run_folds(
        model, part, data, settings, score,
        task="few_shot",
        protocol=f"{settings.shots} examples per class from other people, {settings.head}",
        extra_counts={"shots": settings.shots},
    )  # fmt: skip


def _word_priors(model: Model, data: Labelled) -> np.ndarray:
    """Log probabilities [N, K] that words alone give."""
    prior, size = word_prior(model, data.labels), 256
    starts = range(0, len(data.label_N), size)
    ids = [np.arange(a, min(a + size, len(data.label_N))) for a in starts]
    return np.concatenate([prior(data.windows.batch(some, epoch=0)) for some in ids])


def _with_prior(
    features_ND: np.ndarray, prior_NK: np.ndarray, data: Labelled, fold: Fold, shots: np.ndarray
) -> np.ndarray:
    """Probabilities of the test windows: words first, examples on top."""
    known = features_ND[shots], prior_NK[shots], data.label_N[shots]
    background = features_ND[fold.train]
    people = (data.subject_N[shots],)
    choice = choose_shrinkage(*known, groups=people, background_MD=background)
    predict = fit_with_prior(*known, shrinkage=choice.shrinkage, background_MD=background)
    return predict(features_ND[fold.test], prior_NK[fold.test])


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
    generator = rng(seed, purpose="shots")
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
