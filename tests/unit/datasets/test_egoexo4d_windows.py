"""Windows and labels of Ego-Exo4D where the defaults differ from the authors' code."""

import numpy as np
import pytest

from otolith.core.errors import DataError
from otolith.datasets._egoexo4d_windows import (
    Quirks,
    common_verbs,
    fit_length,
    fit_window,
    is_validation,
    label_verb,
    list_windows,
    select_samples,
    verb_table,
)

TIMES_NS = 2.4e12 + np.arange(8000) * 1.25e6


def test_times_are_compared_exactly():
    for start in (0.0, 1.2345, 3.1):
        inside = select_samples(TIMES_NS, start, start + 2.0, TIMES_NS[0])
        assert inside.sum() == 1600
    rough = [
        select_samples(TIMES_NS, s, s + 2, TIMES_NS[0], in_float32=True).sum()
        for s in np.linspace(0, 5, 40)
    ]
    assert len(set(rough)) > 1


def test_a_long_window_keeps_its_first_samples():
    x = np.arange(10.0)[None]
    assert fit_length(x, 4)[0].tolist() == [0, 1, 2, 3]
    assert fit_length(x, 4, keeps_last=True)[0].tolist() == [6, 7, 8, 9]
    assert fit_length(x, 12, "left")[0, :3].tolist() == [0, 0, 0]
    assert fit_window(x, 4.0, 1.0, 0.5, Quirks())[0].tolist() == [0, 1, 2, 3]
    assert fit_window(x, 4.0, 1.0, 0.5, Quirks.upstream())[0].tolist() == [6, 7, 8, 9]


TAKE = {
    "take_name": "t", "take_uid": "u", "task_timing_annotation_uid": "x",
    "task_start_sec": 3.0, "task_end_sec": 9.0, "video_features": 6,
}  # fmt: skip


def test_features_count_from_the_start_of_the_video():
    ours, _ = list_windows([TAKE], {"t": [TIMES_NS, TIMES_NS + 5e6]})
    theirs, _ = list_windows(
        [TAKE], {"t": [TIMES_NS, TIMES_NS + 5e6]},
        quirks=Quirks(task_start_added_to_video_feature_time=True),
    )  # fmt: skip
    assert ours[0].start_s == pytest.approx(16 / 30 - 1)
    assert theirs[0].start_s - ours[0].start_s == pytest.approx(3.0)
    assert ours[0].first_common_s == pytest.approx(2400.005)
    assert [w.feature_row for w in ours] == list(range(6))


def test_a_take_ends_where_a_sensor_does():
    windows, stopped = list_windows([TAKE], {"t": [TIMES_NS, TIMES_NS[:1000]]})
    assert len(windows) == 3
    assert stopped == [("t", "u", 3)]
    assert list_windows([TAKE], {}, missing=["t"]) == ([], [])


SEGMENTS = [
    {"start_time": 0.0, "end_time": 9.0, "step_unique_id": 1, "note": "x"},
    {"start_time": 1.0, "end_time": 8.0, "step_unique_id": 2, "note": None},
]


def test_the_last_step_around_a_window_counts_whether_or_not_it_is_complete():
    verbs = verb_table({"step_unique_id": ["1", "2"], "verb_idx": [10, 20]})
    assert label_verb(2.0, 4.0, SEGMENTS, verbs) == 20
    assert label_verb(2.0, 4.0, SEGMENTS, verbs, Quirks.upstream()) == 10
    assert label_verb(7.0, 9.5, SEGMENTS, verbs) is None
    with pytest.raises(DataError, match="columns"):
        verb_table({"verb": []})


def test_only_verbs_of_both_lists_are_kept():
    kept, train, validation = common_verbs([3, 1, 3, 2], [1, 1, 3], [3, 1, 2])
    assert kept == [3, 1]
    assert train == {3: 1, 1: 2}
    assert validation == {3: 1, 1: 1}
    assert is_validation("a", ["b"], ["a"])
    assert not is_validation("a", ["a"], ["a"])
