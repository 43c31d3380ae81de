"""MotionSense: gravity is added back, in SI units; trials; damaged files."""

import numpy as np
import pytest
from tests.fixtures.official_layouts_ds2 import motion_sense_signals, write_motion_sense

from otolith.core.config import parse
from otolith.core.errors import ConfigError, FileFormatError
from otolith.datasets import motion_sense
from otolith.recordings import Gravity

G = 9.80665


def read(root, **settings):
    return list(motion_sense.recordings(motion_sense.Config(root=root, **settings)))


@pytest.fixture
def signals():
    return motion_sense_signals(np.random.default_rng(0), 120)


def test_total_acceleration_is_the_default(tmp_path, signals):
    user, gravity, gyro = signals
    write_motion_sense(tmp_path, "wlk_7", 3, *signals)
    (recording,) = read(tmp_path)
    stream = recording.streams["imu"]
    assert stream.gravity is Gravity.INCLUDED
    np.testing.assert_allclose(stream.samples_TC[:, :3], G * (user + gravity), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(stream.samples_TC[:, 3:], gyro, atol=1e-6)
    norms = np.linalg.norm(stream.samples_TC[:, :3], axis=1)
    assert np.median(norms) == pytest.approx(G, rel=0.05)
    assert (recording.id, recording.subject) == ("wlk_7_sub_3", "3")
    assert "acc.gravity" in {f.check for f in recording.findings}


def test_user_acceleration_is_a_setting(tmp_path, signals):
    write_motion_sense(tmp_path, "wlk_7", 3, *signals)
    (recording,) = read(tmp_path, acceleration="user")
    stream = recording.streams["imu"]
    assert stream.gravity is Gravity.REMOVED
    np.testing.assert_allclose(stream.samples_TC[:, :3], G * signals[0], atol=1e-5)
    with pytest.raises(ConfigError, match="acceleration"):
        parse(motion_sense.Config, {"root": tmp_path, "acceleration": "raw"}, source="x")


def test_short_recordings_are_kept(tmp_path, signals):
    write_motion_sense(tmp_path, "wlk_7", 3, *(x[:60] for x in signals))
    (recording,) = read(tmp_path)
    assert recording.duration_s == pytest.approx(1.2)


def test_trials_of_people_are_apart_and_in_order(tmp_path, signals):
    wanted = [("dws_2", 1), ("dws_11", 1), ("sit_5", 2), ("sit_5", 10), ("wlk_15", 1)]
    for trial, person in reversed(wanted):
        write_motion_sense(tmp_path, trial, person, *signals)
    found = read(tmp_path)
    assert [
        (f"{r.attributes['activity']}_{r.attributes['trial']}", int(r.subject)) for r in found
    ] == wanted
    assert [r.annotations[0].labels[0] for r in found] == [
        "walking_downstairs", "walking_downstairs", "sitting", "sitting", "walking",
    ]  # fmt: skip


def test_the_folder_of_the_archive_may_be_there_twice(tmp_path, signals):
    write_motion_sense(tmp_path / "A_DeviceMotion_data", "jog_9", 1, *signals)
    assert [r.id for r in read(tmp_path)] == ["jog_9_sub_1"]
    leftover = tmp_path / "A_DeviceMotion_data/A_DeviceMotion_data/__MACOSX/sub_1.csv"
    leftover.parent.mkdir()
    leftover.write_bytes(b"\0")
    assert len(read(tmp_path)) == 1


def test_columns_are_found_by_name(tmp_path, signals):
    path = write_motion_sense(tmp_path, "wlk_7", 3, *signals)
    rows = [line.split(",") for line in path.read_text().splitlines()]
    path.write_text("\n".join(",".join(row[::-1]) for row in rows) + "\n")
    (recording,) = read(tmp_path)
    expected = G * (signals[0] + signals[1])
    np.testing.assert_allclose(recording.streams["imu"].samples_TC[:, :3], expected, atol=1e-4)


def test_damaged_files_and_strange_names_are_refused(tmp_path, signals):
    path = write_motion_sense(tmp_path, "wlk_7", 3, *signals)
    text = path.read_text()
    for broken in (
        text.replace("gravity.y", "gravity.yy", 1),
        text + "120,0.5,0.5\n",
        text + "120,,,,,,,,,,,,\n",
        "",
        text.splitlines()[0] + "\n",
    ):
        path.write_text(broken)
        with pytest.raises(FileFormatError, match=r"sub_3\.csv"):
            read(tmp_path)
    path.write_text(text)
    path.parent.rename(path.parent.with_name("run_7"))
    with pytest.raises(FileFormatError, match="is not named"):
        read(tmp_path)


def test_the_first_split_keeps_people_apart_and_the_other_is_the_publishers():
    first, second = motion_sense.splits().items()
    assert first[0] == "subjects"
    assert (len(first[1].train), len(first[1].test)) == (17, 7)
    assert (second[0], second[1].by, second[1].origin) == ("trials", "recording", "publisher")
    assert (len(second[1].train), len(second[1].test)) == (9 * 24, 6 * 24)
    assert "wlk_15_sub_1" in second[1].test
    assert "wlk_8_sub_24" in second[1].train
