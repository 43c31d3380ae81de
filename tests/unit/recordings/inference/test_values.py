"""Values that cannot be right, and those that only look so."""

from pathlib import Path

import numpy as np
import pytest
from tests.faults.imu_tables import CHANNELS, synthetic

from otolith.core.errors import DataError
from otolith.recordings.inference.columns import Signal
from otolith.recordings.inference.names import signal_name
from otolith.recordings.inference.notes import Notes
from otolith.recordings.inference.tracks import Track
from otolith.recordings.inference.values import check_values, runs
from otolith.recordings.options import ReadOptions

BASE = synthetic(seconds=40).signals().astype(np.float32)


def make_track(samples, groups=1):
    edges = np.linspace(0, len(samples), groups + 1).astype(int)
    return Track(
        "imu", "", "", tuple(Signal(c, signal_name(c)) for c in CHANNELS), samples,
        edges[:-1], edges[1:], [f"r{i}" for i in range(groups)], rates_G=np.full(groups, 50.0),
    )  # fmt: skip


def check(samples, groups=1, **options):
    notes = Notes(Path("a.csv"))
    track = make_track(samples, groups)
    check_values(track, ReadOptions(**options), notes)
    return track, {r: {f.check: f.status for f in notes.of(r)} for r in track.recordings}


def test_clean_values_raise_nothing():
    track, found = check(BASE.copy())
    assert found == {"r0": {}}
    np.testing.assert_array_equal(track.samples_NC, BASE)


def test_findings_name_the_recording_they_lie_in():
    samples = BASE.copy()
    samples[1500:1700, 4] = samples[1500, 4]
    samples[100, 0] = np.nan
    _, found = check(samples, groups=4)
    assert found == {
        "r0": {"values.missing": "warning"},
        "r1": {},
        "r2": {},
        "r3": {"values.stuck": "warning"},
    }


@pytest.mark.parametrize("value", [-999, 9999, 32767, 1e20])
def test_sentinels(value):
    samples = BASE.copy()
    samples[30:33, 2] = value
    track, found = check(samples)
    assert found["r0"]["values.sentinel"] == "fixed"
    assert np.isnan(track.samples_NC[30:33, 2]).all()
    samples[30:33, 2] = value
    track, found = check(samples, on_sentinel="keep")
    assert found["r0"]["values.sentinel"] == "warning"
    assert (track.samples_NC[30:33, 2] == np.float32(value)).all()
    with pytest.raises(DataError, match=r"values\.sentinel"):
        check(samples, on_sentinel="refuse")


def test_a_usual_value_is_no_sentinel():
    samples = BASE * 100
    samples[::7, 3] = 99
    assert "values.sentinel" not in check(samples)[1]["r0"]


def test_policies_that_empty():
    samples = BASE.copy()
    samples[1000:1200, 1] = 5.0
    assert np.isnan(check(samples.copy(), on_stuck="nan")[0].samples_NC[1000:1200, 1]).all()
    samples = BASE.copy()
    samples[700, 5] += 90.0
    track, found = check(samples, on_spike="nan")
    assert found["r0"]["values.spike"] == "fixed"
    assert np.isnan(track.samples_NC[700, 5])
    samples = np.clip(BASE, -3, 3)
    track, found = check(samples, on_saturation="nan")
    assert found["r0"]["values.saturated"] == "fixed"
    assert np.nanmax(track.samples_NC[:, 3:]) < 3


def test_rare_clipping_is_told_but_no_alarm():
    limit = np.quantile(np.abs(BASE[:, 3]), 0.985)
    samples = BASE.copy()
    samples[:, 3] = np.clip(samples[:, 3], -limit, limit)
    assert check(samples)[1]["r0"] == {"values.saturated": "inferred"}


def test_infinite_and_empty():
    samples = BASE.copy()
    samples[5, 0] = np.inf
    track, found = check(samples)
    assert found["r0"]["values.infinite"] == "fixed"
    assert np.isnan(track.samples_NC[5, 0])
    samples[:, 3] = np.nan
    with pytest.raises(DataError, match=r"values\.empty.*gyro_x"):
        check(samples)


@pytest.mark.parametrize("sign", [1, -1])
def test_copied_axes(sign):
    samples = BASE.copy()
    samples[:, 5] = sign * samples[:, 4]
    assert check(samples)[1]["r0"]["values.doubled"] == "warning"


def test_runs_end_at_recordings():
    track = make_track(np.zeros((10, 6), np.float32), groups=2)
    first, length = runs(track, 0)
    assert first.tolist() == [0, 5]
    assert length.tolist() == [5, 5]
