"""Checks the time stamps of a session against a uniform rate, and says what differs."""

# T time

from __future__ import annotations

import numpy as np

from otolith.recordings.recording import Finding

# A stamp this far from its neighbour, in sampling intervals, leaves a gap; less is jitter.
_GAP_INTERVALS = 1.5
_JITTER_INTERVALS = 0.1
_START_S = 0.1


def check_times(times_s: np.ndarray, rate_hz: float, *, tolerance: float = 0.05) -> list[Finding]:
    """Compare time stamps with a uniform rate; nothing is changed.

    Args:
        times_s: float64 [T], stamps in s.
        rate_hz: Rate by which the samples are taken.
        tolerance: Relative difference of the stamps' own rate above which a warning is given.

    Returns:
        One finding per kind of difference (`time.missing`, `time.start`, `time.backward`,
        `time.duplicate`, `time.gap`, `time.jitter`, `time.rate`); empty if there is none.
    """
    findings = []
    is_finite = np.isfinite(times_s)
    if not is_finite.all():
        findings.append(_warning("time.missing", "Some stamps are missing.", ~is_finite))
    times_s = times_s[is_finite]
    if len(times_s) and abs(times_s[0]) > _START_S:
        findings.append(
            Finding(
                check="time.start",
                status="fixed",
                fact="The stamps do not start at 0; the recording's clock does.",
                evidence=f"first stamp {times_s[0]:.6g} s",
            )
        )
    steps_s = np.diff(times_s)
    if not len(steps_s):
        return findings
    findings += _check_steps(steps_s)
    own_rate_hz = _own_rate_hz(steps_s)
    if abs(own_rate_hz / rate_hz - 1.0) > tolerance:
        findings.append(
            Finding(
                check="time.rate",
                status="warning",
                fact="The stamps have another rate than the one that is used.",
                evidence=f"stamps {own_rate_hz:.4g} Hz, used {rate_hz:.4g} Hz",
                remedy="Pass rate_hz if the stamps are right.",
            )
        )
    return findings


def _own_rate_hz(steps_s: np.ndarray) -> float:
    middle_s = float(np.median(steps_s))
    return 1.0 / middle_s if middle_s > 0 else float("inf")


def _check_steps(steps_s: np.ndarray) -> list[Finding]:
    forward_s = steps_s[steps_s > 0]
    interval_s = float(np.median(forward_s)) if len(forward_s) else 0.0
    is_gap = steps_s > _GAP_INTERVALS * interval_s
    is_jitter = (np.abs(steps_s - interval_s) > _JITTER_INTERVALS * interval_s) & (steps_s > 0)
    cases = (
        ("time.backward", "Some stamps go back in time.", steps_s < 0),
        ("time.duplicate", "Some stamps repeat the one before.", steps_s == 0),
        ("time.gap", "There are gaps between stamps; samples are taken as uniform.", is_gap),
        ("time.jitter", "Stamps are irregular; samples are taken as uniform.", is_jitter & ~is_gap),
    )
    return [_warning(check, fact, where) for check, fact, where in cases if where.any()]


def _warning(check: str, fact: str, where: np.ndarray) -> Finding:
    evidence = f"{int(where.sum())} of {len(where)}, the first at row {int(where.argmax()) + 1}"
    return Finding(check=check, status="warning", fact=fact, evidence=evidence)
