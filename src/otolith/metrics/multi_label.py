"""Scores of samples that may belong to several classes: average precision, hits, F1.

Average precision of a class is the area under precision over recall as steps, the mean of which is
scikit-learn's `average_precision_score` with `average="macro"`, here over the classes that occur.
A class counts as predicted where its logit is positive, a probability above one half.
"""

# N samples, K classes, S subjects, T thresholds, R resamples

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from otolith.core.errors import DataError
from otolith.metrics.intervals import Interval, bootstrap_interval
from otolith.metrics.multi_class import average_precision, roc_auc

_CHUNK_VALUES = 4_000_000


@dataclass(frozen=True, kw_only=True)
class MultiLabelReport:
    """Scores of logits; all are fractions from 0 to 1.

    Args:
        hit_rate: Share of samples whose highest class is one of theirs.
        average_precision_K: Class against the rest; 0 without positives.
        roc_auc_K: The same; NaN without positives or negatives.
        precision_K: Share of predictions of a class that are right; 0 without any.
        recall_K: Share of its samples that were found; 0 without any.
        f1_K: Harmonic mean of both.
        support_K: Samples of every class.
        confusion_KK: Samples of class `row` whose highest class is `column`.
    """

    hit_rate: float
    average_precision_K: np.ndarray
    roc_auc_K: np.ndarray
    precision_K: np.ndarray
    recall_K: np.ndarray
    f1_K: np.ndarray
    support_K: np.ndarray
    confusion_KK: np.ndarray

    @property
    def mean_average_precision(self) -> float:
        """Plain mean over the classes that occur."""
        return float(self.average_precision_K[self.support_K > 0].mean())

    @property
    def mean_roc_auc(self) -> float:
        """Plain mean over the classes that have positives and negatives; NaN without any."""
        known = self.roc_auc_K[np.isfinite(self.roc_auc_K)]
        return float(known.mean()) if len(known) else float("nan")

    @property
    def macro_f1(self) -> float:
        """Plain mean over all classes; one that never occurs counts as 0."""
        return float(self.f1_K.mean())


def report_multi_label(logits_NK: np.ndarray, is_class_NK: np.ndarray) -> MultiLabelReport:
    """Score logits.

    Args:
        logits_NK: Scores, the higher the likelier; positive = predicted.
        is_class_NK: bool, the classes of every sample, at least one.

    Raises:
        DataError: Shapes differ, or a sample has no class.
    """
    _check(logits_NK, is_class_NK)
    choice_N = logits_NK.argmax(1)
    is_choice_NK = choice_N[:, None] == np.arange(logits_NK.shape[1])
    right_K, predicted_K, support_K = _outcomes(logits_NK, is_class_NK).sum(0)
    return MultiLabelReport(
        hit_rate=float((is_class_NK & is_choice_NK).any(1).mean()),
        average_precision_K=average_precision(logits_NK, is_class_NK),
        roc_auc_K=roc_auc(logits_NK, is_class_NK),
        precision_K=_ratio(right_K, predicted_K),
        recall_K=_ratio(right_K, support_K),
        f1_K=_ratio(2 * right_K, predicted_K + support_K),
        support_K=support_K.astype(np.int64),
        confusion_KK=is_class_NK.astype(np.int64).T @ is_choice_NK.astype(np.int64),
    )


def multi_label_intervals(
    logits_NK: np.ndarray,
    is_class_NK: np.ndarray,
    subjects_N: Sequence[Any] | np.ndarray,
    generator: np.random.Generator,
    *,
    num_resamples: int = 2000,
    level: float = 0.95,
) -> dict[str, Interval]:
    """Intervals over subjects (cluster bootstrap) of the numbers of a report.

    Classes that a resample lacks do not pull its mean average precision or macro-F1 down.

    Args:
        logits_NK: Scores, the higher the likelier; positive = predicted.
        is_class_NK: bool, the classes of every sample, at least one.
        subjects_N: Person of every sample.
        generator: Source of the draws.
        num_resamples: Number of resamples.
        level: Coverage, 0..1.

    Returns:
        `mean_average_precision`, `accuracy` (the hit rate) and `macro_f1`.

    Raises:
        DataError: Shapes differ, or a sample has no class.
    """
    _check(logits_NK, is_class_NK)
    people, person_N = np.unique(np.asarray(subjects_N), return_inverse=True)
    num_people, num_classes = len(people), logits_NK.shape[1]
    columns = [
        _by_threshold(logits_NK[:, k], is_class_NK[:, k], person_N, num_people)
        for k in np.flatnonzero(is_class_NK.any(0))
    ]
    is_hit_N = np.take_along_axis(is_class_NK, logits_NK.argmax(1)[:, None], axis=1)[:, 0]
    sums_SM = np.zeros((num_people, 2 + 3 * num_classes))
    flat = _outcomes(logits_NK, is_class_NK).reshape(len(logits_NK), -1)
    np.add.at(sums_SM, person_N, np.column_stack([is_hit_N, np.ones(len(is_hit_N)), flat]))
    known_share = float(is_class_NK.any(0).mean())

    longest = max(len(positives_TS) for positives_TS, _ in columns)
    size = max(1, _CHUNK_VALUES // longest)

    def mean_precision(times_RS: np.ndarray) -> np.ndarray:
        chunks = [times_RS[i : i + size] for i in range(0, len(times_RS), size)]
        found = [[_resampled_precision(chunk, *c) for c in columns] for chunk in chunks]
        return np.nanmean(np.concatenate(found, axis=1), axis=0)

    def hit_rate(sums_RM: np.ndarray) -> np.ndarray:
        return sums_RM[:, 0] / sums_RM[:, 1]

    def macro_f1(sums_RM: np.ndarray) -> np.ndarray:
        right, predicted, support = np.moveaxis(sums_RM[:, 2:].reshape(-1, 3, num_classes), 1, 0)
        occurs_RK = support > 0
        f1_RK = _ratio(2 * right, predicted + support) * occurs_RK
        return f1_RK.sum(1) / occurs_RK.sum(1) * known_share

    # How often each person is drawn are the sums of one row per person of the unit matrix.
    wanted = {
        "mean_average_precision": (np.eye(num_people), mean_precision),
        "accuracy": (sums_SM, hit_rate),
        "macro_f1": (sums_SM, macro_f1),
    }
    return {
        name: bootstrap_interval(
            sums, statistic, generator, num_resamples=num_resamples, level=level
        )
        for name, (sums, statistic) in wanted.items()
    }


def _check(logits_NK: np.ndarray, is_class_NK: np.ndarray) -> None:
    if logits_NK.ndim != 2 or logits_NK.shape != is_class_NK.shape or not len(logits_NK):
        raise DataError(
            f"Scores have shape {logits_NK.shape} and classes {is_class_NK.shape}.",
            "Give one of each per sample and class, and at least one sample.",
        )
    if not is_class_NK.any(1).all():
        raise DataError(
            f"{int((~is_class_NK.any(1)).sum())} samples have no class.",
            "Leave them out before scoring.",
        )


def _outcomes(logits_NK: np.ndarray, is_class_NK: np.ndarray) -> np.ndarray:
    """Right, predicted and true classes of every sample, float64 [N, 3, K]."""
    predicted_NK = logits_NK > 0
    return np.stack([predicted_NK & is_class_NK, predicted_NK, is_class_NK], 1).astype(float)


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Quotient; 0 where there is nothing to divide by."""
    return np.divide(part, whole, out=np.zeros_like(part, dtype=float), where=whole > 0)


def _by_threshold(
    scores_N: np.ndarray, is_class_N: np.ndarray, person_N: np.ndarray, num_people: int
) -> tuple[np.ndarray, np.ndarray]:
    """Every person's positives at, and samples at or above, each score of a positive, [T, S]."""
    thresholds = np.unique(scores_N[is_class_N])
    place_N = np.searchsorted(thresholds, scores_N, side="right") - 1

    def counted(chosen_N: np.ndarray) -> np.ndarray:
        cell = place_N[chosen_N] * num_people + person_N[chosen_N]
        return (
            np.bincount(cell, minlength=len(thresholds) * num_people)
            .reshape(-1, num_people)
            .astype(float)
        )

    return counted(is_class_N), counted(place_N >= 0)[::-1].cumsum(0)[::-1]


def _resampled_precision(
    times_RS: np.ndarray, positives_TS: np.ndarray, above_TS: np.ndarray
) -> np.ndarray:
    """Average precision where each person counts several times; NaN without positives."""
    gained_RT = times_RS @ positives_TS.T
    right_RT = gained_RT[:, ::-1].cumsum(1)[:, ::-1]
    total_R = right_RT[:, 0]
    summed_R = (gained_RT * _ratio(right_RT, times_RS @ above_TS.T)).sum(1)
    return np.divide(summed_R, total_R, out=np.full(len(total_R), np.nan), where=total_R > 0)
