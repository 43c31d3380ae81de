"""Confidence: temperature, conformal sets, and bins that may be added over cells."""

# N windows, K classes, M bins

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from otolith.metrics import confidence
from otolith.tasks._classifiers import softmax

NUM_BINS = 15
_FLOOR = 1e-12


def sharpen(scores_NK: np.ndarray, temperature: float) -> np.ndarray:
    """Return probabilities at another temperature (1 = as they are, above = flatter)."""
    return softmax(np.log(np.maximum(scores_NK, _FLOOR)) / temperature)


def fit_temperature(scores_NK: np.ndarray, label_N: np.ndarray) -> float:
    """Return the temperature of probabilities with the least log loss.

    Args:
        scores_NK: Probabilities of calibration windows.
        label_N: int64, their classes.

    Returns:
        A temperature between 0.05 and 20; 1 without windows.
    """
    if not len(label_N):
        return 1.0
    rows = np.arange(len(label_N))

    def log_loss(temperature: float) -> float:
        found = sharpen(scores_NK, temperature)[rows, label_N]
        return float(-np.log(np.maximum(found, _FLOOR)).mean())

    return confidence.fit_temperature(log_loss)


def conformal_threshold(scores_NK: np.ndarray, label_N: np.ndarray, coverage: float) -> float:
    """Return the smallest probability that a label needs to be in a conformal set.

    Args:
        scores_NK: Probabilities of calibration windows.
        label_N: int64, their classes.
        coverage: Wanted share of windows whose set holds the truth, 0..1.

    Returns:
        A probability; 0 (every label is in every set) with too few windows.
    """
    misfit_N = 1.0 - scores_NK[np.arange(len(label_N)), label_N]
    return 1.0 - confidence.conformal_quantile(misfit_N, coverage)


def conformal_sets(scores_NK: np.ndarray, threshold: float) -> np.ndarray:
    """Return which labels are in the set of each window, bool [N, K]; a set may be empty."""
    return scores_NK >= threshold - 1e-12


@dataclass(frozen=True, kw_only=True)
class Reliability:
    """Sums per bin of confidence, over windows.

    Args:
        count_M: Windows.
        confidence_M: Sum of their confidence.
        right_M: Those that are right.
    """

    count_M: np.ndarray
    confidence_M: np.ndarray
    right_M: np.ndarray

    @property
    def flat(self) -> tuple[float, ...]:
        """All sums in a row."""
        return (*self.count_M.tolist(), *self.confidence_M.tolist(), *self.right_M.tolist())


def reliability(scores_NK: np.ndarray, label_N: np.ndarray) -> Reliability:
    """Sum windows up in `NUM_BINS` bins of equal width of their confidence.

    Args:
        scores_NK: Probabilities.
        label_N: int64, true classes.
    """
    confidence_N = scores_NK.max(1) if len(scores_NK) else np.zeros(0)
    right_N = (scores_NK.argmax(1) == label_N) if len(scores_NK) else np.zeros(0)
    bin_N = np.clip(np.ceil(confidence_N * NUM_BINS).astype(int) - 1, 0, NUM_BINS - 1)
    return Reliability(
        count_M=np.bincount(bin_N, minlength=NUM_BINS).astype(float),
        confidence_M=np.bincount(bin_N, confidence_N, NUM_BINS),
        right_M=np.bincount(bin_N, right_N.astype(float), NUM_BINS),
    )


def calibration_error(sums_R3M: np.ndarray) -> np.ndarray:
    """Return the expected calibration error of sums [R, 3 * M], as fractions [R]."""
    count_RM, confidence_RM, right_RM = np.split(np.asarray(sums_R3M, float), 3, axis=1)
    total_R = np.maximum(count_RM.sum(1), 1.0)
    return np.abs(right_RM - confidence_RM).sum(1) / total_R


def reliability_table(sums_3M: np.ndarray) -> list[dict[str, float]]:
    """Return one row per bin that holds windows: edges, windows, mean confidence, accuracy."""
    count_M, confidence_M, right_M = np.split(np.asarray(sums_3M, float), 3)
    edges = np.linspace(0.0, 1.0, len(count_M) + 1)
    return [
        {
            "low": float(edges[i]),
            "high": float(edges[i + 1]),
            "windows": float(count_M[i]),
            "confidence": float(confidence_M[i] / count_M[i]),
            "accuracy": float(right_M[i] / count_M[i]),
        }
        for i in np.flatnonzero(count_M).tolist()
    ]
