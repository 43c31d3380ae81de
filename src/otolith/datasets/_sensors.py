"""Sensors of one device that stamp their samples on their own -> one regular grid."""

# T time

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from otolith.datasets._clocks import Span, covered, grid, in_order, overlap, sample_at
from otolith.recordings.recording import Finding, Quality

Samples = tuple[np.ndarray, np.ndarray]
WORDS = {"acc": "the accelerometer", "gyro": "the gyroscope", "mag": "the magnetometer"}


@dataclass(frozen=True, kw_only=True)
class Joined:
    """Sensors of one device on one grid.

    Args:
        start_s: Time of the first sample on the device's clock in s.
        rate_hz: Rate of the grid in Hz, the mean rate of the accelerometer.
        triads: Sensor -> samples [T, 3]; NaN in holes.
        quality: Share of the grid that was measured.
        findings: What was done.
    """

    start_s: float
    rate_hz: float
    triads: dict[str, np.ndarray]
    quality: Quality
    findings: tuple[Finding, ...]

    @property
    def end_s(self) -> float:
        """Time at which the last sample ends in s."""
        return self.start_s + len(self.triads["acc"]) / self.rate_hz


def join_sensors(sensors: dict[str, Samples], *, max_gap_s: float, device: str) -> Joined | None:
    """Put the sensors of a device on one grid at the rate that its accelerometer shows.

    The grid spans the time that all sensors share. A sensor that shares no time with the
    accelerometer is left out. Holes stay holes: their samples are NaN.

    Args:
        sensors: "acc" and perhaps "gyro", "mag" -> time stamps [T] in s and samples [T, 3].
        max_gap_s: Longer steps between samples of a sensor are holes.
        device: Which device it is, for the findings.

    Returns:
        The joined sensors; None if the accelerometer has no two neighbouring samples.
    """
    notes: tuple[Finding, ...] = ()
    ordered: dict[str, Samples] = {}
    for sensor, (times_s, values_T3) in sensors.items():
        who = f"{WORDS[sensor]} ({device})"
        keep_T = np.isfinite(times_s) & np.isfinite(values_T3).all(axis=1)
        if lost := int((~keep_T).sum()):
            fact = f"{lost} rows of {who} have empty cells; they were left out."
            notes += (Finding(check="rows.empty", status="fixed", fact=fact),)
        times_s, values_T3, more = in_order(times_s[keep_T], values_T3[keep_T], who)
        ordered[sensor] = (times_s, values_T3)
        notes += more
    acc_spans = covered(ordered["acc"][0], max_gap_s)
    if not acc_spans:
        return None
    spans = acc_spans
    for sensor in [s for s in ordered if s != "acc"]:
        shared = overlap(spans, covered(ordered[sensor][0], max_gap_s))
        if shared:
            spans = shared
            continue
        del ordered[sensor]
        fact = f"{WORDS[sensor].capitalize()} ({device}) has no samples at the time of the accelerometer; it was left out."
        notes += (Finding(check=f"{sensor}.missing", status="warning", fact=fact),)
    notes += _lost(acc_spans, spans, device)
    return _on_grid(ordered, spans, notes, device)


def _on_grid(
    sensors: dict[str, Samples], spans: list[Span], notes: tuple[Finding, ...], device: str
) -> Joined:
    rate_hz = _rate_hz(sensors["acc"][0], spans)
    instants_s = grid((spans[0][0], spans[-1][1]), rate_hz)
    triads = {s: sample_at(times_s, x, instants_s) for s, (times_s, x) in sensors.items()}
    in_hole_T = _in_holes(instants_s, spans)
    for values_T3 in triads.values():
        values_T3[in_hole_T] = np.nan
    quality = Quality()
    fact = f"Samples of {device} were interpolated to a grid of {rate_hz:g} Hz, its mean rate."
    notes += (Finding(check="time.grid", status="fixed", fact=fact),)
    if share := float(in_hole_T.mean()):
        fact = f"{device} has {len(spans) - 1} holes, {100 * share:.1f} % of the time; they are marked as missing."
        notes += (Finding(check="time.gap", status="warning", fact=fact),)
        quality = Quality(flag="suspect", valid_fraction=1.0 - share, notes=(fact,))
    return Joined(
        start_s=float(instants_s[0]), rate_hz=rate_hz, triads=triads, quality=quality, findings=notes
    )  # fmt: skip


def _rate_hz(times_s: np.ndarray, spans: list[Span]) -> float:
    """Mean rate of the samples inside the spans, rounded to 0.0001 Hz."""
    first = np.searchsorted(times_s, [a for a, _ in spans])
    last = np.searchsorted(times_s, [b for _, b in spans], side="right") - 1
    keep = last > first
    if not keep.any():  # the shared time is shorter than a step
        return round(float(1.0 / np.median(np.diff(times_s))), 4)
    steps = (last - first)[keep].sum()
    return round(float(steps / (times_s[last[keep]] - times_s[first[keep]]).sum()), 4)


def _in_holes(instants_s: np.ndarray, spans: list[Span]) -> np.ndarray:
    """Whether an instant lies between two spans, bool [T]."""
    starts = np.array([a for a, _ in spans])
    ends = np.array([b for _, b in spans])
    at = np.searchsorted(starts, instants_s, side="right") - 1
    last = at == len(spans) - 1  # rounding may put the last instant a hair behind the end
    return ~last & (instants_s > ends[at])


def _lost(acc_spans: list[Span], spans: list[Span], device: str) -> tuple[Finding, ...]:
    """Say how much acceleration lies beside the time that all sensors share."""
    lost_s = sum(b - a for a, b in acc_spans) - sum(b - a for a, b in spans)
    if lost_s < 1.0:
        return ()
    fact = f"{lost_s:.1f} s of acceleration of {device} have no other sensors beside them; they were left out."
    return (Finding(check="sensors.shorter", status="warning", fact=fact),)
