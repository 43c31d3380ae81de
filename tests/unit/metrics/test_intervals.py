import time

import numpy as np
import pytest

from otolith.core.errors import DataError
from otolith.metrics.classification import report_classification
from otolith.metrics.intervals import bootstrap_interval, classification_interval, fold_interval


def rng(seed=0):
    return np.random.default_rng(seed)


def people(num_subjects=12, per_subject=40, classes=4, seed=0):
    r = rng(seed)
    subjects = np.repeat([f"s{i}" for i in range(num_subjects)], per_subject)
    skill = np.repeat(r.uniform(0.4, 0.95, num_subjects), per_subject)
    truth = r.integers(0, classes, len(subjects))
    predicted = np.where(r.random(len(subjects)) < skill, truth, r.integers(0, classes, len(truth)))
    return truth, predicted, subjects


@pytest.mark.parametrize(
    "metric", ["accuracy", "balanced_accuracy", "macro_f1", "macro_f1_observed", "weighted_f1"]
)
def test_value_is_the_score_and_lies_inside(metric):
    truth, predicted, subjects = people()
    got = classification_interval(truth, predicted, subjects, 4, rng(), metric=metric)
    report = report_classification(truth, predicted, tuple("abcd"))
    assert got.value == pytest.approx(getattr(report, metric))
    assert got.low < got.value < got.high
    assert got.num_units == 12
    assert got.to_plain()["level"] == 0.95


def test_against_a_plain_loop():
    truth, predicted, subjects = people(6)
    got = classification_interval(
        truth, predicted, subjects, 4, rng(1), metric="accuracy", num_resamples=4000
    )
    share = np.array([(truth == predicted)[subjects == s].mean() for s in np.unique(subjects)])
    r = rng(2)
    plain = [share[r.integers(0, 6, 6)].mean() for _ in range(4000)]
    assert got.low == pytest.approx(np.quantile(plain, 0.025), abs=0.02)
    assert got.high == pytest.approx(np.quantile(plain, 0.975), abs=0.02)


def test_people_are_the_unit():
    truth, predicted, subjects = people(10, 200)
    by_people = classification_interval(truth, predicted, subjects, 4, rng(), metric="accuracy")
    by_window = classification_interval(
        truth, predicted, np.arange(len(truth)), 4, rng(), metric="accuracy", num_resamples=300
    )
    assert by_people.high - by_people.low > 2 * (by_window.high - by_window.low)


def test_coverage_of_a_mean():
    inside = 0
    for seed in range(200):
        r = rng(seed)
        sums = np.stack([r.normal(1.0, 1.0, 40), np.ones(40)], axis=1)
        got = bootstrap_interval(sums, lambda s: s[:, 0] / s[:, 1], r, num_resamples=400)
        inside += got.low <= 1.0 <= got.high
    assert 0.88 <= inside / 200 <= 0.99


def test_rare_and_absent_classes_do_not_push_the_value_out():
    truth, predicted, subjects = people(8)
    one = subjects == "s3"
    truth, predicted = truth.copy(), predicted.copy()
    truth[one] = predicted[one] = 4
    got = classification_interval(truth, predicted, subjects, 6, rng())
    assert got.value == pytest.approx(
        report_classification(truth, predicted, list("abcdef")).macro_f1
    )
    assert got.low < got.value < got.high


def test_same_generator_same_interval_and_one_subject():
    truth, predicted, subjects = people()
    a = classification_interval(truth, predicted, subjects, 4, rng(5))
    assert a == classification_interval(truth, predicted, subjects, 4, rng(5))
    only = classification_interval(truth, predicted, np.zeros(len(truth)), 4, rng())
    assert only.low is None
    assert only.high is None
    assert only.num_units == 1


def test_predictions_outside_the_list():
    truth, predicted, subjects = people()
    predicted = np.where(np.arange(len(truth)) % 3 == 0, -1, predicted)
    got = classification_interval(truth, predicted, subjects, 4, rng(), metric="accuracy")
    assert got.value == pytest.approx((truth == predicted).mean())


def test_fast_for_many_classes():
    r = rng()
    truth = r.integers(0, 87, 20_000)
    predicted = np.where(r.random(20_000) < 0.7, truth, r.integers(0, 87, 20_000))
    start = time.process_time()
    classification_interval(truth, predicted, r.integers(0, 30, 20_000), 87, r)
    assert time.process_time() - start < 3.0


def test_folds():
    values = [0.7, 0.8, 0.75, 0.9, 0.65]
    got = fold_interval(values)
    half = 2.7764451 * np.std(values, ddof=1) / np.sqrt(5)
    assert got.value == pytest.approx(0.76)
    assert got.low == pytest.approx(0.76 - half)
    assert got.high == pytest.approx(0.76 + half)
    assert fold_interval([0.5]).low is None


def test_mistakes():
    with pytest.raises(DataError, match="one subject per sample"):
        classification_interval(np.zeros(3, int), np.zeros(3, int), ["a"], 2, rng())
    with pytest.raises(DataError, match="Allowed: macro_f1"):
        classification_interval(*people(), 4, rng(), metric="f2")
    with pytest.raises(DataError, match="one row per subject"):
        bootstrap_interval(np.zeros((0, 2)), lambda s: s[:, 0], rng())
    with pytest.raises(DataError, match="level"):
        bootstrap_interval(np.ones((2, 1)), lambda s: s[:, 0], rng(), level=95)
    for values in ([], [np.nan, 1.0]):
        with pytest.raises(DataError, match="finite value"):
            fold_interval(values)
