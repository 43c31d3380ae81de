"""MHEALTH: which column belongs to which place, units, unlabelled parts, a doubtful unit."""

import numpy as np
import pytest
from tests.fixtures import official_layouts_ds1 as layouts
from tests.fixtures.tidy import close

from otolith.core.errors import DataError, FileFormatError
from otolith.datasets import mhealth


def read(root, **settings):
    return list(mhealth.recordings(mhealth.Config(root=root, **settings)))


def session(codes, **more):
    return layouts.mhealth_session(np.random.default_rng(0), codes, **more)


def test_columns_go_to_their_places(tmp_path):
    table = np.arange(24.0) + 100.0 * np.arange(60)[:, None]
    table[:, 23] = 1
    layouts.write_mhealth(tmp_path, 3, table)
    (recording,) = read(tmp_path)
    assert set(recording.streams) == {"chest", "ankle", "wrist"}
    close(recording.streams["chest"].samples_TC, table[:, 0:3])
    close(recording.streams["ankle"].samples_TC[:, :3], table[:, 5:8])
    close(recording.streams["wrist"].samples_TC[:, :3], table[:, 14:17])
    close(recording.streams["ankle"].samples_TC[:, 3:], np.deg2rad(table[:, 8:11]))
    close(recording.streams["wrist"].samples_TC[:, 3:], np.deg2rad(table[:, 17:20]))


def test_the_chest_has_no_gyroscope_and_no_electrocardiogram(tmp_path):
    layouts.write_mhealth(tmp_path, 1, session([1] * 60))
    (recording,) = read(tmp_path)
    assert [c.name for c in recording.streams["chest"].channels] == ["acc_x", "acc_y", "acc_z"]
    assert {s: x.channels[0].placement for s, x in recording.streams.items()} == {
        "chest": "chest", "ankle": "left ankle", "wrist": "right wrist",
    }  # fmt: skip


def test_sessions_stay_whole_and_zero_is_unlabelled(tmp_path):
    codes = [0] * 50 + [12] * 100 + [0] * 25 + [12] * 25 + [1] * 50
    layouts.write_mhealth(tmp_path, 10, session(codes))
    (recording,) = read(tmp_path)
    assert (recording.id, recording.subject) == ("subject10", "10")
    assert recording.duration_s == 5.0
    assert [(a.start_s, a.end_s, *a.labels) for a in recording.annotations] == [
        (1.0, 3.0, "jump_front_back"), (3.5, 4.0, "jump_front_back"), (4.0, 5.0, "standing"),
    ]  # fmt: skip


def test_people_come_in_the_order_of_their_numbers(tmp_path):
    for subject in (10, 2, 1):
        layouts.write_mhealth(tmp_path, subject, session([1] * 10))
    assert [r.subject for r in read(tmp_path)] == ["1", "2", "10"]


@pytest.mark.parametrize(("spin", "warned"), [(100.0, False), (0.5, True)])
def test_a_unit_that_makes_walking_limbs_still_is_told(tmp_path, spin, warned):
    layouts.write_mhealth(tmp_path, 1, session([4] * 200, spin=spin))
    (recording,) = read(tmp_path)
    found = [f for f in recording.findings if f.check == "gyro.scale"]
    assert [f.status for f in found] == ["warning"] * (2 * warned)
    if warned:
        assert "gyro_unit" in found[0].remedy


def test_resting_limbs_are_no_evidence_against_the_unit(tmp_path):
    layouts.write_mhealth(tmp_path, 1, session([3] * 200, spin=0.5))
    assert "gyro.scale" not in {f.check for f in read(tmp_path)[0].findings}


def test_the_unit_can_be_overruled_and_gyroscopes_left_out(tmp_path):
    table = session([4] * 60)
    layouts.write_mhealth(tmp_path, 1, table)
    (recording,) = read(tmp_path, gyro_unit="rad/s")
    close(recording.streams["wrist"].samples_TC[:, 3:], table[:, 17:20])
    (recording,) = read(tmp_path, gyro=False)
    assert {s.samples_TC.shape[1] for s in recording.imus.values()} == {3}
    assert "units.gyro" not in {f.check for f in recording.findings}


@pytest.mark.parametrize("code", [13, -1])
def test_unknown_activities_are_refused(tmp_path, code):
    layouts.write_mhealth(tmp_path, 1, session([1, code]))
    with pytest.raises(FileFormatError, match=r"mHealth_subject1\.log holds an unknown activity"):
        read(tmp_path)


def test_rows_of_another_width_are_refused(tmp_path):
    path = layouts.write_mhealth(tmp_path, 1, session([1] * 5))
    path.write_text("\n".join(line.rsplit("\t", 1)[0] for line in path.read_text().splitlines()))
    with pytest.raises(FileFormatError, match="23 columns instead of 24"):
        read(tmp_path)


def test_foreign_logs_are_named(tmp_path):
    path = layouts.write_mhealth(tmp_path, 1, session([1] * 5))
    path.rename(path.with_name("mHealth_subject11.log"))
    with pytest.raises(FileFormatError, match="mHealth_subject11"):
        read(tmp_path)
    path.with_name("mHealth_subject11.log").unlink()
    with pytest.raises(DataError, match=r"mHealth_subject1\.log of mhealth is missing"):
        read(tmp_path)
