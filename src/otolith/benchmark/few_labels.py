"""Few labels: 1 % and 10 % of the training people's windows of each class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from functools import partial
from typing import Annotated

import numpy as np
from pydantic import Field

from otolith.benchmark import Outcome, Unit
from otolith.benchmark._arena import Arena, units_by_person
from otolith.benchmark._data import BenchmarkData
from otolith.benchmark._label_rates import learn_from_draws
from otolith.benchmark._settings import Groups, Learning, Part, Windows
from otolith.core.config import config
from otolith.tasks._windows import Labelled, Share
from otolith.tasks.probe import take_fraction

HEADLINE = "10 % of labels"
METRIC = "macro_f1"


@config
class Config:
    """Settings.

    Args:
        windows: How recordings are cut.
        shares: Shares of the windows of each class (at least one window); one variant each.
        groups: Groups of people, each tested once.
        validation_share: Share of the training people that choose, by the same share of their
            windows.
        learning: How contestants learn.
    """

    windows: Windows = field(default_factory=Windows)
    shares: Annotated[tuple[Share, ...], Field(min_length=1)] = (0.01, 0.1)
    groups: Groups = 5
    validation_share: Part = 0.2
    learning: Learning = field(default_factory=Learning)


def units(
    data: Mapping[str, BenchmarkData], settings: Config, seeds: tuple[int, ...]
) -> list[Unit]:
    """Return one cell per data set, seed and group of people."""
    return units_by_person(data, settings.groups, seeds)


def run(arena: Arena, unit: Unit, settings: Config) -> Outcome:
    """Learn from a share of the other groups' windows and test one.

    Raises:
        LeakageError: The weights have seen everybody.
    """
    draws = {
        f"{100 * share:g} % of labels": partial(_draw, share=share) for share in settings.shares
    }
    return learn_from_draws(arena, unit, draws, settings.groups, settings.validation_share)


def _draw(labelled: Labelled, rows: np.ndarray, seed: int, *, share: float) -> np.ndarray:
    return take_fraction(rows, labelled.label_N, share, seed)
