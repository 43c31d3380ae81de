"""Temperature, conformal sets, calibration error and areas under curves."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from otolith.benchmark import _confidence as confidence
from otolith.benchmark._ranking import auroc, auroc_interval, rank_bins
from otolith.metrics.calibration import report_calibration


def made(count, seed=0, classes=4, sharpness=1.0):
    """Probabilities that mean what they say, and labels drawn from them."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(scale=2.0, size=(count, classes))
    right = confidence.sharpen(np.exp(logits), 1.0)
    labels = (right.cumsum(1) > generator.random((count, 1))).argmax(1)
    return confidence.sharpen(np.exp(logits), 1.0 / sharpness), labels


def test_the_temperature_undoes_overconfidence():
    scores, labels = made(4000, sharpness=3.0)
    temperature = confidence.fit_temperature(scores, labels)
    assert temperature == pytest.approx(3.0, rel=0.15)
    before = confidence.calibration_error([confidence.reliability(scores, labels).flat])
    softer = confidence.sharpen(scores, temperature)
    after = confidence.calibration_error([confidence.reliability(softer, labels).flat])
    assert after < 0.03 < before
    assert confidence.fit_temperature(scores[:0], labels[:0]) == 1.0


def test_the_error_is_that_of_metrics():
    scores, labels = made(500)
    ours = confidence.calibration_error([confidence.reliability(scores, labels).flat])[0]
    reference = report_calibration(scores, labels, num_bins=15).expected_calibration_error
    assert ours == pytest.approx(reference, abs=1e-12)


def test_sums_of_parts_are_those_of_the_whole():
    scores, labels = made(300)
    parts = [confidence.reliability(scores[i::2], labels[i::2]).flat for i in range(2)]
    whole = confidence.reliability(scores, labels).flat
    np.testing.assert_allclose(np.sum(parts, axis=0), whole)
    assert confidence.reliability(scores[:0], labels[:0]).flat == (0.0,) * 45


@pytest.mark.parametrize("wanted", [0.8, 0.9])
def test_conformal_sets_cover_as_often_as_wanted(wanted):
    scores, labels = made(3000, seed=1)
    level = confidence.conformal_threshold(scores, labels, wanted)
    fresh, truth = made(6000, seed=2)
    sets = confidence.conformal_sets(fresh, level)
    assert sets[np.arange(len(truth)), truth].mean() == pytest.approx(wanted, abs=0.02)


def test_too_few_windows_give_full_sets():
    scores, labels = made(5)
    assert confidence.conformal_threshold(scores, labels, 0.9) == 0.0
    assert confidence.conformal_sets(scores, 0.0).all()


def test_the_table_has_only_bins_with_windows():
    flat = confidence.reliability(np.array([[0.94, 0.06], [0.98, 0.02]]), np.array([0, 1])).flat
    (row,) = confidence.reliability_table(flat)
    assert row["windows"] == 2
    assert row["accuracy"] == 0.5
    assert row["confidence"] == pytest.approx(0.96)


@pytest.mark.parametrize("decimals", [1, 6])
def test_the_area_is_that_of_sklearn(decimals):
    generator = np.random.default_rng(0)
    truth = generator.random(2000) < 0.3
    scores = np.round(generator.normal(size=2000) + truth, decimals)
    people = generator.integers(0, 7, 2000).astype(str)
    counts = rank_bins(scores, truth, people)
    total = np.sum(list(counts.values()), axis=0).reshape(1, 2, -1)
    assert auroc(total)[0] == pytest.approx(roc_auc_score(truth, scores), abs=2e-3)


def test_without_one_kind_there_is_no_area():
    counts = rank_bins(np.arange(4.0), np.zeros(4, bool), np.array(["a"] * 4))
    assert np.isnan(auroc(np.array([counts["a"]]).reshape(1, 2, -1)))[0]
    assert auroc_interval([counts], np.random.default_rng(0)) is None
    assert auroc_interval([{}], np.random.default_rng(0)) is None
    assert rank_bins(np.zeros(0), np.zeros(0, bool), np.zeros(0, str)) == {}


def test_the_interval_holds_the_mean_over_parts():
    generator = np.random.default_rng(1)
    parts = []
    for _ in range(3):
        truth = generator.random(400) < 0.5
        scores = generator.normal(size=400) + truth
        parts.append(rank_bins(scores, truth, generator.integers(0, 8, 400).astype(str)))
    found = auroc_interval(parts, np.random.default_rng(0))
    assert found.low < found.value < found.high
    assert found.num_units == 8
    assert found.value == pytest.approx(0.76, abs=0.04)
