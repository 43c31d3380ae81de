"""Benchmark protocols: who learns from whom, who is tested, and what is counted; one file each.

A protocol file holds
`Config` (a settings class with at least `windows` and `learning`, see `_settings.py`),
`HEADLINE` (the variant that tables are sorted by) and `METRIC` (its number, such as `macro_f1`),
`units(data, settings, seeds) -> list[Unit]` (the cells of one model) and
`run(arena, unit, settings) -> Outcome` (one cell).
It may hold `measure(cells) -> {variant: {name: Interval}}` for numbers of its own, and
`MIN_DATA`, the number of data sets that it needs at least.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from otolith.core.registry import Registry

PROTOCOLS = Registry("otolith.benchmark", "benchmark protocol")


@dataclass(frozen=True, kw_only=True)
class Unit:
    """One cell of a model: what is tested, in which division, with which seed.

    Args:
        data: Name of the data set that is tested.
        fold: Number of the division; 0 where there is one only.
        seed: Seed of the division and of everything that is drawn.
    """

    data: str
    fold: int
    seed: int


@dataclass(frozen=True, kw_only=True)
class Tally:
    """Predictions of one variant, counted per person, so that cells can be added up.

    Args:
        labels: The fixed class list.
        people: Person -> triples (true class, chosen class, windows); -1 = none of the list.
    """

    labels: tuple[str, ...]
    people: dict[str, tuple[tuple[int, int, int], ...]]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What one cell found.

    Args:
        tallies: Variant -> counted predictions.
        sums: Name -> person -> quantities that may be added over cells.
        counts: Further whole numbers, such as windows that were learned from.
        numbers: Further numbers of the cell, such as a temperature.
        notes: What a reader must know.
        num_parameters: Numbers that the contestant learned or was loaded with.
    """

    tallies: dict[str, Tally] = field(default_factory=dict)
    sums: dict[str, dict[str, tuple[float, ...]]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    numbers: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    num_parameters: int = 0


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One finished cell as it is stored.

    Args:
        key: Hash of everything that decides the result.
        protocol: Name of the protocol.
        model: Name of the contestant.
        data: Name of the data set.
        fold: Number of the division.
        seed: Seed.
        outcome: What was found.
        seconds: Wall time.
        device: Where it was computed.
        versions: Package -> version.
        settings: Settings of the protocol.
    """

    key: str
    protocol: str
    model: str
    data: str
    fold: int
    seed: int
    outcome: Outcome
    seconds: float
    device: str
    versions: dict[str, str]
    settings: dict[str, Any]
