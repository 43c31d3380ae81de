"""Stamps to a uniform grid."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otolith.core.errors import DataError
from otolith.recordings.inference.grid import to_grid
from otolith.recordings.inference.notes import Notes
from otolith.recordings.options import ReadOptions


def grid(t, x, rate_hz=50.0, **options):
    notes = Notes(Path("a.csv"))
    x = np.asarray(x, np.float32).reshape(len(t), -1)
    found = to_grid(np.asarray(t, float), x, rate_hz, "a", "imu", ReadOptions(**options), notes)
    return found.samples_TC[:, 0], {f.check for f in notes.of("a")}


def test_even_rows_are_not_touched():
    t = 3.0 + np.arange(10) / 50
    x, checks = grid(t + 0.001 * np.sin(np.arange(10)), np.arange(10))
    np.testing.assert_array_equal(x, np.arange(10))
    assert checks == set()


def test_short_holes_are_bridged_and_long_ones_stay_empty():
    keep = np.r_[0:10, 13:30, 60:80]
    x, checks = grid(keep / 50, keep)
    assert checks == {"time.hole", "time.gap"}
    np.testing.assert_allclose(x[:30], np.arange(30), atol=1e-4)
    assert np.isnan(x[30:60]).all()
    np.testing.assert_allclose(x[60:], np.arange(60, 80), atol=1e-4)


def test_policies_of_gaps():
    keep = np.r_[0:30, 60:80]
    x, _ = grid(keep / 50, keep, on_gap="interpolate")
    np.testing.assert_allclose(x, np.arange(80), atol=1e-3)
    with pytest.raises(DataError, match=r"time\.gap"):
        grid(keep / 50, keep, on_gap="refuse")
    x, _ = grid(keep / 50, keep, max_interpolate_s=1.0)
    assert not np.isnan(x).any()


def test_policies_of_jitter():
    t = np.arange(50) / 50 + 0.009 * np.sin(np.arange(50.0))
    x, checks = grid(t, 7 * t)
    assert "time.jitter" in checks
    np.testing.assert_allclose(x[:49], 7 * np.arange(49) / 50, atol=2e-3)
    kept, _ = grid(t, 7 * t, on_jitter="keep")
    np.testing.assert_allclose(kept, 7 * t, atol=1e-5)


def test_missing_values_do_not_spread():
    t = np.delete(np.arange(20), 5) / 50
    x = np.delete(np.arange(20.0), 5)
    x[9] = np.nan  # row 10 of the grid
    got, _ = grid(t, x)
    assert np.flatnonzero(np.isnan(got)).tolist() == [10]
    filled, _ = grid(t, x, on_nan="interpolate")
    np.testing.assert_allclose(filled, np.arange(20), atol=1e-4)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    rate_hz=st.sampled_from([10.0, 20.0, 50.0, 200.0]),
    jitter=st.floats(0.0, 0.45),
    lost=st.floats(0.0, 0.3),
)
def test_straight_lines_survive_any_stamps(seed, rate_hz, jitter, lost):
    rng = np.random.default_rng(seed)
    t = (np.arange(200) + rng.uniform(-jitter, jitter, 200)) / rate_hz
    t = t[(rng.random(200) > lost) | (np.arange(200) < 2)]
    x, _ = grid(t, 3.0 * (t - t[0]), rate_hz)
    expected = 3.0 * np.arange(len(x)) / rate_hz
    # A sample may be taken from up to half a step away beside gaps and at the end.
    ok = np.isnan(x) | (np.abs(x - expected) <= 3.0 * 0.51 / rate_hz + 1e-4)
    assert ok.all()
    assert abs(len(x) - 1 - (t[-1] - t[0]) * rate_hz) <= 0.51
