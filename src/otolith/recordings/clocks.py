"""Clocks: from a stream's own time to the recording's time and back; cutting a recording.

A stream's clock starts at its first sample and may run too fast or too slow. With `offset_s`
and `drift_ppm` of the stream, time t of the stream is
`offset_s + t * (1 + drift_ppm * 1e-6)` on the recording's clock.
"""

# T time, N feature windows, M matched events

from __future__ import annotations

from dataclasses import replace

import numpy as np

from otolith.core.errors import DataError
from otolith.recordings.recording import (
    Annotation,
    FeatureStream,
    ImuStream,
    Recording,
    Stream,
    VideoStream,
)

# Times are sums and quotients of floats; a microsecond is far below any sampling interval.
TIME_TOLERANCE_S = 1e-6
_ROW_TOLERANCE = 1e-6


def to_recording_s(stream: Stream, times_s: np.ndarray | float) -> np.ndarray:
    """Return times on the recording's clock.

    Args:
        stream: The stream whose clock the times are on.
        times_s: Seconds since the stream's first sample, any shape.

    Returns:
        Seconds since the recording's start, float64, same shape.
    """
    return stream.offset_s + np.asarray(times_s, np.float64) * (1.0 + stream.drift_ppm * 1e-6)


def to_stream_s(stream: Stream, times_s: np.ndarray | float) -> np.ndarray:
    """Return times on a stream's clock; inverse of `to_recording_s`.

    Args:
        stream: The stream.
        times_s: Seconds since the recording's start, any shape.

    Returns:
        Seconds since the stream's first sample, float64, same shape.
    """
    return (np.asarray(times_s, np.float64) - stream.offset_s) / (1.0 + stream.drift_ppm * 1e-6)


def sample_times_s(stream: Stream) -> np.ndarray:
    """Return the time of every sample, frame or feature window (its start).

    Args:
        stream: A motion, video or feature stream.

    Returns:
        float64 [T], seconds on the recording's clock.
    """
    return to_recording_s(stream, _own_times_s(stream))


def estimate_clock(
    stream_times_s: np.ndarray, recording_times_s: np.ndarray
) -> tuple[float, float]:
    """Estimate offset and drift from events that were seen on both clocks (least squares).

    Args:
        stream_times_s: float64 [M], the events in seconds since the stream's first sample.
        recording_times_s: float64 [M], the same events on the recording's clock.

    Returns:
        `offset_s` and `drift_ppm` for the stream. One event gives the offset, drift 0.

    Raises:
        DataError: No event, unequal numbers, or all events at one time of the stream.
    """
    own_s = np.asarray(stream_times_s, np.float64)
    common_s = np.asarray(recording_times_s, np.float64)
    if own_s.shape != common_s.shape or own_s.ndim != 1 or not own_s.size:
        raise DataError(
            f"Clocks cannot be matched from events of shape {own_s.shape} and {common_s.shape}.",
            "Give the same events on both clocks.",
        )
    if not (np.isfinite(own_s).all() and np.isfinite(common_s).all()):
        raise DataError("A matched event has no finite time.", "Leave that event out.")
    if own_s.size == 1:
        return float(common_s[0] - own_s[0]), 0.0
    centred = own_s - own_s.mean()
    spread = float(centred @ centred)
    if spread == 0.0:
        raise DataError("All matched events lie at one time.", "Give events that are apart.")
    rate = float(centred @ common_s) / spread
    return float(common_s.mean() - rate * own_s.mean()), (rate - 1.0) * 1e6


def slice_recording(
    recording: Recording, start_s: float, end_s: float, *, recording_id: str = ""
) -> Recording:
    """Cut all streams and annotations of a recording to [start_s, end_s).

    Motion keeps the samples inside, features the windows that lie wholly inside (so nothing
    from outside leaks in), video the frames that are displayed inside (so the first one may
    begin slightly earlier and have a negative offset). Intervals are clipped, points outside
    are dropped. Streams without anything inside stay, with no rows.

    Args:
        recording: The recording.
        start_s: Start in seconds on the recording's clock; it becomes time 0.
        end_s: End in seconds.
        recording_id: Id of the result; by default the old id with the times.

    Returns:
        A recording whose arrays are views; `attributes` name `source_recording` and
        `source_start_s`.

    Raises:
        DataError: The times are not finite or not in order.
    """
    if not (np.isfinite(start_s) and np.isfinite(end_s) and start_s < end_s):
        raise DataError(
            f'Recording "{recording.id}" cannot be cut to {start_s} s to {end_s} s.',
            "Give a start before the end.",
        )
    origin = float(recording.attributes.get("source_start_s", 0.0))
    source = {
        "source_recording": recording.attributes.get("source_recording", recording.id),
        "source_start_s": repr(origin + float(start_s)),
    }
    return replace(
        recording,
        id=recording_id or f"{recording.id}[{start_s:g}-{end_s:g}]",
        streams={n: _slice_stream(s, start_s, end_s) for n, s in recording.streams.items()},
        annotations=tuple(
            _shift(a, start_s, end_s)
            for a in recording.annotations
            if _is_inside(a, start_s, end_s)
        ),
        attributes=recording.attributes | source,
    )


def _own_times_s(stream: Stream) -> np.ndarray:
    match stream:
        case ImuStream():
            return np.arange(len(stream.samples_TC), dtype=np.float64) / stream.rate_hz
        case FeatureStream():
            return np.arange(len(stream.values_ND), dtype=np.float64) * stream.stride_s
        case VideoStream():
            return stream.frame_times_s - stream.frame_times_s[:1]
    raise DataError(f'Stream "{stream.name}" has no sample times.', "Use a stream type of Otolith.")


def _slice_stream(stream: Stream, start_s: float, end_s: float) -> Stream:
    low_s, high_s = (float(to_stream_s(stream, t)) for t in (start_s, end_s))

    def offset(own_s: float) -> float:
        return float(to_recording_s(stream, own_s)) - start_s

    match stream:
        case ImuStream(samples_TC=samples_TC, rate_hz=rate_hz):
            rows = _clip(_ceil(low_s * rate_hz), _ceil(high_s * rate_hz), len(samples_TC))
            return replace(
                stream, samples_TC=samples_TC[rows], offset_s=offset(rows.start / rate_hz)
            )
        case FeatureStream(values_ND=values_ND, stride_s=stride_s):
            last = np.floor((high_s - stream.window_s) / stride_s + _ROW_TOLERANCE)
            rows = _clip(_ceil(low_s / stride_s), int(last) + 1, len(values_ND))
            return replace(
                stream, values_ND=values_ND[rows], offset_s=offset(rows.start * stride_s)
            )
        case VideoStream(frame_times_s=frame_times_s):
            rows = _shown_frames(stream, low_s, high_s)
            shown_s = frame_times_s[rows]
            first_s = float(shown_s[0] - frame_times_s[0]) if len(shown_s) else low_s
            return replace(stream, frame_times_s=shown_s, offset_s=offset(first_s))
    raise DataError(f'Stream "{stream.name}" cannot be cut.', "Use a stream type of Otolith.")


def _shown_frames(stream: VideoStream, low_s: float, high_s: float) -> slice:
    """Frames that are displayed at some time in [low_s, high_s) of the stream's clock."""
    frames_s = _own_times_s(stream)
    first = int(np.searchsorted(frames_s, low_s + TIME_TOLERANCE_S, side="right")) - 1
    stop = int(np.searchsorted(frames_s, high_s - TIME_TOLERANCE_S, side="left"))
    if len(frames_s) and low_s >= frames_s[-1] + 1.0 / stream.fps:
        first = len(frames_s)
    return _clip(first, stop, len(frames_s))


def _ceil(rows: float) -> int:
    """Smallest row number that is not before `rows`, up to rounding of times."""
    return int(np.ceil(rows - _ROW_TOLERANCE))


def _clip(first: int, stop: int, count: int) -> slice:
    first = min(max(first, 0), count)
    return slice(first, min(max(stop, first), count))


def _is_inside(annotation: Annotation, start_s: float, end_s: float) -> bool:
    if annotation.end_s is None or annotation.end_s == annotation.start_s:
        return start_s <= annotation.start_s < end_s
    return annotation.start_s < end_s and annotation.end_s > start_s


def _shift(annotation: Annotation, start_s: float, end_s: float) -> Annotation:
    stop_s = None if annotation.end_s is None else min(annotation.end_s, end_s) - start_s
    return replace(annotation, start_s=max(annotation.start_s, start_s) - start_s, end_s=stop_s)
