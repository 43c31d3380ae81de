"""Scores of logits against scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score, top_k_accuracy_score

from otolith.metrics.multi_class import mean_of_batch_means, report_logits


@pytest.mark.parametrize("digits", [1, 6])
def test_scores_are_those_of_scikit_learn(digits):
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 6, 90)
    logits = np.round(rng.normal(size=(90, 6)) + 2 * np.eye(6)[truth], digits)
    one_hot = np.eye(6)[truth]
    found = report_logits(logits, truth)
    np.testing.assert_allclose(
        found.average_precision_K, average_precision_score(one_hot, logits, average=None)
    )
    np.testing.assert_allclose(found.roc_auc_K, roc_auc_score(one_hot, logits, average=None))
    if digits == 6:
        assert found.top5 == pytest.approx(top_k_accuracy_score(truth, logits, k=5))
        assert found.top1 == pytest.approx((logits.argmax(1) == truth).mean())


def test_an_absent_class_has_no_precision_and_no_area():
    found = report_logits(np.array([[1.0, 0.0, 0.5], [0.0, 1.0, 0.2]]), np.array([0, 1]))
    assert found.average_precision_K.tolist() == [1.0, 1.0, 0.0]
    assert np.isnan(found.roc_auc_K[2])
    assert np.isnan(found.class_accuracy_K[2])
    assert found.mean_roc_auc == 1.0


def test_a_small_last_batch_weighs_as_much_as_the_others():
    assert mean_of_batch_means(np.array([1.0, 1.0, 1.0, 4.0]), 3) == 2.5
