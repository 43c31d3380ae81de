"""Window lists of Ego-Exo4D: read without running code, placed on the recording's clock."""

import os
import pickle

import numpy as np
import pytest
from tests.fixtures.official_layouts_himu import write_egoexo4d, write_window_list

from otolith.core.errors import DataError, FileFormatError
from otolith.datasets import egoexo4d
from otolith.datasets._egoexo4d_lists import read_window_list

NAME, UID = "kitchen_01_1", "uid-1"
ROWS = [
    (NAME, UID, 1500.0, 2.0, 4.0, 5, 4),
    (NAME, UID, 1500.0, -0.5, 1.5, 1, 16),
    ("kitchen_09_1", "uid-9", 100.0, 0.0, 2.0, 0, 67),
]


def test_windows_by_take(tmp_path):
    rows = [*ROWS, (NAME, UID, np.float64(1500.0), np.float32(6.0), 8.0, np.int64(7))]
    found = read_window_list(write_window_list(tmp_path / "train.pkl", rows), 68)
    assert [w.start_s for w in found[NAME]] == [2.0, -0.5, 6.0]
    assert [w.label for w in found[NAME]] == [4, 16, None]
    assert found["kitchen_09_1"][0].feature_row == 0


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ((NAME, UID, 0.0, 2.0, 2.0, 5, 4), "ends before"),
        ((NAME, UID, 0.0, float("nan"), 2.0, 5, 4), "start_sec"),
        ((NAME, 7, 0.0, 1.0, 2.0, 5, 4), "take_uid"),
        ((NAME, UID, 0.0, 1.0, 2.0, None, 4), "omnivore_idx"),
        ((NAME, UID, 0.0, 1.0, 2.0, 5, 68), "label is 68"),
        ((NAME, UID, 0.0, 1.0, 2.0, 5, 1.5), "label is 1.5"),
        ((NAME, UID), "effective_start_sec"),
    ],
)
def test_wrong_entries_are_named(tmp_path, row, words):
    path = write_window_list(tmp_path / "val.pkl", [ROWS[0], row])
    with pytest.raises(FileFormatError, match=rf"Window 1 of .*val\.pkl.*{words}"):
        read_window_list(path, 68)


class Malice:
    """Would make a folder when unpickled by pickle itself."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_no_code_of_a_list_is_run(tmp_path):
    path = tmp_path / "bad.pkl"
    path.write_bytes(pickle.dumps([Malice(tmp_path / "made")]))
    with pytest.raises(FileFormatError, match="no dictionary"):
        read_window_list(path, 68)
    assert not (tmp_path / "made").exists()


def test_damaged_and_other_files_are_refused(tmp_path):
    path = write_window_list(tmp_path / "a.pkl", ROWS)
    data = path.read_bytes()
    for content in (b"", data[:30], pickle.dumps({"a": 1}), pickle.dumps([])):
        path.write_bytes(content)
        with pytest.raises(FileFormatError, match=r"a\.pkl"):
            read_window_list(path, 68)
    with pytest.raises(FileFormatError, match="no window list"):
        read_window_list(tmp_path / "none.pkl", 68)


def test_windows_lie_on_the_clock_of_the_recording(tmp_path):
    write_egoexo4d(tmp_path / "r", [("train", 20, []), ("val", 20, [])])
    # the list counts from the later of both sensors, here 0.25 s after the left one
    rows = [(NAME, UID, 1500.25, *r[3:]) for r in ROWS[:2]]
    listed = write_window_list(
        tmp_path / "train.pkl", [*rows, (NAME, UID, 1500.25, 90.0, 92.0, 9, 1)]
    )
    config = egoexo4d.Config(root=tmp_path / "r", windows=(listed,))
    first, second = egoexo4d.recordings(config)
    windows = [a for a in first.annotations if a.track == "window"]
    assert [(a.start_s, a.end_s, a.labels) for a in windows] == [
        (pytest.approx(2.25), pytest.approx(4.25), ("cut",)),
        (0.0, pytest.approx(1.75), ("stir",)),
    ]
    assert not second.annotations


def test_a_release_without_arrays_says_which_are_missing(tmp_path):
    write_egoexo4d(tmp_path, [("train", 5, [])])
    folder = tmp_path / "features" / "imu_aria01"
    (folder / NAME).rename(folder / "other")
    with pytest.raises(DataError, match=r"left\.npy"):
        list(egoexo4d.recordings(egoexo4d.Config(root=tmp_path)))
