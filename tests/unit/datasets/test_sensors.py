"""Sensors of one device, each with its own stamps, on one grid."""

import numpy as np
import pytest

from otolith.datasets._sensors import join_sensors


def sensor(start, stop, rate, value=1.0):
    times = np.arange(start, stop, 1 / rate)
    return times, np.tile(value * times[:, None], (1, 3))


def join(**sensors):
    return join_sensors(sensors, max_gap_s=0.5, device="the unit")


def test_the_grid_has_the_rate_of_the_accelerometer_and_the_shared_time():
    joined = join(acc=sensor(0, 10, 50), gyro=sensor(2, 9, 80, 2.0), mag=sensor(0, 8, 10, 3.0))
    assert joined.rate_hz == pytest.approx(50.0)
    assert joined.start_s == pytest.approx(2.0)
    assert joined.end_s == pytest.approx(7.9, abs=0.05)
    times = joined.start_s + np.arange(len(joined.triads["acc"])) / joined.rate_hz
    for name, factor in (("acc", 1.0), ("gyro", 2.0), ("mag", 3.0)):
        np.testing.assert_allclose(joined.triads[name][:, 0], factor * times, atol=1e-6)
    (lost,) = [f.fact for f in joined.findings if f.check == "sensors.shorter"]
    assert lost.startswith("4.1 s")


def test_holes_of_any_sensor_are_missing_and_do_not_slow_the_clock():
    acc = sensor(0, 10, 50)
    gyro_t, gyro = sensor(0, 10, 50)
    keep = (gyro_t < 4) | (gyro_t > 6)
    joined = join(acc=acc, gyro=(gyro_t[keep], gyro[keep]))
    times = joined.start_s + np.arange(len(joined.triads["acc"])) / joined.rate_hz
    missing = np.isnan(joined.triads["acc"]).all(axis=1)
    assert (missing == np.isnan(joined.triads["gyro"]).all(axis=1)).all()
    assert times[missing].min() == pytest.approx(4.0, abs=0.05)
    assert times[missing].max() == pytest.approx(6.0, abs=0.05)
    assert joined.rate_hz == pytest.approx(50.0)
    assert joined.quality.valid_fraction == pytest.approx(1 - missing.mean())
    assert np.isfinite(joined.triads["acc"][-1]).all()


def test_a_sensor_of_another_time_is_left_out_and_told():
    joined = join(acc=sensor(0, 5, 50), gyro=sensor(100, 105, 50), mag=sensor(0, 5, 50))
    assert list(joined.triads) == ["acc", "mag"]
    assert "gyro.missing" in {f.check for f in joined.findings}


def test_disorder_empty_cells_and_too_little_are_told():
    times, values = sensor(0, 5, 50)
    values = values.copy()
    values[10] = np.nan
    order = np.r_[100:250, 0:100, 5]
    joined = join(acc=(times[order], values[order]))
    assert {"time.backward", "time.duplicate", "rows.empty"} <= {f.check for f in joined.findings}
    instants = np.arange(len(joined.triads["acc"])) / joined.rate_hz
    np.testing.assert_allclose(joined.triads["acc"][:, 0], instants, atol=1e-6)
    assert joined.rate_hz == pytest.approx(248 / 4.98, abs=1e-3), "the mean, of what is there"
    assert join(acc=(times[:1], values[:1])) is None
    assert join(acc=(times[::100], values[::100])) is None
