"""Cross-subject: all classes of a data set, learned from other people (WHAR Arena's protocol).

Windows of 3 s that overlap by half, at native rate; 10 groups of people, each tested once;
20 % of the remaining people choose penalty or epoch; everything is scaled by training people.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from otolith.benchmark import Outcome, Unit
from otolith.benchmark._arena import Arena, need_train, tally, units_by_person
from otolith.benchmark._data import BenchmarkData
from otolith.benchmark._settings import Groups, Learning, Part, Windows
from otolith.core.config import config
from otolith.tasks._windows import Seconds

HEADLINE = "all labels"
METRIC = "macro_f1"


@config
class CrossSubjectWindows(Windows):
    """How recordings are cut: as WHAR Arena does, unless settings say otherwise.

    A class of its own, so that whoever sets `windows.labels` alone keeps the lengths.
    """

    window_s: Seconds = 3.0
    stride_s: Seconds | None = 1.5


@config
class Config:
    """Settings.

    Args:
        windows: How recordings are cut.
        groups: Groups of people, each tested once; fewer if there are fewer people.
        validation_share: Share of the training people that choose.
        learning: How contestants learn.
    """

    windows: CrossSubjectWindows = field(default_factory=CrossSubjectWindows)
    groups: Groups = 10
    validation_share: Part = 0.2
    learning: Learning = field(default_factory=Learning)


def units(
    data: Mapping[str, BenchmarkData], settings: Config, seeds: tuple[int, ...]
) -> list[Unit]:
    """Return one cell per data set, seed and group of people."""
    return units_by_person(data, settings.groups, seeds)


def run(arena: Arena, unit: Unit, settings: Config) -> Outcome:
    """Learn from the other groups and test one.

    Raises:
        LeakageError: The weights have seen everybody.
    """
    division = arena.divide(unit, settings.groups, settings.validation_share)
    need_train(division, unit.data)
    labelled = arena.data[unit.data].labelled
    lesson = arena.lesson(unit.data, division.train, division.validation)
    fitted = arena.contestant.fit([lesson], len(labelled.labels), unit.seed)
    chosen = fitted.scores(lesson.inputs, division.test).argmax(1)
    return Outcome(
        tallies={
            HEADLINE: tally(
                labelled.label_N[division.test],
                chosen,
                labelled.subject_N[division.test],
                labelled.labels,
            )
        },
        counts={"learned": len(division.train) + len(division.validation)},
        numbers=fitted.chosen,
        notes=division.notes,
        num_parameters=fitted.num_parameters,
    )
