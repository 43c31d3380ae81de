"""HHAR: devices apart, each at its own rate; clocks; labels of rows; holes."""

import numpy as np
import pytest
from tests.fixtures import official_layouts_ds1 as layouts
from tests.fixtures.tidy import close

from otolith.core.errors import DataError, FileFormatError
from otolith.datasets import hhar

UNIX_S = layouts.HHAR_START_MS / 1e3


def read(root, **settings):
    return list(hhar.recordings(hhar.Config(root=root, **{"devices": ("phone",), **settings})))


def write(root, devices):
    """devices: pairs of parts, acceleration and angular rate (or None)."""
    accs, gyros = zip(*devices, strict=True)
    layouts.write_hhar(root, "Phones", "accelerometer", accs)
    layouts.write_hhar(root, "Phones", "gyroscope", [g for g in gyros if g is not None])


def device(rate_hz=100.0, *, user="a", name="s3mini_1", words=("walk",), seed=0, **more):
    rng = np.random.default_rng(seed)
    return layouts.hhar_parts(
        rng, user, name.split("_")[0], name, rate_hz, list(words), boot_s=UNIX_S, **more
    )


def checks(recording):
    return [f.check for f in recording.findings]


def bouts(recording):
    return [(round(a.start_s, 1), round(a.end_s, 1), *a.labels) for a in recording.annotations]


def test_every_device_is_a_recording_with_its_own_rate(tmp_path):
    rates = {"nexus4_1": 200.0, "nexus4_2": 190.0, "s3_1": 150.0, "samsungold_1": 50.0}
    write(
        tmp_path, [device(rate, name=name, seed=i) for i, (name, rate) in enumerate(rates.items())]
    )
    found = {r.id: r for r in read(tmp_path)}
    assert set(found) == {f"a_{name}" for name in rates}
    for name, rate in rates.items():
        recording = found[f"a_{name}"]
        assert recording.streams["phone"].rate_hz == pytest.approx(rate, rel=1e-3)
        assert recording.duration_s == pytest.approx(6.0, abs=0.05)
        assert recording.attributes["model"] == name.split("_")[0]


def test_samples_of_two_phones_of_one_person_are_not_mixed(tmp_path):
    devices = []
    for name, value in (("s3_1", 9.0), ("s3_2", 10.6)):
        acc, gyro = device(name=name)
        devices.append(((*acc[:5], np.full_like(acc[5], value), acc[6]), gyro))
    write(tmp_path, devices)
    values = {
        r.attributes["device"]: np.unique(r.streams["phone"].samples_TC[:, :3])
        for r in read(tmp_path)
    }
    assert values["s3_1"] == pytest.approx([9.0])
    assert values["s3_2"] == pytest.approx([10.6])


def test_rows_of_people_and_devices_may_alternate(tmp_path):
    first, second = device(seed=1), device(user="b", seed=2)
    for sensor, parts in zip(
        ("accelerometer", "gyroscope"), zip(first, second, strict=True), strict=True
    ):
        path = layouts.write_hhar(tmp_path, "Phones", sensor, parts)
        head, *rows = path.read_text().splitlines()
        rows = [row for pair in zip(rows[:600], rows[600:], strict=True) for row in pair]
        path.write_text("\n".join([head, *rows]) + "\n")
    found = read(tmp_path)
    assert [r.subject for r in found] == ["a", "b"]
    # the gyroscope begins after the first sample of the accelerometer
    close(found[1].streams["phone"].samples_TC[:, :3], second[0][5][1:], atol=1e-3)


def test_gyroscope_is_joined_by_creation_time_not_by_late_arrival(tmp_path):
    acc, gyro = device(rate_hz=50.0)
    ramp = (gyro[4] - UNIX_S)[:, None] * np.ones(3)
    write(tmp_path, [(acc, (*gyro[:5], ramp, gyro[6]))])
    (recording,) = read(tmp_path)
    stream = recording.streams["phone"]
    got = stream.samples_TC[:, 3]
    assert np.ptp(got - stream.times_s) < 0.002
    assert "time.clock" in checks(recording)


def test_devices_that_count_from_their_start_are_put_on_the_arrival_clock(tmp_path):
    before = layouts.hhar_parts(
        np.random.default_rng(0), "a", "s3", "s3_1", 50.0, ["sit"], boot_s=27_920.0
    )
    after = layouts.hhar_parts(np.random.default_rng(1), "a", "s3", "s3_1", 50.0, ["walk"],
                               start_s=600.0, boot_s=-590.0)  # fmt: skip
    write(tmp_path, [before, after])
    found = read(tmp_path)
    assert [r.id for r in found] == ["a_s3_1_1", "a_s3_1_2"]
    assert [r.annotations[0].labels for r in found] == [("sitting",), ("walking",)]
    (told,) = [f for f in found[0].findings if f.check == "time.clock"]
    assert "2 starts" in told.fact
    close(found[0].streams["phone"].samples_TC[:, :3], before[0][5][1:], atol=1e-3)


def test_creation_times_of_a_wrong_scale_are_not_used(tmp_path):
    parts = device(rate_hz=50.0, seconds=120.0)
    slow = [(*p[:4], UNIX_S + (p[4] - UNIX_S) / 1000.0, *p[5:]) for p in parts]
    write(tmp_path, [slow])
    (recording,) = read(tmp_path)
    (told,) = [f for f in recording.findings if f.check == "time.clock"]
    assert told.status == "warning"
    assert recording.duration_s == pytest.approx(120.0, rel=0.01)


def test_null_is_unlabelled_and_labels_stay_sharp(tmp_path):
    acc, gyro = device(words=("stand", "null", "stairsup"))
    words = ["stand"] * 200 + ["null"] * 200 + ["stairsup"] * 200
    write(tmp_path, [((*acc[:6], words), gyro)])
    (recording,) = read(tmp_path)
    assert bouts(recording) == [(0.0, 2.0, "standing"), (4.0, 6.0, "walking_upstairs")]
    assert recording.duration_s == pytest.approx(6.0, abs=0.05)


def test_holes_split_and_labels_do_not_reach_over_them(tmp_path):
    parts = device(seconds=12.0, words=("bike", "sit"))
    cut = []
    for part in parts:
        keep = np.r_[0:500, 900:1200]
        cut.append(
            (*part[:3], *(np.asarray(x)[keep] for x in part[3:6]), np.array(part[6])[keep].tolist())
        )
    write(tmp_path, [cut])
    found = read(tmp_path)
    assert [r.attributes["source_recording"] for r in found] == ["a_s3mini_1"] * 2
    assert {label for *_, label in bouts(found[0])} <= {"cycling", "sitting"}
    assert sum(r.duration_s for r in found) == pytest.approx(8.0, abs=0.1)
    assert all("time.gap" in checks(r) for r in found)
    assert len(read(tmp_path, max_gap_s=10.0)) == 1


def test_a_device_without_gyroscope_is_told(tmp_path):
    acc, _ = device(name="s3_1")
    write(tmp_path, [(acc, None), device(name="s3_2")])
    first, second = read(tmp_path)
    assert first.streams["phone"].samples_TC.shape[1] == 3
    assert "gyro.missing" in checks(first)
    assert "units.gyro" not in checks(first)
    assert second.streams["phone"].samples_TC.shape[1] == 6


def test_short_recordings_are_not_left_out_silently(tmp_path):
    write(tmp_path, [device(seconds=0.5), device(name="s3_1")])
    with pytest.warns(UserWarning, match=r"a_s3mini_1 has no 1 s"):
        assert [r.id for r in read(tmp_path)] == ["a_s3_1"]


def test_watches_are_read_too(tmp_path):
    release = layouts.WRITERS["hhar"](tmp_path)
    found = read(**release.config, devices=("phone", "watch"))
    kinds = {r.attributes["device"]: r.attributes["kind"] for r in found}
    assert kinds["gear_1"] == kinds["lgwatch_2"] == "watch"
    assert kinds["nexus4_1"] == "phone"
    placements = {next(iter(r.streams)): r.imus for r in found}
    assert placements["watch"]["watch"].channels[0].placement == "wrist"
    assert placements["phone"]["phone"].channels[0].placement == "waist"


def test_unknown_activity_and_missing_columns_are_refused(tmp_path):
    write(tmp_path, [device(words=("dance",))])
    with pytest.raises(FileFormatError, match='unknown activity "dance"'):
        read(tmp_path)
    path = tmp_path / "Activity recognition exp" / "Phones_accelerometer.csv"
    path.write_text(path.read_text().replace("Creation_Time", "Time"))
    with pytest.raises(FileFormatError, match=r"Phones_accelerometer\.csv is damaged"):
        read(tmp_path)


def test_empty_cells_are_refused(tmp_path):
    write(tmp_path, [device()])
    path = tmp_path / "Activity recognition exp" / "Phones_gyroscope.csv"
    lines = path.read_text().splitlines()
    cells = lines[5].split(",")
    cells[4] = ""
    lines[5] = ",".join(cells)
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(FileFormatError, match="empty cells"):
        read(tmp_path)


def test_a_missing_file_is_named(tmp_path):
    write(tmp_path, [device()])
    with pytest.raises(DataError, match=r"Watch_accelerometer\.csv of hhar is missing"):
        read(tmp_path, devices=("watch",))
