"""Anomaly: a contestant learns normal activities only; can it tell windows of others from them?

Where labels of a data set are anomalies by nature (falls among daily activities), these are unseen.
Elsewhere each class is unseen in turn, and the areas under the ROC curves are averaged.

| variant | a window is the stranger, |
|---|---|
| distance | the farther its nearest normal training windows are, in scaled features |
| confidence | the smaller the largest class probability is |
"""

# N windows, D width, K classes

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field, replace

import numpy as np

from otolith.benchmark import Cell, Outcome, Unit
from otolith.benchmark._arena import Arena, Division, need_train, units_by_person
from otolith.benchmark._data import BenchmarkData
from otolith.benchmark._ranking import auroc_interval, rank_bins
from otolith.benchmark._settings import Groups, Learning, Part, Windows
from otolith.benchmark.contestants import Fitted
from otolith.core.config import config
from otolith.core.errors import ConfigError, DataError, suggest
from otolith.core.randomness import rng
from otolith.metrics.intervals import Interval
from otolith.tasks._windows import Count

HEADLINE = "distance"
METRIC = "auroc"
VARIANTS = ("distance", "confidence")


@config
class Config:
    """Settings.

    Args:
        windows: How recordings are cut.
        groups: Groups of people, each tested once.
        validation_share: Share of the training people that choose.
        unseen: Data set -> labels that are anomalies; those that are not named take the labels of
            `unseen_groups` if they have some, else each class in turn.
        unseen_groups: Synonym groups that are anomalies by nature.
        num_neighbours: Normal windows whose mean distance counts.
        max_references: Normal training windows to compare with, drawn if there are more.
        learning: How contestants learn.
    """

    windows: Windows = field(default_factory=Windows)
    groups: Groups = 3
    validation_share: Part = 0.2
    unseen: dict[str, tuple[str, ...]] = field(default_factory=dict)
    unseen_groups: tuple[str, ...] = ("falling",)
    num_neighbours: Count = 5
    max_references: Count = 4000
    learning: Learning = field(default_factory=Learning)


def units(
    data: Mapping[str, BenchmarkData], settings: Config, seeds: tuple[int, ...]
) -> list[Unit]:
    """Return one cell per data set, seed and group of people.

    Raises:
        ConfigError: `unseen` names a data set or label that is not there.
    """
    for name, labels in settings.unseen.items():
        if name not in data:
            raise ConfigError(f'unseen names "{name}", which is not given.', suggest(name, data))
        known = data[name].labelled.labels
        if wrong := [label for label in labels if label not in known]:
            raise ConfigError(f'"{name}" has no label "{wrong[0]}".', suggest(wrong[0], known))
    return units_by_person(data, settings.groups, seeds)


def run(arena: Arena, unit: Unit, settings: Config) -> Outcome:
    """Learn the normal classes of the other groups and rank the windows of one.

    Raises:
        DataError: Fewer than two classes are normal.
        LeakageError: The weights have seen everybody.
    """
    division = arena.divide(unit, settings.groups, settings.validation_share)
    need_train(division, unit.data)
    data = arena.data[unit.data]
    cases = unseen_sets(data, settings)
    sums: dict[str, dict[str, tuple[float, ...]]] = {}
    size = 0
    for case, unseen in cases.items():
        fitted, strange = _rank(arena, unit, division, unseen, settings)
        size = fitted.num_parameters
        is_unseen_N = np.isin(data.labelled.label_N[division.test], unseen)
        people = data.labelled.subject_N[division.test]
        for variant, scores in strange.items():
            sums[f"{variant}: {case}"] = rank_bins(scores, is_unseen_N, people)
    return Outcome(
        sums=sums,
        counts={"unseen cases": len(cases), "tested": len(division.test)},
        notes=(*division.notes, f"Unseen in {unit.data}: {_described(cases, data)}."),
        num_parameters=size,
    )


def unseen_sets(data: BenchmarkData, settings: Config) -> dict[str, np.ndarray]:
    """Return case -> unseen classes: one case of anomalies, or one per class.

    Raises:
        DataError: Fewer than two classes would be normal.
    """
    labels = data.labelled.labels
    stated = settings.unseen.get(data.name)
    by_nature = [
        label
        for label, group in zip(labels, data.groups, strict=True)
        if (group in settings.unseen_groups if stated is None else label in stated)
    ]
    cases = {"unseen": by_nature} if by_nature else {label: [label] for label in labels}
    found = {name: np.array([labels.index(x) for x in some]) for name, some in cases.items()}
    if len(labels) - max(len(some) for some in found.values()) < 2:
        raise DataError(
            f"{data.name} has {len(labels)} classes, so fewer than two are normal.",
            "Use a data set with more classes, or name fewer in unseen.",
        )
    return found


def measure(cells: Sequence[Cell]) -> dict[str, dict[str, Interval]]:
    """Return the AUROC of each variant: mean over cells and cases, interval over people.

    Args:
        cells: Cells of one contestant and data set.
    """
    found = {}
    for variant in VARIANTS:
        parts = [
            people
            for cell in cells
            for name, people in cell.outcome.sums.items()
            if name.startswith(f"{variant}: ")
        ]
        interval = auroc_interval(parts, np.random.default_rng(0))
        if interval is not None:
            found[variant] = {"auroc": interval}
    return found


def _rank(
    arena: Arena, unit: Unit, division: Division, unseen: np.ndarray, settings: Config
) -> tuple[Fitted, dict[str, np.ndarray]]:
    """Learn without the unseen classes; variant -> how strange each test window is."""
    labelled = arena.data[unit.data].labelled
    is_normal_N = ~np.isin(labelled.label_N, unseen)
    normal = np.setdiff1d(np.arange(len(labelled.labels)), unseen)
    train = division.train[is_normal_N[division.train]]
    validation = division.validation[is_normal_N[division.validation]]
    if not len(train):
        raise DataError(
            f"No normal window of {unit.data} is left to learn from.", "Use more people."
        )
    number_K = np.zeros(len(labelled.labels), np.int64)
    number_K[normal] = np.arange(len(normal))
    lesson = arena.lesson(unit.data, train, validation)
    lesson = replace(lesson, label_N=number_K[labelled.label_N])
    fitted = arena.contestant.fit([lesson], len(normal), unit.seed)
    picked = rng(unit.seed, purpose="references").permutation(train)[: settings.max_references]
    inputs, test = lesson.inputs, division.test
    if not len(test):
        return fitted, {"distance": np.zeros(0), "confidence": np.zeros(0)}
    distance = _distance(
        fitted.features(inputs, np.sort(picked)),
        fitted.features(inputs, test),
        settings.num_neighbours,
    )
    confidence = 1.0 - fitted.scores(inputs, test).max(1)
    return fitted, {"distance": distance, "confidence": confidence}


def _distance(train_ND: np.ndarray, test_ND: np.ndarray, num_neighbours: int) -> np.ndarray:
    """Mean distance to the nearest training windows [N]."""
    from sklearn.neighbors import NearestNeighbors

    near = NearestNeighbors(n_neighbors=min(num_neighbours, len(train_ND)), algorithm="brute")
    return near.fit(train_ND).kneighbors(test_ND)[0].mean(1)


def _described(cases: Mapping[str, np.ndarray], data: BenchmarkData) -> str:
    if list(cases) == ["unseen"]:
        return ", ".join(data.labelled.labels[k] for k in cases["unseen"])
    return f"each of {len(cases)} classes in turn"
