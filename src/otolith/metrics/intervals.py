"""How sure is a number: intervals over people or over folds.

Windows of one person resemble each other, so the unit that is drawn is the person (cluster
bootstrap, Davison & Hinkley 1997, section 3.8), never the window.
"""

# N samples, S subjects, M sums, R resamples, K classes

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from otolith.core.errors import DataError
from otolith.metrics.classification import Scores, count_outcomes, score_counts

Metric = Literal["accuracy", "balanced_accuracy", "macro_f1", "macro_f1_observed", "weighted_f1"]
_CHUNK_VALUES = 4_000_000


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A number with its interval.

    Args:
        value: The number itself, from all units.
        low: Lower end; None where there are fewer than two units.
        high: Upper end; None where there are fewer than two units.
        level: Coverage, such as 0.95.
        method: What the interval is.
        num_units: Number of people or folds behind it.
    """

    value: float
    low: float | None
    high: float | None
    level: float
    method: str
    num_units: int

    def to_plain(self) -> dict[str, Any]:
        """Return plain data that JSON can hold."""
        return asdict(self)


def bootstrap_interval(
    sums_SM: np.ndarray,
    statistic: Callable[[np.ndarray], np.ndarray],
    generator: np.random.Generator,
    *,
    num_resamples: int = 2000,
    level: float = 0.95,
) -> Interval:
    """Percentile interval of a statistic of sums, drawing subjects with replacement.

    Args:
        sums_SM: One row of additive quantities per subject [S, M].
        statistic: Turns sums [R, M] into values [R].
        generator: Source of the draws.
        num_resamples: R.
        level: Coverage, 0..1.

    Raises:
        DataError: There are no subjects, or a setting is out of range.
    """
    sums = np.asarray(sums_SM, dtype=np.float64)
    num = len(sums)
    if sums.ndim != 2 or num == 0:
        raise DataError(f"Sums have shape {sums.shape}.", "Give one row per subject.")
    if not 0 < level < 1 or num_resamples < 1:
        raise DataError(
            f"level is {level} and num_resamples is {num_resamples}.",
            "Give a level between 0 and 1 and at least one resample.",
        )
    value = float(statistic(sums.sum(0, keepdims=True))[0])
    low = high = None
    if num > 1:
        times = generator.multinomial(num, np.full(num, 1.0 / num), size=num_resamples)
        size = max(1, _CHUNK_VALUES // sums.shape[1])
        parts = [
            statistic(times[i : i + size].astype(np.float64) @ sums)
            for i in range(0, num_resamples, size)
        ]
        tail = (1.0 - level) / 2.0
        low, high = (float(q) for q in np.quantile(np.concatenate(parts), [tail, 1.0 - tail]))
    return Interval(
        value=value,
        low=low,
        high=high,
        level=level,
        method="percentile bootstrap over subjects",
        num_units=num,
    )


def classification_interval(
    truth_N: np.ndarray,
    predicted_N: np.ndarray,
    subjects_N: Sequence[Any] | np.ndarray,
    num_classes: int,
    generator: np.random.Generator,
    *,
    metric: Metric = "macro_f1",
    num_resamples: int = 2000,
    level: float = 0.95,
) -> Interval:
    """Interval over subjects of a classification score.

    In a resample, `macro_f1` leaves out classes that its people happen not to have, and counts
    those that nobody has as 0. Otherwise rare classes would pull the whole interval below the value.

    Args:
        truth_N: Class indices [N].
        predicted_N: Class indices [N]; -1 = none of the list.
        subjects_N: Person of every sample [N].
        num_classes: Length of the fixed class list.
        generator: Source of the draws.
        metric: Which score of `otolith.metrics.classification`.
        num_resamples: Number of resamples.
        level: Coverage, 0..1.

    Raises:
        DataError: Shapes do not fit or an index is out of range.
    """
    truth, predicted = np.asarray(truth_N), np.asarray(predicted_N)
    subjects = np.asarray(subjects_N)
    if subjects.shape != truth.shape:
        raise DataError(
            f"There are {subjects.shape} subjects for {truth.shape} samples.",
            "Give one subject per sample.",
        )
    total = count_outcomes(truth, predicted, num_classes)
    people, index = np.unique(subjects, return_inverse=True)
    column = np.where(predicted < 0, num_classes, predicted)
    cell = (index * num_classes + truth) * (num_classes + 1) + column
    counts_SM = np.bincount(cell, minlength=len(people) * total.size).reshape(len(people), -1)
    occupied = counts_SM.any(0)
    known_share = float(score_counts(total).observed.mean())

    def statistic(sums_RM: np.ndarray) -> np.ndarray:
        table = np.zeros((len(sums_RM), total.size))
        table[:, occupied] = sums_RM
        scores = score_counts(table.reshape(-1, num_classes, num_classes + 1))
        return _pick(scores, metric, known_share)

    return bootstrap_interval(
        counts_SM[:, occupied], statistic, generator, num_resamples=num_resamples, level=level
    )


def _pick(scores: Scores, metric: Metric, known_share: float) -> np.ndarray:
    """One score per resample; `known_share` is the share of listed classes that occur at all."""
    if metric == "macro_f1":
        return scores.macro_f1_observed * known_share
    values = {
        "accuracy": scores.accuracy_R,
        "balanced_accuracy": scores.balanced_accuracy,
        "macro_f1_observed": scores.macro_f1_observed,
        "weighted_f1": scores.weighted_f1,
    }
    if metric not in values:
        raise DataError(
            f'There is no score "{metric}".', f"Allowed: macro_f1, {', '.join(values)}."
        )
    return values[metric]


def fold_interval(values: Sequence[float], *, level: float = 0.95) -> Interval:
    """Student's t interval of the mean over folds (or seeds).

    Folds share training data, so this interval is somewhat too narrow (Bengio & Grandvalet,
    JMLR 5, 2004); prefer the one over subjects where there are few folds.

    Args:
        values: One value per fold, finite.
        level: Coverage, 0..1.

    Raises:
        DataError: There are no values, or one is not finite, or the level is out of range.
    """
    folds = np.asarray(values, dtype=np.float64)
    if folds.ndim != 1 or not len(folds) or not np.isfinite(folds).all() or not 0 < level < 1:
        raise DataError(
            f"Cannot average {len(np.atleast_1d(folds))} fold values at level {level}.",
            "Give at least one finite value and a level between 0 and 1.",
        )
    mean, low, high = float(folds.mean()), None, None
    if len(folds) > 1:
        from scipy.stats import t

        half = t.ppf((1 + level) / 2, len(folds) - 1) * folds.std(ddof=1) / np.sqrt(len(folds))
        low, high = mean - float(half), mean + float(half)
    return Interval(
        value=mean, low=low, high=high, level=level, method="t over folds", num_units=len(folds)
    )
