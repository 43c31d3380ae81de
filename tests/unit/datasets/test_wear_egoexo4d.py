"""Readers of WEAR and Ego-Exo4D: streams, units, steps, damaged files."""

import json

import numpy as np
import pytest
from tests.fixtures.official_layouts import write_synthetic

from otolith.core.errors import DataError, FileFormatError, UnknownNameError
from otolith.datasets import egoexo4d, make_dataset, wear
from otolith.datasets._wear_rows import split_row, subjects_of


def test_wear_has_twelve_channels_and_video_features(tmp_path):
    release = write_synthetic("wear", tmp_path)
    found = list(wear.recordings(release.config))
    assert [r.id for r in found] == [f"sbj_{i}" for i in range(0, 18, 3)]
    first = found[0]
    assert first.imus["imu"].samples_TC.shape == (2000, 12)
    assert {c.triad for c in first.imus["imu"].channels} == {
        f"{limb}_acc" for limb in ("right_arm", "right_leg", "left_leg", "left_arm")
    }
    i3d = first.streams["i3d"]
    assert (i3d.window_s, i3d.stride_s, i3d.values_ND.shape[1]) == (2.0, 1.0, 2048)
    assert all(len(s.test) == 6 and len(s.train) == 12 for s in wear.splits().values())


def test_wear_keeps_missing_samples_missing(tmp_path):
    release = write_synthetic("wear", tmp_path)
    lines = release.file.read_text().splitlines()
    cells = lines[5].split(",")
    cells[3] = ""
    lines[5] = ",".join(cells)
    release.file.write_text("\n".join(lines) + "\n")
    found = {r.id: r for r in wear.recordings(release.config)}["sbj_3"]
    missing = np.argwhere(np.isnan(found.imus["imu"].samples_TC))
    assert missing.tolist() == [[4, 2]]


def test_wear_notices_a_file_shorter_than_its_labels(tmp_path):
    release = write_synthetic("wear", tmp_path)
    lines = release.file.read_text().splitlines()
    release.file.write_text("\n".join(lines[:1500]) + "\n")
    with pytest.raises(FileFormatError, match=r"sbj_3\.csv ends after"):
        list(wear.recordings(release.config))


def test_wear_rows_are_divided():
    rows = np.arange(2 * 3248.0).reshape(2, 3248)
    motion, video = split_row(rows, 100)
    assert motion[1, 3, 7] == rows[1, 307]
    assert video[0, 0] == 1200
    assert split_row(rows[:, :1200], 100)[1].shape == (2, 0)
    with pytest.raises(DataError, match="no windows of 50"):
        split_row(rows, 50)
    people = {"database": {"b": {"subset": "Training"}, "a": {"subset": "Validation"}}}
    assert subjects_of(people, "Training") == ("b",)


def test_egoexo4d_reads_both_sensors_on_one_clock(tmp_path):
    release = write_synthetic("egoexo4d", tmp_path)
    path = tmp_path / "features" / "imu_aria01" / "kitchen_01_1" / "right.npy"
    table = np.load(path)
    table[:, 0] += 5e9
    np.save(path, table)
    config = egoexo4d.Config(root=tmp_path, sensors=("left", "right"), has_gyro=True)
    first = next(iter(egoexo4d.recordings(config)))
    assert set(first.streams) == {"imu", "imu_right", "omnivore"}
    assert first.streams["imu"].samples_TC.shape[1] == 6
    assert first.streams["imu"].duration_s == pytest.approx(35.0, abs=0.01)
    assert first.streams["omnivore"].values_ND.shape == (70, 1536)
    assert [a.labels for a in first.annotations] == [("cut",), ("stir",), ("wash",)]
    assert release.config.sensors == ("left",)


def test_egoexo4d_reads_the_wanted_part(tmp_path):
    write_synthetic("egoexo4d", tmp_path)
    for part, ids in (("train", 2), ("val", 1), ("other", 0)):
        config = egoexo4d.Config(root=tmp_path, parts=(part,))
        assert len(list(egoexo4d.recordings(config))) == ids


def test_egoexo4d_refuses_times_that_go_back(tmp_path):
    release = write_synthetic("egoexo4d", tmp_path)
    table = np.load(release.file)
    table[7, 0] = table[3, 0]
    np.save(release.file, table)
    with pytest.raises(FileFormatError, match="do not increase"):
        list(egoexo4d.recordings(release.config))
    (tmp_path / "takes.json").write_text(json.dumps([])[:-1])
    with pytest.raises(FileFormatError, match="no JSON"):
        list(egoexo4d.recordings(release.config))


def test_egoexo4d_is_divided_as_its_files_say(tmp_path):
    write_synthetic("egoexo4d", tmp_path / "release")
    splits = egoexo4d.release_splits(egoexo4d.Config(root=tmp_path / "release"))
    assert list(splits) == ["key_steps"]
    assert splits["key_steps"].train == ("kitchen_01_1", "kitchen_02_1")
    assert splits["key_steps"].test == ("kitchen_03_1",)
    lists = {"train": ["uid-2"], "val": ["uid-1", "uid-99"], "test": ["uid-3"]}
    path = tmp_path / "release" / "annotations" / "splits.json"
    path.write_text(json.dumps({"split_to_take_uids": lists}))
    settings = {"root": tmp_path / "release", "home": tmp_path / "home"}
    ids = make_dataset("egoexo4d", is_pretrain=True, **settings).recording_ids
    assert ids == ("kitchen_01_1", "kitchen_02_1")
    assert make_dataset("egoexo4d", split="test", **settings).recording_ids == ("kitchen_03_1",)
    release = {"division": "release", **settings}
    for part, number in (("train", 2), ("validation", 1), ("test", 3)):
        found = make_dataset("egoexo4d", split=part, **release)
        assert found.recording_ids == (f"kitchen_{number:02d}_1",)
    with pytest.raises(UnknownNameError, match='no division "releas"'):
        make_dataset("egoexo4d", split="test", division="releas", **settings)
