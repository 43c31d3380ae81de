"""What an evaluation gives: one typed result for tables, JSON and reports."""

# N windows, K classes

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from otolith.core.config import to_plain
from otolith.metrics.classification import ClassificationReport, report_classification
from otolith.metrics.intervals import classification_interval


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """Predictions for test windows, pooled over folds and repetitions.

    Args:
        truth_N: int64, index into `labels`.
        predicted_N: int64, index into `labels`; -1 = none of them.
        subjects_N: Person of each window.
        repetition_N: int64, seed or draw each prediction belongs to.
        window_N: int64, index of the window in its table.
        scores_NK: Score per class, or None.
    """

    truth_N: np.ndarray
    predicted_N: np.ndarray
    subjects_N: np.ndarray
    repetition_N: np.ndarray
    window_N: np.ndarray
    scores_NK: np.ndarray | None = None


@dataclass(frozen=True, kw_only=True)
class Result:
    """Numbers of one evaluation.

    Args:
        task: Task, such as `probe`.
        model: Name of the model.
        data: Name of the data set.
        protocol: One sentence: what was trained on what and tested on whom.
        accuracy: Share of right windows, mean over repetitions.
        macro_f1: Mean over classes of F1 with the fixed class list, mean over repetitions.
        ci95: Name -> [low, high], 95 % interval over subjects (cluster bootstrap); None with fewer
            than two people.
        spread: Name -> standard deviation over repetitions; empty if there is one.
        per_class: One row per class: label, precision, recall, f1, support.
        confusion: [K, K] counts, rows = truth, summed over repetitions.
        labels: Class names.
        counts: Subjects, windows and folds.
        warnings: What a reader must know.
        settings: Settings of the task.
        extra: Further numbers of the task.
    """

    task: str
    model: str
    data: str
    protocol: str
    accuracy: float
    macro_f1: float
    ci95: dict[str, tuple[float, float] | None]
    spread: dict[str, float]
    per_class: list[dict[str, Any]]
    confusion: list[list[int]]
    labels: tuple[str, ...]
    counts: dict[str, int]
    warnings: tuple[str, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return plain data for a JSON file."""
        return to_plain(self)


def summarise(
    predictions: Predictions,
    *,
    labels: tuple[str, ...],
    task: str,
    model: str,
    data: str,
    protocol: str,
    counts: dict[str, int],
    settings: Any = None,
    warnings: tuple[str, ...] = (),
    extra: dict[str, Any] | None = None,
    seed: int = 0,
) -> Result:
    """Turn predictions into a `Result`; every repetition weighs the same."""
    parts = [predictions.repetition_N == r for r in np.unique(predictions.repetition_N)]
    reports = [
        report_classification(predictions.truth_N[p], predictions.predicted_N[p], labels)
        for p in parts
    ]
    pooled = report_classification(predictions.truth_N, predictions.predicted_N, labels)
    return Result(
        task=task,
        model=model,
        data=data,
        protocol=protocol,
        accuracy=float(np.mean([r.accuracy for r in reports])),
        macro_f1=float(np.mean([r.macro_f1 for r in reports])),
        ci95=_intervals(predictions, len(labels), seed),
        spread=_spread(reports),
        per_class=[asdict(row) for row in pooled.per_class],
        confusion=[list(row) for row in pooled.confusion],
        labels=labels,
        counts={
            **counts,
            "test_subjects": len(np.unique(predictions.subjects_N)),
            "test_windows": len(np.unique(predictions.window_N)),
            "repetitions": len(parts),
        },
        warnings=warnings,
        settings=to_plain(settings) if settings is not None else {},
        extra=extra or {},
    )


def _intervals(
    predictions: Predictions, num_classes: int, seed: int
) -> dict[str, tuple[float, float] | None]:
    """95 % intervals over people; None with fewer than two people."""
    found: dict[str, tuple[float, float] | None] = {}
    for metric in ("macro_f1", "accuracy"):
        interval = classification_interval(
            predictions.truth_N,
            predictions.predicted_N,
            predictions.subjects_N.astype(str),
            num_classes,
            np.random.default_rng(seed),
            metric=metric,
        )
        low, high = interval.low, interval.high
        found[metric] = None if low is None or high is None else (low, high)
    return found


def _spread(reports: list[ClassificationReport]) -> dict[str, float]:
    """Standard deviation over repetitions."""
    if len(reports) < 2:
        return {}
    return {
        "accuracy": float(np.std([r.accuracy for r in reports], ddof=1)),
        "macro_f1": float(np.std([r.macro_f1 for r in reports], ddof=1)),
    }
