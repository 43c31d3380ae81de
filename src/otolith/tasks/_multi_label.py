"""The result of a classifier on windows that may belong to several classes."""

# N windows, K classes

from __future__ import annotations

from typing import Any

import numpy as np

from otolith.core.config import to_plain
from otolith.core.errors import DataError
from otolith.metrics.intervals import Interval
from otolith.metrics.multi_label import MultiLabelReport, multi_label_intervals, report_multi_label
from otolith.tasks._result import Result

_RULE = "mean average precision over the {found} of {all} classes that occur"


def summarise_multi_label(
    logits_NK: np.ndarray,
    is_class_NK: np.ndarray,
    subjects_N: np.ndarray,
    *,
    labels: tuple[str, ...],
    model: str,
    data: str,
    protocol: str,
    settings: Any,
    warnings: tuple[str, ...] = (),
    seed: int = 0,
) -> Result:
    """Turn logits into a `Result`; windows without a class are left out and counted.

    Args:
        logits_NK: Scores, the higher the likelier; positive = predicted.
        is_class_NK: bool, the classes of every window.
        subjects_N: Person of every window.
        labels: Class names.
        model: Name of the model.
        data: Name of the data set.
        protocol: What was tested, to which the numbers are added.
        settings: Settings of the task.
        warnings: What a reader must know.
        seed: Seed of the intervals.

    Returns:
        `accuracy` is the share of windows whose highest class is one of theirs, `macro_f1` that of
        the classes with a positive logit; `extra` and `ci95` hold `mean_average_precision`.

    Raises:
        DataError: No window has a class.
    """
    known_N = is_class_NK.any(1)
    if not known_N.any():
        raise DataError(
            f'None of the {len(logits_NK)} windows of "{data}" has a class that the model knows.',
            f"Its classes are {', '.join(labels[:8])}{', ...' if len(labels) > 8 else ''}.",
        )
    logits_NK, is_class_NK, subjects_N = (x[known_N] for x in (logits_NK, is_class_NK, subjects_N))
    report = report_multi_label(logits_NK, is_class_NK)
    generator = np.random.default_rng(seed)
    intervals = multi_label_intervals(logits_NK, is_class_NK, subjects_N.astype(str), generator)
    ci95 = {name: _ends(interval) for name, interval in intervals.items()}
    rule = _RULE.format(found=int((report.support_K > 0).sum()), all=len(labels))
    shown = _with_interval(report.mean_average_precision, ci95["mean_average_precision"])
    people = len(set(subjects_N))
    return Result(
        task="classify",
        model=model,
        data=data,
        protocol=f"{protocol}, several per window; {rule}, {shown}; accuracy is that of the highest "
        "class being one of the window's",
        accuracy=report.hit_rate,
        macro_f1=report.macro_f1,
        ci95=ci95,
        spread={},
        per_class=_rows(report, labels),
        confusion=report.confusion_KK.tolist(),
        labels=labels,
        counts={
            "subjects": people,
            "windows": len(logits_NK),
            "windows_without_class": int((~known_N).sum()),
            "test_subjects": people,
            "test_windows": len(logits_NK),
            "repetitions": 1,
        },
        warnings=warnings,
        settings=to_plain(settings),
        extra={
            "top1": report.hit_rate,
            "mean_average_precision": report.mean_average_precision,
            "mean_roc_auc": report.mean_roc_auc if np.isfinite(report.mean_roc_auc) else None,
            "binary_cross_entropy": float(
                (np.logaddexp(0.0, logits_NK) - logits_NK * is_class_NK).mean()
            ),
        },
    )


def _ends(interval: Interval) -> tuple[float, float] | None:
    if interval.low is None or interval.high is None:
        return None
    return interval.low, interval.high


def _with_interval(value: float, ends: tuple[float, float] | None) -> str:
    return f"{value:.3f}" + (f" [{ends[0]:.3f}, {ends[1]:.3f}]" if ends else "")


def _rows(report: MultiLabelReport, labels: tuple[str, ...]) -> list[dict[str, Any]]:
    """One row per class, with the fields of `ClassScores` and its average precision."""
    return [
        {
            "label": label,
            "precision": float(report.precision_K[k]),
            "recall": float(report.recall_K[k]),
            "f1": float(report.f1_K[k]),
            "support": int(report.support_K[k]),
            "average_precision": float(report.average_precision_K[k]),
        }
        for k, label in enumerate(labels)
    ]
