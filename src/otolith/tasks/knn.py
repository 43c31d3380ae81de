"""k nearest neighbours on frozen features, tested on people it has not seen."""

from __future__ import annotations

from dataclasses import field

import numpy as np

from otolith.core.config import config
from otolith.datasets._part import DatasetPart
from otolith.tasks._classifiers import neighbours, standardise
from otolith.tasks._model import Model
from otolith.tasks._people import Fold
from otolith.tasks._result import Result
from otolith.tasks._windows import (
    Count,
    EvaluationWindows,
    Folds,
    Seeds,
    Share,
    labelled_windows,
)
from otolith.tasks.probe import run_folds, take_fraction


@config
class Config:
    """Settings of the nearest-neighbour classifier.

    Args:
        windows: How recordings are cut.
        k: Number of neighbours.
        folds: Number of folds by person, or `official`.
        train_fraction: Share of the training windows of each class to keep.
        seeds: One repetition each.
    """

    windows: EvaluationWindows = field(default_factory=EvaluationWindows)
    k: Count = 10
    folds: Folds = 5
    train_fraction: Share = 1.0
    seeds: Seeds = (0,)


def evaluate(model: Model, part: DatasetPart, settings: Config) -> Result:
    """Vote among the nearest windows of the training people.

    Raises:
        LeakageError: Nobody is left to test on.
        DataError: The windows hold fewer than two classes.
    """
    data = labelled_windows(part, settings.windows)
    features = model.embed_windows(data.windows)

    def score(fold: Fold, seed: int) -> np.ndarray:
        kept = take_fraction(fold.train, data.label_N, settings.train_fraction, seed)
        train, test = standardise(features[kept], features[fold.test])
        return neighbours(
            train, data.label_N[kept], test, num_classes=len(data.labels), k=settings.k
        )

    return run_folds(
        model, part, data, settings, score,
        task="knn", protocol=f"{settings.k} nearest neighbours (cosine)",
    )  # fmt: skip
