import json

import numpy as np
import pytest
from sklearn import metrics as sk

from otolith.core.errors import DataError
from otolith.metrics.classification import (
    confusion_matrix,
    count_outcomes,
    report_classification,
    score_counts,
)

LABELS = tuple("abcdef")


def draw(seed=0, num=300, classes=6, used=6):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, used, num)
    predicted = np.where(rng.random(num) < 0.6, truth, rng.integers(0, used, num))
    return truth, predicted


@pytest.mark.parametrize("seed", range(3))
def test_against_scikit_learn(seed):
    truth, predicted = draw(seed)
    report = report_classification(truth, predicted, LABELS)
    assert report.accuracy == pytest.approx(sk.accuracy_score(truth, predicted))
    assert report.macro_f1 == pytest.approx(sk.f1_score(truth, predicted, average="macro"))
    assert report.weighted_f1 == pytest.approx(sk.f1_score(truth, predicted, average="weighted"))
    assert report.balanced_accuracy == pytest.approx(sk.balanced_accuracy_score(truth, predicted))
    np.testing.assert_array_equal(report.confusion, sk.confusion_matrix(truth, predicted))
    p, r, f, n = sk.precision_recall_fscore_support(truth, predicted)
    rows = report.per_class
    np.testing.assert_allclose([row.precision for row in rows], p)
    np.testing.assert_allclose([row.recall for row in rows], r)
    np.testing.assert_allclose([row.f1 for row in rows], f)
    np.testing.assert_array_equal([row.support for row in rows], n)


def test_absent_classes_count_as_zero_only_in_the_fixed_list():
    truth, predicted = draw(used=3)
    report = report_classification(truth, predicted, LABELS)
    assert report.macro_f1 == pytest.approx(report.macro_f1_observed / 2)
    assert report.macro_f1_observed == pytest.approx(sk.f1_score(truth, predicted, average="macro"))
    assert report.per_class[5].f1 == 0.0


def test_a_class_that_is_only_predicted_is_observed():
    report = report_classification(np.array([0, 0]), np.array([0, 1]), ("a", "b", "c"))
    assert report.macro_f1_observed == pytest.approx((2 / 3 + 0) / 2)
    assert report.macro_f1 == pytest.approx(2 / 9)
    assert report.balanced_accuracy == 0.5


def test_predictions_outside_the_list_are_wrong():
    truth, predicted = np.array([0, 1, 1]), np.array([0, -1, 1])
    report = report_classification(truth, predicted, ("a", "b"))
    assert report.num_outside == 1
    assert report.accuracy == pytest.approx(2 / 3)
    assert report.per_class[1].recall == 0.5
    assert report.per_class[1].precision == 1.0
    assert report.confusion == ((1, 0), (0, 1))
    np.testing.assert_array_equal(count_outcomes(truth, predicted, 2), [[1, 0, 0], [0, 1, 1]])
    np.testing.assert_array_equal(confusion_matrix(truth, predicted, 2), np.eye(2))


def test_report_is_plain_data():
    report = report_classification(*draw(), LABELS)
    again = json.loads(json.dumps(report.to_plain()))
    assert again["labels"] == list(LABELS)
    assert again["per_class"][2]["label"] == "c"
    assert 0 < again["macro_f1"] < 1


def test_many_tables_at_once():
    tables = np.stack([count_outcomes(*draw(seed), 6) for seed in range(4)])
    scores = score_counts(tables)
    for i in range(4):
        report = report_classification(*draw(i), LABELS)
        assert scores.macro_f1[i] == pytest.approx(report.macro_f1)
        assert scores.weighted_f1[i] == pytest.approx(report.weighted_f1)
    assert score_counts(np.zeros((6, 7))).macro_f1_observed == 0.0


@pytest.mark.parametrize(
    ("truth", "predicted", "text"),
    [
        ([0, 1], [0], "true and"),
        ([], [], "at least one"),
        ([0.0, 1.0], [0, 1], "not integers"),
        ([-1, 1], [0, 1], "unknown class"),
        ([0, 2], [0, 1], "unknown class"),
        ([0, 1], [0, 2], "Predictions run"),
        ([0, 1], [-2, 1], "Predictions run"),
    ],
)
def test_mistakes(truth, predicted, text):
    with pytest.raises(DataError, match=text):
        count_outcomes(np.array(truth), np.array(predicted), 2)
