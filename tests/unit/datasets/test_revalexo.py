import json

import numpy as np
import pytest
from tests.fixtures.official_layouts_evi import revalexo_motion, write_revalexo, write_table

from otolith.core.errors import DataError, FileFormatError
from otolith.datasets import make_dataset, prepare
from otolith.datasets._revalexo_files import SENSORS, read_motion
from otolith.datasets.revalexo import Config, recordings

ROWS = [(0.0, 2.5, "level ground"), (2.5, 9.0, "stair up")]


def release(root, **people):
    people = people or {"Subject01": True, "Subject04": False}
    write_revalexo(root, {name: (video, [("a", ROWS)]) for name, video in people.items()})
    return root


def test_streams_are_the_sensors_by_name(tmp_path):
    root = release(tmp_path)
    first, second = recordings(Config(root=root))
    assert list(first.streams) == [s.lower() for s in SENSORS] + ["camera"]
    assert "camera" not in second.streams
    foot = first.imus["left_foot"]
    assert [c.name for c in foot.channels] == [f"{k}_{a}" for k in ("acc", "gyro") for a in "xyz"]
    assert foot.channels[0].placement == "left foot"
    path = root / "trim_imus" / "Subject01" / "Subject01_clipa.csv"
    header = path.read_text().splitlines()[0].split(",")
    table = np.loadtxt(path, delimiter=",", skiprows=1)
    column = header.index("gyro_Left_Foot_Y")
    np.testing.assert_allclose(foot.samples_TC[:, 4], table[:, column], rtol=1e-6)
    assert len(foot.samples_TC) == len(table)


def test_segments_are_cut_at_the_end_and_told(tmp_path):
    (recording,) = recordings(Config(root=release(tmp_path, Subject01=True)))
    activities = [a for a in recording.annotations if a.track == "activity"]
    assert [a.labels for a in activities] == [("level ground",), ("stair up",)]
    assert activities[1].end_s == pytest.approx(4.5)
    assert [a.text for a in recording.annotations if a.track == "transition"] == ["no_transition"]
    assert "labels.end" in {f.check for f in recording.findings}


def test_clips_without_video_can_be_left_out(tmp_path):
    found = list(recordings(Config(root=release(tmp_path), has_video="required")))
    assert [r.subject for r in found] == ["Subject01"]


def test_missing_files_and_columns_are_named(tmp_path):
    root = release(tmp_path)
    video = root / "trim_videos" / "Subject01" / "Subject01_clipa.mp4"
    video.rename(video.with_suffix(".gone"))
    with pytest.raises(DataError, match=r"Subject01_clipa\.mp4 of revalexo is missing"):
        list(recordings(Config(root=root)))
    header, samples = revalexo_motion(np.random.default_rng(0), 20)
    header[header.index("acc_Left_Foot_Y")] = "other"
    write_table(tmp_path / "bad.csv", header, samples)
    with pytest.raises(FileFormatError, match="no column acc_Left_Foot_Y"):
        read_motion(tmp_path / "bad.csv", SENSORS)


def test_gyroscopes_may_be_absent_and_cells_empty(tmp_path):
    header, samples = revalexo_motion(np.random.default_rng(0), 20, kinds=("acc",))
    write_table(tmp_path / "a.csv", header, samples)
    lines = (tmp_path / "a.csv").read_text().splitlines()
    lines[3] = "," + lines[3].partition(",")[2]
    (tmp_path / "a.csv").write_text("\n".join(lines) + "\n")
    values, columns = read_motion(tmp_path / "a.csv", SENSORS, kinds=("acc", "gyro"))
    assert len(columns) == 21
    assert np.isnan(values[2, 0])
    assert np.isfinite(values[:, 1:]).all()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d.pop("pairs"), "holds no subject with pairs"),
        (lambda d: d.pop("imu_folder"), "imu_folder"),
        (lambda d: d["pairs"]["a"]["activity_segments"][0].update(start="x"), "damaged"),
    ],
)
def test_damaged_pair_lists_are_one_sentence(tmp_path, change, words):
    root = release(tmp_path)
    path = root / "data_pairs" / "Subject01.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(FileFormatError, match=words):
        list(recordings(Config(root=root)))


def test_it_becomes_a_data_folder_with_video(tmp_path):
    root = release(tmp_path / "release", Subject01=True, Subject02=True)
    folder = prepare("revalexo", root, tmp_path / "data", progress=False)
    part = make_dataset(folder)
    assert part.subjects == ("Subject01", "Subject02")
    assert not part.folder.info["splits"]
