"""Label a recording: named activities with start, end and confidence."""

# N windows, K labels, G grid steps

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from pydantic import Field

from otolith.core.config import config
from otolith.core.errors import DataError, suggest
from otolith.core.progress import progress
from otolith.recordings.recording import Annotation, Recording
from otolith.systems import System
from otolith.tasks._classifiers import fit_logistic, softmax
from otolith.tasks._model import Model
from otolith.tasks._windows import Labelled, Seconds, Share
from otolith.windows.batch import Batch
from otolith.windows.dataset import WindowDataset
from otolith.windows.memory import memory_part
from otolith.windows.spec import WindowSpec

UNKNOWN = "unknown"
_BATCH = 256
_NO_LABELS = (
    'The model "{model}" knows no labels and none were given.',
    'Give --labels "walking,sitting,..." to a text-aligned model, --learn-from DATA to any '
    "model, or a classifier that fine_tune kept.",
)


@config
class Config:
    """Settings of labelling.

    Args:
        window_s: Length of a window in s.
        stride_s: Distance of neighbouring windows in s; also the resolution of the segments.
        min_s: Shortest recording (or rest at its end) in s that is labelled where it is shorter
            than a window; 0 = only whole windows.
        smoothing_s: How long an activity lasts at least, as a preference; 0 = no smoothing.
        min_confidence: Segments below it are called `unknown`.
        temperature: Sharpness of word similarities (cosine / temperature).
        streams: Motion streams to use; empty = all, whose probabilities are averaged.
    """

    window_s: Seconds = 5.0
    stride_s: Seconds = 1.0
    min_s: Annotated[float, Field(ge=0.0)] = 2.0
    smoothing_s: Annotated[float, Field(ge=0.0, allow_inf_nan=False)] = 4.0
    min_confidence: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0
    temperature: Share = 0.05
    streams: tuple[str, ...] = ()


@dataclass(frozen=True)
class Segment:
    """One activity.

    Args:
        start_s: Start on the recording's clock in s.
        end_s: End in s.
        label: Name, or `unknown` below the wanted confidence.
        confidence: Mean probability of the label over the segment, 0..1.
    """

    start_s: float
    end_s: float
    label: str
    confidence: float


@dataclass(frozen=True)
class Labelling:
    """A labelled recording.

    Args:
        recording: The recording.
        labels: Names that were possible.
        segments: Activities in order of time; where no window holds enough samples there is none.
        times_G: Middle of each grid step in s.
        scores_GK: Probabilities per grid step.
        model: Name of the model.
        how: One sentence that says where the label knowledge comes from.
    """

    recording: Recording
    labels: tuple[str, ...]
    segments: tuple[Segment, ...]
    times_G: np.ndarray
    scores_GK: np.ndarray
    model: str
    how: str

    def annotations(self) -> tuple[Annotation, ...]:
        """Return the segments as annotations with the model as source."""
        return tuple(
            Annotation(start_s=s.start_s, end_s=s.end_s, labels=(s.label,), source=self.model)
            for s in self.segments
        )


def label_recording(
    model: Model,
    recording: Recording,
    settings: Config,
    *,
    labels: Sequence[str] = (),
    examples: Labelled | None = None,
    show: bool | None = None,
) -> Labelling:
    """Name the activities of a recording.

    Windows are read and scored batch by batch, so that memory holds the recording and one row of
    probabilities per window.

    Args:
        model: A classifier, a text-aligned model, or with `examples` any model.
        recording: A recording with a motion stream.
        settings: See `Config`.
        labels: Words to choose from; with `examples`, or for a classifier, a selection of their
            labels (empty = all).
        examples: Labelled windows to learn from when words alone are not enough.
        show: Whether to draw a progress bar.

    Raises:
        DataError: No motion stream, too short, or labels that are missing or not known.
        CheckpointError: Words alone were given to a model without text.
    """
    return label_recordings(
        model, [recording], settings, labels=labels, examples=examples, show=show
    )[0]


def label_recordings(
    model: Model,
    recordings: Sequence[Recording],
    settings: Config,
    *,
    labels: Sequence[str] = (),
    examples: Labelled | None = None,
    show: bool | None = None,
) -> list[Labelling]:
    """Name the activities of several recordings; what is learned is learned once.

    See `label_recording` for arguments and errors.
    """
    _check(settings, labels)
    score, names, how = _scorer(model, labels, examples, settings)
    return [_label(model, r, settings, score, names, how, show) for r in recordings]


def best_path(scores_GK: np.ndarray, persistence: float) -> np.ndarray:
    """Return the most likely sequence of labels when changes are rare (Viterbi).

    Args:
        scores_GK: Probabilities per step.
        persistence: Expected steps per activity; <= 1 returns the argmax.

    Returns:
        Label index per step, int64 [G].
    """
    num_steps, num_labels = scores_GK.shape
    if persistence <= 1 or num_labels < 2 or num_steps < 2:
        return scores_GK.argmax(axis=1)
    change = 1.0 / persistence / (num_labels - 1)
    # Where changes are likelier than staying (few labels, short activities) nothing is smoothed.
    gain = max(np.log(1.0 - 1.0 / persistence) - np.log(change), 0.0)
    log_GK = np.log(np.maximum(scores_GK, 1e-6))
    # Only the best other label can be left for another one, so a step is O(K).
    value = log_GK[0].copy()
    stays_GK = np.empty((num_steps, num_labels), dtype=bool)
    best_G = np.empty(num_steps, np.int64)
    for step in range(1, num_steps):
        best = best_G[step] = int(value.argmax())
        top = value[best]
        value += gain
        stays = np.greater_equal(value, top, out=stays_GK[step])
        value[~stays] = top
        value += log_GK[step]
    path = np.empty(num_steps, np.int64)
    label = path[-1] = int(value.argmax())
    for step in range(num_steps - 1, 0, -1):
        label = path[step - 1] = label if stays_GK[step, label] else best_G[step]
    return path


Score = Callable[[Batch], np.ndarray]


def _check(settings: Config, labels: Sequence[str]) -> None:
    """Refuse labels that cannot be told apart and windows that leave holes."""
    if len(set(labels)) < len(labels) or len(labels) == 1:
        raise DataError(
            f"{len(labels)} labels are given, {len(set(labels))} of them different.",
            "Name two or more different labels.",
        )
    if settings.stride_s > settings.window_s:
        raise DataError(
            f"Windows of {settings.window_s:g} s every {settings.stride_s:g} s leave holes.",
            "Give a stride that is no longer than the window.",
        )


def _scorer(
    model: Model, labels: Sequence[str], examples: Labelled | None, settings: Config
) -> tuple[Score, tuple[str, ...], str]:
    """What turns a batch into probabilities [B, K], the names of the K labels, and how."""
    if examples is not None:
        return _from_examples(model, examples, labels)
    if model.system.labels:
        return _from_classifier(model.system, labels)
    if not labels:
        fact, remedy = _NO_LABELS
        raise DataError(fact.format(model=model.name), remedy)
    model.require_text()

    def score(batch: Batch) -> np.ndarray:
        return np.exp(model.score_words(batch, labels, temperature=settings.temperature))

    return score, tuple(labels), "words alone"


def _from_classifier(system: System, labels: Sequence[str]) -> tuple[Score, tuple[str, ...], str]:
    """Probabilities of a classifier, over all its labels or some of them."""
    names, columns = _choose(labels, system.labels, "The classifier")

    def score(batch: Batch) -> np.ndarray:
        with torch.inference_mode():
            logits = system.classify(batch).double().cpu().numpy()
        return softmax(logits[:, columns])

    system.eval()
    return score, names, "a classifier that knows its labels"


def _from_examples(
    model: Model, examples: Labelled, labels: Sequence[str]
) -> tuple[Score, tuple[str, ...], str]:
    """Probabilities of a logistic regression on example windows."""
    names, columns = _choose(labels, examples.labels, "The data to learn from")
    position = np.full(len(examples.labels), -1)
    position[columns] = np.arange(len(names))
    target = position[examples.label_N]
    rows = np.flatnonzero(target >= 0)
    known = model.embed_windows(examples.windows.select(rows))
    classify = fit_logistic(known, target[rows], num_classes=len(names))
    people = len(np.unique(examples.subject_N[rows]))
    how = f"{len(rows)} example windows of {people} people"
    return lambda batch: classify(model.embed_batch(batch)), names, how


def _choose(
    labels: Sequence[str], known: tuple[str, ...], who: str
) -> tuple[tuple[str, ...], list[int]]:
    """The wanted labels (all if none is named) and their columns."""
    if unknown := [name for name in labels if name not in known]:
        raise DataError(f'{who} has no label "{unknown[0]}".', suggest(unknown[0], known, limit=30))
    names = tuple(labels) or known
    return names, [known.index(name) for name in names]


def _label(
    model: Model,
    recording: Recording,
    settings: Config,
    score: Score,
    names: tuple[str, ...],
    how: str,
    show: bool | None,
) -> Labelling:
    """Label one recording with a scorer."""
    spec = WindowSpec(
        window_s=settings.window_s,
        stride_s=settings.stride_s,
        min_s=min(settings.min_s, settings.window_s),
        label_rule="none",
        streams=settings.streams,
        separate=True,
    )
    windows = WindowDataset([memory_part([recording])], spec)
    scores_NK = np.empty((len(windows), len(names)), np.float32)
    with progress(len(windows), f"Labelling {recording.id}", show=show) as bar:
        for start in range(0, len(windows), _BATCH):
            ids = np.arange(start, min(start + _BATCH, len(windows)))
            scores_NK[ids] = score(windows.batch(ids, epoch=0))
            bar.advance(len(ids))
    table = windows.table
    times_G, grid_GK = to_grid(table.start_s, table.end_s, scores_NK, settings.stride_s)
    pieces = np.split(np.arange(len(times_G)), _holes(times_G, settings.stride_s))
    persistence = settings.smoothing_s / settings.stride_s
    path_G = np.concatenate([best_path(grid_GK[piece], persistence) for piece in pieces])
    return Labelling(
        recording=recording,
        labels=names,
        segments=_segments(times_G, grid_GK, path_G, names, settings, float(table.end_s.max())),
        times_G=times_G,
        scores_GK=grid_GK,
        model=model.name,
        how=how,
    )


def to_grid(
    start_s_N: np.ndarray, end_s_N: np.ndarray, scores_NK: np.ndarray, step_s: float
) -> tuple[np.ndarray, np.ndarray]:
    """Average the scores of all windows that cover each step.

    Args:
        start_s_N: Start of the windows in s.
        end_s_N: End in s.
        scores_NK: Probabilities.
        step_s: Length of a step in s.

    Returns:
        Middles of the steps that a window covers [G] in s, and mean probabilities [G, K].
    """
    first_s = start_s_N.min()
    begin_N = np.round((start_s_N - first_s) / step_s).astype(np.int64)
    stop_N = np.maximum(np.round((end_s_N - first_s) / step_s).astype(np.int64), begin_N + 1)
    size = int(stop_N.max())
    total = np.zeros((size + 1, scores_NK.shape[1]))
    count = np.zeros(size + 1, np.int64)
    np.add.at(total, begin_N, scores_NK)
    np.subtract.at(total, stop_N, scores_NK)
    np.add.at(count, begin_N, 1)
    np.subtract.at(count, stop_N, 1)
    covered_G = np.cumsum(count)[:-1]
    total = np.cumsum(total, axis=0, out=total)[:-1]
    keep = covered_G > 0
    mean_GK = np.clip(total[keep] / covered_G[keep, None], 0.0, 1.0)
    return first_s + (np.flatnonzero(keep) + 0.5) * step_s, mean_GK


def _holes(times_G: np.ndarray, step_s: float) -> np.ndarray:
    """First step behind every hole in time."""
    return np.flatnonzero(np.diff(times_G) > 1.5 * step_s) + 1


def _segments(
    times_G: np.ndarray,
    grid_GK: np.ndarray,
    path_G: np.ndarray,
    names: tuple[str, ...],
    settings: Config,
    last_s: float,
) -> tuple[Segment, ...]:
    """Join equal neighbours; a hole in time ends a segment."""
    step = settings.stride_s
    changes = np.flatnonzero(np.diff(path_G)) + 1
    breaks = np.union1d(changes, _holes(times_G, step)).astype(np.int64)
    first = np.r_[0, breaks]
    last = np.r_[breaks, len(path_G)] - 1
    chosen_G = grid_GK[np.arange(len(path_G)), path_G]
    confidence = np.add.reduceat(chosen_G, first) / (last - first + 1)
    found: list[Segment] = []
    for a, b, mean in zip(first.tolist(), last.tolist(), confidence.tolist(), strict=True):
        label = names[path_G[a]] if mean >= settings.min_confidence else UNKNOWN
        start_s = float(times_G[a] - step / 2)
        end_s = min(float(times_G[b] + step / 2), max(last_s, start_s))
        before = found[-1] if found else None
        joins = before is not None and label == UNKNOWN == before.label
        if before is not None and joins and start_s - before.end_s < step / 2:
            share = (end_s - start_s) / max(end_s - before.start_s, 1e-9)
            mean = share * mean + (1.0 - share) * before.confidence
            found[-1] = Segment(before.start_s, end_s, UNKNOWN, mean)
        else:
            found.append(Segment(start_s, end_s, label, mean))
    return tuple(found)
