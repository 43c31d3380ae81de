"""Units, gravity and axes are judged by physics, and doubt is said."""

from pathlib import Path

import numpy as np
import pytest
from tests.faults.imu_tables import CHANNELS, G, synthetic

from otolith.core.errors import DataError
from otolith.recordings.inference import axes, units
from otolith.recordings.inference.columns import Signal
from otolith.recordings.inference.excerpts import excerpts, log_spread
from otolith.recordings.inference.gravity import at_rest
from otolith.recordings.inference.names import signal_name
from otolith.recordings.inference.notes import Notes
from otolith.recordings.inference.tracks import Track
from otolith.recordings.options import ReadOptions
from otolith.recordings.recording import Gravity

BASE = synthetic(seconds=90).signals().astype(np.float32)


def track(samples=BASE, groups=1):
    edges = np.linspace(0, len(samples), groups + 1).astype(int)
    return Track(
        "imu", "", "", tuple(Signal(c, signal_name(c)) for c in CHANNELS), samples.copy(),
        edges[:-1], edges[1:], [f"r{i}" for i in range(groups)], rates_G=np.full(groups, 50.0),
    )  # fmt: skip


def scaled(acc=1.0, gyro=1.0):
    return track(BASE * np.array([acc] * 3 + [gyro] * 3, np.float32))


def decide(t, **options):
    notes = Notes(Path("a.csv"))
    opts = ReadOptions(**options)
    rest = at_rest(t, "acc", 50.0)
    acc, gravity = units.decide_acc(t, rest, opts, notes)
    found = axes.turning(t, 50.0) if gravity is Gravity.INCLUDED else None
    gyro = units.decide_gyro(t, at_rest(t, "gyro", 50.0), rest, acc, found, 50.0, opts, notes)
    return acc, gyro, gravity, {f.check: f.status for f in notes.of("")}


@pytest.mark.parametrize(("unit", "size"), [("m/s2", 1.0), ("g", 1 / G), ("mg", 1000 / G)])
@pytest.mark.parametrize(("gyro_unit", "gyro_size"), [("rad/s", 1.0), ("deg/s", 180 / np.pi)])
def test_units(unit, size, gyro_unit, gyro_size):
    acc, gyro, gravity, checks = decide(scaled(size, gyro_size))
    assert (acc, gyro, gravity) == (unit, gyro_unit, Gravity.INCLUDED)
    assert set(checks.values()) == {"inferred"}


def test_statement_wins_and_contradiction_is_a_warning():
    acc, gyro, _, checks = decide(track(), unit_acc="g", unit_gyro="deg/s")
    assert (acc, gyro) == ("g", "deg/s")
    assert checks["units.acc"] == checks["units.gyro"] == "warning"


def test_doubt_is_refused_or_assumed():
    still = track(np.random.default_rng(0).normal(0, 0.4, BASE.shape).astype(np.float32))
    with pytest.raises(DataError, match=r"units\.acc"):
        decide(still)
    *_, checks = decide(still, on_unknown_unit="assume_si")
    assert checks["units.acc"] == "warning"


def test_conversion():
    t = scaled(1 / G, 180 / np.pi)
    units.convert(t, units.Units("g", "deg/s", Gravity.INCLUDED))
    np.testing.assert_allclose(t.samples_NC, BASE, rtol=1e-4, atol=1e-5)


def test_turning_gives_the_factor_and_the_axes():
    found = axes.turning(track(), 50.0)
    assert found.agrees
    assert found.slope * 50 == pytest.approx(1.0, rel=0.1)
    np.testing.assert_array_equal(found.axes, np.eye(3))


@pytest.mark.parametrize("seed", range(6))
def test_any_arrangement_of_axes_is_recovered(seed):
    rng = np.random.default_rng(seed)
    axes_33 = np.eye(3)[rng.permutation(3)] * rng.choice([-1.0, 1.0], 3)[:, None]
    samples = BASE.copy()
    samples[:, 3:] = BASE[:, 3:] @ axes_33
    t = track(samples)
    found = axes.turning(t, 50.0)
    np.testing.assert_array_equal(found.axes, axes_33)
    notes = Notes(Path("a.csv"))
    axes.check_axes(t, found, ReadOptions(on_axis_mismatch="fix"), notes)
    np.testing.assert_allclose(t.samples_NC, BASE, atol=1e-5)


def test_a_sensor_at_rest_tells_nothing_about_axes():
    still = np.tile(BASE[:1], (3000, 1)) + np.random.default_rng(0).normal(0, 0.01, (3000, 6))
    t = track(still.astype(np.float32))
    assert axes.turning(t, 50.0) is None
    notes = Notes(Path("a.csv"))
    axes.check_axes(t, None, ReadOptions(), notes)
    assert {f.status for f in notes.of("")} == {"unknown"}


def test_excerpts_stay_within_recordings_and_avoid_holes():
    t = track(groups=7)
    t.samples_NC[100, 0] = np.nan
    values, first = excerpts(t, [0, 1, 2], 50)
    assert np.isfinite(values).all()
    assert (t.group_of(first) == t.group_of(first + 49)).all()
    assert len(excerpts(t, [0], 50, limit=5)[0]) <= 5


def test_log_spread():
    assert log_spread(np.ones(5)) == 0
    assert log_spread(np.array([1.0, 2.0, 4.0])) == pytest.approx(np.log(2))
