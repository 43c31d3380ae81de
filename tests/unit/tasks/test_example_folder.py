"""Folders of labelled example recordings."""

from dataclasses import replace

import pytest
from tests.support.tasks_data import make_recording

from otolith.core.errors import DataError, FileFormatError
from otolith.recordings.options import ReadOptions
from otolith.recordings.tidy import write_tidy
from otolith.tasks._example_folder import example_windows, read_examples

OPTIONS = ReadOptions(unit_acc="m/s2", unit_gyro="rad/s", gravity="included")


def write(path, labels=("walking",), *, is_labelled=False, seed=0, subject="p0"):
    path.parent.mkdir(parents=True, exist_ok=True)
    recording = make_recording(path.stem, subject, labels, seconds=20.0, seed=seed)
    if not is_labelled:
        recording = replace(recording, annotations=())
    write_tidy(path, [recording])


def test_sub_folders_name_the_activity(tmp_path):
    write(tmp_path / "walking" / "a.parquet")
    write(tmp_path / "walking" / "deep" / "b.parquet", seed=1, subject="p1")
    write(tmp_path / "running" / "a.parquet", ("running",), subject="p1")
    found = read_examples(tmp_path, OPTIONS)
    labels = {r.attributes["file"]: r.annotations[0].labels for r in found}
    assert labels == {
        "walking/a.parquet": ("walking",),
        "walking/deep/b.parquet": ("walking",),
        "running/a.parquet": ("running",),
    }
    data = example_windows(found, window_s=5.0, min_s=2.0)
    assert set(data.labels) == {"walking", "running"}
    assert len(data.label_N) == 12
    assert set(data.subject_N) == {"p0", "p1"}


def test_a_label_column_wins_over_the_sub_folder(tmp_path):
    write(tmp_path / "misc" / "a.parquet", ("walking", "standing"), is_labelled=True)
    data = example_windows(read_examples(tmp_path, OPTIONS), window_s=5.0, min_s=2.0)
    assert sorted(data.labels) == ["standing", "walking"]


def test_recordings_of_unknown_people_count_as_people(tmp_path):
    write(tmp_path / "walking" / "a.parquet", subject="")
    write(tmp_path / "running" / "b.parquet", ("running",), subject="")
    data = example_windows(read_examples(tmp_path, OPTIONS), window_s=5.0, min_s=2.0)
    assert len(set(data.subject_N)) == 2


def test_what_says_nothing_is_refused(tmp_path):
    write(tmp_path / "a.parquet")
    with pytest.raises(DataError, match=r"Nothing says what .*a\.parquet shows"):
        read_examples(tmp_path, OPTIONS)
    with pytest.raises(DataError, match="is a file, not a folder"):
        read_examples(tmp_path / "a.parquet", OPTIONS)
    with pytest.raises(FileFormatError, match="no file or folder"):
        read_examples(tmp_path / "absent", OPTIONS)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no table"):
        read_examples(tmp_path / "empty", OPTIONS)
