"""What calibration fits and measures: temperature, conformal quantiles, log loss and errors."""

# N windows, L labels, C concepts

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from otolith.metrics.calibration import report_calibration
from otolith.systems.otolith_imu import System

_LOWEST, _HIGHEST = 0.05, 20.0
_FLOOR = 1e-12


def fit_temperature(
    system: System, scores_NC: Tensor, truth_N: np.ndarray, words: Sequence[str]
) -> float:
    """Return the temperature with the least log loss of labels (Guo et al., ICML 2017).

    Args:
        system: Names labels.
        scores_NC: Joined votes.
        truth_N: int64, index into the labels.
        words: Labels.

    Returns:
        A temperature between 0.05 and 20.
    """
    from scipy.optimize import minimize_scalar

    rows = torch.from_numpy(truth_N)[:, None]

    def loss(log_temperature: float) -> float:
        named = label_scores(system, scores_NC, float(np.exp(log_temperature)), words)
        return -float(named.double().gather(1, rows).mean())

    bounds = (float(np.log(_LOWEST)), float(np.log(_HIGHEST)))
    return float(np.exp(minimize_scalar(loss, bounds=bounds, method="bounded").x))


@torch.inference_mode()
def label_scores(
    system: System, scores_NC: Tensor, temperature: float, words: Sequence[str]
) -> Tensor:
    """Return log probabilities [N, L] of labels at a temperature."""
    concept_NC = (scores_NC / temperature + system.prior_C).log_softmax(1)
    return system.name_concepts(concept_NC, words)


def conformal_quantile(misfit_N: np.ndarray, coverage: float) -> float:
    """Return the quantile of 1 - p(true label) with the correction for the number of windows.

    Split conformal prediction (Vovk et al., 2005; Sadinle et al., JASA 2019).

    Args:
        misfit_N: 1 - p(true label).
        coverage: Wanted share of windows, 0..1.

    Returns:
        The quantile; 1 (every label is in the set) with too few windows.
    """
    rank = int(np.ceil((len(misfit_N) + 1) * coverage - 1e-9))
    return float(np.sort(misfit_N)[rank - 1]) if 0 < rank <= len(misfit_N) else 1.0


def numbers(probability_NL: np.ndarray, truth_N: np.ndarray) -> dict[str, float]:
    """Return accuracy, log loss, calibration error and Brier score of probabilities [N, L]."""
    true_N = probability_NL[np.arange(len(truth_N)), truth_N]
    report = report_calibration(probability_NL, truth_N)
    return {
        "accuracy": float((probability_NL.argmax(1) == truth_N).mean()),
        "log_loss": float(-np.log(np.maximum(true_N, _FLOOR)).mean()),
        "expected_calibration_error": report.expected_calibration_error,
        "brier": report.brier,
    }
