"""Zero-shot: labels as words alone, on a data set that was never trained on."""

from __future__ import annotations

from dataclasses import field

import numpy as np

from otolith.core.config import config
from otolith.datasets._labels import group_of, group_tables
from otolith.datasets._part import DatasetPart
from otolith.tasks._model import Model
from otolith.tasks._people import refuse_if_seen
from otolith.tasks._result import Predictions, Result, summarise
from otolith.tasks._run_windows import about_length
from otolith.tasks._windows import (
    EvaluationWindows,
    about_origin,
    labelled_windows,
    relatives_of,
)


@config
class Config:
    """Settings of zero-shot classification.

    Args:
        windows: How recordings are cut.
        open_set: False: choose among the data set's own labels, exact match. True: choose among
            `candidates`; truth and choice are compared as synonym groups.
        candidates: Words to choose from in the open set; empty = all of the table of synonyms.
        texts: Label -> words given to the text encoder instead of the label.
    """

    windows: EvaluationWindows = field(default_factory=EvaluationWindows)
    open_set: bool = False
    candidates: tuple[str, ...] = ()
    texts: dict[str, str] = field(default_factory=dict)


def evaluate(model: Model, part: DatasetPart, settings: Config) -> Result:
    """Choose for every window the label whose words lie nearest.

    Args:
        model: A text-aligned model that never saw this data set.
        part: Labelled data set.
        settings: See `Config`.

    Raises:
        LeakageError: The data set, or one of the same people, was trained on.
        CheckpointError: The model was not aligned with text.
    """
    model.require_text()
    warnings = guard_zero_shot(model, part)
    data = labelled_windows(part, settings.windows)
    warnings = (*warnings, *about_length(model, data.windows.spec))
    names = data.labels if not settings.open_set else settings.candidates or all_words()
    words = [settings.texts.get(name, name) for name in names]
    scores = model.score_windows(data.windows, words)
    chosen = scores.argmax(axis=1)
    labels, truth, predicted = data.labels, data.label_N, chosen
    if settings.open_set:
        labels, truth, predicted = _as_groups(data.labels, data.label_N, tuple(names), chosen)
    count = len(truth)
    return summarise(
        Predictions(
            truth_N=truth,
            predicted_N=predicted,
            subjects_N=data.subject_N,
            repetition_N=np.zeros(count, np.int64),
            window_N=np.arange(count),
            scores_NK=None if settings.open_set else scores,
        ),
        labels=labels,
        task="zero_shot",
        model=model.name,
        data=part.name,
        protocol=(
            f"labels as words, open set of {len(names)} words compared by synonym group"
            if settings.open_set
            else f"labels as words, closed set of {len(names)} labels, exact match"
        ),
        counts={
            "subjects": len(np.unique(data.subject_N)),
            "windows": count,
            "candidates": len(names),
        },
        settings=settings,
        warnings=warnings,
    )


def guard_zero_shot(model: Model, part: DatasetPart) -> tuple[str, ...]:
    """Let only a model pass that never saw the data set; warn if nobody can know.

    Raises:
        LeakageError: The data set, or one of the same people, was trained on.
    """
    refuse_if_seen(model.provenance, part.name, part.subjects, relatives_of(part))
    return about_origin(model, part)


def all_words() -> tuple[str, ...]:
    """Return all class names of the table of synonyms, sorted."""
    return tuple(sorted(group_tables()["fine"]))


def _as_groups(
    labels: tuple[str, ...], label_N: np.ndarray, names: tuple[str, ...], chosen_N: np.ndarray
) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
    """Express truth and choice as groups; groups that are no truth become -1."""
    truth_groups = [group_of(label) for label in labels]
    groups = tuple(dict.fromkeys(truth_groups))
    position = {group: i for i, group in enumerate(groups)}
    truth_map = np.array([position[g] for g in truth_groups])
    choice_map = np.array([position.get(group_of(name), -1) for name in names])
    return groups, truth_map[label_N], choice_map[chosen_N]
