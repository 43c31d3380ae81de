"""Put samples with their own time stamps on a regular grid, piece by piece between gaps."""

# T time, C channels

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from otolith.recordings.recording import Finding

Span = tuple[float, float]


def in_order(
    times_s: np.ndarray, values_TC: np.ndarray, name: str
) -> tuple[np.ndarray, np.ndarray, tuple[Finding, ...]]:
    """Return samples in order of time, each stamp once (the first sample of a stamp stays).

    Args:
        times_s: Time stamps [T] in s.
        values_TC: Samples [T, C].
        name: What they are, for the findings.

    Returns:
        Strictly increasing times, samples, and a finding for every change.
    """
    steps_s = np.diff(times_s)
    num_back, num_equal = int((steps_s < 0).sum()), int((steps_s == 0).sum())
    if not num_back and not num_equal:
        return times_s, values_TC, ()
    order = np.argsort(times_s, kind="stable")
    times_s, values_TC = times_s[order], values_TC[order]
    first = np.concatenate([[True], np.diff(times_s) > 0])
    found = []
    if num_back:
        found.append(
            Finding(
                check="time.backward",
                status="fixed",
                fact=f"Time stamps of {name} go back {num_back} times; samples were sorted.",
            )
        )
    if not first.all():
        found.append(
            Finding(
                check="time.duplicate",
                status="fixed",
                fact=f"{int((~first).sum())} samples of {name} repeat a time stamp; "
                "the first sample of each stamp was kept.",
            )
        )
    return times_s[first], values_TC[first], tuple(found)


def covered(times_s: np.ndarray, max_gap_s: float) -> list[Span]:
    """Return the spans (start, end) in s without a gap longer than `max_gap_s`."""
    if len(times_s) < 2:
        return []
    breaks = np.flatnonzero(np.diff(times_s) > max_gap_s)
    starts = times_s[np.concatenate([[0], breaks + 1])]
    ends = times_s[np.concatenate([breaks, [len(times_s) - 1]])]
    return [(float(a), float(b)) for a, b in zip(starts, ends, strict=True) if b > a]


def overlap(first: Sequence[Span], second: Sequence[Span]) -> list[Span]:
    """Return the spans that two sorted lists of spans share."""
    both = [(max(a, c), min(b, d)) for a, b in first for c, d in second]
    return sorted(span for span in both if span[1] > span[0])


def mean_rate_hz(times_s: np.ndarray, span: Span) -> float:
    """Return the mean rate in Hz of the samples in a span, rounded to 0.0001 Hz."""
    inside = times_s[(times_s >= span[0]) & (times_s <= span[1])]
    return round(float((len(inside) - 1) / (inside[-1] - inside[0])), 4)


def grid(span: Span, rate_hz: float) -> np.ndarray:
    """Return the instants [T] in s of a regular grid that starts with the span and stays in it."""
    # a millionth of a step forgives rounding of the last instant
    count = int(np.floor((span[1] - span[0]) * rate_hz + 1e-6)) + 1
    return span[0] + np.arange(count) / rate_hz


def sample_at(times_s: np.ndarray, values_TC: np.ndarray, instants_s: np.ndarray) -> np.ndarray:
    """Interpolate linearly at the given instants; beyond the ends the end values hold."""
    columns = [np.interp(instants_s, times_s, column) for column in values_TC.T]
    return np.stack(columns, axis=1)


def nearest(times_s: np.ndarray, values_T: np.ndarray, instants_s: np.ndarray) -> np.ndarray:
    """Return the value of the sample nearest to each instant, for what cannot be interpolated.

    Args:
        times_s: Increasing time stamps [T] in s, at least two.
        values_T: Values, such as codes [T].
        instants_s: Where to look, in s.
    """
    right = np.clip(np.searchsorted(times_s, instants_s), 1, len(times_s) - 1)
    is_left = instants_s - times_s[right - 1] <= times_s[right] - instants_s
    return values_T[right - is_left]
