import json

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from otolith.core.errors import DataError
from otolith.metrics.retrieval import first_ranks, rank_relevance, report_retrieval


def test_by_hand():
    scores = np.array([[0.9, 0.8, 0.1], [0.1, 0.2, 0.3], [0.5, 0.4, 0.3]])
    relevant = np.array([[0, 1, 0], [0, 1, 1], [0, 0, 0]], bool)
    report = report_retrieval(scores, relevant, ks=(1, 2, 99))
    assert report.recall_at == {1: 1 / 3, 2: 2 / 3, 99: 2 / 3}
    assert report.mean_reciprocal_rank == pytest.approx((0.5 + 1 + 0) / 3)
    assert report.mean_average_precision == pytest.approx((0.5 + 1 + 0) / 3)
    assert report.median_rank == 2
    assert report.num_without == 1
    assert json.loads(json.dumps(report.to_plain()))["num_queries"] == 3


def test_average_precision_against_scikit_learn():
    rng = np.random.default_rng(0)
    scores, relevant = rng.normal(size=(50, 80)), rng.random((50, 80)) < 0.1
    relevant[:, 0] = True
    expected = np.mean(
        [average_precision_score(r, s) for r, s in zip(relevant, scores, strict=True)]
    )
    assert report_retrieval(scores, relevant).mean_average_precision == pytest.approx(expected)


def test_ties_keep_the_order_of_the_items():
    ranked = rank_relevance(np.zeros((1, 4)), np.array([[0, 0, 1, 0]], bool))
    assert first_ranks(ranked)[0] == 3


def test_median_without_finite_rank():
    report = report_retrieval(np.zeros((2, 2)), np.zeros((2, 2), bool))
    assert report.median_rank is None
    assert report.mean_reciprocal_rank == 0.0


def test_mistakes():
    with pytest.raises(DataError, match="queries, items"):
        report_retrieval(np.zeros((2, 3)), np.zeros((3, 2), bool))
    with pytest.raises(DataError, match="NaN"):
        report_retrieval(np.full((1, 2), np.nan), np.ones((1, 2), bool))
    with pytest.raises(DataError, match="from 1 on"):
        report_retrieval(np.zeros((1, 2)), np.ones((1, 2), bool), ks=(0,))
