"""Scores of several classes per sample against scikit-learn and against resampling by hand."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from otolith.core.errors import DataError
from otolith.metrics.multi_label import multi_label_intervals, report_multi_label


def samples(seed=0, number=120, num_classes=5, digits=6):
    """Logits [N, K] that know something, classes [N, K] with one or two per sample, people [N]."""
    rng = np.random.default_rng(seed)
    is_class = np.eye(num_classes, dtype=bool)[rng.integers(0, num_classes, number)]
    is_class |= rng.random((number, num_classes)) < 0.15
    logits = np.round(rng.normal(size=is_class.shape) + 1.5 * is_class - 0.5, digits)
    return logits, is_class, rng.integers(0, 6, number).astype(str)


@pytest.mark.parametrize("digits", [1, 6])
def test_scores_are_those_of_scikit_learn(digits):
    logits, is_class, _ = samples(digits=digits)
    found = report_multi_label(logits, is_class)
    assert found.mean_average_precision == pytest.approx(
        average_precision_score(is_class, logits, average="macro")
    )
    assert found.mean_roc_auc == pytest.approx(roc_auc_score(is_class, logits))
    assert found.macro_f1 == pytest.approx(f1_score(is_class, logits > 0, average="macro"))
    top = logits.argmax(1)
    assert found.hit_rate == pytest.approx(is_class[np.arange(len(top)), top].mean())
    assert found.support_K.tolist() == is_class.sum(0).tolist()
    assert found.confusion_KK.sum(1).tolist() == is_class.sum(0).tolist()
    assert np.trace(found.confusion_KK) == pytest.approx(found.hit_rate * len(top))


def test_classes_that_do_not_occur_stay_out_of_the_mean_precision():
    logits = np.array([[2.0, -1.0, 3.0], [-2.0, 1.0, -3.0]])
    found = report_multi_label(logits, np.array([[1, 1, 0], [0, 1, 0]], bool))
    assert found.mean_average_precision == 1.0
    assert found.average_precision_K.tolist() == [1.0, 1.0, 0.0]
    assert found.mean_roc_auc == 1.0
    assert found.hit_rate == 0.5
    assert found.precision_K.tolist() == [1.0, 1.0, 0.0]
    assert found.recall_K.tolist() == [1.0, 0.5, 0.0]
    assert found.macro_f1 == pytest.approx((1 + 2 / 3 + 0) / 3)


def by_hand(times, people, value):
    """A number of samples that are repeated as often as their person is drawn."""
    names = np.unique(people)
    rows = np.concatenate(
        [np.repeat(np.flatnonzero(people == n), t) for n, t in zip(names, times, strict=True)]
    )
    return value(rows)


def test_intervals_draw_people_and_count_every_sample_as_often():
    logits, is_class, people = samples(digits=1, number=60)
    is_class[people != "2", 4] = False  # a class of one person: some resamples lack it
    keep = is_class.any(1)
    logits, is_class, people = logits[keep], is_class[keep], people[keep]
    found = multi_label_intervals(
        logits, is_class, people, np.random.default_rng(3), num_resamples=200
    )
    report = report_multi_label(logits, is_class)
    assert found["mean_average_precision"].value == pytest.approx(report.mean_average_precision)
    assert found["accuracy"].value == pytest.approx(report.hit_rate)
    assert found["macro_f1"].value == pytest.approx(report.macro_f1)
    num_people = len(np.unique(people))
    draws = np.random.default_rng(3).multinomial(
        num_people, np.full(num_people, 1 / num_people), size=200
    )
    values = [
        by_hand(
            times,
            people,
            lambda r: report_multi_label(logits[r], is_class[r]).mean_average_precision,
        )
        for times in draws
    ]
    interval = found["mean_average_precision"]
    assert (interval.low, interval.high) == pytest.approx(np.quantile(values, [0.025, 0.975]))
    assert interval.num_units == num_people
    assert found["accuracy"].low < report.hit_rate < found["accuracy"].high


def test_one_person_gives_no_interval():
    logits, is_class, _ = samples(number=20)
    found = multi_label_intervals(logits, is_class, ["a"] * 20, np.random.default_rng(0))
    assert found["mean_average_precision"].low is None
    assert found["macro_f1"].high is None


@pytest.mark.parametrize(
    ("logits", "is_class", "fact"),
    [
        (np.zeros((2, 3)), np.ones((2, 2), bool), "have shape"),
        (np.zeros((0, 3)), np.ones((0, 3), bool), "have shape"),
        (np.zeros((2, 2)), np.array([[1, 0], [0, 0]], bool), "1 samples have no class"),
    ],
)
def test_what_cannot_be_scored_is_refused(logits, is_class, fact):
    with pytest.raises(DataError, match=fact):
        report_multi_label(logits, is_class)
    with pytest.raises(DataError, match=fact):
        multi_label_intervals(logits, is_class, ["a"] * len(logits), np.random.default_rng(0))
