"""What calibration of a model of concepts fits and measures: temperature, log loss and errors."""

# N windows, L labels, C concepts

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from otolith.metrics import confidence
from otolith.metrics.calibration import report_calibration
from otolith.systems.otolith_imu import System

_FLOOR = 1e-12


def fit_temperature(
    system: System, scores_NC: Tensor, truth_N: np.ndarray, words: Sequence[str]
) -> float:
    """Return the temperature with the least log loss of labels.

    Args:
        system: Names labels.
        scores_NC: Joined votes.
        truth_N: int64, index into the labels.
        words: Labels.

    Returns:
        A temperature between 0.05 and 20.
    """
    rows = torch.from_numpy(truth_N)[:, None]

    def log_loss(temperature: float) -> float:
        named = label_scores(system, scores_NC, temperature, words)
        return -float(named.double().gather(1, rows).mean())

    return confidence.fit_temperature(log_loss)


@torch.inference_mode()
def label_scores(
    system: System, scores_NC: Tensor, temperature: float, words: Sequence[str]
) -> Tensor:
    """Return log probabilities [N, L] of labels at a temperature."""
    concept_NC = (scores_NC / temperature + system.prior_C).log_softmax(1)
    return system.name_concepts(concept_NC, words)


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
