"""Evaluation windows, folds of a data set, and what a result says about them."""

import numpy as np
import pytest
from tests.support.tasks_data import LABELS, make_part, statistics, toy_model, trained_on

from otolith.core.config import parse
from otolith.core.errors import ConfigError, DataError, LeakageError
from otolith.tasks._windows import EvaluationWindows, choose_folds, labelled_windows

SPLIT = {"s": {"train": ["p0", "p1"], "test": ["p2", "p3"], "by": "subject", "origin": "publisher"}}


def test_labels_and_people_belong_to_the_windows(tmp_path):
    data = labelled_windows(make_part(tmp_path, 2), EvaluationWindows(window_s=5.0))
    assert data.labels == LABELS
    assert np.bincount(data.label_N).tolist() == [8, 8, 8]
    assert set(data.subject_N) == {"p0", "p1"}


def test_a_subset_keeps_the_order_that_was_asked_for(tmp_path):
    part = make_part(tmp_path, 2)
    data = labelled_windows(part, EvaluationWindows(labels=("running", "standing")))
    assert data.labels == ("running", "standing")
    batch = data.windows.batch(np.arange(len(data.label_N)), 0)
    assert batch.targets["label"].tolist() == data.label_N.tolist()
    assert {t[0] for t in batch.texts["label"]} == {"running", "standing"}


def test_classes_of_the_card_that_never_occur_are_left_out(tmp_path):
    part = make_part(tmp_path, 2, card={"labels": ["cycling", *LABELS]})
    assert labelled_windows(part, EvaluationWindows()).labels == LABELS


@pytest.mark.parametrize(
    ("settings", "fact"),
    [
        ({"labels": ("runing", "walking")}, 'no label "runing"'),
        ({"labels": ("walking",)}, "1 labels are given"),
        ({"labels": ("walking", "walking")}, "1 of them different"),
        ({"window_s": 500.0}, "500 s can be cut"),
    ],
)
def test_impossible_windows_are_refused(tmp_path, settings, fact):
    with pytest.raises(DataError, match=fact):
        labelled_windows(make_part(tmp_path, 2), EvaluationWindows(**settings))


def test_a_misspelt_label_is_answered_with_the_nearest(tmp_path):
    with pytest.raises(DataError) as caught:
        labelled_windows(make_part(tmp_path, 2), EvaluationWindows(labels=("runing", "walking")))
    assert 'Did you mean "running"?' in caught.value.remedy


def test_unknown_people_are_refused(tmp_path):
    part = make_part(tmp_path, {"p0": LABELS, "": LABELS})
    with pytest.raises(DataError, match="12 windows .* do not say who"):
        labelled_windows(part, EvaluationWindows())


def test_overlapping_windows_of_a_recording_stay_together(tmp_path):
    part = make_part(tmp_path, 5)
    data = labelled_windows(part, EvaluationWindows(window_s=5.0, stride_s=1.0))
    folds, described, warnings = choose_folds(statistics(), part, data, 3, 0)
    source = data.windows.table.source
    assert described == "3 folds by person, 5 people tested"
    assert warnings == ()
    for fold in folds:
        assert not set(source[fold.train]) & set(source[fold.test])


def test_the_split_of_the_data_set_is_used_and_named(tmp_path):
    part = make_part(tmp_path, 4, splits=SPLIT)
    data = labelled_windows(part, EvaluationWindows())
    (fold,), described, _ = choose_folds(statistics(), part, data, "official", 0)
    assert set(data.subject_N[fold.test]) == {"p2", "p3"}
    assert described == "split by person (defined by publisher), 2 people tested"


def test_a_split_whose_test_people_were_seen_is_refused(tmp_path):
    part = make_part(tmp_path, 4, splits=SPLIT)
    data = labelled_windows(part, EvaluationWindows())
    with pytest.raises(LeakageError, match=r"1 of the 2 test people .* \(p3\)"):
        choose_folds(toy_model(trained_on(toy=["p3"])), part, data, "official", 0)


def test_a_data_set_without_split_says_so(tmp_path):
    part = make_part(tmp_path, 3)
    data = labelled_windows(part, EvaluationWindows())
    with pytest.raises(DataError, match="no split by person"):
        choose_folds(statistics(), part, data, "official", 0)


@pytest.mark.parametrize(("labelled", "how"), [(True, "with labels"), (False, "without labels")])
def test_seen_people_are_named_in_a_warning(tmp_path, labelled, how):
    part = make_part(tmp_path, 4)
    data = labelled_windows(part, EvaluationWindows())
    provenance = {**trained_on(toy=["p0"]), "is_pretrain": not labelled}
    _, described, (warning,) = choose_folds(toy_model(provenance), part, data, 5, 0)
    assert described == "3 folds by person, 3 people tested"
    assert how in warning


def test_a_class_that_only_test_people_have_is_named(tmp_path):
    part = make_part(tmp_path, {"p0": LABELS[:2], "p1": LABELS[:2], "p2": LABELS})
    data = labelled_windows(part, EvaluationWindows())
    _, _, warnings = choose_folds(statistics(), part, data, 3, 0)
    assert any("running" in w and "only test people" in w for w in warnings)


def test_weights_of_unknown_origin_are_named(tmp_path):
    part = make_part(tmp_path, 3)
    data = labelled_windows(part, EvaluationWindows())
    _, _, warnings = choose_folds(toy_model(), part, data, 3, 0)
    assert any("do not say what they were trained on" in w for w in warnings)


@pytest.mark.parametrize("bad", [{"window_s": 0}, {"stride_s": -1.0}, {"min_label_share": 2.0}])
def test_settings_are_checked(bad):
    with pytest.raises(ConfigError):
        parse(EvaluationWindows, bad)


def test_people_who_must_not_be_tested_are_still_learned_from(tmp_path):
    part = make_part(tmp_path, 5)
    data = labelled_windows(part, EvaluationWindows(window_s=4.0, never_test=("p0", "p1")))
    folds, described, _ = choose_folds(statistics(), part, data, 3, 0)
    tested = {s for fold in folds for s in data.subject_N[fold.test]}
    assert tested == {"p2", "p3", "p4"}
    assert all({"p0", "p1"} <= set(data.subject_N[fold.train]) for fold in folds)
    assert "3 people tested" in described
