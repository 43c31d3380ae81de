"""From stamps to a uniform grid: gaps, jitter, missing values."""

# T samples, C channels

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from otolith.recordings.inference.notes import Notes, plural
from otolith.recordings.inference.tracks import Session, Track, new_part
from otolith.recordings.options import ReadOptions

EVEN = 0.25
"""Stamps closer than this share of a sample to the grid are taken as being on it."""
_HOLE = 1.6


@dataclass(frozen=True)
class Gridded:
    """Samples on a uniform grid.

    Args:
        samples_TC: float32 [T, C]; NaN in gaps.
        start_s: Time of the first sample.
    """

    samples_TC: np.ndarray
    start_s: float


def split_gaps(
    track: Track, sessions: dict[str, Session], options: ReadOptions, notes: Notes, *, is_only: bool
) -> None:
    """Treat gaps that are too long for the grid: cut the recording there, or refuse."""
    names, parts, rates = [], [], []
    for g, (start, stop) in enumerate(zip(track.starts_G, track.stops_G, strict=True)):
        name, t = track.recordings[g], track.seconds[start:stop]
        steps = np.diff(t)
        longest = float(steps.max(initial=0.0))
        wants_split = options.on_gap == "split" and longest > options.max_interpolate_s
        too_long = longest > options.max_gap_s
        if too_long and options.on_gap != "split":
            raise notes.error(
                "time.gap",
                f"{name} has a gap of {longest:.1f} s",
                f"behind row {int(np.argmax(steps))}",
                'Pass on_gap="split" to cut it there, or a larger max_gap_s.',
            )
        if wants_split and not is_only:
            raise notes.error(
                "time.gap",
                f"{name} has a gap of {longest:.1f} s and several streams, which cannot be cut together",
                "",
                'Pass on_gap="nan".',
            )
        cuts = np.flatnonzero(steps > options.max_interpolate_s) + 1 if wants_split else []
        for i, rows in enumerate(np.split(np.arange(start, stop), cuts)):
            new = new_part(sessions, name, i, notes) if len(cuts) else name
            names.append(new)
            parts.append(rows)
            rates.append(track.rates_G[g])
        if len(cuts):
            notes.add(
                "time.gap",
                "fixed",
                f"{name} was cut at {plural(len(cuts), 'gap')}.",
                f"longest {longest:.2f} s",
                recordings=[f"{name}_part{i + 1}" for i in range(len(cuts) + 1)],
            )
    if len(parts) > len(track.starts_G):
        track.recordings = names
        track.rates_G = np.array(rates)
        track.replace_rows(parts, None)


def to_grid(
    times_T: np.ndarray,
    samples_TC: np.ndarray,
    rate_hz: float,
    name: str,
    stream: str,
    options: ReadOptions,
    notes: Notes,
) -> Gridded:
    """Put the rows of one stream of one recording on a uniform grid.

    Args:
        times_T: Strictly increasing stamps in s.
        samples_TC: float32 [T, C].
        rate_hz: Rate of the grid in Hz.
        name: Recording id, for findings.
        stream: Stream name, for findings.
        options: Policies of gaps, jitter and missing values.
        notes: Receives what was changed.

    Returns:
        The samples; without gaps and jitter they are those of the file, untouched.

    Raises:
        DataError: A policy refuses.
    """
    start = float(times_T[0])
    place = (times_T - start) * rate_hz
    deviation = float(np.abs(place - np.arange(len(place))).max())
    if options.on_nan == "interpolate":
        samples_TC = _bridge_missing(times_T, samples_TC, options.max_interpolate_s)
    if deviation <= EVEN or len(times_T) < 3:
        return Gridded(samples_TC, start)
    steps = np.diff(times_T)
    gaps = steps > max(options.max_interpolate_s, _HOLE / rate_hz)
    holes = (steps > _HOLE / rate_hz) & ~gaps
    slots = np.rint(place).astype(np.int64)
    on_grid = float(np.abs(place - slots).max()) <= EVEN and bool((np.diff(slots) > 0).all())
    _note_gaps(steps, gaps, holes, rate_hz, name, stream, options, notes)
    if not on_grid:
        drift = place[-1] / max(1, len(place) - 1) - 1
        status_fact = (
            "they were interpolated to a uniform grid"
            if options.on_jitter == "resample"
            else "they were taken as evenly spaced"
        )
        notes.act(
            options.on_jitter,
            "time.jitter",
            "fixed",
            f'Rows of "{stream}" in {name} are not evenly spaced; {status_fact}',
            f"steps {np.quantile(steps, 0.01) * 1e3:.3g} to {np.quantile(steps, 0.99) * 1e3:.3g} ms (98 %), {deviation:.2f} samples away from {rate_hz:g} Hz at most, mean rate off by {drift:+.2%}",
            'Pass on_jitter="keep" to count rows instead.',
            recordings=[name],
        )
        if options.on_jitter == "keep":
            return Gridded(samples_TC, start)
    count = int(np.rint(place[-1])) + 1
    bridged = options.max_interpolate_s if options.on_gap != "interpolate" else np.inf
    return Gridded(_interpolate(place, samples_TC, count, bridged * rate_hz), start)


def _note_gaps(
    steps: np.ndarray,
    gaps: np.ndarray,
    holes: np.ndarray,
    rate_hz: float,
    name: str,
    stream: str,
    options: ReadOptions,
    notes: Notes,
) -> None:
    if holes.any():
        lost = int(np.rint(steps[holes] * rate_hz - 1).sum())
        notes.add(
            "time.hole",
            "fixed",
            f'About {plural(lost, "row")} of "{stream}" in {name} are missing in short holes; they were interpolated.',
            f"{plural(int(holes.sum()), 'hole')} up to {steps[holes].max():.3g} s",
            "Pass a smaller max_interpolate_s to leave them empty.",
            recordings=[name],
        )
    if gaps.any():
        done = "interpolated" if options.on_gap == "interpolate" else "left empty (NaN)"
        notes.act(
            options.on_gap,
            "time.gap",
            "fixed",
            f'"{stream}" in {name} has {plural(int(gaps.sum()), "gap")}; {done}',
            f"longest {steps[gaps].max():.3g} s, together {steps[gaps].sum():.3g} s",
            'Pass on_gap="split" to cut there.',
            recordings=[name],
        )


def _interpolate(
    place_T: np.ndarray, samples_TC: np.ndarray, count: int, bridged: float
) -> np.ndarray:
    """Linear interpolation at 0, 1, ..., count-1; NaN inside steps longer than `bridged` samples.

    Args:
        place_T: Positions of the rows in samples, increasing from 0.
        samples_TC: float32 [T, C].
        count: Length of the result.
        bridged: Longest bridged step in samples.
    """
    grid = np.arange(count)
    right = np.clip(np.searchsorted(place_T, grid, side="left"), 1, len(place_T) - 1)
    left = right - 1
    step = place_T[right] - place_T[left]
    weight = ((grid - place_T[left]) / step).clip(0.0, 1.0)
    # A row within a hundredth of a sample is taken as it is, so that its neighbour's NaN stays away.
    weight = np.where(weight * step < 0.01, 0.0, np.where((1 - weight) * step < 0.01, 1.0, weight))
    in_gap = step > max(bridged, _HOLE)
    weight = np.where(in_gap & (weight * step <= 0.5), 0.0, weight)
    weight = np.where(in_gap & ((1 - weight) * step <= 0.5), 1.0, weight)
    w = weight.astype(np.float32)[:, None]
    a, b = samples_TC[left], samples_TC[right]
    result = np.where(w == 0, a, np.where(w == 1, b, a * (1 - w) + b * w))
    result[in_gap & (weight > 0) & (weight < 1)] = np.nan
    return np.ascontiguousarray(result, dtype=np.float32)


def _bridge_missing(times_T: np.ndarray, samples_TC: np.ndarray, longest_s: float) -> np.ndarray:
    """Fill missing values between two present ones not further apart than `longest_s`."""
    result = samples_TC.copy()
    for c in range(samples_TC.shape[1]):
        missing = np.isnan(samples_TC[:, c])
        if not missing.any() or missing.all():
            continue
        known = np.flatnonzero(~missing)
        rows = np.flatnonzero(missing)
        after = np.searchsorted(known, rows)
        inside = (after > 0) & (after < len(known))
        rows, after = rows[inside], after[inside]
        near = times_T[known[after]] - times_T[known[after - 1]] <= longest_s + 1e-9
        rows = rows[near]
        result[rows, c] = np.interp(times_T[rows], times_T[known], samples_TC[known, c])
    return result
