"""Accuracy, F1 and the confusion matrix of single-label classification.

With TP, FP, FN counted per class:
precision = TP / (TP + FP), recall = TP / (TP + FN), F1 = 2 TP / (2 TP + FP + FN); each is 0 where
its denominator is 0. All values are fractions from 0 to 1.

| number | definition |
|---|---|
| accuracy | share of samples whose class was predicted |
| macro_f1 | mean F1 over the *fixed* class list; a class that never occurs counts as 0 |
| macro_f1_observed | mean F1 over classes that occur in truth or prediction |
| weighted_f1 | mean F1 weighted by the number of true samples of each class |
| balanced_accuracy | mean recall over classes that occur in the truth |
"""

# N samples, K classes, R leading dimensions

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from otolith.core.errors import DataError


@dataclass(frozen=True, kw_only=True)
class ClassScores:
    """Scores of one class.

    Args:
        label: Name.
        precision: Share of predictions of this class that are right.
        recall: Share of its samples that were found.
        f1: Harmonic mean of both.
        support: True samples.
        num_predicted: Predictions.
    """

    label: str
    precision: float
    recall: float
    f1: float
    support: int
    num_predicted: int


@dataclass(frozen=True, kw_only=True)
class ClassificationReport:
    """All numbers of one classification; definitions stand at the top of the module.

    Args:
        labels: The fixed class list.
        num_samples: Samples.
        num_outside: Samples whose prediction is no class of the list (always wrong).
        accuracy: Fraction.
        balanced_accuracy: Fraction.
        macro_f1: Over the fixed class list.
        macro_f1_observed: Over observed classes.
        weighted_f1: Weighted by support.
        per_class: One row per class of the list.
        confusion: Counts, row = truth, column = prediction, in the order of `labels`.
    """

    labels: tuple[str, ...]
    num_samples: int
    num_outside: int
    accuracy: float
    balanced_accuracy: float
    macro_f1: float
    macro_f1_observed: float
    weighted_f1: float
    per_class: tuple[ClassScores, ...]
    confusion: tuple[tuple[int, ...], ...]

    def to_plain(self) -> dict[str, Any]:
        """Return plain data that JSON can hold."""
        return asdict(self)


def count_outcomes(truth_N: np.ndarray, predicted_N: np.ndarray, num_classes: int) -> np.ndarray:
    """Count pairs of truth and prediction.

    Args:
        truth_N: Class indices [N], 0 ... K-1.
        predicted_N: Class indices [N]; -1 = no class of the list.
        num_classes: K.

    Returns:
        Counts [K, K + 1], int64; the last column holds predictions outside the list.

    Raises:
        DataError: Shapes differ, there are no samples, or an index is out of range.
    """
    truth, predicted = np.asarray(truth_N), np.asarray(predicted_N)
    if truth.ndim != 1 or truth.shape != predicted.shape or not len(truth):
        raise DataError(
            f"There are {truth.shape} true and {predicted.shape} predicted classes.",
            "Give one of each per sample, and at least one sample.",
        )
    if truth.dtype.kind not in "iu" or predicted.dtype.kind not in "iu":
        raise DataError("Classes are not integers.", "Give indices into the class list.")
    if truth.min() < 0 or truth.max() >= num_classes:
        raise DataError(
            f"True classes run from {truth.min()} to {truth.max()} for {num_classes} classes.",
            "Leave samples of unknown class out before scoring.",
        )
    if predicted.min() < -1 or predicted.max() >= num_classes:
        raise DataError(
            f"Predictions run from {predicted.min()} to {predicted.max()} "
            f"for {num_classes} classes.",
            "Give indices into the class list, or -1 for none of them.",
        )
    column = np.where(predicted < 0, num_classes, predicted).astype(np.int64)
    flat = truth.astype(np.int64) * (num_classes + 1) + column
    counts = np.bincount(flat, minlength=num_classes * (num_classes + 1))
    return counts.reshape(num_classes, num_classes + 1)


def confusion_matrix(truth_N: np.ndarray, predicted_N: np.ndarray, num_classes: int) -> np.ndarray:
    """Return counts [K, K], row = truth, column = prediction; see `count_outcomes`."""
    return count_outcomes(truth_N, predicted_N, num_classes)[:, :-1]


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Scores of one or many count tables; leading dimensions R are kept.

    Args:
        precision_RK: Per class.
        recall_RK: Per class.
        f1_RK: Per class.
        support_RK: True samples per class.
        predicted_RK: Predictions per class.
        accuracy_R: Fraction.
    """

    precision_RK: np.ndarray
    recall_RK: np.ndarray
    f1_RK: np.ndarray
    support_RK: np.ndarray
    predicted_RK: np.ndarray
    accuracy_R: np.ndarray

    @property
    def observed(self) -> np.ndarray:
        """Whether a class occurs in truth or prediction, bool [..., K]."""
        return (self.support_RK + self.predicted_RK) > 0

    @property
    def macro_f1(self) -> np.ndarray:
        """Mean F1 over all classes [...]."""
        return self.f1_RK.mean(-1)

    @property
    def macro_f1_observed(self) -> np.ndarray:
        """Mean F1 over observed classes [...]."""
        return _share((self.f1_RK * self.observed).sum(-1), self.observed.sum(-1))

    @property
    def weighted_f1(self) -> np.ndarray:
        """Mean F1 weighted by support [...]."""
        return _share((self.f1_RK * self.support_RK).sum(-1), self.support_RK.sum(-1))

    @property
    def balanced_accuracy(self) -> np.ndarray:
        """Mean recall over classes with support [...]."""
        return _share(self.recall_RK.sum(-1), (self.support_RK > 0).sum(-1))


def score_counts(counts_RKM: np.ndarray) -> Scores:
    """Score count tables [..., K, K + 1] from `count_outcomes` (also weighted or summed ones)."""
    counts = np.asarray(counts_RKM, dtype=np.float64)
    inside = counts[..., :-1]
    right = np.diagonal(inside, axis1=-2, axis2=-1)
    support, predicted = counts.sum(-1), inside.sum(-2)
    return Scores(
        precision_RK=_share(right, predicted),
        recall_RK=_share(right, support),
        f1_RK=_share(2.0 * right, support + predicted),
        support_RK=support,
        predicted_RK=predicted,
        accuracy_R=_share(right.sum(-1), support.sum(-1)),
    )


def report_classification(
    truth_N: np.ndarray, predicted_N: np.ndarray, labels: Sequence[str]
) -> ClassificationReport:
    """Score predictions against the fixed class list.

    Args:
        truth_N: Indices into `labels` [N].
        predicted_N: Indices into `labels` [N]; -1 = none of them, which is wrong.
        labels: The class list.

    Raises:
        DataError: See `count_outcomes`.
    """
    counts = count_outcomes(truth_N, predicted_N, len(labels))
    scores = score_counts(counts)
    rows = tuple(
        ClassScores(
            label=label,
            precision=float(scores.precision_RK[k]),
            recall=float(scores.recall_RK[k]),
            f1=float(scores.f1_RK[k]),
            support=int(scores.support_RK[k]),
            num_predicted=int(scores.predicted_RK[k]),
        )
        for k, label in enumerate(labels)
    )
    return ClassificationReport(
        labels=tuple(labels),
        num_samples=int(counts.sum()),
        num_outside=int(counts[:, -1].sum()),
        accuracy=float(scores.accuracy_R),
        balanced_accuracy=float(scores.balanced_accuracy),
        macro_f1=float(scores.macro_f1),
        macro_f1_observed=float(scores.macro_f1_observed),
        weighted_f1=float(scores.weighted_f1),
        per_class=rows,
        confusion=tuple(tuple(int(v) for v in row) for row in counts[:, :-1]),
    )


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Return part / whole, 0 where whole is 0."""
    part, whole = np.asarray(part, dtype=np.float64), np.asarray(whole, dtype=np.float64)
    return np.divide(
        part, whole, out=np.zeros(np.broadcast_shapes(part.shape, whole.shape)), where=whole > 0
    )
