"""The table: groups, folds, selections, counts."""

from dataclasses import replace

import numpy as np
import pytest
from tests.support.windows_data import imu, part_of, recording, toy_parts

from otolith.core.config import parse, to_plain
from otolith.core.errors import ConfigError, DataError
from otolith.windows.building import build
from otolith.windows.splits import group_folds
from otolith.windows.table import WindowSpec


@pytest.fixture(name="table")
def _table():
    return build(toy_parts(), WindowSpec(window_s=2.0)).table


def test_people_of_two_data_sets_are_different_people(table):
    assert {"toy/p0", "other/p0"} <= set(table.subjects)
    assert table.datasets[0] == "toy"
    assert table.datasets[-1] == "other"


def test_labels_of_all_parts_have_one_numbering(table):
    assert table.labels == ("walk", "sit", "jump")
    jumps = table.label == 2
    assert set(table.datasets[jumps]) == {"other"}


def test_pre_cut_recordings_keep_their_source():
    recordings = [
        recording("a1", imu(128), source_recording="a"),
        recording("a2", imu(128), source_recording="a"),
        recording("b", imu(128)),
    ]
    table = build([part_of(recordings)], WindowSpec(window_s=2.56, label_rule="none")).table
    assert [table.source_names[s] for s in table.source] == ["toy/a", "toy/a", "toy/b"]


def test_select_keeps_ids(table):
    some = table.select(table.label == 1)
    assert (some.label == 1).all()
    np.testing.assert_array_equal(some.id, np.flatnonzero(table.label == 1))
    turned = table.select(np.asarray([5, 2]))
    assert turned.id.tolist() == [5, 2]
    assert len(turned.start_row) == 2


def test_counts(table):
    counts = table.counts()
    assert sum(counts.values()) == len(table)
    assert counts["jump"] == (table.label == 2).sum()
    assert counts[""] == 0
    assert sum(table.counts("dataset").values()) == len(table)
    assert table.counts("subject")["toy/p1"] == (table.subjects == "toy/p1").sum()


def test_folds_share_no_person_and_cover_all(table):
    folds = table.split_by_subject(3, seed=1)
    np.testing.assert_array_equal(np.sum(folds, axis=0), np.ones(len(table)))
    for fold in folds:
        assert not set(table.subjects[fold]) & set(table.subjects[~fold])


def test_folds_are_repeatable_and_the_seed_matters():
    groups = np.repeat(np.arange(40), 5)
    labels = np.tile(np.arange(5), 40)
    first = group_folds(groups, labels, 4, seed=0)
    np.testing.assert_array_equal(first, group_folds(groups, labels, 4, seed=0))
    assert not np.array_equal(first, group_folds(groups, labels, 4, seed=1))


def test_folds_are_stratified_where_possible():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(20), 50)
    labels = np.concatenate([rng.choice(2, 50, p=[1 - p, p]) for p in np.linspace(0.05, 0.95, 20)])
    shares = [labels[fold].mean() for fold in group_folds(groups, labels, 4)]
    assert max(shares) - min(shares) < 0.15


def test_every_fold_gets_a_person_even_if_one_has_nearly_everything():
    groups = np.r_[np.zeros(1000, int), [1, 2, 3]]
    folds = group_folds(groups, np.zeros(1003, int), 4)
    assert all(fold.any() for fold in folds)


def test_impossible_folds_are_refused(table):
    with pytest.raises(DataError, match="7 groups cannot be divided into 8 folds"):
        table.split_by_subject(8)
    with pytest.raises(ConfigError, match="num_folds is 1"):
        table.split_by_subject(1)


def test_unknown_people_are_not_taken_for_one_person():
    recordings = [recording(f"r{i}", imu(300), subject="") for i in range(4)]
    table = build([part_of(recordings)], WindowSpec(window_s=2.0, label_rule="none")).table
    with pytest.raises(DataError, match="toy name no subject"):
        table.split_by_subject(2)
    folds = table.split_by_subject(2, by="source")
    for fold in folds:
        assert not set(table.recording[fold]) & set(table.recording[~fold])


def test_the_spec_reads_back_and_names_mistakes():
    spec = parse(WindowSpec, {"window_s": 2.5, "targets": ["label", "text"], "streams": ["imu"]})
    assert parse(WindowSpec, to_plain(spec)) == spec
    with pytest.raises(ConfigError) as error:
        parse(WindowSpec, {"window_s": -1, "label_rule": "majorty", "stride": 2})
    assert "3 mistakes" in str(error.value)
    assert '"majority"' in str(error.value)
    assert '"stride_s"' in str(error.value)


def test_channels_are_chosen_by_pattern():
    parts = [part_of([recording("a", imu(500))])]
    built = build(parts, WindowSpec(label_rule="none", channels=("gyro_*",)))
    (layout,) = built.infos[0].layouts
    assert [c.name for c in layout.channels] == ["gyro_x", "gyro_y", "gyro_z"]
    assert layout.columns.tolist() == [3, 4, 5]
    with pytest.raises(DataError, match=r"fits mag_\*.*acc_x"):
        build(parts, WindowSpec(channels=("mag_*",)))


def test_an_unknown_person_is_named_by_the_data_set_that_has_windows_of_one():
    known, unknown = part_of([recording("a", imu(128))]), recording("b", imu(128))
    other = replace(part_of([replace(unknown, subject="")]), name="other")
    table = build([known, other], WindowSpec(window_s=2.56, label_rule="none")).table
    with pytest.raises(DataError, match="Recordings of other name no subject"):
        table.split_by_subject(2)


def test_two_recordings_of_one_name_are_refused():
    with pytest.raises(DataError, match='Two recordings are called "a"'):
        part_of([recording("a", imu(128)), recording("a", imu(64))])
