"""Robustness: the same people tested with changed sensors, beside the unchanged ones.

| variant | change of the test windows |
|---|---|
| unchanged | none |
| mounting | a random 3-D rotation per recording and body location |
| N Hz | resampled to that rate |
| no gyroscope | the gyroscope is masked |
| missing axes, missing sensors | each is missing in a recording with a set probability |
| noise | white noise on acceleration and angular rate |
| mirrored | left and right exchanged |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Annotated, Literal

from pydantic import Field

from otolith.benchmark import Outcome, Unit
from otolith.benchmark._arena import Arena, Change, need_train, tally, units_by_person
from otolith.benchmark._changes import (
    AtRate,
    Mirrored,
    OnStreams,
    StreamChange,
    WithNoise,
    WithoutSome,
    turn,
    without_gyroscope,
)
from otolith.benchmark._data import BenchmarkData
from otolith.benchmark._settings import Groups, Learning, Part, Windows
from otolith.core.config import config
from otolith.core.errors import DataError

HEADLINE = "unchanged"
METRIC = "macro_f1"
Amount = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
Rate = Annotated[float, Field(ge=1.0, le=1000.0)]


@config
class Config:
    """Settings.

    Args:
        windows: How recordings are cut.
        groups: Groups of people, each tested once.
        validation_share: Share of the training people that choose.
        rates_hz: Rates to test at in Hz.
        missing_share: Probability with which an axis or a sensor is missing.
        acc_noise_m_s2: Deviation of the noise on acceleration in m/s^2.
        gyro_noise_rad_s: Deviation of the noise on angular rate in rad/s.
        lateral_axis: Data set -> sensor axis that points to the side of the body; `y` for those
            that are not named.
        learning: How contestants learn.
    """

    windows: Windows = field(default_factory=Windows)
    groups: Groups = 5
    validation_share: Part = 0.2
    rates_hz: tuple[Rate, ...] = (10.0, 20.0, 50.0, 100.0, 200.0)
    missing_share: Part = 0.3
    acc_noise_m_s2: Amount = 0.5
    gyro_noise_rad_s: Amount = 0.1
    lateral_axis: dict[str, Literal["x", "y", "z"]] = field(default_factory=dict)
    learning: Learning = field(default_factory=Learning)


def units(
    data: Mapping[str, BenchmarkData], settings: Config, seeds: tuple[int, ...]
) -> list[Unit]:
    """Return one cell per data set, seed and group of people."""
    return units_by_person(data, settings.groups, seeds)


def run(arena: Arena, unit: Unit, settings: Config) -> Outcome:
    """Learn from unchanged windows of the other groups and test one in all variants.

    Raises:
        LeakageError: The weights have seen everybody.
    """
    division = arena.divide(unit, settings.groups, settings.validation_share)
    need_train(division, unit.data)
    data = arena.data[unit.data]
    labelled, test = data.labelled, division.test
    lesson = arena.lesson(unit.data, division.train, division.validation)
    fitted = arena.contestant.fit([lesson], len(labelled.labels), unit.seed)
    tallies, notes = {}, list(division.notes)
    wanted = changes(data, settings, unit.seed)
    for variant, change in {"unchanged": None, **wanted}.items():
        try:
            chosen = fitted.scores(arena.inputs(unit.data, change), test).argmax(1)
        except DataError as error:
            if change is None:
                raise
            notes.append(f"{arena.contestant.name} cannot be tested with {variant}: {error.fact}")
            continue
        tallies[variant] = tally(
            labelled.label_N[test], chosen, labelled.subject_N[test], labelled.labels
        )
    if "no gyroscope" not in wanted:
        notes.append(f"{unit.data} has no gyroscope that could be missing.")
    return Outcome(
        tallies=tallies,
        counts={"learned": len(division.train) + len(division.validation)},
        notes=tuple(notes),
        num_parameters=fitted.num_parameters,
    )


def changes(data: BenchmarkData, settings: Config, seed: int) -> dict[str, Change]:
    """Return variant -> change.

    Args:
        data: What is tested.
        settings: How strong.
        seed: Seed of the draws.
    """
    stream = data.labelled.windows.batch([0], 0).streams  # pyrefly: ignore  # positions
    has_gyro = any(c.sensor == "gyro" for s in stream.values() for own in s.channels for c in own)
    share, axis = settings.missing_share, settings.lateral_axis.get(data.name, "y")
    noisy = WithNoise(settings.acc_noise_m_s2, settings.gyro_noise_rad_s)
    drawn: dict[str, StreamChange] = {
        "mounting": turn,
        "missing axes": WithoutSome(share, "axis"),
        "missing sensors": WithoutSome(share, "sensor"),
        "noise": noisy,
    }
    fixed: dict[str, StreamChange] = {f"{rate:g} Hz": AtRate(rate) for rate in settings.rates_hz}
    if has_gyro:
        fixed["no gyroscope"] = without_gyroscope
    fixed["mirrored"] = Mirrored(axis)
    found = {n: Change(name=n, apply=OnStreams(c, seed), is_drawn=True) for n, c in drawn.items()}
    return found | {n: Change(name=n, apply=OnStreams(c)) for n, c in fixed.items()}
