"""Join windows with annotations and decide the label of every window."""

# N windows, A annotations, P pairs of a window and an annotation that overlaps it

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from otolith.windows.cutting import Cut, Units, spread

_TOLERANCE_S = 1e-6


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """Which annotations touch which windows, ordered by window and start of the annotation.

    Args:
        window_P: Number of the window.
        annotation_P: Number of the annotation.
        overlap_s_P: Length of the common time in s; 0 for annotations of a point in time.
    """

    window_P: np.ndarray
    annotation_P: np.ndarray
    overlap_s_P: np.ndarray


def join(
    windows: Cut,
    units: Units,
    recording_A: np.ndarray,
    start_s_A: np.ndarray,
    end_s_A: np.ndarray,
) -> Pairs:
    """Find all pairs of a window and an annotation that share time.

    The windows of a unit are ordered by start and none is longer than `window_s_U`, so those that an
    annotation can touch are a range that a binary search finds.

    Args:
        windows: Windows from `cut` or `cut_around`.
        units: Their units, ordered by recording.
        recording_A: Recording of each annotation; -1 = none of the part.
        start_s_A: Start on the recording's clock in s.
        end_s_A: End in s; equal to the start for a point in time.
    """
    first_A = np.searchsorted(units.recording_U, recording_A, side="left")
    last_A = np.searchsorted(units.recording_U, recording_A, side="right")
    annotation = np.repeat(np.arange(len(recording_A)), last_A - first_A)
    unit = spread(first_A, last_A - first_A)
    start, end = start_s_A[annotation], end_s_A[annotation]
    low, count = _candidates(windows, units, unit, start, end)
    annotation = np.repeat(annotation, count)
    window = spread(low, count)
    start, end = start_s_A[annotation], end_s_A[annotation]
    overlap = np.minimum(end, windows.end_s_N[window]) - np.maximum(
        start, windows.start_s_N[window]
    )
    is_point = end <= start
    touches = overlap > _TOLERANCE_S
    inside = (windows.start_s_N[window] <= start) & (start < windows.end_s_N[window])
    keep = np.where(is_point, inside, touches)
    annotation, window, overlap = annotation[keep], window[keep], overlap[keep]
    order = np.lexsort((annotation, start_s_A[annotation], window))
    return Pairs(
        window_P=window[order],
        annotation_P=annotation[order],
        overlap_s_P=np.maximum(overlap[order], 0.0),
    )


def _candidates(
    windows: Cut, units: Units, unit: np.ndarray, start_s: np.ndarray, end_s: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """First window and number of windows of a unit that may share time with [start, end]."""
    # units lie one behind the other on one axis, so that a single search serves all
    origin = units.start_s_U[unit]
    longest = float(np.max(units.end_s_U - units.start_s_U, initial=0.0))
    longest += 2 * float(np.max(windows.window_s_U, initial=0.0)) + 1.0
    at_N = windows.unit_N * longest + windows.start_s_N - units.start_s_U[windows.unit_N]
    lower = np.clip(start_s - origin - windows.window_s_U[unit], 0.0, longest)
    upper = np.clip(end_s - origin, 0.0, longest)
    slack = 1e-3 + 1e-12 * longest * len(units.start_s_U)
    low = np.searchsorted(at_N, unit * longest + lower - slack, side="left")
    high = np.searchsorted(at_N, unit * longest + upper + slack, side="right")
    low = np.clip(low, windows.first_U[unit], windows.first_U[unit] + windows.count_U[unit])
    high = np.clip(high, low, windows.first_U[unit] + windows.count_U[unit])
    return low, high - low


def decide(
    window_P: np.ndarray,
    label_P: np.ndarray,
    overlap_s_P: np.ndarray,
    length_s_N: np.ndarray,
    *,
    num_labels: int,
    is_pure: bool,
    min_share: float,
) -> np.ndarray:
    """Decide one label per window.

    Args:
        window_P: Window of each pair of a window and a label.
        label_P: Label, 0..num_labels; the last stands for names outside the list.
        overlap_s_P: Common time in s.
        length_s_N: Length of the windows in s.
        num_labels: Number of labels in the list.
        is_pure: Whether the label must be the only one and cover the whole window.
        min_share: Share of the window that the label must cover otherwise.

    Returns:
        Labels int64 [N]; -1 = none. Of equally long labels the first in the list wins.
    """
    label_N = np.full(len(length_s_N), -1, np.int64)
    if not len(window_P):
        return label_N
    key, inverse = np.unique(window_P * (num_labels + 1) + label_P, return_inverse=True)
    window, label = np.divmod(key, num_labels + 1)
    total = np.bincount(inverse, overlap_s_P)
    share = np.minimum(total / np.maximum(length_s_N[window], _TOLERANCE_S), 1.0)
    # Rounding keeps ties of float sums ties, so that the order of the list decides them.
    order = np.lexsort((label, -np.round(share, 9), window))
    window, label, share = window[order], label[order], share[order]
    first = np.flatnonzero(np.r_[True, window[1:] != window[:-1]])
    count = np.diff(np.r_[first, len(window)])
    window, label, share = window[first], label[first], share[first]
    # Annotations end at the last sample of a label, a fraction of a step before the next starts.
    good = label < num_labels
    if is_pure:
        good &= (count == 1) & (share >= 1.0 - 1e-3)
    else:
        good &= (share >= min_share - 1e-9) & (share > 0)
    label_N[window[good]] = label[good]
    return label_N
