"""TSFM's four-activity comparison: walking, stairs up, stairs down, and still."""

# N windows

from __future__ import annotations

from dataclasses import field
from typing import Literal

import numpy as np

from otolith.core.config import config
from otolith.core.errors import DataError
from otolith.datasets._labels import group_of
from otolith.datasets._part import DatasetPart
from otolith.metrics.classification import report_classification
from otolith.tasks._model import Model
from otolith.tasks._result import Predictions, Result, summarise
from otolith.tasks._tsfm_protocol import (
    as_benchmark,
    choose_words,
    fixed_patches,
    protocol_windows,
    published,
)
from otolith.tasks._windows import Seconds
from otolith.tasks.zero_shot import guard_zero_shot

FOUR = ("walking", "walking_upstairs", "walking_downstairs", "still")
_BY_GROUP = {
    "walking": 0,
    "ascending_stairs": 1,
    "descending_stairs": 2,
    "sitting": 3,
    "standing": 3,
}
_FIVE = ("walking", "walking_upstairs", "walking_downstairs", "sitting", "standing")


@config
class Config:
    """Settings; the defaults are those of the comparison with LanHAR and CrossHAR.

    Compare with `_tsfm_published.yaml`, table `still`: macro F1 that LanHAR reports (`before`)
    and accuracy that CrossHAR reports (`after`), as the authors quote them.

    Args:
        merge: `before`: the model chooses among four words, one of them "still". `after`: it
            chooses among five, then sitting and standing are merged.
        texts: The words for walking, stairs up, stairs down and still (or sitting, standing) where
            they shall differ from the class names.
        window_s: Length of a window in s.
        rate_hz: Rate that windows are resampled to, in Hz; None = as recorded.
        patch_s: Duration of a patch in s.
        streams: Motion streams to use; empty = all.
    """

    merge: Literal["before", "after"] = "before"
    texts: dict[str, str] = field(default_factory=dict)
    window_s: Seconds = 6.0
    rate_hz: Seconds | None = 20.0
    patch_s: Seconds = 1.5
    streams: tuple[str, ...] = ()


def evaluate(model: Model, part: DatasetPart, settings: Config) -> Result:
    """Choose among the four activities both ways; the chosen one is the main number.

    Args:
        model: A text-aligned model that never saw this data set.
        part: Labelled data set; windows of other activities are left out.
        settings: See `Config`.

    Returns:
        The chosen way; `extra` holds both and the published numbers.

    Raises:
        LeakageError: The data set, or one of the same people, was trained on.
        CheckpointError: The model was not aligned with text.
        DataError: The data set lacks one of the activities.
    """
    model.require_text()
    warnings = guard_zero_shot(model, part)
    kept = {label: _BY_GROUP[g] for label in part.labels if (g := group_of(label)) in _BY_GROUP}
    data = protocol_windows(
        part, settings.window_s, settings.streams, labels=_occurring(part, kept)
    )
    truth_N = np.array([kept[label] for label in data.labels])[data.label_N]
    windows = data.windows
    if settings.rate_hz is not None:
        windows = windows.with_transform(as_benchmark(settings.rate_hz))
    words = [[settings.texts.get(name, name) for name in names] for names in (FOUR, _FIVE)]
    with fixed_patches(model.system, settings.patch_s):
        four, five = choose_words(model, windows, words)
    merged_N = np.minimum(five.pooled_NL.argmax(axis=1), 3)
    ways = {"before": four.pooled_NL.argmax(axis=1), "after": merged_N}
    predicted_N = ways[settings.merge]
    return summarise(
        Predictions(
            truth_N=truth_N,
            predicted_N=predicted_N,
            subjects_N=data.subject_N,
            repetition_N=np.zeros(len(truth_N), np.int64),
            window_N=np.arange(len(truth_N)),
        ),
        labels=FOUR,
        task="tsfm_still",
        model=model.name,
        data=part.name,
        protocol=f"TSFM four activities, sitting and standing merged {settings.merge} the choice",
        counts={"subjects": len(np.unique(data.subject_N)), "windows": len(truth_N)},
        settings=settings,
        warnings=warnings,
        extra={
            "variants": {name: _numbers(truth_N, chosen_N) for name, chosen_N in ways.items()},
            "published": published("still", settings.merge, part.name),
        },
    )


def _occurring(part: DatasetPart, kept: dict[str, int]) -> tuple[str, ...]:
    """The data set's labels of the four activities; all four must be there."""
    missing = [name for i, name in enumerate(FOUR) if i not in kept.values()]
    if missing:
        raise DataError(
            f'"{part.name}" has no label for {", ".join(missing)}.',
            "Choose a data set with walking, stairs up, stairs down, and sitting or standing.",
        )
    return tuple(kept)


def _numbers(truth_N: np.ndarray, predicted_N: np.ndarray) -> dict[str, float]:
    report = report_classification(truth_N, predicted_N, FOUR)
    return {"accuracy": report.accuracy, "macro_f1": report.macro_f1}
