"""Do probabilities mean what they say: calibration error, Brier score, reliability table."""

# N samples, K classes

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from otolith.core.errors import DataError


@dataclass(frozen=True, kw_only=True)
class ReliabilityBin:
    """Samples whose confidence lies in (low, high]; the first bin includes 0.

    Args:
        low: Lower edge.
        high: Upper edge.
        count: Number of samples.
        confidence: Their mean confidence; None without samples.
        accuracy: Share of them that is right; None without samples.
    """

    low: float
    high: float
    count: int
    confidence: float | None
    accuracy: float | None


@dataclass(frozen=True, kw_only=True)
class CalibrationReport:
    """Calibration of the most probable class.

    Args:
        expected_calibration_error: Mean over bins, weighted by their samples, of
            |accuracy - confidence| (Naeini et al., AAAI 2015).
        max_calibration_error: Largest |accuracy - confidence| of a bin with samples.
        brier: Mean over samples of the squared distance between the probabilities and the
            one-hot truth, summed over classes (Brier 1950); 0 is perfect, 2 the worst.
        bins: Reliability table.
    """

    expected_calibration_error: float
    max_calibration_error: float
    brier: float
    bins: tuple[ReliabilityBin, ...]

    def to_plain(self) -> dict[str, Any]:
        """Return plain data that JSON can hold."""
        return asdict(self)


def report_calibration(
    probabilities_NK: np.ndarray, truth_N: np.ndarray, *, num_bins: int = 15
) -> CalibrationReport:
    """Measure calibration with bins of equal width.

    Args:
        probabilities_NK: Probabilities [N, K]; rows sum to 1.
        truth_N: Class indices [N].
        num_bins: Number of bins.

    Raises:
        DataError: Shapes do not fit, an index is out of range, or rows are no probabilities.
    """
    probabilities = np.asarray(probabilities_NK, dtype=np.float64)
    truth = np.asarray(truth_N)
    _check(probabilities, truth, num_bins)
    rows = np.arange(len(truth))
    predicted = probabilities.argmax(1)
    confidence, right = probabilities[rows, predicted], predicted == truth
    edges = np.linspace(0.0, 1.0, num_bins + 1)
    where = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, num_bins - 1)
    count = np.bincount(where, minlength=num_bins)
    used = np.maximum(count, 1)
    mean_confidence = np.bincount(where, confidence, num_bins) / used
    accuracy = np.bincount(where, right.astype(np.float64), num_bins) / used
    gap = np.abs(accuracy - mean_confidence) * (count > 0)
    one_hot = np.zeros_like(probabilities)
    one_hot[rows, truth] = 1.0
    bins = tuple(
        ReliabilityBin(
            low=float(edges[i]),
            high=float(edges[i + 1]),
            count=int(count[i]),
            confidence=float(mean_confidence[i]) if count[i] else None,
            accuracy=float(accuracy[i]) if count[i] else None,
        )
        for i in range(num_bins)
    )
    return CalibrationReport(
        expected_calibration_error=float((gap * count).sum() / len(truth)),
        max_calibration_error=float(gap.max()),
        brier=float(np.square(probabilities - one_hot).sum(1).mean()),
        bins=bins,
    )


def _check(probabilities: np.ndarray, truth: np.ndarray, num_bins: int) -> None:
    if probabilities.ndim != 2 or probabilities.shape[:1] != truth.shape or not len(truth):
        raise DataError(
            f"There are probabilities {probabilities.shape} for classes {truth.shape}.",
            "Give [samples, classes] and one class per sample.",
        )
    if truth.dtype.kind not in "iu" or truth.min() < 0 or truth.max() >= probabilities.shape[1]:
        raise DataError("A true class is out of range.", "Leave out samples of unknown class.")
    sums = probabilities.sum(1)
    if not (np.abs(sums - 1.0) <= 1e-3).all() or probabilities.min() < 0:
        raise DataError("Rows are no probabilities.", "Apply a softmax to the scores first.")
    if num_bins < 1:
        raise DataError(f"num_bins is {num_bins}.", "Give at least one bin.")
