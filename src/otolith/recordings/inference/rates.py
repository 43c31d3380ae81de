"""The sampling rate of every recording: from stamps, from the user, or from physics."""

# G groups

from __future__ import annotations

import numpy as np

from otolith.recordings.inference.axes import Turning, turning
from otolith.recordings.inference.notes import Notes, plural, some
from otolith.recordings.inference.tracks import Track
from otolith.recordings.options import ReadOptions

NOMINAL_HZ = np.array(
    [2, 4, 5, 6.25, 8, 10, 12.5, 15, 16, 20, 25, 30, 31.25, 32, 40, 50, 52, 60, 62.5, 64, 75, 80,
     90, 100, 104, 119, 120, 125, 128, 148, 150, 160, 200, 208, 250, 256, 300, 400, 416, 500, 512,
     600, 800, 833, 1000, 1024, 1600]
)  # fmt: skip
SNAP = 0.02
CONTRADICTION = 0.03


def decide_rates(track: Track, stated_hz: float | None, options: ReadOptions, notes: Notes) -> None:
    """Set `rates_G` and give every row a time in s.

    Args:
        track: Changed in place.
        stated_hz: Rate that the file's preamble states.
        options: Uses `rate_hz`, `on_unknown_rate`.
        notes: Receives the rate and where it comes from.

    Raises:
        DataError: There are no stamps, and nobody states the rate.
    """
    num_groups = len(track.starts_G)
    if track.times_N is not None:
        measured = _measured(track)
        track.rates_G = _from_stamps(measured, stated_hz, options, notes)
        if options.rate_hz and _differs(measured[0], options.rate_hz):
            _count_evenly(track)
        return
    if options.rate_hz:
        rate, origin = float(options.rate_hz), "stated by the user"
        if stated_hz and abs(stated_hz / rate - 1) > CONTRADICTION:
            notes.add(
                "rate.contradiction",
                "warning",
                f"The file's preamble states {stated_hz:g} Hz, the user {rate:g} Hz; the user's rate was taken.",
                remedy="Check rate_hz.",
            )
    elif stated_hz:
        rate, origin = stated_hz, "stated above the header"
    else:
        rate, origin = (
            _estimate(track, options, notes),
            "estimated from how the gyroscope turns gravity",
        )
    notes.add(
        "rate",
        "inferred",
        f"{rate:g} Hz, {origin}; the file has no time stamps.",
        remedy="Pass rate_hz to decide otherwise.",
    )
    if track.counters_N is None:
        notes.add(
            "time.none",
            "unknown",
            "Without time stamps or row numbers, lost or repeated rows cannot be seen.",
        )
    else:
        _normalise_counter(track, notes)
    track.rates_G = np.full(num_groups, rate)
    _count_evenly(track)


def nearest_nominal(rate_hz: float) -> float:
    """Return the usual rate within 2 % of `rate_hz`, else `rate_hz` to four digits."""
    best = float(NOMINAL_HZ[np.argmin(np.abs(NOMINAL_HZ / rate_hz - 1))])
    return best if abs(best / rate_hz - 1) <= SNAP else float(f"{rate_hz:.4g}")


def _measured(track: Track) -> np.ndarray:
    """Rates [3, G] in Hz of every group by three measures; NaN for a single row.

    By the mean of usual steps (near the median; where stamps arrive in bursts, all steps but
    gaps), by the median step, and by the mean of all steps but gaps.
    """
    rates = np.full((3, len(track.starts_G)), np.nan)
    all_steps = track.steps(track.seconds)
    all_steps = all_steps[np.isfinite(all_steps)]
    comes_in_bursts = len(all_steps) and np.mean(all_steps <= 0.4 * np.median(all_steps)) > 0.005
    for g, (start, stop) in enumerate(zip(track.starts_G, track.stops_G, strict=True)):
        steps = np.diff(track.seconds[start:stop])
        if not len(steps):
            continue
        median = np.median(steps)
        usual = steps[(steps > 0.4 * median) & (steps < 1.6 * median)]
        no_gaps = steps[steps <= 5.0 * max(median, steps.mean())]
        if comes_in_bursts or len(usual) < 0.6 * len(steps):
            usual = no_gaps
        rates[:, g] = 1.0 / usual.mean(), 1.0 / median, 1.0 / no_gaps.mean()
    return rates


def _differs(measured_G: np.ndarray, rate_hz: float) -> bool:
    return bool(abs(np.nanmedian(measured_G) / rate_hz - 1) > CONTRADICTION)


def _from_stamps(
    measured: np.ndarray, stated_hz: float | None, options: ReadOptions, notes: Notes
) -> np.ndarray:
    """Common rates of groups of which one measure agrees within 13 %, at the usual value nearby."""
    measured_G = measured[0]
    if np.isnan(measured_G).all():
        raise notes.error("rate", "No recording has two rows", "", "Give longer recordings.")
    rates = np.where(np.isnan(measured_G), np.nanmedian(measured_G), measured_G)
    left = np.ones(len(rates), bool)
    decided = np.zeros(len(rates))
    while left.any():
        middle = float(np.median(rates[left]))
        close = np.minimum(np.abs(rates / middle - 1), np.abs(measured / middle - 1).min(axis=0))
        near = left & (close < 0.13)
        if not near.any():
            near = left & (rates == rates[left][np.argmin(np.abs(rates[left] - middle))])
        decided[near] = nearest_nominal(float(np.median(rates[near])))
        left &= ~near
    distinct = np.unique(decided)
    range_text = f"measured {np.nanmin(measured_G):.5g} to {np.nanmax(measured_G):.5g} Hz"
    if options.rate_hz:
        word = "warning" if _differs(measured_G, options.rate_hz) else "ok"
        fact = f"The user states {options.rate_hz:g} Hz, the time stamps say {some(f'{r:g}' for r in distinct)} Hz; the user's rate was taken."
        check = "rate.contradiction" if word == "warning" else "rate"
        notes.add(
            check,
            word,
            fact,
            range_text,
            "Leave rate_hz out to follow the stamps." if word == "warning" else "",
        )
        return np.full(len(rates), float(options.rate_hz))
    if stated_hz and _differs(measured_G, stated_hz):
        notes.add(
            "rate.contradiction",
            "warning",
            f"The file's preamble states {stated_hz:g} Hz, but the time stamps say {some(f'{r:g}' for r in distinct)} Hz; the stamps were followed.",
            range_text,
            "Pass rate_hz if the stamps are wrong.",
        )
    notes.add(
        "rate",
        "inferred",
        f"{some((f'{r:g}' for r in distinct), 5)} Hz, from the time stamps.",
        range_text,
        "Pass rate_hz to decide otherwise.",
    )
    return decided


def _normalise_counter(track: Track, notes: Notes) -> None:
    """Bring counters to steps of one."""
    if track.counters_N is None:
        return
    steps = track.steps(track.counters_N)
    step = float(np.nanmedian(steps)) if len(steps) and np.isfinite(steps).any() else 1.0
    if step not in (0.0, 1.0):
        notes.add(
            "time.counter_step",
            "fixed",
            f"The row counter advances by {step:g}; it was divided by that.",
        )
        track.counters_N = track.counters_N / step


def _count_evenly(track: Track) -> None:
    """Times from row numbers (the counter, or the position) and the rate."""
    starts, stops = track.starts_G, track.stops_G
    if track.counters_N is not None and track.times_N is None:
        position = track.counters_N - np.repeat(track.counters_N[starts], stops - starts)
    else:
        position = np.arange(len(track.samples_NC)) - np.repeat(starts, stops - starts)
    track.times_N = position / np.repeat(track.rates_G, stops - starts)


def _estimate(track: Track, options: ReadOptions, notes: Notes) -> float:
    """Rate from physics; refused unless the user asked for the estimate."""
    guess = _plausible(turning(track, None), track)
    hint = (
        f"Gravity and gyroscope agree with about {guess:.0f} Hz"
        if guess
        else "Gravity and gyroscope do not tell it"
    )
    if options.on_unknown_rate == "refuse" or guess is None:
        raise notes.error(
            "rate.unknown",
            "The file has no time stamps and states no sampling rate",
            hint,
            "Pass rate_hz (--rate).",
        )
    rate = float(NOMINAL_HZ[np.argmin(np.abs(np.log(NOMINAL_HZ / guess)))])
    notes.add(
        "rate.estimated",
        "warning",
        f"The sampling rate was estimated as {rate:g} Hz from how the gyroscope turns gravity; it may be wrong by 20 %.",
        f"estimate {guess:.1f} Hz",
        "Pass rate_hz (--rate).",
    )
    return rate


def _plausible(found: Turning | None, track: Track) -> float | None:
    """Rate in Hz that makes the gyroscope turn gravity as observed, if one unit fits."""
    if found is None or found.best_fit < 0.3:
        return None
    size = np.abs(track.samples_NC[:, track.columns("gyro")])
    factor = np.pi / 180.0 if np.nanquantile(size[:200_000], 0.99) > 25.0 else 1.0
    rate = factor / found.best_slope
    return rate if 4.0 <= rate <= 1000.0 else None


def note_counter(track: Track, notes: Notes) -> None:
    """Where there are stamps and a counter: say where the counter jumps."""
    if track.times_N is None or track.counters_N is None:
        return
    steps = track.steps(track.counters_N)
    usual = float(np.nanmedian(steps)) if len(steps) and np.isfinite(steps).any() else 1.0
    odd = np.flatnonzero(np.isfinite(steps) & (steps != usual))
    if len(odd):
        notes.add(
            "time.counter_jump",
            "warning",
            f"The row counter jumps at {plural(len(odd), 'row')}.",
            f"first at row {int(odd[0]) + 1}, usual step {usual:g}",
            "Rows may be lost or out of order.",
            recordings=track.names_of(odd),
        )
