import numpy as np
import pytest

from otolith.core.errors import DataError
from otolith.metrics.protocols_tsfm_splits import label_windows, split_windows

LABELS = np.random.default_rng(0).integers(0, 5, 1003)


def test_parts_cover_everything_once():
    split = split_windows(LABELS)
    assert [len(split.train), len(split.validation), len(split.test)] == [802, 100, 101]
    together = np.concatenate([split.train, split.validation, split.test])
    np.testing.assert_array_equal(np.sort(together), np.arange(1003))


def test_budget_is_balanced_and_leaves_the_other_parts_alone():
    whole, few = split_windows(LABELS), split_windows(LABELS, label_rate=0.1)
    np.testing.assert_array_equal(np.bincount(LABELS[few.train]), [16] * 5)
    assert set(few.train) <= set(whole.train)
    np.testing.assert_array_equal(few.test, whole.test)
    np.testing.assert_array_equal(few.validation, whole.validation)


def test_a_tiny_budget_has_one_window_per_class_unless_strict():
    assert len(split_windows(LABELS, label_rate=0.003).train) == 5
    assert len(split_windows(LABELS, label_rate=0.003, is_strict=True).train) == 2
    assert len(split_windows(LABELS, label_rate=0.1, is_balanced=False).train) == 80


def test_rare_classes_give_what_they_have():
    labels = np.r_[np.zeros(97, int), np.ones(3, int)]
    split = split_windows(labels, label_rate=0.5)
    assert (labels[split.train] == 0).sum() == 20
    assert 1 <= (labels[split.train] == 1).sum() <= 3


def test_seed_decides():
    a, b, c = (split_windows(LABELS, seed=s).train for s in (1, 1, 2))
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, c)


def test_window_labels():
    raw = np.array([[2, 2, 3], [4, 3, 3], [4, 2, 4], [3, 2, 4]])
    np.testing.assert_array_equal(label_windows(raw), [2, 3, 4, 2])
    np.testing.assert_array_equal(label_windows(raw, subtract_minimum=True), [0, 1, 2, 0])


def test_mistakes():
    with pytest.raises(DataError, match="label_rate"):
        split_windows(LABELS, label_rate=0.0)
    with pytest.raises(DataError, match="must not exceed 1"):
        split_windows(LABELS, train_share=0.95)
    with pytest.raises(DataError, match="one label per window"):
        split_windows(np.zeros((3, 2)))
    for bad in (np.zeros(3, int), np.zeros((2, 2)), np.full((2, 2), -1)):
        with pytest.raises(DataError, match="non-negative integers"):
            label_windows(bad)
