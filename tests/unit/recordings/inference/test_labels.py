"""Labels per row to intervals."""

from pathlib import Path

import numpy as np
import pytest

from otolith.core.errors import DataError
from otolith.recordings.inference.labels import intervals, label_names, merge_intervals
from otolith.recordings.inference.notes import Notes
from otolith.recordings.inference.tracks import Track
from otolith.recordings.options import ReadOptions
from otolith.recordings.readers.raw_table import TextColumn
from otolith.recordings.recording import Annotation


def column(texts):
    values = list(dict.fromkeys(texts))
    return TextColumn(np.array([values.index(t) for t in texts], np.int32), tuple(values))


def names(texts, **options):
    notes = Notes(Path("a.csv"))
    found = label_names(column(texts), ReadOptions(**options), notes)
    return found, {f.check for f in notes.of("")}


def test_spellings_are_merged_to_the_most_frequent():
    texts = ["Walking"] * 3 + ["walking "] * 9 + ["WALK-ING"] + ["sit down"] * 4 + ["sit_down"] * 2
    found, checks = names(texts)
    assert found == ["walking", "walking", "WALK-ING", "sit down", "sit down"]
    assert "labels.spelling" in checks
    kept, _ = names(texts, on_label_spelling="keep")
    assert kept[:2] == ["Walking", "walking"]
    with pytest.raises(DataError, match=r"labels\.spelling"):
        names(texts, on_label_spelling="refuse")


def test_missing_words():
    found, checks = names(["nan", "None", "", "-1", "walk"])
    assert found == ["", "", "", "", "walk"]
    assert "labels.unlabelled" in checks


@pytest.mark.parametrize(
    ("rare", "warned"),
    [
        ("standng", True),
        ("standinng", True),
        ("stadning", True),
        ("standino", True),
        ("sitting", False),
    ],
)
def test_typing_errors(rare, warned):
    _, checks = names(["standing"] * 100 + [rare])
    assert ("labels.similar" in checks) is warned


def test_codes_with_digits_are_no_typing_errors():
    assert "labels.similar" not in names(["activity01"] * 100 + ["activity02"])[1]


def make_track(codes, starts, rate_hz=10.0):
    n = len(codes)
    return Track(
        "imu", "", "", (), np.zeros((n, 0), np.float32), np.array(starts), np.array([*starts[1:], n]),
        [f"r{i}" for i in range(len(starts))], times_N=np.arange(n) / rate_hz,
        labels_N=np.array(codes, np.int32), rates_G=np.full(len(starts), rate_hz),
    )  # fmt: skip


def test_runs_end_at_recordings():
    track = make_track([0, 0, 0, 1, 1, 1, 1, 1, 1, -1], [0, 5])
    found = intervals(track, ["a", "b"], Notes(Path("a.csv")))
    assert [(a.start_s, round(a.end_s, 6), a.labels) for a in found["r0"]] == [
        (0.0, 0.3, ("a",)), (0.3, 0.5, ("b",)),
    ]  # fmt: skip
    assert [(a.start_s, round(a.end_s, 6)) for a in found["r1"]] == [(0.5, 0.9)]


def test_values_of_one_name_form_one_run():
    track = make_track([0, 0, 1, 1, 0, 0], [0])
    found = intervals(track, ["walk", "walk"], Notes(Path("a.csv")))
    assert len(found["r0"]) == 1


def test_short_runs_are_reported():
    notes = Notes(Path("a.csv"))
    intervals(make_track([0] * 5 + [1] + [0] * 5, [0]), ["a", "b"], notes)
    assert [f.check for f in notes.of("r0")] == ["labels.short"]


def spans(*edges):
    return [Annotation(start_s=a, end_s=b, labels=(label,)) for a, b, label in edges]


def test_streams_that_agree_share_their_intervals():
    a = spans((0.0, 5.0, "walk"), (5.0, 9.0, "sit"))
    b = spans((0.1, 5.0, "walk"), (5.0, 9.3, "sit"))
    joined = merge_intervals([("x", a), ("y", b)])
    assert [(j.start_s, j.end_s, j.stream) for j in joined] == [(0.0, 5.0, ""), (5.0, 9.3, "")]


def test_streams_that_disagree_keep_their_own():
    joined = merge_intervals(
        [("x", spans((0.0, 5.0, "walk"))), ("y", spans((0.0, 2.0, "sit"), (2.0, 5.0, "walk")))]
    )
    assert sorted(j.stream for j in joined) == ["", "", "x"]
