"""MobiAct and MobiFall: both layouts, joining by time stamp, labels of the codes."""

import numpy as np
import pytest
from tests.fixtures import official_layouts as layouts
from tests.fixtures import official_layouts_ds3 as ds3
from tests.fixtures.tidy import G, close

from otolith.core.errors import DataError, FileFormatError
from otolith.datasets import mobiact


def read(root, **settings):
    return list(mobiact.recordings(mobiact.Config(root=root, **settings)))


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def waves(times_s, scale=1.0):
    """A slow signal that linear interpolation follows closely."""
    phases = np.array([0.0, 1.0, 2.0])
    return scale * np.sin(2 * np.pi * 0.5 * np.asarray(times_s)[:, None] + phases)


def checks(recording):
    return [f.check for f in recording.findings]


def test_sensors_of_different_rates_are_joined_by_time_stamp(tmp_path, rng):
    sensors = ds3.mobiact_sensors(rng)
    sensors = {s: (t, waves(t, 9.0 if s == "acc" else 2.0)) for s, (t, _) in sensors.items()}
    ds3.write_mobiact_raw(tmp_path / "Raw Data" / "WAL", "WAL", 12, 3, sensors)
    (recording,) = read(tmp_path)
    assert (recording.id, recording.subject) == ("WAL_12_3", "12")
    stream = recording.streams["phone"]
    assert stream.rate_hz == pytest.approx(200.0, rel=0.01)
    start_s = max(t[0] for t, _ in sensors.values())
    times = start_s + stream.times_s
    close(stream.samples_TC, np.c_[waves(times, 9.0), waves(times, 2.0)], atol=5e-3)
    assert stream.channels[0].placement == "trouser pocket"
    assert recording.attributes["age"] == "32"
    assert recording.attributes["gender"] == "Male"
    assert "time.grid" in checks(recording)
    assert recording.annotations[0].end_s == stream.duration_s


@pytest.mark.parametrize(
    ("code", "label", "group"),
    [
        ("FKL", "fall_forward_knees", "falling"), ("FOL", "fall_forward", "falling"),
        ("BSC", "fall_backward_sitting", "falling"), ("SDL", "fall_sideways", "falling"),
        ("SIT", "sitting", "sitting"), ("SCH", "sitting_chair", "sitting"),
        ("LYI", "lying", "lying"), ("CHU", "sit_to_stand", "transition_to_standing"),
        ("CSI", "car_step_in", "vehicle_entry"), ("STU", "stairs_up", "ascending_stairs"),
        ("STN", "stairs_down", "descending_stairs"), ("JOG", "jogging", "running"),
    ],
)  # fmt: skip
def test_codes_have_the_labels_of_the_readme(tmp_path, rng, code, label, group):
    ds3.write_mobiact_raw(tmp_path, code, 1, 1, ds3.mobiact_sensors(rng, span_s=0.5))
    (recording,) = read(tmp_path)
    assert recording.annotations[0].labels == (label,)
    assert mobiact.CARD.label_groups[label] == group


def test_the_slow_start_of_the_accelerometer_is_told(tmp_path, rng):
    sensors = ds3.mobiact_sensors(rng)
    times, acc = sensors["acc"]
    keep = np.r_[0:100:20, 100 : len(times)]
    ds3.write_mobiact_raw(tmp_path, "FKL", 1, 1, sensors | {"acc": (times[keep], acc[keep])})
    (recording,) = read(tmp_path)
    assert "time.slow" in checks(recording)
    quality = recording.streams["phone"].quality
    assert (quality.flag, quality.valid_fraction < 0.8) == ("suspect", True)


def test_holes_split_and_stamps_are_put_in_order(tmp_path, rng):
    sensors = {}
    for sensor, (times, samples) in ds3.mobiact_sensors(rng).items():
        sensors[sensor] = (times + 5.0 * (times > 2024.5), samples)
    sensors["gyro"][0][[3, 4]] = sensors["gyro"][0][[4, 3]]
    ds3.write_mobiact_raw(tmp_path, "STD", 1, 1, sensors)
    found = read(tmp_path)
    assert [r.id for r in found] == ["STD_1_1_1", "STD_1_1_2"]
    assert {"time.gap", "time.backward"} <= set(checks(found[0]))


def test_annotated_files_label_every_row(tmp_path, rng):
    acc, gyro = layouts.still_and_moving(rng, 800, gravity=G)
    times = 1e3 + np.arange(800) / 200.0 + rng.uniform(0, 0.002, 800)
    labels = ["STD"] * 200 + ["FKL"] * 300 + ["LYI"] * 300
    ds3.write_mobiact_annotated(tmp_path, "FKL", 4, 2, times, acc, gyro, labels)
    ds3.write_mobiact_raw(tmp_path / "Raw Data", "FKL", 4, 2, ds3.mobiact_sensors(rng))
    (recording,) = read(tmp_path)
    assert (recording.id, recording.subject) == ("FKL_4_2", "4")
    close(recording.streams["phone"].samples_TC, np.c_[acc, gyro])
    assert [(a.start_s, a.end_s, *a.labels) for a in recording.annotations] == [
        (0.0, 1.0, "standing"), (1.0, 2.5, "fall_forward_knees"), (2.5, 4.0, "lying"),
    ]  # fmt: skip
    assert recording.streams["phone"].rate_hz == 200.0
    assert read(tmp_path, layout="raw")[0].annotations[0].labels == ("fall_forward_knees",)


def test_scenarios_have_labels_only_in_annotated_files(tmp_path, rng):
    acc, gyro = layouts.still_and_moving(rng, 100, gravity=G)
    labels = ["WAL"] * 50 + ["CSI"] * 50
    ds3.write_mobiact_annotated(tmp_path, "SLH", 4, 1, np.arange(100) / 200.0, acc, gyro, labels)
    ds3.write_mobiact_raw(tmp_path / "Raw Data", "SLH", 4, 1, ds3.mobiact_sensors(rng))
    (annotated,), (raw,) = read(tmp_path), read(tmp_path, layout="raw")
    assert [a.labels[0] for a in annotated.annotations] == ["walking", "car_step_in"]
    assert raw.annotations == ()
    assert "label.missing" in checks(raw)
    assert raw.attributes["scenario"] == annotated.attributes["scenario"] == "leaving home"


def test_what_does_not_fit_is_refused(tmp_path, rng):
    sensors = ds3.mobiact_sensors(rng)
    path = ds3.write_mobiact_raw(tmp_path / "a", "XYZ", 1, 1, sensors)
    with pytest.raises(FileFormatError, match="XYZ_acc_1_1.txt does not name"):
        read(tmp_path)
    path.unlink()
    path = ds3.write_mobiact_raw(tmp_path / "a", "WAL", 1, 1, sensors)
    ds3.write_mobiact_raw(tmp_path / "b", "WAL", 1, 1, sensors)
    with pytest.raises(FileFormatError, match="more than once"):
        read(tmp_path)
    (tmp_path / "b" / path.name).unlink()
    path.with_name("WAL_gyro_1_1.txt").unlink()
    with pytest.raises(DataError, match="WAL_gyro_1_1.txt of mobiact is missing"):
        read(tmp_path)
    late = {"gyro": (sensors["gyro"][0] + 60.0, sensors["gyro"][1])}
    ds3.write_mobiact_raw(tmp_path / "a", "WAL", 1, 1, sensors | late)
    with pytest.raises(FileFormatError, match="share no time"):
        read(tmp_path)


def test_unknown_codes_in_annotated_files_are_refused(tmp_path, rng):
    acc, gyro = layouts.still_and_moving(rng, 10, gravity=G)
    times = np.arange(10) / 200.0
    ds3.write_mobiact_annotated(tmp_path, "WAL", 1, 1, times, acc, gyro, ["ABC"] * 10)
    with pytest.raises(FileFormatError, match='unknown code "ABC"'):
        read(tmp_path)


def test_the_division_has_people_of_both_releases():
    split = mobiact.splits()["subjects"]
    assert {"5", "10", "15", "20", "30"} <= set(split.test)
    assert len(split.train) + len(split.test) == 67
