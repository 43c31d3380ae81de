"""Label a recording: named activities with start, end and confidence."""

# N windows, K labels, D width, G grid steps

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from otolith.core.config import config
from otolith.core.errors import DataError
from otolith.recordings.recording import Annotation, Recording
from otolith.tasks._classifiers import fit_predict, normalise
from otolith.tasks._model import Model
from otolith.tasks._windows import Labelled
from otolith.windows.dataset import WindowDataset
from otolith.windows.memory import memory_part
from otolith.windows.table import WindowSpec


@config
class Config:
    """Settings of labelling.

    Args:
        window_s: Length of a window in s.
        stride_s: Distance of neighbouring windows in s; also the resolution of the segments.
        smoothing_s: How long an activity lasts at least, as a preference; 0 = no smoothing.
        min_confidence: Segments below it are called `unknown`.
        temperature: Sharpness of word similarities (cosine / temperature).
        streams: Motion streams to use; empty = all, whose probabilities are averaged.
    """

    window_s: float = 5.0
    stride_s: float = 1.0
    smoothing_s: float = 4.0
    min_confidence: float = 0.0
    temperature: float = 0.05
    streams: tuple[str, ...] = ()


@dataclass(frozen=True)
class Segment:
    """One activity.

    Args:
        start_s: Start on the recording's clock in s.
        end_s: End in s.
        label: Name, or `unknown`.
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
        segments: Activities in order of time, without gaps where there are windows.
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

    Args:
        model: Any model; without `examples` it must be text-aligned.
        recording: A recording with a motion stream.
        settings: See `Config`.
        labels: Words to choose from; with `examples` a selection of their labels (empty = all).
        examples: Labelled windows to learn from when words alone are not enough.
        show: Whether to draw a progress bar.

    Raises:
        DataError: No motion stream, too short, or no labels given.
        CheckpointError: Words alone were given to a model without text.
    """
    spec = WindowSpec(
        window_s=settings.window_s,
        stride_s=settings.stride_s,
        label_rule="none",
        streams=settings.streams,
        separate=True,
    )
    windows = WindowDataset([memory_part([recording])], spec)
    features = model.embed_windows(windows, show=show)
    if examples is not None:
        names, scores, how = _from_examples(model, features, examples, labels)
    elif labels:
        names = tuple(labels)
        cosine = normalise(features) @ normalise(model.embed_texts(names)).T
        scores, how = _softmax(cosine / settings.temperature), "words alone"
    else:
        raise DataError(
            "No labels were given.", 'Give --labels "walking,sitting,..." or --learn-from DATA.'
        )
    times, grid = _to_grid(windows, scores, settings)
    path = best_path(grid, settings.smoothing_s / settings.stride_s)
    return Labelling(
        recording=recording,
        labels=names,
        segments=_segments(times, grid, path, names, settings),
        times_G=times,
        scores_GK=grid,
        model=model.name,
        how=how,
    )


def best_path(scores_GK: np.ndarray, persistence: float) -> np.ndarray:
    """Return the most likely sequence of labels when changes are rare (Viterbi).

    Args:
        scores_GK: Probabilities per step.
        persistence: Expected steps per activity; <= 1 returns the argmax.

    Returns:
        Label index per step, int64 [G].
    """
    if persistence <= 1 or scores_GK.shape[1] < 2:
        return scores_GK.argmax(axis=1)
    change = 1.0 / persistence / (scores_GK.shape[1] - 1)
    stay_gain = np.log(1.0 - 1.0 / persistence) - np.log(change)
    log = np.log(np.maximum(scores_GK, 1e-6))
    value = log[0]
    origin = np.zeros(scores_GK.shape, np.int64)
    own = np.arange(scores_GK.shape[1])
    for step in range(1, len(log)):
        best = int(value.argmax())
        stays = value + stay_gain >= value[best]
        origin[step] = np.where(stays, own, best)
        value = np.where(stays, value + stay_gain, value[best]) + log[step]
    path = np.empty(len(log), np.int64)
    path[-1] = value.argmax()
    for step in range(len(log) - 1, 0, -1):
        path[step - 1] = origin[step, path[step]]
    return path


def _from_examples(
    model: Model, features: np.ndarray, examples: Labelled, labels: Sequence[str]
) -> tuple[tuple[str, ...], np.ndarray, str]:
    """Probabilities from a logistic regression on example windows."""
    unknown = [name for name in labels if name not in examples.labels]
    if unknown:
        raise DataError(
            f"The examples hold no {', '.join(unknown)}.",
            f"They hold: {', '.join(examples.labels)}.",
        )
    names = tuple(labels) or examples.labels
    position = np.full(len(examples.labels), -1)
    position[[examples.labels.index(n) for n in names]] = np.arange(len(names))
    target = position[examples.label_N]
    keep = target >= 0
    known = model.embed_windows(examples.windows)[keep]
    scores = fit_predict("logistic", known, target[keep], features, num_classes=len(names), seed=0)
    people = len(np.unique(examples.subject_N[keep]))
    return names, scores, f"{int(keep.sum())} example windows of {people} people"


def _to_grid(
    windows: WindowDataset, scores: np.ndarray, settings: Config
) -> tuple[np.ndarray, np.ndarray]:
    """Average the scores of all windows that cover each step of `stride_s`."""
    starts = np.asarray(windows.table.start_s)
    step = settings.stride_s
    first = starts.min()
    begin = np.round((starts - first) / step).astype(np.int64)
    width = max(1, round(settings.window_s / step))
    size = int(begin.max()) + width
    total = np.zeros((size + 1, scores.shape[1]))
    count = np.zeros(size + 1)
    np.add.at(total, begin, scores)
    np.add.at(total, begin + width, -scores)
    np.add.at(count, begin, 1)
    np.add.at(count, begin + width, -1)
    covered = np.cumsum(count)[:-1]
    summed = np.cumsum(total, axis=0)[:-1]
    times = first + (np.arange(size) + 0.5) * step
    keep = covered > 0.5
    return times[keep], np.maximum(summed[keep], 0.0) / covered[keep, None]


def _segments(
    times: np.ndarray, grid: np.ndarray, path: np.ndarray, names: tuple[str, ...], settings: Config
) -> tuple[Segment, ...]:
    """Join equal neighbours; a hole in time ends a segment."""
    step = settings.stride_s
    breaks = np.flatnonzero((np.diff(path) != 0) | (np.diff(times) > 1.5 * step)) + 1
    segments = []
    for rows in np.split(np.arange(len(path)), breaks):
        confidence = float(grid[rows, path[rows]].mean())
        name = names[path[rows[0]]] if confidence >= settings.min_confidence else "unknown"
        start, end = float(times[rows[0]] - step / 2), float(times[rows[-1]] + step / 2)
        segments.append(Segment(start, end, name, confidence))
    return tuple(segments)


def _softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)
