"""Scores of class logits: top-k accuracy, average precision and ROC-AUC per class.

Equal scores count as one threshold, so the order of samples does not matter.
"""

# N samples, K classes

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class MultiClassReport:
    """Scores of logits.

    Args:
        top1: Share of samples whose class scores highest, 0..1.
        top5: Share whose class is among the five that score highest.
        average_precision_K: Class against the rest; 0 without positives.
        roc_auc_K: The same; NaN without positives or negatives.
        class_accuracy_K: Share of a class's samples that are recognised; NaN without any.
    """

    top1: float
    top5: float
    average_precision_K: np.ndarray
    roc_auc_K: np.ndarray
    class_accuracy_K: np.ndarray

    @property
    def mean_average_precision(self) -> float:
        """Plain mean over the classes."""
        return float(self.average_precision_K.mean())

    @property
    def mean_roc_auc(self) -> float:
        """Plain mean over the classes that have positives and negatives."""
        return float(np.nanmean(self.roc_auc_K))


def report_logits(logits_NK: np.ndarray, truth_N: np.ndarray) -> MultiClassReport:
    """Score logits.

    Args:
        logits_NK: Scores, the higher the likelier.
        truth_N: Class of every sample.
    """
    num_classes = logits_NK.shape[1]
    is_class_NK = truth_N[:, None] == np.arange(num_classes)
    hits = logits_NK.argmax(1) == truth_N
    with np.errstate(invalid="ignore", divide="ignore"):
        class_accuracy = (is_class_NK & hits[:, None]).sum(0) / is_class_NK.sum(0)
    return MultiClassReport(
        top1=top_k_accuracy(logits_NK, truth_N, 1),
        top5=top_k_accuracy(logits_NK, truth_N, 5),
        average_precision_K=average_precision(logits_NK, is_class_NK),
        roc_auc_K=roc_auc(logits_NK, is_class_NK),
        class_accuracy_K=class_accuracy,
    )


def top_k_accuracy(logits_NK: np.ndarray, truth_N: np.ndarray, k: int) -> float:
    """Return the share of samples with fewer than `k` classes that score higher than their own."""
    own = np.take_along_axis(logits_NK, truth_N[:, None], axis=1)
    return float(((logits_NK > own).sum(1) < k).mean())


def average_precision(scores_NK: np.ndarray, is_class_NK: np.ndarray) -> np.ndarray:
    """Return the area under precision over recall of every class, as steps; 0 without positives."""
    right, wrong, is_last = _running_counts(scores_NK, is_class_NK)
    precision = right / (right + wrong)
    total = right[-1].clip(min=1)
    # At the last sample of every threshold: precision times the recall gained since the one before.
    gained = np.diff(_at_thresholds(right, is_last), axis=0, prepend=0)
    return (np.where(is_last, precision * gained, 0.0)).sum(0) / total


def roc_auc(scores_NK: np.ndarray, is_class_NK: np.ndarray) -> np.ndarray:
    """Return the share of pairs (positive, negative) in the right order; ties count half."""
    right, wrong, is_last = _running_counts(scores_NK, is_class_NK)
    right, wrong = (_at_thresholds(x, is_last) for x in (right, wrong))
    new_right = np.diff(right, axis=0, prepend=0)
    new_wrong = np.diff(wrong, axis=0, prepend=0)
    ordered = (new_wrong * (right - new_right / 2)).sum(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return ordered / (right[-1] * wrong[-1])


def _running_counts(
    scores_NK: np.ndarray, is_class_NK: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positives and negatives up to every rank, and whether a rank is the last of its score."""
    order = np.argsort(-scores_NK, axis=0, kind="stable")
    scores = np.take_along_axis(scores_NK, order, axis=0)
    positive = np.take_along_axis(is_class_NK, order, axis=0)
    is_last = np.ones_like(positive)
    is_last[:-1] = scores[1:] != scores[:-1]
    return positive.cumsum(0).astype(float), (~positive).cumsum(0).astype(float), is_last


def _at_thresholds(counts_NK: np.ndarray, is_last_NK: np.ndarray) -> np.ndarray:
    """Counts that change only at the last rank of a score."""
    return np.maximum.accumulate(np.where(is_last_NK, counts_NK, 0.0), axis=0)


def mean_of_batch_means(values_N: np.ndarray, batch_size: int) -> float:
    """Return the mean over batches of their means, which gives a small last batch too much weight."""
    starts = range(0, len(values_N), batch_size)
    return float(np.mean([values_N[i : i + batch_size].mean() for i in starts]))
