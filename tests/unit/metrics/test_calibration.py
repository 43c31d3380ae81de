import json

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss

from otolith.core.errors import DataError
from otolith.metrics.calibration import report_calibration


def test_by_hand():
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6], [0.45, 0.55]])
    report = report_calibration(probabilities, np.array([0, 1, 1, 1]), num_bins=2)
    upper = report.bins[1]
    assert (upper.low, upper.high, upper.count) == (0.5, 1.0, 4)
    assert upper.confidence == pytest.approx(0.7125)
    assert upper.accuracy == 0.75
    assert report.bins[0].count == 0
    assert report.bins[0].accuracy is None
    assert report.expected_calibration_error == pytest.approx(0.0375)
    assert report.max_calibration_error == pytest.approx(0.0375)


def test_brier_of_two_classes_is_twice_the_binary_one():
    p = np.random.default_rng(0).uniform(size=200)
    truth = (np.random.default_rng(1).uniform(size=200) < p).astype(int)
    report = report_calibration(np.stack([1 - p, p], axis=1), truth)
    assert report.brier == pytest.approx(2 * brier_score_loss(truth, p))


def test_true_probabilities_are_calibrated_and_sharpened_ones_are_not():
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(4), 40_000)
    truth = (p.cumsum(1) > rng.uniform(size=(40_000, 1))).argmax(1)
    assert report_calibration(p, truth).expected_calibration_error < 0.015
    sharp = p**3 / (p**3).sum(1, keepdims=True)
    assert report_calibration(sharp, truth).expected_calibration_error > 0.1


def test_edges_and_counts():
    report = report_calibration(np.eye(3), np.array([0, 1, 0]), num_bins=10)
    assert report.bins[-1].count == 3
    assert sum(b.count for b in report.bins) == 3
    assert json.loads(json.dumps(report.to_plain()))["bins"][0]["confidence"] is None


@pytest.mark.parametrize(
    ("probabilities", "truth", "text"),
    [
        (np.eye(3), [0, 1], "one class per sample"),
        (np.eye(2), [0, 2], "out of range"),
        (np.eye(2) * 3, [0, 1], "softmax"),
        (np.array([[1.5, -0.5]]), [0], "softmax"),
        (np.full((1, 2), np.nan), [0], "softmax"),
    ],
)
def test_mistakes(probabilities, truth, text):
    with pytest.raises(DataError, match=text):
        report_calibration(probabilities, np.array(truth))
    with pytest.raises(DataError, match="at least one bin"):
        report_calibration(np.eye(2), np.array([0, 1]), num_bins=0)
