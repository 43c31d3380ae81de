"""Cut recordings into windows of equal length in seconds; no window crosses two recordings.

A unit is what windows are cut from: a recording, or one stream of it (`WindowSpec.separate`).
Window k of a unit starts at `start + k * stride`. All units are cut at once.
"""

# U units, N windows, S streams of a window

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from otolith.windows.spec import WindowSpec
from otolith.windows.streams import IMU, StreamInfo

_TOLERANCE = 1e-6


@dataclass(frozen=True, kw_only=True)
class Units:
    """What windows are cut from, ordered by recording.

    Args:
        recording_U: Number of the recording within the part.
        rows_US: Row of each stream in the `streams` table; -1 = the recording has none.
        start_s_U: Where windows may start on the recording's clock in s.
        end_s_U: Where windows must end in s.
    """

    recording_U: np.ndarray
    rows_US: np.ndarray
    start_s_U: np.ndarray
    end_s_U: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Cut:
    """Windows of all units, ordered by unit and start.

    Args:
        unit_N: Unit of each window.
        start_s_N: Start on the recording's clock in s.
        end_s_N: End in s.
        first_U: Number of the first window of each unit.
        count_U: Number of windows of each unit.
        window_s_U: Length of the longest window of each unit in s.
        own_N: Number of the annotation around which a window lies; -1 = none.
    """

    unit_N: np.ndarray
    start_s_N: np.ndarray
    end_s_N: np.ndarray
    first_U: np.ndarray
    count_U: np.ndarray
    window_s_U: np.ndarray
    own_N: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Which rows of which streams a window covers.

    Args:
        stream_row_NS: Row in the `streams` table; -1 = absent.
        start_row_NS: First row, counted from the start of the stream.
        num_rows_NS: Number of rows; 0 where absent.
    """

    stream_row_NS: np.ndarray
    start_row_NS: np.ndarray
    num_rows_NS: np.ndarray


def arrange(
    info: StreamInfo, names: tuple[str, ...], num_recordings: int, spec: WindowSpec
) -> Units:
    """Find the units of a part and the time in which they can be cut.

    Args:
        info: The part's streams.
        names: Streams of a window, in order; with `spec.separate` the streams to take apart.
        num_recordings: Number of recordings of the part.
        spec: How to cut.
    """
    column_V = np.full(len(info.recording_V), -1, np.int64)
    for column, name in enumerate(names):
        column_V[info.name_V == name] = column
    used = np.flatnonzero((column_V >= 0) & (info.recording_V >= 0) & (info.num_rows_V > 0))
    if spec.separate:
        used = used[info.kind_V[used] == IMU]
        used = used[np.lexsort((column_V[used], info.recording_V[used]))]
        recording_U, rows_US = info.recording_V[used], used[:, None]
    else:
        rows_US = np.full((num_recordings, len(names)), -1, np.int64)
        rows_US[info.recording_V[used], column_V[used]] = used
        recording_U = np.flatnonzero((rows_US >= 0).any(1))
        rows_US = rows_US[recording_U]
    is_there = rows_US >= 0
    starts, ends = info.offset_s_V[rows_US], info.end_s_V[rows_US]
    if spec.overlap == "all" and not spec.whole:
        start_s = np.where(is_there, starts, -np.inf).max(1, initial=-np.inf)
        end_s = np.where(is_there, ends, np.inf).min(1, initial=np.inf)
    else:
        start_s = np.where(is_there, starts, np.inf).min(1, initial=np.inf)
        end_s = np.where(is_there, ends, -np.inf).max(1, initial=-np.inf)
    return Units(recording_U=recording_U, rows_US=rows_US, start_s_U=start_s, end_s_U=end_s)


def cut(units: Units, spec: WindowSpec) -> Cut:
    """Cut all units into windows."""
    span_U = units.end_s_U - units.start_s_U
    if spec.whole:
        full_U = (span_U > 0).astype(np.int64)
        window_U, stride_U = span_U, np.full_like(span_U, np.inf)
        tail_U = np.zeros(len(span_U), bool)
    else:
        window_s, stride_s = spec.window_s, spec.stride_s or spec.window_s
        steps_U = np.floor((span_U - window_s) / stride_s + _TOLERANCE)
        full_U = np.where(span_U >= window_s - _TOLERANCE, np.maximum(steps_U, 0) + 1, 0)
        full_U = full_U.astype(np.int64)
        window_U, stride_U = np.full_like(span_U, window_s), np.full_like(span_U, stride_s)
        tail_U = _has_tail(span_U, full_U, window_s, stride_s, spec.min_s)
    count_U = full_U + tail_U
    first_U = np.cumsum(count_U) - count_U
    unit_N = np.repeat(np.arange(len(count_U)), count_U)
    step_N = np.arange(len(unit_N)) - first_U[unit_N]
    start_N = units.start_s_U[unit_N] + (0.0 if spec.whole else step_N * stride_U[unit_N])
    end_N = np.minimum(start_N + window_U[unit_N], units.end_s_U[unit_N])
    return Cut(
        unit_N=unit_N,
        start_s_N=start_N,
        end_s_N=end_N,
        first_U=first_U,
        count_U=count_U,
        window_s_U=window_U,
        own_N=np.full(len(unit_N), -1),
    )


def cut_around(
    units: Units,
    spec: WindowSpec,
    recording_A: np.ndarray,
    start_s_A: np.ndarray,
    end_s_A: np.ndarray,
) -> Cut:
    """Cut a window around the middle of each annotation.

    Args:
        units: What windows are cut from.
        spec: How to cut.
        recording_A: Recording of each annotation; -1 = none of the part, or of another track.
        start_s_A: Start on the recording's clock in s.
        end_s_A: End in s.
    """
    first_A = np.searchsorted(units.recording_U, recording_A, side="left")
    last_A = np.searchsorted(units.recording_U, recording_A, side="right")
    own_N = np.repeat(np.arange(len(recording_A)), last_A - first_A)
    unit_N = spread(first_A, last_A - first_A)
    middle_N = (start_s_A[own_N] + end_s_A[own_N]) / 2
    start_N = np.maximum(middle_N - spec.window_s / 2, units.start_s_U[unit_N])
    end_N = np.minimum(middle_N + spec.window_s / 2, units.end_s_U[unit_N])
    order = np.lexsort((own_N, start_N, unit_N))
    order = order[(end_N - start_N)[order] >= (spec.min_s or spec.window_s) - _TOLERANCE]
    count_U = np.bincount(unit_N[order], minlength=len(units.recording_U))
    return Cut(
        unit_N=unit_N[order],
        start_s_N=start_N[order],
        end_s_N=end_N[order],
        first_U=np.cumsum(count_U) - count_U,
        count_U=count_U,
        window_s_U=np.full(len(count_U), spec.window_s),
        own_N=own_N[order],
    )


def _has_tail(
    span_U: np.ndarray, full_U: np.ndarray, window_s: float, stride_s: float, min_s: float
) -> np.ndarray:
    """Whether a rest is left that no whole window covers and that is long enough to keep."""
    covered_U = np.where(full_U > 0, (full_U - 1) * stride_s + window_s, 0.0)
    rest_U = span_U - full_U * stride_s
    is_long = rest_U >= max(min_s - _TOLERANCE, _TOLERANCE)
    return (min_s > 0) & is_long & (covered_U < span_U - _TOLERANCE)


def locate(windows: Cut, units: Units, info: StreamInfo) -> Rows:
    """Find the rows of every stream that belong to every window.

    Motion: `floor(length * rate)` rows from the row nearest to the window's start, so windows of
    one length and rate have equally many. Features and frames: the rows whose middle lies in the
    window, or the nearest one if there is none.
    """
    stream_NS = units.rows_US[windows.unit_N]
    hz_NS, lead_NS = info.clock_hz_V[stream_NS], info.lead_s_V[stream_NS]
    is_imu = info.kind_V[stream_NS] == IMU
    origin_NS = info.offset_s_V[stream_NS] + lead_NS
    first_NS = (windows.start_s_N[:, None] - origin_NS) * hz_NS
    length_NS = (windows.end_s_N - windows.start_s_N)[:, None] * hz_NS
    start_NS = np.where(is_imu, np.rint(first_NS), np.ceil(first_NS - _TOLERANCE))
    stop_NS = np.where(
        is_imu,
        start_NS + np.maximum(np.floor(length_NS + _TOLERANCE), 1),
        np.ceil(first_NS + length_NS - _TOLERANCE),
    )
    nearest_NS = np.rint(first_NS + length_NS / 2)
    is_empty = stop_NS <= start_NS
    start_NS = np.where(is_empty, nearest_NS, start_NS)
    stop_NS = np.where(is_empty, nearest_NS + 1, stop_NS)
    rows_NS = info.num_rows_V[stream_NS]
    start_NS = np.maximum(start_NS, 0).astype(np.int64)
    count_NS = np.minimum(stop_NS, rows_NS).astype(np.int64) - start_NS
    is_there = (stream_NS >= 0) & (count_NS > 0)
    return Rows(
        stream_row_NS=np.where(is_there, stream_NS, -1),
        start_row_NS=np.where(is_there, start_NS, 0),
        num_rows_NS=np.where(is_there, count_NS, 0),
    )


def spread(starts: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Concatenate the ranges [start, start + count), vectorised."""
    offsets = np.cumsum(counts) - counts
    return np.repeat(starts - offsets, counts) + np.arange(int(counts.sum()))
