"""The temperature of a known error, and the level of conformal sets."""

import numpy as np
import pytest

from otolith.metrics.confidence import conformal_quantile, fit_temperature


@pytest.mark.parametrize(("best", "found"), [(3.0, 3.0), (0.2, 0.2), (500.0, 20.0), (1e-4, 0.05)])
def test_the_least_loss_is_found_within_bounds(best, found):
    temperature = fit_temperature(lambda t: float(np.log(t / best) ** 2))
    assert temperature == pytest.approx(found, rel=1e-3)


def test_a_temperature_undoes_the_sharpening_of_logits():
    rng = np.random.default_rng(0)
    logits = 2.0 * rng.normal(size=(4000, 4))
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    truth = (p.cumsum(1) > rng.random((4000, 1))).argmax(1)

    def log_loss(temperature):
        scaled = 3.0 * logits / temperature
        shifted = scaled - np.log(np.exp(scaled).sum(1, keepdims=True))
        return float(-shifted[np.arange(4000), truth].mean())

    assert fit_temperature(log_loss) == pytest.approx(3.0, rel=0.1)


@pytest.mark.parametrize(
    ("count", "coverage", "expected"),
    [(9, 0.9, 9 / 10), (8, 0.9, 1.0), (19, 0.9, 18 / 20), (4, 0.8, 4 / 5), (0, 0.8, 1.0)],
)
def test_the_rank_knows_the_number_of_windows(count, coverage, expected):
    misfit = np.random.default_rng(0).permutation(np.arange(1, count + 1) / (count + 1))
    assert conformal_quantile(misfit, coverage) == pytest.approx(expected)


def test_sets_cover_new_windows():
    rng = np.random.default_rng(1)
    quantile = conformal_quantile(rng.random(5000), 0.9)
    assert (rng.random(5000) <= quantile).mean() == pytest.approx(0.9, abs=0.02)


def test_a_product_above_a_whole_number_by_rounding_takes_no_further_window():
    misfit = np.arange(1, 100) / 100
    assert 100 * 0.55 > 55
    assert conformal_quantile(misfit, 0.55) == 0.55
