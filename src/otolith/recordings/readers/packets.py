"""Samples that come in timed packets -> one regular clock, with its real rate.

Cameras say when a packet began, not when each sample was taken. The rate is the slope of the packets'
times over the number of samples before them; packets that do not follow on one another leave a gap.
"""

# N samples, P packets, C channels

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_MAX_STAMP_ERROR = 0.05  # of the rate by packet times; a device's own clock cannot be further off


@dataclass(frozen=True)
class Packet:
    """Samples of one sensor in one packet.

    Args:
        start_s: Time of the packet in s.
        duration_s: Length of the packet in s.
        values_NC: float64 [N, C].
        stamp_us: Time of the first sample by the device's clock in microseconds.
    """

    start_s: float
    duration_s: float
    values_NC: np.ndarray
    stamp_us: int | None = None


@dataclass(frozen=True)
class Timed:
    """Samples with a time each.

    Args:
        times_N: Seconds, float64, strictly increasing; evenly spaced within a stretch.
        values_NC: float64 [N, C].
        rate_hz: Real rate in Hz.
        error_s: Largest distance in s between a packet's time and the clock of its samples.
        by_stamps: Whether the device's own stamps gave the rate.
        num_gaps: Places where packets are missing.
    """

    times_N: np.ndarray
    values_NC: np.ndarray
    rate_hz: float
    error_s: float
    by_stamps: bool
    num_gaps: int


def join_packets(packets: Sequence[Packet]) -> Timed:
    """Put the samples of packets on a regular clock.

    Args:
        packets: At least one, in order of time, each with samples and a positive duration.

    Returns:
        All samples with their times.
    """
    starts_P = np.array([p.start_s for p in packets])
    counts_P = np.array([len(p.values_NC) for p in packets])
    ends_P = starts_P + np.array([p.duration_s for p in packets])
    half_P = 0.5 * np.array([p.duration_s for p in packets])
    breaks_P = np.concatenate([[False], starts_P[1:] - ends_P[:-1] > half_P[:-1]])
    stretch_P = np.cumsum(breaks_P)
    before_P = np.cumsum(counts_P) - counts_P
    rate_hz = _rate(starts_P, before_P, stretch_P, counts_P, half_P)
    stamped = _stamp_rate(packets, before_P, stretch_P, rate_hz)
    rate_hz = stamped or rate_hz
    # every stretch has an offset of its own: the mean distance of its packets from the even clock
    rest_P = starts_P - before_P / rate_hz
    offset_S = np.bincount(stretch_P, rest_P) / np.bincount(stretch_P)
    error_s = float(np.abs(rest_P - offset_S[stretch_P]).max())
    stretch_N = np.repeat(stretch_P, counts_P)
    times_N = offset_S[stretch_N] + np.arange(counts_P.sum()) / rate_hz
    return Timed(
        times_N=times_N,
        values_NC=np.concatenate([p.values_NC for p in packets]),
        rate_hz=rate_hz,
        error_s=error_s,
        by_stamps=bool(stamped),
        num_gaps=int(breaks_P.sum()),
    )


def _rate(
    starts_P: np.ndarray,
    before_P: np.ndarray,
    stretch_P: np.ndarray,
    counts_P: np.ndarray,
    half_P: np.ndarray,
) -> float:
    """Samples per second by the packets' times; by their length where none follows another."""
    slope = _pooled_slope(before_P, starts_P, stretch_P)
    return 1.0 / slope if slope > 0 else float(counts_P.max() / (2.0 * half_P[counts_P.argmax()]))


def _stamp_rate(
    packets: Sequence[Packet], before_P: np.ndarray, stretch_P: np.ndarray, rate_hz: float
) -> float | None:
    """Samples per second by the device's stamps, if all packets have one and they are plausible."""
    stamps = [p.stamp_us for p in packets]
    known = np.array([s for s in stamps if s is not None], dtype=np.float64)
    if len(known) < len(stamps) or len(known) < 2:
        return None
    slope = _pooled_slope(before_P, (known - known[0]) * 1e-6, stretch_P)
    is_plausible = slope > 0 and abs(slope * rate_hz - 1.0) <= _MAX_STAMP_ERROR
    return 1.0 / slope if is_plausible else None


def _pooled_slope(x_P: np.ndarray, y_P: np.ndarray, stretch_P: np.ndarray) -> float:
    """Least-squares slope that all stretches share, each with its own offset; 0 if undefined."""
    sizes = np.bincount(stretch_P)
    x = x_P - (np.bincount(stretch_P, x_P) / sizes)[stretch_P]
    y = y_P - (np.bincount(stretch_P, y_P) / sizes)[stretch_P]
    spread = float(x @ x)
    return float(x @ y) / spread if spread else 0.0
