"""Annotations decide labels by the rule."""

import numpy as np
import pytest
from tests.support.windows_data import imu, part_of, recording

from otolith.recordings import Annotation
from otolith.windows.building import build
from otolith.windows.labelling import decide
from otolith.windows.table import WindowSpec


def labels_of(bouts, labels=("walk", "sit"), annotations=(), is_pretrain=False, **settings):
    settings = {"window_s": 2.0, "keep_unlabelled": True, **settings}
    part = part_of(
        [recording("a", imu(500), bouts=bouts, annotations=annotations)],
        labels=labels,
        is_pretrain=is_pretrain,
    )
    return build([part], WindowSpec(**settings)).table.label.tolist()


BOUTS = [(0, 3.5, "walk"), (3.5, 4.6, "sit"), (6.0, 10.0, "sit")]


def test_majority_takes_the_longest_label():
    assert labels_of(BOUTS) == [0, 0, -1, 1, 1]


def test_a_lower_share_admits_more():
    assert labels_of(BOUTS, min_label_share=0.3) == [0, 0, 1, 1, 1]


def test_pure_needs_the_whole_window():
    assert labels_of(BOUTS, label_rule="pure") == [0, -1, -1, 1, 1]


def test_pure_joins_bouts_of_one_label():
    assert labels_of([(0, 1, "walk"), (1, 2, "walk")], label_rule="pure")[0] == 0


def test_no_rule_gives_no_labels_and_keeps_all():
    assert labels_of(BOUTS, label_rule="none", keep_unlabelled=False) == [-1] * 5


def test_unlabelled_windows_are_left_out_and_counted():
    part = part_of([recording("a", imu(500), bouts=BOUTS)])
    table = build([part], WindowSpec(window_s=2.0)).table
    assert table.start_s.tolist() == [0, 2, 6, 8]
    assert table.dropped == {"windows without a label": 1}


def test_pretraining_never_reads_labels():
    assert labels_of(BOUTS, is_pretrain=True, keep_unlabelled=False) == [-1] * 5


def test_a_name_outside_the_list_competes_but_gives_no_label():
    bouts = [(0, 1.2, "jump"), (1.2, 2, "walk")]
    assert labels_of(bouts, min_label_share=0.2)[0] == -1


def test_ties_go_to_the_first_in_the_list():
    bouts = [(0, 1, "sit"), (1, 2, "walk")]
    assert labels_of(bouts)[0] == 0
    assert labels_of(bouts, labels=("sit", "walk"))[0] == 0


def test_only_the_label_track_counts():
    other = Annotation(start_s=0, end_s=10, labels=("sit",), track="posture")
    assert labels_of([(0, 10, "walk")], annotations=[other]) == [0] * 5
    assert labels_of([(0, 10, "walk")], annotations=[other], label_track="posture") == [1] * 5


def test_an_annotation_of_one_stream_counts_only_with_that_stream():
    pair = recording(
        "a",
        imu(200, name="wrist"),
        imu(200, name="waist"),
        annotations=[Annotation(start_s=0, end_s=4, labels=("walk",), stream="waist")],
    )
    spec = WindowSpec(window_s=2.0, separate=True, keep_unlabelled=True)
    assert build([part_of([pair])], spec).table.label.tolist() == [-1, -1, 0, 0]


def test_labels_of_a_table_without_a_list_are_the_names_that_occur():
    part = part_of([recording("a", imu(500), bouts=BOUTS)], labels=())
    table = build([part], WindowSpec(window_s=2.0)).table
    assert table.labels == ("sit", "walk")
    assert table.label.tolist() == [1, 1, 0, 0]


def test_given_labels_win_over_those_of_the_parts():
    part = part_of([recording("a", imu(500), bouts=BOUTS)])
    table = build([part], WindowSpec(window_s=2.0), labels=["sit"]).table
    assert table.labels == ("sit",)
    assert table.start_s.tolist() == [6, 8]


def test_tails_and_strides_are_joined_like_all_windows():
    bouts = [(0, 5, "walk"), (5, 9.5, "sit")]
    part = part_of([recording("a", imu(475), bouts=bouts)])
    table = build([part], WindowSpec(window_s=2.0, stride_s=1.0, min_s=0.5)).table
    expected = [0, 0, 0, 0, 0, 1, 1, 1, 1]
    assert table.start_s.tolist() == list(range(9))
    assert table.label.tolist() == expected


def test_labels_agree_with_a_slow_count():
    rng = np.random.default_rng(3)
    edges = np.cumsum(rng.uniform(0.3, 3.0, 60))
    names = rng.choice(["walk", "sit", "jump"], 59)
    bouts = [(a, b, n) for a, b, n in zip(edges[:-1], edges[1:], names, strict=True)]
    part = part_of([recording("a", imu(4000), bouts=bouts)], labels=("walk", "sit", "jump"))
    spec = WindowSpec(window_s=3.0, stride_s=0.7, keep_unlabelled=True, min_label_share=0.4)
    table = build([part], spec).table
    for start, end, label in zip(table.start_s, table.end_s, table.label, strict=True):
        seconds = dict.fromkeys(table.labels, 0.0)
        for a, b, n in bouts:
            seconds[n] += max(0.0, min(b, end) - max(a, start))
        best = max(seconds, key=lambda n: seconds[n])
        good = seconds[best] / (end - start) >= 0.4
        assert label == (table.labels.index(best) if good else -1)


def test_decide_without_any_pair():
    nothing = np.zeros(0, np.int64)
    got = decide(
        nothing, nothing, np.zeros(0), np.ones(3), num_labels=2, is_pure=False, min_share=0.5
    )
    assert got.tolist() == [-1, -1, -1]


@pytest.mark.parametrize("rule", ["majority", "pure"])
def test_point_annotations_carry_no_label(rule):
    point = Annotation(start_s=1.0, end_s=None, labels=("walk",))
    assert labels_of([], annotations=[point], label_rule=rule) == [-1] * 5
