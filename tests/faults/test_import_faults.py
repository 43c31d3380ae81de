"""Damage tables in every way we know: each fault is found, and none stays silent."""

import re

import numpy as np
import pytest
from tests.faults.import_faults import FAULTS
from tests.faults.imu_tables import real, synthetic

from otolith.core.errors import OtolithError
from otolith.recordings.reading import ReadOptions, read_recordings

SOURCES = {"synthetic": synthetic(), "real": real()}
CLEAN, OUTCOMES = {}, {}


def read(folder, content, suffix=".csv", **options):
    path = folder / f"recording{suffix}"
    path.write_bytes(content)
    return read_recordings(path, ReadOptions(**options))


def samples_of(recordings):
    return np.concatenate([r.streams["imu"].samples_TC for r in recordings])


@pytest.fixture(params=SOURCES)
def name(request):
    if SOURCES[request.param] is None:
        pytest.skip("the shared real recordings are absent")
    return request.param


def clean(name, folder):
    if name not in CLEAN:
        CLEAN[name] = read(folder, SOURCES[name].text().encode())
    return CLEAN[name]


def outcome(fault, name, folder):
    """(how it ended: "refused", "found" or "silent"; checks that saw something; recordings)."""
    key = fault.name, name
    if key not in OUTCOMES:
        before = {(f.check, f.status, f.fact) for r in clean(name, folder) for f in r.findings}
        try:
            recordings = read(folder, fault.make(SOURCES[name]), fault.suffix, **fault.options)
        except OtolithError as error:
            OUTCOMES[key] = "refused", set(re.findall(r"\[([a-z_.]+)\]", str(error))), error
        else:
            found = {(f.check, f.status, f.fact) for r in recordings for f in r.findings}
            checks = {c for c, status, _ in found - before if status != "ok"}
            OUTCOMES[key] = ("found" if checks else "silent"), checks, recordings
    return OUTCOMES[key]


def test_clean_table_raises_no_alarm(name, tmp_path):
    recordings = clean(name, tmp_path)
    assert {f.check for f in recordings[0].findings if f.status in ("warning", "fixed")} == set()
    np.testing.assert_allclose(samples_of(recordings), SOURCES[name].signals(), atol=1e-5)
    assert recordings[0].streams["imu"].rate_hz == 50


@pytest.mark.parametrize("fault", FAULTS, ids=[f.name for f in FAULTS])
def test_fault_is_found(fault, name, tmp_path):
    needed = {"labels.similar", "labels.short", "labels.mixed"}
    if fault.check in needed and not {"standing", "walking"} <= set(SOURCES[name].columns["label"]):
        pytest.skip("needs the labels standing and walking")
    result, checks, recordings = outcome(fault, name, tmp_path)
    assert fault.check in checks, f"{result}: {checks or 'nothing'}"
    assert result == ("refused" if fault.refused else "found")
    if fault.refused:
        assert "recording" in str(recordings)
        assert recordings.remedy.endswith(".")
    if fault.same is not None:
        assert_same(fault, recordings, clean(name, tmp_path))


def assert_same(fault, recordings, expected_recordings):
    got, expected = samples_of(recordings), samples_of(expected_recordings)
    assert got.shape == expected.shape
    close = np.abs(got - expected).max(axis=1) <= fault.same
    assert close.mean() >= fault.share, f"{close.mean():.4f} of the rows are right"


def test_there_are_enough_distinct_faults():
    assert len({f.name for f in FAULTS}) == len(FAULTS) >= 60
    assert len({f.check for f in FAULTS}) >= 50


def test_most_faults_are_found_and_none_is_silent(name, tmp_path):
    results = {f.name: outcome(f, name, tmp_path) for f in FAULTS}
    silent = [fault for fault, result in results.items() if result[0] == "silent"]
    assert silent == []
    seen = [f.name for f in FAULTS if f.check in results[f.name][1]]
    assert len(seen) >= 0.95 * len(FAULTS)
