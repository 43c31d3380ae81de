"""Splits and window labels of TSFM's supervised tables (reference specification, section 8.2).

Known defects are kept because the published numbers depend on them: windows are split at random,
so that the same person (and, where windows overlap, the same samples) is in training and test. For
claims of your own split by subject.
"""

# N windows, T time

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from otolith.core.errors import DataError


@dataclass(frozen=True, kw_only=True)
class WindowSplit:
    """Indices of windows.

    Args:
        train: int64, in training order.
        validation: int64.
        test: int64.
    """

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


def split_windows(
    labels_N: np.ndarray,
    *,
    label_rate: float = 1.0,
    seed: int = 3431,
    train_share: float = 0.8,
    validation_share: float = 0.1,
    is_balanced: bool = True,
    is_strict: bool = False,
) -> WindowSplit:
    """Shuffle windows, cut them 80/10/10 and keep a share of the labelled training part.

    Numpy's legacy generator `RandomState` shuffles, and goes on to draw the subset. The balanced
    subset takes max(1, int(N_train * rate) // classes) windows of each class that occurs in the
    training part, so that with many classes it may exceed the budget.

    Args:
        labels_N: Class of each window, int [N].
        label_rate: Share of the training part to keep, (0, 1].
        seed: Seed of the generator.
        train_share: Share of the training part.
        validation_share: Share of the validation part; the rest is the test part.
        is_balanced: Whether to take equally many windows of each class.
        is_strict: Whether to cut the subset to int(N_train * rate) windows (at least one).

    Raises:
        DataError: A share is out of range, or there are no labels.
    """
    labels = np.asarray(labels_N)
    if labels.ndim != 1 or not len(labels):
        raise DataError(f"Labels have shape {labels.shape}.", "Give one label per window.")
    if not 0 < label_rate <= 1:
        raise DataError(f"label_rate is {label_rate}.", "Give a share above 0, at most 1.")
    if train_share <= 0 or validation_share < 0 or train_share + validation_share > 1:
        raise DataError(
            f"Shares are {train_share} and {validation_share}.", "Their sum must not exceed 1."
        )
    state = np.random.RandomState(seed)  # the published splits come from it
    order = np.arange(len(labels))
    state.shuffle(order)
    num_train = int(len(labels) * train_share)
    num_validation = int(len(labels) * validation_share)
    train = order[:num_train]
    if label_rate < 1:
        train = _subset(state, train, labels, label_rate, is_balanced, is_strict)
    return WindowSplit(
        train=train,
        validation=order[num_train : num_train + num_validation],
        test=order[num_train + num_validation :],
    )


def _subset(
    state: np.random.RandomState,
    train: np.ndarray,
    labels: np.ndarray,
    label_rate: float,
    is_balanced: bool,
    is_strict: bool,
) -> np.ndarray:
    budget = max(1, int(len(train) * label_rate))
    if not is_balanced:
        chosen = train.copy()
        state.shuffle(chosen)
        return chosen[:budget]
    classes = np.unique(labels[train])
    per_class = max(1, budget // len(classes))
    picks = []
    for label in classes:
        members = train[labels[train] == label]
        state.shuffle(members)
        picks.append(members[:per_class])
    chosen = np.concatenate(picks)
    state.shuffle(chosen)
    return chosen[:budget] if is_strict else chosen


def label_windows(labels_NT: np.ndarray, *, subtract_minimum: bool = False) -> np.ndarray:
    """Return the most frequent label of each window; the lowest among equals.

    Args:
        labels_NT: Class index of each sample, int >= 0 [N, T].
        subtract_minimum: Reproduce a defect of the published evaluation: the smallest index of the
            whole array is subtracted first, which shifts every class where the first classes
            never occur (HARTH by two).

    Returns:
        Class index of each window [N], int64.

    Raises:
        DataError: The array is not [N, T] of non-negative integers.
    """
    labels = np.asarray(labels_NT)
    if labels.ndim != 2 or not labels.size or labels.dtype.kind not in "iu" or labels.min() < 0:
        raise DataError(
            f"Labels have shape {labels.shape} and type {labels.dtype}.",
            "Give non-negative integers [windows, time].",
        )
    labels = labels.astype(np.int64)
    if subtract_minimum:
        labels = labels - labels.min()
    num_classes = int(labels.max()) + 1
    flat = labels + np.arange(len(labels))[:, None] * num_classes
    counts = np.bincount(flat.ravel(), minlength=len(labels) * num_classes)
    return counts.reshape(len(labels), num_classes).argmax(1)
