"""SisFall: counts, folders, the second accelerometer, and real recordings."""

import numpy as np
import pytest
from tests.fixtures import official_layouts as layouts
from tests.fixtures.tidy import G, close, signals, tidy

from otolith.core.errors import FileFormatError
from otolith.datasets import sisfall


def read(root, **settings):
    return list(sisfall.recordings(sisfall.Config(root=root, **settings)))


def test_counts_become_si_units(tmp_path):
    counts = np.tile([256, 0, -512, 16384, 0, -8192, 1024, 0, -2048], (10, 1))
    layouts.write_sisfall(tmp_path, "SA01", "D01_SA01_R01", counts)
    (recording,) = read(tmp_path, second_accelerometer=True)
    deg = np.pi / 180
    want = np.tile([G, 0, -2 * G, 1000 * deg, 0, -500 * deg], (10, 1))
    close(recording.streams["imu"].samples_TC, want)
    close(recording.streams["imu2"].samples_TC, np.tile([G, 0, -2 * G], (10, 1)))
    assert recording.streams["imu"].rate_hz == 200.0


def test_misplaced_files_belong_to_their_folder_and_say_so(tmp_path):
    layouts.write_synthetic("sisfall", tmp_path)
    found = {r.id: r for r in read(tmp_path)}
    assert found["D17_SA15_R01"].subject == "SA15"
    assert found["D17_SE15_R01"].subject == "SE15"
    assert "subject.name" in {f.check for f in found["D17_SA15_R01"].findings}
    assert "subject.name" not in {f.check for f in found["D17_SE15_R01"].findings}


def test_a_misplaced_file_does_not_hide_another(tmp_path):
    counts = np.ones((10, 9))
    for name in ("D17_SA15_R01", "D17_SE15_R01"):
        layouts.write_sisfall(tmp_path, "SA15", name, counts)
    assert [r.id for r in read(tmp_path)] == ["D17_SA15_R01", "D17_SA15_R01_SE15"]


def test_chosen_subjects_only(tmp_path):
    layouts.write_synthetic("sisfall", tmp_path)
    assert {r.subject for r in read(tmp_path, subjects=("SE15",))} == {"SE15"}


def test_kind_and_age_are_kept(tmp_path):
    layouts.write_synthetic("sisfall", tmp_path)
    found = {r.id: r.attributes for r in read(tmp_path)}
    assert found["F05_SA01_R02"]["kind"] == "fall"
    assert found["D07_SE15_R01"]["age_group"] == "elderly"


@pytest.mark.parametrize("name", ["D20_SA01_R01", "D01_SA01"])
def test_unknown_names_are_refused(tmp_path, name):
    layouts.write_sisfall(tmp_path, "SA01", name, np.ones((10, 9)))
    with pytest.raises(FileFormatError, match=name):
        read(tmp_path)


def test_falls_are_one_group():
    groups = sisfall.CARD.label_groups
    assert {groups[sisfall.ACTIVITIES[f"F{n:02d}"]] for n in range(1, 16)} == {"falling"}
    assert groups["walking slowly"] == "walking"
    assert groups["jogging quickly"] == "running"


@pytest.mark.parametrize("name", ["D01_SA01_R01", "F05_SA01_R02"])
def test_real_recordings_come_back(tmp_path, name):
    table = tidy("sisfall/sisfall_200hz_SA01.parquet", ("recording_id", "==", name))
    numbers = signals(table)
    counts = np.concatenate(
        [numbers[:, :3] / 0.00390625, numbers[:, 3:] / 0.06103515625, numbers[:, :3] * 1024], axis=1
    )
    layouts.write_sisfall(tmp_path, "SA01", name, counts)
    (recording,) = read(tmp_path)
    want = np.concatenate([numbers[:, :3] * G, np.deg2rad(numbers[:, 3:])], axis=1)
    close(recording.streams["imu"].samples_TC, want, atol=1e-4)
    assert (recording.id, recording.subject) == (name, table["subject"].iloc[0])
    assert recording.annotations[0].labels == (table["label"].iloc[0],)
    assert recording.annotations[0].end_s == pytest.approx(len(table) / 200)
