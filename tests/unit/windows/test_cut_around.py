"""Windows around the annotations of a track."""

import pytest
from tests.support.windows_data import imu, part_of, recording

from otolith.core.errors import ConfigError
from otolith.recordings import Annotation
from otolith.windows.building import build
from otolith.windows.table import WindowSpec

LISTED = [(2.0, 4.0, "walk"), (2.5, 4.5, "sit"), (3.0, 5.0, "sit"), (8.5, 9.5, "walk")]


def table_of(listed=LISTED, is_pretrain=False, **settings):
    notes = [
        Annotation(start_s=a, end_s=b, labels=(label,), track="window") for a, b, label in listed
    ]
    part = part_of(
        [recording("a", imu(500), bouts=[(0, 10, "sit")], annotations=notes), recording("b", imu(500))],
        labels=("walk", "sit"), is_pretrain=is_pretrain,
    )  # fmt: skip
    return build([part], WindowSpec(window_s=2.0, around="window", **settings)).table


def test_each_annotation_gives_a_window_with_its_own_label():
    table = table_of(label_track="window")
    assert table.start_s.tolist() == [2.0, 2.5, 3.0, 8.0]
    assert table.num_rows[:, 0].tolist() == [100] * 4
    assert table.label.tolist() == [0, 1, 1, 0]
    assert table.recording.tolist() == [0] * 4
    assert table.dropped == {"pieces without a window": 1}
    assert table_of(label_track="window", label_rule="pure").label.tolist() == [0, 1, 1, 0]


def test_labels_of_another_track_are_decided_as_usual():
    assert table_of().label.tolist() == [1] * 4


def test_pretraining_knows_where_but_not_what():
    table = table_of(is_pretrain=True)
    assert table.start_s.tolist() == [2.0, 2.5, 3.0, 8.0]
    assert table.label.tolist() == [-1] * 4


def test_what_sticks_out_is_left_out_or_cut():
    listed = [(0.0, 1.5, "walk"), (9.0, 9.4, "sit"), (4.0, 6.0, "sit")]
    assert table_of(listed, label_track="window").start_s.tolist() == [4.0]
    cut = table_of(listed, label_track="window", min_s=1.0)
    assert cut.start_s.tolist() == pytest.approx([0.0, 4.0, 8.2])
    assert cut.end_s.tolist() == pytest.approx([1.75, 6.0, 10.0])
    assert cut.label.tolist() == [0, 1, 1]


def test_mistakes_are_named():
    with pytest.raises(ConfigError, match='no annotation track "windows"'):
        build(
            [part_of([recording("a", imu(500), bouts=[(0, 5, "sit")])])],
            WindowSpec(around="windows"),
        )
    with pytest.raises(ValueError, match="exclude each other"):
        WindowSpec(around="window", whole=True)
