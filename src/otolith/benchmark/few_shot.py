"""Few-shot: k windows per class of other people, for several k."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from functools import partial
from typing import Annotated

import numpy as np
from pydantic import Field

from otolith.benchmark import Outcome, Unit
from otolith.benchmark._arena import Arena, units_by_person
from otolith.benchmark._data import BenchmarkData
from otolith.benchmark._label_rates import draw_shots, learn_from_draws
from otolith.benchmark._settings import Groups, Learning, Windows
from otolith.core.config import config
from otolith.tasks._windows import Count, Labelled

HEADLINE = "5 per class"
METRIC = "macro_f1"


@config
class Config:
    """Settings.

    Args:
        windows: How recordings are cut.
        shots: Windows per class; one variant each.
        groups: Groups of people, each tested once.
        with_words: Whether models with text give one more variant per size, in which what their
            words say counts before the first window.
        learning: How contestants learn; nobody chooses penalty or epoch, so the last strength
            and the last epoch count.
    """

    windows: Windows = field(default_factory=Windows)
    shots: Annotated[tuple[Count, ...], Field(min_length=1)] = (1, 5, 10)
    groups: Groups = 5
    with_words: bool = True
    learning: Learning = field(default_factory=Learning)


def units(
    data: Mapping[str, BenchmarkData], settings: Config, seeds: tuple[int, ...]
) -> list[Unit]:
    """Return one cell per data set, seed and group of people."""
    return units_by_person(data, settings.groups, seeds)


def run(arena: Arena, unit: Unit, settings: Config) -> Outcome:
    """Learn from k windows per class of the other groups and test one.

    Raises:
        LeakageError: The weights have seen everybody.
    """
    draws = {f"{k} per class": partial(_draw, shots=k) for k in settings.shots}
    outcome = learn_from_draws(
        arena, unit, draws, settings.groups, 0.0, with_words=settings.with_words
    )
    labelled = arena.data[unit.data].labelled
    count_K = np.bincount(labelled.label_N, minlength=len(labelled.labels))
    rare = [labelled.labels[k] for k in np.flatnonzero(count_K < max(settings.shots))]
    if not rare:
        return outcome
    note = f"{unit.data} has fewer than {max(settings.shots)} windows of {', '.join(rare)}."
    return replace(outcome, notes=(*outcome.notes, note))


def _draw(labelled: Labelled, rows: np.ndarray, seed: int, *, shots: int) -> np.ndarray:
    return draw_shots(labelled, rows, shots, seed)
