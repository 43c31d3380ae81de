"""Calibration: whether confidence means what it says, and conformal sets at a wanted coverage.

The people of a data set are divided into those that are tested, those that calibrate and those that
are learned from. `as given` are the contestant's own probabilities; `temperature` divides their
logarithms by one number that fits the calibration people best. Conformal sets use the calibration
people as well; a set may be empty, which means that no label is probable enough.
"""

# N windows, S people

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any

import numpy as np

from otolith.benchmark import Cell, Outcome, Unit
from otolith.benchmark._arena import Arena, hold_out, need_train, tally, units_by_person
from otolith.benchmark._confidence import (
    calibration_error,
    conformal_sets,
    conformal_threshold,
    fit_temperature,
    reliability,
    reliability_table,
    sharpen,
)
from otolith.benchmark._data import BenchmarkData
from otolith.benchmark._settings import Groups, Learning, Part, Windows
from otolith.core.config import config
from otolith.core.errors import DataError
from otolith.metrics.intervals import Interval, bootstrap_interval

HEADLINE = "temperature"
METRIC = "macro_f1"
VARIANTS = ("as given", "temperature")


@config
class Config:
    """Settings.

    Args:
        windows: How recordings are cut.
        groups: Groups of people, each tested once.
        calibration_share: Share of the other people that calibrate.
        validation_share: Share of the rest that chooses.
        coverage: Wanted share of windows whose conformal set holds the truth.
        learning: How contestants learn.
    """

    windows: Windows = field(default_factory=Windows)
    groups: Groups = 5
    calibration_share: Part = 0.25
    validation_share: Part = 0.2
    coverage: Part = 0.9
    learning: Learning = field(default_factory=Learning)


def units(
    data: Mapping[str, BenchmarkData], settings: Config, seeds: tuple[int, ...]
) -> list[Unit]:
    """Return one cell per data set, seed and group of people."""
    return units_by_person(data, settings.groups, seeds)


def run(arena: Arena, unit: Unit, settings: Config) -> Outcome:
    """Learn, calibrate and test on three groups of people.

    Raises:
        DataError: There are fewer than three people.
        LeakageError: The weights have seen everybody.
    """
    division = arena.divide(unit, settings.groups, settings.calibration_share)
    labelled = arena.data[unit.data].labelled
    need_train(division, unit.data)
    if not len(division.validation):
        raise DataError(
            f"{unit.data} has too few people to learn from some, calibrate with others and test "
            "the rest.",
            "Use a data set of three or more people.",
        )
    train, chooses = hold_out(
        labelled.subject_N, division.train, settings.validation_share, unit.seed + 1
    )
    lesson = arena.lesson(unit.data, train, chooses)
    fitted = arena.contestant.fit([lesson], len(labelled.labels), unit.seed)
    held, test = division.validation, division.test
    held_NK, test_NK = fitted.scores(lesson.inputs, held), fitted.scores(lesson.inputs, test)
    truth_N, people_N = labelled.label_N[test], labelled.subject_N[test]
    temperature = fit_temperature(held_NK, labelled.label_N[held])
    sums, tallies = {}, {}
    for variant, degree in zip(VARIANTS, (1.0, temperature), strict=True):
        scores = sharpen(test_NK, degree)
        level = conformal_threshold(
            sharpen(held_NK, degree), labelled.label_N[held], settings.coverage
        )
        sums |= _sums(variant, scores, conformal_sets(scores, level), truth_N, people_N)
        tallies[variant] = tally(truth_N, scores.argmax(1), people_N, labelled.labels)
    return Outcome(
        tallies=tallies,
        sums=sums,
        counts={"learned": len(train) + len(chooses), "calibrated": len(held)},
        numbers={"temperature": temperature},
        notes=division.notes,
        num_parameters=fitted.num_parameters,
    )


def measure(cells: Sequence[Cell]) -> dict[str, dict[str, Interval]]:
    """Return ECE, coverage, mean size and share of empty sets of each variant, with intervals over people.

    Args:
        cells: Cells of one contestant and data set.
    """
    found: dict[str, dict[str, Interval]] = {}
    for variant in VARIANTS:
        bins, sets = added(cells, f"{variant}: bins"), added(cells, f"{variant}: sets")
        if len(bins):
            found[variant] = {
                "ece": bootstrap_interval(bins, calibration_error, _draws()),
                "coverage": bootstrap_interval(sets, lambda s: s[:, 1] / s[:, 0], _draws()),
                "set_size": bootstrap_interval(sets, lambda s: s[:, 2] / s[:, 0], _draws()),
                "empty_sets": bootstrap_interval(sets, lambda s: s[:, 3] / s[:, 0], _draws()),
            }
    return found


def tables(cells: Sequence[Cell]) -> dict[str, list[dict[str, Any]]]:
    """Return the reliability table of each variant."""
    found: dict[str, list[dict[str, Any]]] = {}
    for variant in VARIANTS:
        bins = added(cells, f"{variant}: bins")
        if len(bins):
            found[variant] = reliability_table(bins.sum(0))
    return found


def added(cells: Sequence[Cell], name: str) -> np.ndarray:
    """Add up one kind of sums over cells, one row per person [S, M]; no rows if there is none."""
    people: dict[str, np.ndarray] = {}
    for cell in cells:
        for person, values in cell.outcome.sums.get(name, {}).items():
            people[person] = people.get(person, np.zeros(len(values))) + np.asarray(values)
    return np.stack([people[p] for p in sorted(people)]) if people else np.zeros((0, 0))


def _sums(
    variant: str,
    scores_NK: np.ndarray,
    sets_NK: np.ndarray,
    truth_N: np.ndarray,
    people_N: np.ndarray,
) -> dict[str, dict[str, tuple[float, ...]]]:
    """Sums per person: bins of confidence; windows, covered ones, labels in sets, empty sets."""
    bins, sets = {}, {}
    for person in np.unique(people_N).tolist():
        rows = np.flatnonzero(people_N == person)
        bins[str(person)] = reliability(scores_NK[rows], truth_N[rows]).flat
        covered = sets_NK[rows, truth_N[rows]].sum()
        sizes = sets_NK[rows].sum(1)
        sets[str(person)] = (
            float(len(rows)), float(covered), float(sizes.sum()), float((sizes == 0).sum()),
        )  # fmt: skip
    return {f"{variant}: bins": bins, f"{variant}: sets": sets}


def _draws() -> np.random.Generator:
    return np.random.default_rng(0)
