"""How well scores rank anomalies above normal windows, with intervals over people.

Scores of one cell are stored as counts in bins of equal content, so that the area under the ROC
curve of a cell can be computed again for any draw of its people.
"""

# N windows, S people, R resamples, M bins, 2 = normal and unseen

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from otolith.metrics.intervals import Interval

NUM_BINS = 128
_RESAMPLES = 1000


def rank_bins(
    scores_N: np.ndarray, is_unseen_N: np.ndarray, person_N: np.ndarray
) -> dict[str, tuple[float, ...]]:
    """Count windows per person, kind and bin of the score.

    Args:
        scores_N: Higher = stranger.
        is_unseen_N: Whether the window is an anomaly, bool.
        person_N: Person of each window.

    Returns:
        Person -> counts of normal windows per bin, then of unseen ones (2 * M numbers).
    """
    if not len(scores_N):
        return {}
    distinct, rank_N = np.unique(scores_N, return_inverse=True)
    bin_N = rank_N
    if len(distinct) > NUM_BINS:
        edges = np.quantile(scores_N, np.linspace(0, 1, NUM_BINS + 1)[1:-1])
        bin_N = np.searchsorted(edges, scores_N, side="right")
    people, who_N = np.unique(person_N, return_inverse=True)
    cell_N = (who_N * 2 + is_unseen_N) * NUM_BINS + bin_N
    counts = np.bincount(cell_N, minlength=len(people) * 2 * NUM_BINS).reshape(len(people), -1)
    return {str(p): tuple(float(v) for v in row) for p, row in zip(people, counts, strict=True)}


def auroc(counts_R2M: np.ndarray) -> np.ndarray:
    """Return the area under the ROC curve of counts per bin [R, 2, M]; ties count half.

    NaN where a kind has no windows.
    """
    normal_RM, unseen_RM = counts_R2M[:, 0], counts_R2M[:, 1]
    below_RM = np.cumsum(normal_RM, axis=1) - normal_RM
    won_R = (unseen_RM * (below_RM + 0.5 * normal_RM)).sum(1)
    pairs_R = normal_RM.sum(1) * unseen_RM.sum(1)
    return np.divide(won_R, pairs_R, out=np.full(len(won_R), np.nan), where=pairs_R > 0)


def auroc_interval(
    parts: Sequence[Mapping[str, Sequence[float]]], generator: np.random.Generator
) -> Interval | None:
    """Return the mean AUROC over parts (cells and cases) with a 95 % interval over people.

    A person who is drawn twice counts twice in every part that tests them; a part in which a draw
    leaves one kind out is left out of the mean of that draw.

    Args:
        parts: Person -> counts, as `rank_bins` gives.
        generator: Source of the draws.

    Returns:
        The interval; None if no part holds both kinds.
    """
    people = sorted({person for part in parts for person in part})
    place = {person: i for i, person in enumerate(people)}
    num = len(people)
    if not num:
        return None
    times_RS = generator.multinomial(num, np.full(num, 1.0 / num), size=_RESAMPLES)
    times_RS = np.concatenate([np.ones((1, num)), times_RS])
    found = []
    for part in parts:
        if part:
            columns = [place[person] for person in part]
            counts_SM = np.array([part[person] for person in part])
            total = (times_RS[:, columns] @ counts_SM).reshape(len(times_RS), 2, -1)
            found.append(auroc(total))
    values_PR = np.stack(found)
    is_known_PR = np.isfinite(values_PR)
    if not is_known_PR[:, 0].any():
        return None
    sums_R = np.where(is_known_PR, values_PR, 0.0).sum(0)
    means_R = sums_R / np.maximum(is_known_PR.sum(0), 1)
    drawn = means_R[1:][is_known_PR[:, 1:].any(0)]
    low = high = None
    if num > 1 and len(drawn):
        low, high = (float(q) for q in np.quantile(drawn, [0.025, 0.975]))
    return Interval(
        value=float(means_R[0]), low=low, high=high, level=0.95,
        method="percentile bootstrap over people", num_units=num,
    )  # fmt: skip
