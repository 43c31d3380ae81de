"""UTD-MHAD: matrices, placements, and real trials."""

import numpy as np
import pytest
from tests.fixtures import official_layouts as layouts
from tests.fixtures.tidy import G, close, signals, tidy

from otolith.core.errors import FileFormatError
from otolith.datasets import utd_mhad


def read(root):
    return list(utd_mhad.recordings(utd_mhad.Config(root=root)))


def test_units_and_placement(tmp_path):
    matrix = np.tile([1.0, 0, -1, 180, 0, -90], (20, 1))
    layouts.write_utd_mhad(tmp_path, 21, 3, 2, matrix)
    layouts.write_utd_mhad(tmp_path, 22, 3, 2, matrix)
    wrist, thigh = read(tmp_path)
    close(wrist.streams["imu"].samples_TC, np.tile([G, 0, -G, np.pi, 0, -np.pi / 2], (20, 1)))
    assert (wrist.attributes["placement"], thigh.attributes["placement"]) == (
        "right wrist", "right thigh",
    )  # fmt: skip
    assert thigh.streams["imu"].channels[0].placement == "right thigh"
    assert (wrist.id, wrist.subject) == ("a21_s3_t2", "3")


def test_order_is_by_number_not_by_text(tmp_path):
    layouts.write_synthetic("utd_mhad", tmp_path)
    assert [r.id for r in read(tmp_path / "Inertial")] == ["a1_s1_t1", "a10_s2_t1", "a27_s8_t1"]


def test_a_matrix_of_other_width_is_refused(tmp_path):
    layouts.write_utd_mhad(tmp_path, 1, 1, 1, np.zeros((20, 9)))
    with pytest.raises(FileFormatError, match=r"a1_s1_t1_inertial.mat has shape \(20, 9\)"):
        read(tmp_path)


def test_an_unknown_action_is_refused(tmp_path):
    layouts.write_utd_mhad(tmp_path, 28, 1, 1, np.zeros((20, 6)))
    with pytest.raises(FileFormatError, match="a28_s1_t1"):
        read(tmp_path)


def test_split_is_the_published_one():
    split = utd_mhad.splits()["official"]
    assert (split.train, split.test) == (("1", "3", "5", "7"), ("2", "4", "6", "8"))


@pytest.mark.parametrize("name", ["a1_s1_t1", "a17_s3_t2", "a24_s6_t4"])
def test_real_trials_come_back(tmp_path, name):
    table = tidy("utd_mhad/utd_mhad_imu_S1-S6.parquet", ("recording_id", "==", name))
    numbers = signals(table)
    action, subject, trial = (int(part[1:]) for part in name.split("_"))
    layouts.write_utd_mhad(tmp_path, action, subject, trial, numbers)
    (recording,) = read(tmp_path)
    want = np.concatenate([numbers[:, :3] * G, np.deg2rad(numbers[:, 3:])], axis=1)
    close(recording.streams["imu"].samples_TC, want)
    assert recording.annotations[0].labels == (table["label"].iloc[0],)
    assert recording.attributes["placement"] == table["placement"].iloc[0].replace("_", " ")
    assert recording.subject == str(table["subject"].iloc[0])
