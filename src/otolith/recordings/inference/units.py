"""Units of acceleration and angular rate, from statements and evidence; conversion to SI."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from otolith.recordings.inference.axes import FIT, Turning
from otolith.recordings.inference.gravity import ACC_UNITS, NEAR, STEADY, Rest
from otolith.recordings.inference.notes import Notes, plural, some
from otolith.recordings.inference.tracks import Track
from otolith.recordings.options import ReadOptions
from otolith.recordings.recording import Gravity
from otolith.signals.units import DEG_TO_RAD

ACC_SCALES = {unit: ACC_UNITS["m/s2"] / size for unit, size in ACC_UNITS.items()}
GYRO_SCALES = {"rad/s": 1.0, "deg/s": DEG_TO_RAD}
_FAST_RAD_S = 38.0
"""Above the 2000 deg/s at which wearable gyroscopes end, in rad/s."""
_SCALE_ERROR = 0.08
_HARD_ACC = 8.0
"""A 99 % quantile of movement above this cannot be in g."""


@dataclass(frozen=True)
class Units:
    """What was decided about a track."""

    acc: str
    gyro: str
    gravity: Gravity


def decide_acc(
    track: Track, rest: Rest | None, options: ReadOptions, notes: Notes, *, sibling_unit: str = ""
) -> tuple[str, Gravity]:
    """Decide the unit of acceleration and whether it contains gravity.

    Args:
        track: The track, for its names and groups.
        rest: What acceleration shows at rest; None if it cannot be measured.
        options: Uses `unit_acc`, `gravity`, `on_unknown_unit`.
        notes: Receives statement and evidence.
        sibling_unit: Unit of the total acceleration of the same device, for a linear stream.

    Raises:
        DataError: The evidence does not decide the unit, or recordings differ in it.
    """
    acc = [s for s in track.signals if s.name.sensor == "acc"]
    named = next((s.name.unit for s in acc if s.name.unit in ACC_UNITS), "")
    is_linear = any(s.name.is_linear for s in acc)
    stated = options.unit_acc or named
    stated_gravity = options.gravity or ("removed" if is_linear else None)
    seen = _seen_gravity(rest, ACC_UNITS.get(stated, 0.0))
    gravity = Gravity(stated_gravity) if stated_gravity else seen
    evidence = _evidence(rest)
    _note_gravity(track, gravity, seen, stated_gravity, evidence, notes)
    shown = rest.unit if rest is not None and seen is Gravity.INCLUDED else ""
    if (
        not shown
        and rest is not None
        and seen is not Gravity.INCLUDED
        and rest.high > _HARD_ACC
        and rest.high < 300
    ):
        shown = "m/s2"
    if stated:
        _check_stated(
            track,
            stated,
            shown,
            rest,
            gravity,
            evidence,
            "user" if options.unit_acc else "file",
            notes,
        )
        return stated, gravity
    return _infer_acc(track, rest, shown, seen, sibling_unit, options, notes), gravity


def _infer_acc(
    track: Track,
    rest: Rest | None,
    shown: str,
    seen: Gravity,
    sibling_unit: str,
    options: ReadOptions,
    notes: Notes,
) -> str:
    """Unit of acceleration where nobody states it."""
    evidence = _evidence(rest)
    if shown:
        why = (
            "at rest it shows one g"
            if seen is Gravity.INCLUDED
            else "its movements are too large for g"
        )
        notes.add(
            "units.acc",
            "inferred",
            f'Acceleration of "{track.stream}" is in {_words(shown)}: {why}.',
            evidence,
            "Pass unit_acc (--unit-acc) to decide otherwise.",
        )
        return shown
    if sibling_unit:
        notes.add(
            "units.acc",
            "inferred",
            f'Acceleration of "{track.stream}" was taken to be in {_words(sibling_unit)}, like the total acceleration beside it.',
            evidence,
        )
        return sibling_unit
    if options.on_unknown_unit == "assume_si":
        notes.add(
            "units.acc",
            "warning",
            f'The unit of acceleration of "{track.stream}" is unclear; m/s^2 was assumed.',
            evidence,
            "Pass unit_acc (--unit-acc).",
        )
        return "m/s2"
    is_raw = rest is not None and rest.is_steady and rest.quiet_level > 20
    fact = f'The unit of acceleration of "{track.stream}" is unclear' + (
        "; it looks like raw counts" if is_raw else ""
    )
    remedy = (
        "Divide by the counts per g first."
        if is_raw
        else 'Pass unit_acc (--unit-acc g or m/s2), or on_unknown_unit="assume_si".'
    )
    raise notes.error("units.acc", fact, evidence, remedy)


def _seen_gravity(rest: Rest | None, unit_size: float) -> Gravity:
    """What the evidence says about gravity; `unit_size` is one g in file units or 0."""
    if rest is None:
        return Gravity.UNKNOWN
    fits = bool(rest.unit) or bool(
        unit_size and abs(np.log(max(rest.quiet_level, 1e-9) / unit_size)) < NEAR
    )
    if rest.is_steady and fits:
        return Gravity.INCLUDED
    smallest = unit_size or 1.0
    if rest.quiet_level < 0.5 * smallest or rest.spread > STEADY:
        return Gravity.REMOVED
    return Gravity.UNKNOWN


def _evidence(rest: Rest | None) -> str:
    if rest is None:
        return "no whole second of three axes"
    return (
        f"{len(rest.levels_W)} excerpts of 1 s: length of the mean vector {rest.quiet_level:.4g} in quiet ones, "
        f"relative spread {rest.spread:.2f}; 99 % of the lengths below {rest.high:.4g}"
    )


def _note_gravity(
    track: Track, gravity: Gravity, seen: Gravity, stated: str | None, evidence: str, notes: Notes
) -> None:
    remedy = "Pass gravity (--gravity included or removed) to decide otherwise."
    if stated and seen is not Gravity.UNKNOWN and seen.value != stated:
        notes.add(
            "gravity",
            "warning",
            f'Gravity in "{track.stream}" is stated to be {stated}, but the values look as if it were {seen.value}.',
            evidence,
            "Check gravity (--gravity) and unit_acc.",
        )
    elif stated:
        notes.add(
            "gravity", "ok", f'Gravity in "{track.stream}" is stated to be {stated}.', evidence
        )
    elif gravity is Gravity.UNKNOWN:
        notes.add(
            "gravity",
            "unknown",
            f'Whether acceleration of "{track.stream}" contains gravity cannot be told.',
            evidence,
            remedy,
        )
    else:
        notes.add(
            "gravity",
            "inferred",
            f'Acceleration of "{track.stream}" has gravity {gravity.value}.',
            evidence,
            remedy,
        )


def _check_stated(
    track: Track,
    stated: str,
    shown: str,
    rest: Rest | None,
    gravity: Gravity,
    evidence: str,
    who: str,
    notes: Notes,
) -> None:
    off = (
        rest is not None
        and gravity is Gravity.INCLUDED
        and abs(np.log(max(rest.quiet_level, 1e-9) / ACC_UNITS[stated])) > 2 * NEAR
    )
    if (shown and shown != stated) or off:
        looks = f"look like {_words(shown)}" if shown else "do not show one g at rest"
        notes.add(
            "units.acc",
            "warning",
            f'Acceleration of "{track.stream}" is stated to be in {_words(stated)} by the {who}, but the values {looks}; the statement was followed.',
            evidence,
            "Check unit_acc (--unit-acc) and the column names.",
        )
    else:
        notes.add(
            "units.acc",
            "ok",
            f'Acceleration of "{track.stream}" is in {_words(stated)}, as the {who} states.',
            evidence,
        )


def _words(unit: str) -> str:
    return {"m/s2": "m/s^2", "mg": "thousandths of g"}.get(unit, unit)


def check_uniform(track: Track, rest: Rest | None, options: ReadOptions, notes: Notes) -> None:
    """Refuse acceleration of which some parts are in one unit and the others in another.

    Raises:
        DataError: Most excerpts show one g, but in two units.
    """
    if rest is None or options.gravity == "removed" or track.signals[0].name.is_linear:
        return
    logs = np.log(np.maximum(rest.levels_W, 1e-9))
    near = {unit: np.abs(logs - np.log(size)) < 0.2 for unit, size in ACC_UNITS.items()}
    order = sorted(near, key=lambda unit: int(near[unit].sum()), reverse=True)
    most, other = order[0], order[1]
    share = (near[most].sum() + near[other].sum()) / len(logs)
    if share > 0.6 and near[other].sum() >= max(3, 0.004 * len(logs)):
        where = some(track.names_of(rest.rows_W[near[other]]))
        raise notes.error(
            "units.mixed",
            f'Parts of "{track.stream}" are in {_words(other)}, the others in {_words(most)}',
            f"{plural(int(near[other].sum()), 'excerpt')} of 1 s, in {where}",
            "Bring the file to one unit, or import these parts on their own.",
        )


def check_scale(track: Track, rest: Rest | None, unit: str, gravity: Gravity, notes: Notes) -> None:
    """Warn where one g is not shown as one g."""
    if rest is None or gravity is not Gravity.INCLUDED:
        return
    error = rest.quiet_level / ACC_UNITS[unit] - 1
    if abs(error) > _SCALE_ERROR:
        notes.add(
            "values.acc_scale",
            "warning",
            f'One g is shown as {1 + error:.2f} g by "{track.stream}": its scale or offset is wrong.',
            f"error {error:+.1%}",
            "Calibrate the accelerometer, or check unit_acc.",
        )


def decide_gyro(
    track: Track,
    rest: Rest | None,
    acc: Rest | None,
    acc_unit: str,
    found: Turning | None,
    rate_hz: float,
    options: ReadOptions,
    notes: Notes,
) -> str:
    """Decide the unit of angular rate.

    The strongest evidence is how gravity turns (see `axes`); otherwise magnitudes decide.

    Raises:
        DataError: The evidence does not decide.
    """
    named = next(
        (
            s.name.unit
            for s in track.signals
            if s.name.sensor == "gyro" and s.name.unit in GYRO_SCALES
        ),
        "",
    )
    stated = options.unit_gyro or named
    shown, evidence = _seen_gyro(rest, acc, acc_unit, found, rate_hz)
    _note_gyro(track, stated, shown, evidence, options, notes)
    unit = stated or shown or "rad/s"
    _check_turning_speed(track, found, unit, rate_hz, notes)
    return unit


def _note_gyro(
    track: Track, stated: str, shown: str, evidence: str, options: ReadOptions, notes: Notes
) -> None:
    """Say, or refuse to say, what the unit of angular rate is."""
    if stated and shown and shown != stated:
        notes.add(
            "units.gyro",
            "warning",
            f'Angular rate of "{track.stream}" is stated to be in {stated}, but the values look like {shown}; the statement was followed.',
            evidence,
            "Check unit_gyro (--unit-gyro) and the column names.",
        )
    elif stated:
        notes.add(
            "units.gyro",
            "ok",
            f'Angular rate of "{track.stream}" is in {stated}, as stated.',
            evidence,
        )
    elif shown:
        notes.add(
            "units.gyro",
            "inferred",
            f'Angular rate of "{track.stream}" is in {shown}.',
            evidence,
            "Pass unit_gyro (--unit-gyro) to decide otherwise.",
        )
    elif options.on_unknown_unit == "assume_si":
        notes.add(
            "units.gyro",
            "warning",
            f'The unit of angular rate of "{track.stream}" is unclear; rad/s was assumed.',
            evidence,
            "Pass unit_gyro (--unit-gyro).",
        )
    else:
        raise notes.error(
            "units.gyro",
            f'The unit of angular rate of "{track.stream}" is unclear',
            evidence,
            'Pass unit_gyro (--unit-gyro rad/s or deg/s), or on_unknown_unit="assume_si".',
        )


def _seen_gyro(
    rest: Rest | None, acc: Rest | None, acc_unit: str, found: Turning | None, rate_hz: float
) -> tuple[str, str]:
    """(unit or "", evidence)."""
    if rest is None:
        return "", "no whole second of three axes"
    size = f"99 % of the lengths below {rest.high:.3g}"
    if found is not None and found.best_fit >= FIT:
        factor = found.best_slope * rate_hz
        evidence = f"{found.num_excerpts} excerpts in which gravity turns: factor {factor:.4f} to rad/s (deg/s would be 0.0175), explained share {found.best_fit:.2f}; {size}"
        for unit, scale in GYRO_SCALES.items():
            if 0.4 < factor / scale < 2.5:
                return unit, evidence
        return "", evidence
    if rest.high > _FAST_RAD_S:
        return (
            ("deg/s", f"{size}, faster than a gyroscope can measure in rad/s")
            if rest.high < 5000
            else ("", size)
        )
    shake = acc.moved / ACC_UNITS[acc_unit] if acc is not None else 0.0
    if rest.high < 0.3 and shake < 0.05:
        return "rad/s", f"{size}, at rest"
    # Who shakes the accelerometer by 0.08 g turns by more than 20 deg/s now and then.
    if shake > 0.08 and 0.3 < rest.high < 20.0:
        return "rad/s", f"{size}, while acceleration shakes by {shake:.2f} g"
    return "", f"{size}, acceleration shakes by {shake:.2f} g"


def _check_turning_speed(
    track: Track, found: Turning | None, unit: str, rate_hz: float, notes: Notes
) -> None:
    """With a known unit, the speed at which gravity turns tells a wrong rate or scale."""
    if found is None or found.best_fit < 0.5:
        return
    factor = found.best_slope * rate_hz / GYRO_SCALES[unit]
    if not 0.6 < factor < 1.65:
        notes.add(
            "rate.turning",
            "warning",
            f'Gravity in "{track.stream}" turns {factor:.2f} times as fast as the gyroscope says: sampling rate or gyroscope scale may be wrong.',
            f"explained share {found.best_fit:.2f}, {rate_hz:g} Hz, {unit}",
            "Check rate_hz and unit_gyro.",
        )


def convert(track: Track, units: Units) -> None:
    """Bring the samples to m/s^2 and rad/s in place."""
    for sensor, scale in (
        ("acc", ACC_SCALES[units.acc]),
        ("gravity", ACC_SCALES[units.acc]),
        ("gyro", GYRO_SCALES.get(units.gyro, 1.0)),
    ):
        columns = track.columns(sensor)
        if columns and scale != 1.0:
            track.samples_NC[:, columns] *= np.float32(scale)


def check_swapped(
    track: Track, acc: Rest | None, gyro: Rest | None, options: ReadOptions, notes: Notes
) -> bool:
    """Find acceleration in the gyroscope's columns; swap them if the policy says so.

    Returns:
        Whether the columns were swapped.
    """
    if acc is None or gyro is None:
        return False
    gyro_is_steady = (
        gyro.is_steady and bool(gyro.unit) and gyro.spread < 0.15 and gyro.quiet_spread < 0.1
    )
    if not gyro_is_steady or (acc.is_steady and acc.unit):
        return False
    fact = f'The gyroscope columns of "{track.stream}" show gravity and the accelerometer columns do not: they are swapped'
    evidence = f"quiet level {gyro.quiet_level:.3g} with spread {gyro.spread:.2f}, against {acc.quiet_level:.3g} with spread {acc.spread:.2f}"
    status = "fixed" if options.on_swapped_sensors == "swap" else "warning"
    notes.act(
        options.on_swapped_sensors,
        "columns.swapped_sensors",
        status,
        fact,
        evidence,
        'Pass on_swapped_sensors="swap", or map the columns.',
    )
    if options.on_swapped_sensors != "swap":
        return False
    columns = track.columns("acc") + track.columns("gyro")
    track.samples_NC[:, columns] = track.samples_NC[:, columns[3:] + columns[:3]]
    return True
