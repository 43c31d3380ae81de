"""Properties of the metrics that hold for all inputs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otolith.metrics.classification import report_classification
from otolith.metrics.intervals import classification_interval
from otolith.metrics.retrieval import report_retrieval

CLASSES = 5
PAIRS = st.lists(
    st.tuples(st.integers(0, CLASSES - 1), st.integers(-1, CLASSES - 1)), min_size=1, max_size=60
)
LABELS = tuple("abcde")


@settings(deadline=None)
@given(PAIRS, st.permutations(range(CLASSES)))
def test_scores_do_not_depend_on_the_names_of_classes(pairs, order):
    truth, predicted = np.array(pairs).T
    renamed = np.array([*order, -1])
    a = report_classification(truth, predicted, LABELS)
    b = report_classification(renamed[truth], renamed[predicted], LABELS)
    for name in ("accuracy", "macro_f1", "macro_f1_observed", "weighted_f1", "balanced_accuracy"):
        assert getattr(a, name) == pytest.approx(getattr(b, name))
        assert 0 <= getattr(a, name) <= 1
    assert a.macro_f1 <= a.macro_f1_observed + 1e-12


@settings(deadline=None, max_examples=30)
@given(PAIRS, st.integers(1, 6))
def test_intervals_do_not_depend_on_the_order_of_samples(pairs, num_people):
    truth, predicted = np.array(pairs).T
    subjects = np.arange(len(truth)) % num_people
    order = np.random.default_rng(0).permutation(len(truth))
    a, b = (
        classification_interval(
            truth[i], predicted[i], subjects[i], CLASSES, np.random.default_rng(1), num_resamples=50
        )
        for i in (np.arange(len(truth)), order)
    )
    assert a == b
    if a.low is not None:
        assert 0 <= a.low <= a.high <= 1


@settings(deadline=None)
@given(st.integers(0, 2**31 - 1), st.integers(1, 8), st.integers(1, 12))
def test_recall_grows_with_depth(seed, num_queries, num_items):
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(num_queries, num_items))
    relevant = rng.random((num_queries, num_items)) < 0.3
    report = report_retrieval(scores, relevant, ks=range(1, num_items + 1))
    recall = list(report.recall_at.values())
    assert recall == sorted(recall)
    assert recall[-1] == pytest.approx(1 - report.num_without / num_queries)
    assert (
        report.mean_average_precision <= report.mean_reciprocal_rank + 1e-12 or relevant.sum() > 1
    )
    shifted = report_retrieval(2 * scores + 7, relevant, ks=range(1, num_items + 1))
    assert shifted == report
