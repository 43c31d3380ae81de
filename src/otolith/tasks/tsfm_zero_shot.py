"""TSFM's published zero-shot tables: open and closed set, pooled and by majority vote."""

# N windows, L labels

from __future__ import annotations

from typing import Literal

import numpy as np

from otolith.core.config import config
from otolith.core.errors import ConfigError
from otolith.datasets._part import DatasetPart
from otolith.metrics.classification import report_classification
from otolith.metrics.protocols_tsfm import score_groups
from otolith.tasks._model import Model
from otolith.tasks._result import Predictions, Result, summarise
from otolith.tasks._tsfm_protocol import (
    OPEN_SET,
    Choices,
    about_published,
    choose_words,
    fixed_patches,
    groups_for,
    protocol_windows,
    published,
    tables,
)
from otolith.tasks._windows import Labelled, Seconds
from otolith.tasks.zero_shot import guard_zero_shot


@config
class Config:
    """Settings; the defaults are those of the published tables "zero-shot, open / closed".

    Compare with `_tsfm_published.yaml`, table `zero_shot` (small_deep, accuracy / macro F1).

    Args:
        candidates: `open`: the words are all training labels, truth and choice are compared as
            groups of synonyms, macro-F1 is over groups in truth or prediction. `closed`: the
            words are the data set's labels, exact match, macro-F1 over all of them.
        pooling: `mean`: nearest word of the mean of the patches; `vote`: majority of the patches.
        window_s: Length of a window in s.
        patch_s: Duration of a patch in s.
        streams: Motion streams to use; empty = all.
        words: Words of the open set; empty = the 87 training labels of the authors.
    """

    candidates: Literal["open", "closed"] = "closed"
    pooling: Literal["mean", "vote"] = "mean"
    window_s: Seconds = 6.0
    patch_s: Seconds = 1.0
    streams: tuple[str, ...] = ()
    words: tuple[str, ...] = ()


def evaluate(model: Model, part: DatasetPart, settings: Config) -> Result:
    """Score all four published variants; the chosen one is the main number.

    Args:
        model: A text-aligned model that never saw this data set.
        part: Labelled data set, used as a whole.
        settings: See `Config`.

    Returns:
        The chosen variant; `extra` holds all variants and the published numbers.

    Raises:
        LeakageError: The data set, or one of the same people, was trained on.
        CheckpointError: The model was not aligned with text.
        ConfigError: Votes are wanted of a model that embeds whole windows.
    """
    model.require_text()
    warnings = guard_zero_shot(model, part)
    data = protocol_windows(part, settings.window_s, settings.streams)
    bank = tuple(sorted(settings.words or tables()["training_labels"]))
    with fixed_patches(model.system, settings.patch_s):
        opened, closed = choose_words(model, data.windows, (bank, data.labels))
    chosen = opened if settings.candidates == "open" else closed
    if settings.pooling == "vote" and chosen.votes_N is None:
        raise ConfigError(
            f'The model "{model.name}" embeds whole windows, so its patches cannot vote.',
            "Use pooling=mean.",
        )
    best_N = chosen.pooled_NL.argmax(axis=1)
    if settings.pooling == "vote" and chosen.votes_N is not None:
        best_N = chosen.votes_N
    is_open = settings.candidates == "open"
    labels, truth_N, predicted_N = (
        by_group(data, bank, best_N) if is_open else (data.labels, data.label_N, best_N)
    )
    how = "mean of the patches" if settings.pooling == "mean" else "majority of the patches"
    return summarise(
        Predictions(
            truth_N=truth_N,
            predicted_N=predicted_N,
            subjects_N=data.subject_N,
            repetition_N=np.zeros(len(truth_N), np.int64),
            window_N=np.arange(len(truth_N)),
            scores_NK=None if is_open or settings.pooling == "vote" else chosen.pooled_NL,
        ),
        labels=labels,
        task="tsfm_zero_shot",
        model=model.name,
        data=part.name,
        protocol=(
            f"TSFM zero-shot, {settings.candidates} set, {how}, windows of {settings.window_s:g} s "
            "of the whole data set"
        ),
        counts={
            "subjects": len(np.unique(data.subject_N)),
            "windows": len(truth_N),
            "candidates": len(bank) if is_open else len(data.labels),
        },
        settings=settings,
        warnings=(*warnings, *((OPEN_SET,) if is_open else ()), *about_published(part.name)),
        extra={
            "variants": _variants(data, bank, opened, closed),
            "published": published("zero_shot", settings.candidates, part.name),
        },
    )


def by_group(
    data: Labelled, words: tuple[str, ...], chosen_N: np.ndarray
) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
    """Express truth and choice as groups of synonyms; the list holds those that occur.

    Args:
        data: Labelled windows.
        words: What could be chosen.
        chosen_N: Index into `words`.

    Returns:
        Groups, true group and chosen group of each window.
    """
    groups = groups_for(data.labels, words)
    truth = [groups[data.labels[i]] for i in data.label_N.tolist()]
    chosen = [groups[words[i]] for i in chosen_N.tolist()]
    names = tuple(sorted({*truth, *chosen}))
    number = {name: i for i, name in enumerate(names)}
    return (
        names,
        np.array([number[g] for g in truth], np.int64),
        np.array([number[g] for g in chosen], np.int64),
    )


def _variants(
    data: Labelled, bank: tuple[str, ...], opened: Choices, closed: Choices
) -> dict[str, dict[str, float]]:
    """Numbers of every variant; fractions."""
    groups = groups_for(data.labels, bank)
    truth = [data.labels[i] for i in data.label_N.tolist()]
    picks = {"mean": (opened.pooled_NL.argmax(axis=1), closed.pooled_NL.argmax(axis=1))}
    if opened.votes_N is not None and closed.votes_N is not None:
        picks["vote"] = (opened.votes_N, closed.votes_N)
    found = {}
    for pooling, (open_N, closed_N) in picks.items():
        scores = score_groups(truth, [bank[i] for i in open_N.tolist()], groups)
        report = report_classification(data.label_N, closed_N, data.labels)
        for name, value in ((f"open_{pooling}", scores), (f"closed_{pooling}", report)):
            found[name] = {
                "accuracy": value.accuracy,
                "macro_f1": value.macro_f1,
                "weighted_f1": value.weighted_f1,
            }
    return found
