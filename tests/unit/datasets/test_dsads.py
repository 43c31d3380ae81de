"""DSADS: nine columns per unit, segments joined again, missing segments."""

import numpy as np
import pytest
from tests.fixtures import official_layouts_ds1 as layouts
from tests.fixtures.tidy import SIX, close

from otolith.core.errors import DataError, FileFormatError
from otolith.datasets import dsads


def read(root, **settings):
    return list(dsads.recordings(dsads.Config(root=root, **settings)))


def signal(num_segments, seed=0):
    return layouts.dsads_signal(np.random.default_rng(seed), num_segments)


def finding(recording, check):
    return next((f for f in recording.findings if f.check == check), None)


def test_columns_go_to_their_units(tmp_path):
    layouts.write_dsads(tmp_path, 1, 1, np.tile(np.arange(1.0, 46.0), (125, 1)))
    (recording,) = read(tmp_path)
    first = {"torso": 1, "right_arm": 10, "left_arm": 19, "right_leg": 28, "left_leg": 37}
    assert {name: s.samples_TC[0].tolist() for name, s in recording.streams.items()} == {
        name: [float(at + i) for i in range(6)] for name, at in first.items()
    }
    for stream in recording.imus.values():
        assert [c.name for c in stream.channels] == SIX
    assert recording.streams["right_leg"].channels[0].placement == "right leg"


def test_segments_are_joined_in_order(tmp_path):
    samples = signal(12)
    layouts.write_dsads(tmp_path, 9, 8, samples)
    (recording,) = read(tmp_path)
    assert (recording.id, recording.subject) == ("a09_p8", "8")
    assert recording.duration_s == 60.0
    close(recording.streams["torso"].samples_TC, samples[:, :6])
    close(recording.streams["left_leg"].samples_TC, samples[:, 36:42])
    assert [(a.start_s, a.end_s, *a.labels) for a in recording.annotations] == [
        (0.0, 60.0, "walking_parking")
    ]
    assert finding(recording, "segments.joined").status == "inferred"


def test_seams_that_jump_are_told(tmp_path):
    samples = signal(4)
    for i in range(4):
        samples[125 * i : 125 * (i + 1), :3] += 30.0 * (-1) ** i
    layouts.write_dsads(tmp_path, 1, 1, samples)
    (recording,) = read(tmp_path)
    assert finding(recording, "segments.joined").status == "warning"


def test_segments_can_stay_apart(tmp_path):
    samples = signal(3)
    layouts.write_dsads(tmp_path, 2, 3, samples)
    found = read(tmp_path, join=False)
    assert [r.id for r in found] == ["a02_p3_s01", "a02_p3_s02", "a02_p3_s03"]
    assert {r.attributes["source_recording"] for r in found} == {"a02_p3"}
    close(found[2].streams["torso"].samples_TC, samples[250:, :6])
    assert finding(found[0], "segments.joined") is None
    assert finding(found[0], "segments.missing") is None


def test_a_missing_segment_cuts_the_recording(tmp_path):
    layouts.write_dsads(tmp_path, 1, 1, signal(4), [1, 2, 4, 5])
    found = read(tmp_path)
    assert [r.id for r in found] == ["a01_p1_s01", "a01_p1_s04"]
    assert [r.duration_s for r in found] == [10.0, 10.0]
    assert all(finding(r, "segments.missing").status == "warning" for r in found)


def test_people_and_activities_stay_apart(tmp_path):
    for activity, person in ((19, 1), (1, 1), (1, 2)):
        layouts.write_dsads(tmp_path, activity, person, signal(1))
    found = read(tmp_path)
    assert [(r.subject, *r.annotations[0].labels) for r in found] == [
        ("1", "sitting"), ("2", "sitting"), ("1", "playing_basketball"),
    ]  # fmt: skip


def test_a_segment_of_another_length_is_refused(tmp_path):
    path = layouts.write_dsads(tmp_path, 1, 1, signal(1))
    path.write_text("\n".join(path.read_text().splitlines()[:124]) + "\n")
    with pytest.raises(FileFormatError, match=r"s01\.txt has 124 rows instead of 125"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("folder", "name"), [("a20/p1", "s01.txt"), ("a01/p9", "s01.txt"), ("a01/p1", "s1.txt")]
)
def test_foreign_names_are_refused(tmp_path, folder, name):
    path = layouts.write_dsads(tmp_path, 1, 1, signal(1))
    target = tmp_path / "data" / folder / name
    target.parent.mkdir(parents=True, exist_ok=True)
    path.rename(target)
    if path.parent != target.parent:
        path.parent.rmdir()
    with pytest.raises(FileFormatError, match="is not named"):
        read(tmp_path)


def test_an_empty_person_is_named(tmp_path):
    (tmp_path / "a01" / "p1").mkdir(parents=True)
    with pytest.raises(DataError, match=r"s01\.txt of dsads is missing"):
        read(tmp_path)
