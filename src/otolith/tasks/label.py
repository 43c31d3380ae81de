"""Label a recording: named activities with start, end and confidence."""

# N windows, K labels, G grid steps

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
from pydantic import Field

from otolith.core.config import config
from otolith.core.errors import CheckpointError, DataError
from otolith.core.progress import progress
from otolith.recordings.recording import Annotation, Recording
from otolith.tasks._label_scores import Scorer, make_scorer
from otolith.tasks._model import Model
from otolith.tasks._windows import Labelled, Seconds, Share
from otolith.windows.batch import Batch
from otolith.windows.dataset import WindowDataset
from otolith.windows.memory import memory_part
from otolith.windows.spec import WindowSpec

UNKNOWN = "unknown"
NEW, DOUBTFUL = "unlike all that was learned", "below the wanted confidence"
_BATCH = 256


@config
class Config:
    """Settings of labelling.

    Args:
        window_s: Length of a window in s.
        stride_s: Distance of neighbouring windows in s; also the resolution of the segments. None =
            what is usual for the model.
        min_s: Shortest recording (or rest at its end) in s that is labelled where it is shorter
            than a window; 0 = only whole windows.
        smoothing_s: How long an activity lasts at least, as a preference; 0 = no smoothing.
        min_confidence: Segments below it are called `unknown`.
        find_unknown: Whether segments that are unlike all that was learned are called `unknown`.
        max_novelty: Share of known windows that a window may exceed in strangeness before it
            counts as unlike them.
        coverage: Share of windows whose label set shall hold the truth: segments name what else
            is possible. None = no sets.
        temperature: Sharpness of word similarities (cosine / temperature).
        streams: Motion streams to use; empty = all, whose probabilities are averaged.
    """

    window_s: Seconds = 5.0
    stride_s: Seconds | None = None
    min_s: Annotated[float, Field(ge=0.0)] = 2.0
    smoothing_s: Annotated[float, Field(ge=0.0, allow_inf_nan=False)] = 4.0
    min_confidence: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0
    find_unknown: bool = False
    max_novelty: Annotated[float, Field(ge=0.0, le=1.0)] = 0.8
    coverage: Annotated[float, Field(gt=0.0, lt=1.0)] | None = None
    temperature: Share = 0.05
    streams: tuple[str, ...] = ()


@dataclass(frozen=True)
class Segment:
    """One activity.

    Args:
        start_s: Start on the recording's clock in s.
        end_s: End in s.
        label: Name, or `unknown`.
        confidence: Mean probability of the label over the segment, 0..1; of an unknown segment
            that of the likeliest label, or where it is unlike all that was learned the share of
            windows that are.
        also: Other labels that are possible at the wanted coverage, likeliest first.
        reason: Why it is unknown; empty if it is not.
    """

    start_s: float
    end_s: float
    label: str
    confidence: float
    also: tuple[str, ...] = ()
    reason: str = ""


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
        how: Where the label knowledge comes from, in words.
        notes: Sentences that the user must read.
        coverage: Wanted coverage of the label sets; None = there are none.
    """

    recording: Recording
    labels: tuple[str, ...]
    segments: tuple[Segment, ...]
    times_G: np.ndarray
    scores_GK: np.ndarray
    model: str
    how: str
    notes: tuple[str, ...] = ()
    coverage: float | None = None

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
        labels: Words to choose from; empty = the model's own. For a classifier, or for a model
            without text that learns from `examples`, a selection of their labels (empty = all).
        examples: Labelled windows to learn from. What a model with text says from words alone is
            where it starts.
        show: Whether to draw a progress bar.

    Raises:
        DataError: No motion stream, too short, or labels that are missing or not known.
        CheckpointError: Words alone were given to a model without text, or it was not calibrated
            for what is asked.
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
    stride_s = min(model.system.label_stride_s, settings.window_s)
    ready = replace(settings, stride_s=settings.stride_s or stride_s)
    _check(ready, labels)
    scorer = make_scorer(
        model, labels, examples,
        temperature=settings.temperature, max_novelty=settings.max_novelty,
    )  # fmt: skip
    limit = 1.0 if settings.coverage is None else scorer.quantile(model, settings.coverage)
    return [_label(model, r, ready, scorer, limit, show) for r in recordings]


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


def _check(settings: Config, labels: Sequence[str]) -> None:
    """Refuse labels that cannot be told apart and windows that leave holes."""
    if len(set(labels)) < len(labels) or len(labels) == 1:
        raise DataError(
            f"{len(labels)} labels are given, {len(set(labels))} of them different.",
            "Name two or more different labels.",
        )
    if _stride(settings) > settings.window_s:
        raise DataError(
            f"Windows of {settings.window_s:g} s every {_stride(settings):g} s leave holes.",
            "Give a stride that is no longer than the window.",
        )


def _stride(settings: Config) -> float:
    """The stride in s, which `label_recordings` has settled."""
    assert settings.stride_s is not None  # noqa: S101
    return settings.stride_s


def _label(
    model: Model,
    recording: Recording,
    settings: Config,
    scorer: Scorer,
    limit: float,
    show: bool | None,
) -> Labelling:
    """Label one recording; a label is possible where 1 - p is no larger than `limit`."""
    stride_s = _stride(settings)
    spec = WindowSpec(
        window_s=settings.window_s,
        stride_s=stride_s,
        min_s=min(settings.min_s, settings.window_s),
        label_rule="none",
        streams=settings.streams,
        separate=True,
    )
    windows = WindowDataset([memory_part([recording])], spec)
    # The last column says how surely a window is unlike all that was learned.
    scores_NK = np.zeros((len(windows), len(scorer.labels) + 1), np.float32)
    with progress(len(windows), f"Labelling {recording.id}", show=show) as bar:
        for start in range(0, len(windows), _BATCH):
            ids = np.arange(start, min(start + _BATCH, len(windows)))
            batch = windows.batch(ids, epoch=0)
            scores_NK[ids, :-1] = scorer.score(batch)
            if settings.find_unknown:
                scores_NK[ids, -1] = _newness(model, batch, scores_NK[ids, :-1], settings, scorer)
            bar.advance(len(ids))
    table = windows.table
    times_G, grid_GK = to_grid(table.start_s, table.end_s, scores_NK, stride_s)
    steps = _smoothed(times_G, grid_GK, settings)
    return Labelling(
        recording=recording,
        labels=scorer.labels,
        segments=_segments(steps, scorer.labels, settings, limit, float(table.end_s.max())),
        times_G=times_G,
        scores_GK=grid_GK[:, :-1],
        model=model.name,
        how=scorer.how,
        notes=scorer.notes,
        coverage=settings.coverage,
    )


def _newness(
    model: Model, batch: Batch, scores_BK: np.ndarray, settings: Config, scorer: Scorer
) -> np.ndarray:
    """How surely windows show something new [B]; not what examples taught, new to the model or not."""
    novelty_B = model.novelty_scores(batch)
    if novelty_B is None:
        raise CheckpointError(
            f'The model "{model.name}" cannot tell what it has never seen.',
            "Leave --unknown out; --min-confidence works with every model.",
        )
    is_new_B = (novelty_B > settings.max_novelty).astype(np.float64)
    return is_new_B if scorer.new_K is None else is_new_B * (1.0 - scores_BK @ scorer.new_K)


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


@dataclass(frozen=True)
class _Steps:
    """Grid steps after smoothing: their middles, scores, chosen label, and whether they are new."""

    times_G: np.ndarray
    scores_GK: np.ndarray
    new_G: np.ndarray
    path_G: np.ndarray
    is_new_G: np.ndarray


def _smoothed(times_G: np.ndarray, grid_GK: np.ndarray, settings: Config) -> _Steps:
    """Choose labels piece by piece between holes; the last column of the scores is newness."""
    scores_GK, new_G = grid_GK[:, :-1], grid_GK[:, -1]
    stride_s = _stride(settings)
    persistence = settings.smoothing_s / stride_s
    pieces = np.split(np.arange(len(times_G)), _holes(times_G, stride_s))
    path_G = np.concatenate([best_path(scores_GK[piece], persistence) for piece in pieces])
    is_new_G = np.zeros(len(times_G), bool)
    if settings.find_unknown:
        sure_G2 = np.stack([1.0 - new_G, new_G], axis=1).clip(0.05, 0.95)
        found = [best_path(sure_G2[piece], persistence) for piece in pieces]
        is_new_G = np.concatenate(found) == 1
    return _Steps(times_G, scores_GK, new_G, path_G, is_new_G)


def _holes(times_G: np.ndarray, step_s: float) -> np.ndarray:
    """First step behind every hole in time."""
    return np.flatnonzero(np.diff(times_G) > 1.5 * step_s) + 1


def _segments(
    steps: _Steps, names: tuple[str, ...], settings: Config, limit: float, last_s: float
) -> tuple[Segment, ...]:
    """Join equal neighbours; a hole in time ends a segment."""
    step = _stride(settings)
    state_G = np.where(steps.is_new_G, -1, steps.path_G)
    changes = np.flatnonzero(np.diff(state_G)) + 1
    breaks = np.union1d(changes, _holes(steps.times_G, step)).astype(np.int64)
    first = np.r_[0, breaks]
    last = np.r_[breaks, len(state_G)] - 1
    mean_SK = np.add.reduceat(steps.scores_GK, first, axis=0) / (last - first + 1)[:, None]
    new_S = np.add.reduceat(steps.new_G, first) / (last - first + 1)
    found: list[Segment] = []
    for number, (a, b) in enumerate(zip(first.tolist(), last.tolist(), strict=True)):
        start_s = float(steps.times_G[a] - step / 2)
        end_s = min(float(steps.times_G[b] + step / 2), max(last_s, start_s))
        means_K, state = mean_SK[number], int(state_G[a])
        confidence = float(means_K[state] if state >= 0 else new_S[number])
        label, reason = (names[state], "") if state >= 0 else (UNKNOWN, NEW)
        if state >= 0 and confidence < settings.min_confidence:
            label, reason = UNKNOWN, DOUBTFUL
        also = _possible(means_K, names, limit, label) if settings.coverage is not None else ()
        one = Segment(start_s, end_s, label, confidence, also, reason)
        if found and _joins(found[-1], one, step):
            one = _together(found.pop(), one, names)
        found.append(one)
    return tuple(found)


def _possible(
    means_K: np.ndarray, names: tuple[str, ...], limit: float, label: str
) -> tuple[str, ...]:
    """Labels other than the chosen one that belong to the set, likeliest first."""
    order = np.argsort(-means_K, kind="stable").tolist()
    return tuple(names[k] for k in order if 1.0 - means_K[k] <= limit and names[k] != label)


def _joins(before: Segment, after: Segment, step_s: float) -> bool:
    """Whether two neighbours are unknown for the same reason, without a hole between them."""
    is_same = before.label == after.label == UNKNOWN and before.reason == after.reason
    return is_same and after.start_s - before.end_s < step_s / 2


def _together(before: Segment, after: Segment, names: tuple[str, ...]) -> Segment:
    """One unknown segment of two."""
    share = (after.end_s - after.start_s) / max(after.end_s - before.start_s, 1e-9)
    confidence = share * after.confidence + (1.0 - share) * before.confidence
    also = tuple(name for name in names if name in {*before.also, *after.also})
    return replace(after, start_s=before.start_s, confidence=confidence, also=also)
