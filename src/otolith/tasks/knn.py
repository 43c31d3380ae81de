"""k nearest neighbours on frozen features, tested on people it has not seen."""

from __future__ import annotations

from dataclasses import field

from otolith.core.config import config
from otolith.datasets._part import DatasetPart
from otolith.tasks._classifiers import neighbours, standardise
from otolith.tasks._model import Model
from otolith.tasks._result import Result, summarise
from otolith.tasks._windows import EvaluationWindows, choose_folds, labelled_windows
from otolith.tasks.probe import counts, pool, take_fraction


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
    k: int = 10
    folds: int | str = 5
    train_fraction: float = 1.0
    seeds: tuple[int, ...] = (0,)


def evaluate(model: Model, part: DatasetPart, settings: Config) -> Result:
    """Vote among the nearest windows of the training people.

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
            kept = take_fraction(fold.train, data.label_N, settings.train_fraction, seed)
            train, test = standardise(features[kept], features[fold.test])
            scores = neighbours(
                train, data.label_N[kept], test, num_classes=len(data.labels), k=settings.k
            )
            rows.append((fold.test, scores, repetition))
    return summarise(
        pool(rows, data),
        labels=data.labels,
        task="knn",
        model=model.name,
        data=part.name,
        protocol=f"{settings.k} nearest neighbours (cosine); {described}",
        counts=counts(data, folds),
        settings=settings,
        warnings=warnings,
    )
