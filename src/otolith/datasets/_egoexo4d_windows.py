"""Windows of Ego-Exo4D: from features of the camera to samples of the motion sensor, and key-step labels.

The defaults compute in float64 and keep what belongs to a window. `Quirks` brings back what the
authors of HIMU-MAE did, which their published window lists depend on.
"""

# N samples, C channels, T samples of a window

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from otolith.core.config import config
from otolith.core.errors import DataError

CLIP_S = 32 / 30
STRIDE_S = 16 / 30


@config
class Quirks:
    """Behaviour of the authors' code, off by default.

    Args:
        timestamps_float32: Compare times of 10^12 ns in float32, which moves them by up to 0.3 ms.
        task_start_added_to_video_feature_time: Count the official video features, which begin with
            the video, from the start of the task.
        right_side_keeps_last_samples: Of a window that is too long keep the last samples instead of
            the first.
        segments_with_missing_field_ignored: Ignore matching key steps that lack any field.
    """

    timestamps_float32: bool = False
    task_start_added_to_video_feature_time: bool = False
    right_side_keeps_last_samples: bool = False
    segments_with_missing_field_ignored: bool = False

    @classmethod
    def upstream(cls) -> Quirks:
        """Return the settings with which the published lists were made."""
        return cls(
            timestamps_float32=True, task_start_added_to_video_feature_time=True,
            right_side_keeps_last_samples=True, segments_with_missing_field_ignored=True,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Window:
    """A window around a feature of the camera.

    Args:
        take_name: Take.
        take_uid: Its identifier.
        start_s: Start in s after `first_common_s`; may be negative.
        end_s: End in s.
        feature_row: Row of the feature file.
        first_common_s: First time that both sensors know, in s of the sensors' clock.
    """

    take_name: str
    take_uid: str
    start_s: float
    end_s: float
    feature_row: int
    first_common_s: float


def select_samples(
    times_ns: np.ndarray,
    start_s: float,
    end_s: float,
    origin_ns: float,
    *,
    in_float32: bool = False,
) -> np.ndarray:
    """Return which samples lie in [start, end) after the origin, bool [N].

    Args:
        times_ns: Time of every sample [N] in ns.
        start_s: Start in s.
        end_s: End in s.
        origin_ns: Time in ns from which start and end count.
        in_float32: Whether to compare in float32.
    """
    kind = np.float32 if in_float32 else np.float64
    times = times_ns.astype(kind)
    start, end = (kind(np.float64(s) * 1e9 + np.float64(kind(origin_ns))) for s in (start_s, end_s))
    return (times >= start) & (times < end)


def fit_length(
    signal_CN: np.ndarray,
    num_samples: int,
    side: Literal["left", "right"] = "right",
    *,
    keeps_last: bool = False,
) -> np.ndarray:
    """Fill a signal with zeros, or cut it, to a number of samples.

    Args:
        signal_CN: Signal [C, N].
        num_samples: Wanted length.
        side: Where zeros are put.
        keeps_last: Whether a longer signal loses its beginning instead of its end.

    Returns:
        Signal [C, num_samples].
    """
    missing = num_samples - signal_CN.shape[1]
    if missing > 0:
        return np.pad(signal_CN, ((0, 0), (missing, 0) if side == "left" else (0, missing)))
    return signal_CN[:, -missing:] if keeps_last else signal_CN[:, :num_samples]


def fit_window(
    signal_CN: np.ndarray, rate_hz: float, window_s: float, start_s: float, quirks: Quirks
) -> np.ndarray:
    """Bring the samples of a window to its length; one that begins before its take is filled in front.

    Args:
        signal_CN: Samples [C, N] at `rate_hz`.
        rate_hz: Rate in Hz.
        window_s: Length in s.
        start_s: Start of the window in s after that of the take.
        quirks: What the authors did.
    """
    side = "left" if start_s < 0 else "right"
    return fit_length(
        signal_CN, int(rate_hz * window_s), side,
        keeps_last=quirks.right_side_keeps_last_samples and side == "right",
    )  # fmt: skip


def list_windows(
    takes: Sequence[Mapping[str, Any]],
    times_ns: Mapping[str, Sequence[np.ndarray]],
    *,
    missing: Collection[str] = (),
    window_s: float = 2.0,
    clip_s: float = CLIP_S,
    stride_s: float = STRIDE_S,
    quirks: Quirks | None = None,
) -> tuple[list[Window], list[tuple[str, str, int]]]:
    """Make one window around every feature of the camera.

    Args:
        takes: Records with `take_name`, `take_uid`, `task_timing_annotation_uid`, `task_start_sec`,
            `task_end_sec` and `video_features`, the number of features.
        times_ns: Take name -> sample times of each sensor in ns.
        missing: Names of takes without motion data.
        window_s: Length of a window in s.
        clip_s: Length of what a feature describes in s.
        stride_s: Distance of features in s.
        quirks: What the authors did.

    Returns:
        The windows, last take first, and for every take that ends early its name, identifier and the
        first feature without samples of both sensors.
    """
    quirks = quirks or Quirks()
    windows: list[Window] = []
    stopped: list[tuple[str, str, int]] = []
    for take in reversed(takes):
        name = take["take_name"]
        if name in missing or take.get("task_timing_annotation_uid") is None:
            continue
        sensors = times_ns[name]
        kind = np.float32 if quirks.timestamps_float32 else np.float64
        origin = max(kind(times[0]) for times in sensors)
        for row, clip in enumerate(_clips(take, clip_s, stride_s, quirks)):
            if not all(
                select_samples(
                    times, *clip, float(origin), in_float32=quirks.timestamps_float32
                ).any()
                for times in sensors
            ):
                stopped.append((name, take["take_uid"], row))
                break
            middle = (clip[0] + clip[1]) / 2
            windows.append(
                Window(
                    take_name=name, take_uid=take["take_uid"],
                    start_s=middle - window_s / 2, end_s=middle + window_s / 2,
                    feature_row=row, first_common_s=float(origin / kind(1e9)),
                )
            )  # fmt: skip
    return windows, stopped


def _clips(
    take: Mapping[str, Any], clip_s: float, stride_s: float, quirks: Quirks
) -> Iterable[tuple[float, float]]:
    """Start and end in s of what every feature describes."""
    first = take["task_start_sec"] if quirks.task_start_added_to_video_feature_time else 0.0
    count = int(take["video_features"])
    for row in range(count):
        start = first + stride_s * row
        end = start + clip_s
        last = take["task_end_sec"]
        if row == count - 1 and end > last:
            start, end = last - clip_s, last
        yield start, end


def is_validation(take_uid: str, train: Collection[str], validation: Collection[str]) -> bool:
    """Return whether a take validates: only if the key steps of validation alone know it."""
    return take_uid in validation and take_uid not in train


def label_verb(
    start_s: float,
    end_s: float,
    segments: Sequence[Mapping[str, Any]],
    verb_of_step: Mapping[int, int],
    quirks: Quirks | None = None,
) -> int | None:
    """Return the verb of the last key step that contains the whole window, or None.

    Args:
        start_s: Start of the window in s.
        end_s: End in s.
        segments: Key steps of the take with `start_time`, `end_time` and `step_unique_id`.
        verb_of_step: Step -> number of its verb.
        quirks: What the authors did.
    """
    found = [s for s in segments if s["start_time"] <= start_s and s["end_time"] >= end_s]
    if (quirks or Quirks()).segments_with_missing_field_ignored:
        fields = {key for segment in segments for key in segment}
        found = [s for s in found if all(s.get(key) is not None for key in fields)]
    return verb_of_step.get(int(found[-1]["step_unique_id"])) if found else None


def verb_table(columns: Mapping[str, Sequence[Any]]) -> dict[int, int]:
    """Return step -> verb from the columns `step_unique_id` and `verb_idx` of the released table."""
    if "step_unique_id" not in columns or "verb_idx" not in columns:
        raise DataError(
            f"The table of verbs has the columns {', '.join(columns)}.",
            "Give step_unique_id and verb_idx.",
        )
    pairs = zip(columns["step_unique_id"], columns["verb_idx"], strict=True)
    return {int(step): int(verb) for step, verb in pairs}


def common_verbs(
    order: Iterable[int], train: Iterable[int], validation: Iterable[int]
) -> tuple[list[int], Counter[int], Counter[int]]:
    """Return the verbs that occur in both lists, in an order, and how often they do in each.

    Args:
        order: Verbs in the order of the step table; its first appearances number the classes.
        train: Verb of every training window.
        validation: Verb of every validation window.
    """
    counts = Counter(train), Counter(validation)
    kept = [verb for verb in dict.fromkeys(order) if all(c[verb] for c in counts)]
    return kept, *(Counter({verb: c[verb] for verb in kept}) for c in counts)  # pyrefly: ignore  # two counters
