"""Rows with a time stamp and a label each -> continuous pieces on a regular clock."""

# T time, C channels

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from otolith.datasets._clocks import covered, grid, in_order, sample_at
from otolith.recordings.recording import Finding, Quality

MAX_RATE_ERROR = 0.02  # of the nominal rate; beyond it samples are interpolated to the measured one


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Samples without a hole, on a regular clock.

    Args:
        start_s: Time stamp of the first sample in s.
        rate_hz: Rate in Hz.
        samples_TC: Samples [T, C].
        codes_T: Label code of every sample [T], int64.
        quality: `suspect` if samples had to be interpolated.
        findings: What was changed.
    """

    start_s: float
    rate_hz: float
    samples_TC: np.ndarray
    codes_T: np.ndarray
    quality: Quality
    findings: tuple[Finding, ...]


def regular_pieces(
    times_s: np.ndarray,
    samples_TC: np.ndarray,
    codes_T: np.ndarray,
    *,
    rate_hz: float,
    max_gap_s: float,
    max_error_s: float,
) -> Iterator[Piece]:
    """Split rows at holes and put every piece on a regular clock.

    Where the stamps of a piece fit a clock of the nominal or of another rate, its samples stay as
    they are; else they are interpolated linearly and take the label of the nearest row.

    Args:
        times_s: Time stamps [T] in s.
        samples_TC: Samples [T, C].
        codes_T: Label codes [T], int64.
        rate_hz: Nominal rate in Hz.
        max_gap_s: A longer step in time begins a new piece.
        max_error_s: Largest distance in s between a stamp and the clock that it may be put on.
    """
    rows = np.concatenate([samples_TC, codes_T[:, None].astype(np.float64)], axis=1)
    times_s, rows, found = in_order(times_s, rows, "the rows")
    spans = covered(times_s, max_gap_s)
    covered_rows = 0
    pieces = []
    for start_s, end_s in spans:
        a, b = np.searchsorted(times_s, start_s), np.searchsorted(times_s, end_s, side="right")
        covered_rows += int(b - a)
        pieces.append((times_s[a:b], rows[a:b, :-1], rows[a:b, -1].astype(np.int64)))
    if len(pieces) > 1:
        fact = f"Holes longer than {max_gap_s:g} s split the recording into {len(pieces)}."
        found += (Finding(check="time.gap", status="fixed", fact=fact),)
    if lost := len(times_s) - covered_rows:
        fact = f"{lost} single rows between holes longer than {max_gap_s:g} s were left out."
        found += (Finding(check="time.single", status="warning", fact=fact),)
    for stamps_s, values_TC, labels_T in pieces:
        yield _on_clock(stamps_s, values_TC, labels_T, rate_hz, max_error_s, found)


def _on_clock(
    times_s: np.ndarray,
    samples_TC: np.ndarray,
    codes_T: np.ndarray,
    rate_hz: float,
    max_error_s: float,
    found: tuple[Finding, ...],
) -> Piece:
    steps = np.arange(len(times_s))
    slope_s, _ = np.polyfit(steps, times_s - times_s[0], 1)
    is_nominal = _error_s(times_s, 1.0 / rate_hz) <= max_error_s
    error_s = _error_s(times_s, float(slope_s))
    fits = is_nominal or error_s <= max_error_s
    # holes lower the mean rate of stamps that fit no clock, but not the median
    measured_hz = float(1.0 / (slope_s if fits else np.median(np.diff(times_s))))
    if not is_nominal and (fits or abs(measured_hz / rate_hz - 1.0) > MAX_RATE_ERROR):
        fact = f"Time stamps say {measured_hz:.4f} Hz instead of the nominal {rate_hz:g} Hz."
        found += (Finding(check="time.rate", status="inferred", fact=fact),)
        rate_hz = round(measured_hz, 4)
    if fits:
        return Piece(
            start_s=float(times_s[0]), rate_hz=rate_hz, samples_TC=samples_TC, codes_T=codes_T,
            quality=Quality(), findings=found,
        )  # fmt: skip
    instants_s = grid((float(times_s[0]), float(times_s[-1])), rate_hz)
    middles_s = (times_s[1:] + times_s[:-1]) / 2.0
    fact = (
        f"Time stamps do not fit a clock of {rate_hz:g} Hz (off by up to {error_s:.2f} s); "
        "samples were interpolated."
    )
    return Piece(
        start_s=float(times_s[0]),
        rate_hz=rate_hz,
        samples_TC=sample_at(times_s, samples_TC, instants_s),
        codes_T=codes_T[np.searchsorted(middles_s, instants_s)],
        quality=Quality(flag="suspect", notes=(fact,)),
        findings=(*found, Finding(check="time.jitter", status="warning", fact=fact)),
    )


def _error_s(times_s: np.ndarray, step_s: float) -> float:
    """Largest distance of stamps from the best regular clock of a given step."""
    rest_s = times_s - np.arange(len(times_s)) * step_s
    return float(rest_s.max() - rest_s.min()) / 2.0
