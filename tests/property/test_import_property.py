"""Whatever happens to the bytes of a table: a recording or an error of ours, never a crash."""

import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.faults.faults_of_time import iso
from tests.faults.imu_tables import synthetic

from otolith.core.errors import OtolithError
from otolith.recordings.reading import ReadOptions, read_recordings

BASE = synthetic(seconds=25)
TEXTS = [BASE.text(), iso(BASE).text(), BASE.text(";", ","), BASE.text("\t")]
BYTES = b',;\n\r\0".-\t x\xffe1'


def damaged(seed):
    rng = np.random.default_rng(seed)
    data = bytearray(TEXTS[seed % len(TEXTS)].encode())
    if rng.random() < 0.3:
        del data[rng.integers(len(data)) :]
    if rng.random() < 0.4:
        start = rng.integers(len(data) + 1)
        del data[start : start + rng.integers(2000)]
    for _ in range(rng.integers(30) if data else 0):
        place = rng.integers(len(data) if rng.random() < 0.5 else min(400, len(data)))
        data[place] = BYTES[rng.integers(len(BYTES))]
    return bytes(data)


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    seed=st.integers(0, 100_000),
    backward=st.sampled_from(["refuse", "sort", "split"]),
    gap=st.sampled_from(["nan", "split", "interpolate"]),
    rate_hz=st.sampled_from([None, 50.0]),
)
def test_damage_never_crashes(tmp_path, seed, backward, gap, rate_hz):
    path = tmp_path / "a.csv"
    path.write_bytes(damaged(seed))
    options = ReadOptions(
        on_backward_time=backward, on_gap=gap, rate_hz=rate_hz,
        on_missing_axis="keep", on_unknown_unit="assume_si",
    )  # fmt: skip
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            recordings = read_recordings(path, options)
    except OtolithError as error:
        outcome = error.remedy
    else:
        outcome = [s.samples_TC for r in recordings for s in r.imus.values()]
    assert outcome
    assert all(len(part) for part in outcome)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    separator=st.sampled_from([",", ";", "\t", "|"]),
    digits=st.integers(4, 8),
    rate_hz=st.sampled_from([20.0, 25.0, 50.0, 100.0]),
    offset_s=st.sampled_from([0.0, 12.5, 1.7e9]),
)
def test_every_layout_gives_the_same_samples(tmp_path, separator, digits, rate_hz, offset_s):
    table = BASE.copy()
    table.columns["t"] = np.arange(len(table)) / rate_hz + offset_s
    decimal = "." if separator == "," else ","
    path = tmp_path / "a.txt"
    path.write_text(table.text(separator, decimal, digits))
    [recording] = read_recordings(path, ReadOptions(unit_gyro="rad/s", unit_acc="m/s2"))
    stream = recording.streams["imu"]
    assert stream.rate_hz == pytest.approx(rate_hz)
    np.testing.assert_allclose(stream.samples_TC, BASE.signals(), atol=10.0**-digits + 2e-5)
