"""UTD-MHAD: matrices, placements, and real trials."""

import numpy as np
import pytest
from tests.fixtures import official_layouts as layouts
from tests.fixtures.official_layouts_evi import write_video
from tests.fixtures.tidy import G, close, signals, tidy

from otolith.core.errors import DataError, FileFormatError
from otolith.datasets import utd_mhad
from otolith.recordings.clocks import to_recording_s


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
    names = ("a1_s1", "a3_s3", "a10_s2", "a27_s8")
    ids = [f"{name}_t{trial}" for name in names for trial in (1, 2, 3)]
    assert [r.id for r in read(tmp_path / "Inertial")] == ids


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


def release_with_videos(root, seconds=3.0):
    """One wrist and one thigh trial of 3 s with videos of `seconds`."""
    for action in (21, 22):
        layouts.write_utd_mhad(root, action, 3, 2, np.ones((150, 6)))
        write_video(root / "videos" / f"a{action}_s3_t2.mp4", seconds=seconds)
    return root


@pytest.mark.parametrize("seconds", [2.0, 3.0])
def test_videos_last_as_long_as_the_motion(tmp_path, seconds):
    release_with_videos(tmp_path, seconds)
    chosen = utd_mhad.Config(root=tmp_path, videos=tmp_path / "videos")
    for recording in utd_mhad.recordings(chosen):
        camera = recording.streams["camera"]
        assert camera.path.name == f"{recording.id}.mp4"
        assert camera.duration_s == pytest.approx(3.0, abs=1e-6)
        assert to_recording_s(camera, seconds / 2) == pytest.approx(1.5, abs=0.1)


def test_the_release_names_of_videos_are_known(tmp_path):
    release_with_videos(tmp_path)
    video = tmp_path / "videos" / "a21_s3_t2.mp4"
    video.rename(video.with_name("a21_s3_t2_color.avi"))
    chosen = utd_mhad.Config(root=tmp_path, videos=tmp_path / "videos", placement="wrist")
    (recording,) = utd_mhad.recordings(chosen)
    assert recording.streams["camera"].path.name == "a21_s3_t2_color.avi"


def test_a_missing_video_is_named(tmp_path):
    release_with_videos(tmp_path)
    (tmp_path / "videos" / "a22_s3_t2.mp4").unlink()
    with pytest.raises(DataError, match="has no video of trial a22_s3_t2"):
        list(utd_mhad.recordings(utd_mhad.Config(root=tmp_path, videos=tmp_path / "videos")))


@pytest.mark.parametrize(("placement", "actions"), [("wrist", ["21"]), ("thigh", ["22"])])
def test_a_placement_is_chosen(tmp_path, placement, actions):
    release_with_videos(tmp_path)
    found = list(utd_mhad.recordings(utd_mhad.Config(root=tmp_path, placement=placement)))
    assert [r.attributes["action"] for r in found] == actions
    assert all("camera" not in r.streams for r in found)
