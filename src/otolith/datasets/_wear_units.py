"""The unit of WEAR's accelerations, from what they show: gravity has the strength 1 in g, 9.81 in m/s^2."""

# T samples, C channels, L limbs

from __future__ import annotations

import warnings

import numpy as np

from otolith.core.errors import FileFormatError
from otolith.datasets._streams import AccUnit
from otolith.datasets._wear_rows import LIMBS
from otolith.recordings.recording import Finding
from otolith.signals.units import STANDARD_GRAVITY_M_S2

_SIZES: dict[AccUnit, float] = {"g": 1.0, "m/s^2": STANDARD_GRAVITY_M_S2}
_FACTOR = 1.5
"""How far the median strength of a recording may be from gravity's."""
_RANGE_G = 8.0
"""What the watches measure along an axis."""


def to_si(samples_TC: np.ndarray, file: str) -> tuple[np.ndarray, Finding]:
    """Return acceleration in m/s^2, whatever unit it is in, and what was found.

    The publishers give g. A table in which the median strength over time is that of gravity in m/s^2
    is kept as it is. Where the strength fits neither unit, g is taken if no value exceeds what the
    watches measure (8 g along an axis).

    Args:
        samples_TC: Acceleration of all limbs [T, 12]; NaN = missing.
        file: Where it comes from.

    Raises:
        FileFormatError: Limbs are in different units, or values fit no unit.
    """
    strength_TL = np.linalg.norm(samples_TC.reshape(len(samples_TC), -1, 3), axis=2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a limb may be missing throughout
        typical_L = np.nanmedian(strength_TL, axis=0)
        typical, highest = np.nanmedian(typical_L), np.nanmax(np.abs(samples_TC), initial=0.0)
    units = [_unit(value) for value in typical_L]
    known = [unit for unit in units if unit]
    if len(set(known)) > 1:
        odd = next(i for i, unit in enumerate(units) if unit and unit != known[0])
        raise FileFormatError(
            f"In {file} the {LIMBS[odd]} is in {units[odd]} and others are in {known[0]}.",
            "Bring them to one unit, or fetch the file again.",
        )
    if not known and highest > _RANGE_G * 1.05:
        raise FileFormatError(
            f"Accelerations in {file} have the typical strength {typical:.3g}, which is gravity neither "
            f"in g nor in m/s^2, and reach {highest:.3g}.",
            "Bring them to g, or fetch the file again.",
        )
    unit: AccUnit = known[0] if known else "g"
    scaled = samples_TC * (STANDARD_GRAVITY_M_S2 / _SIZES[unit])
    return scaled.astype(np.float32), _finding(unit, typical, is_known=bool(known))


def _unit(typical: float) -> AccUnit | None:
    """The unit in which a typical strength is gravity's; None = neither, or nothing was measured."""
    for unit, size in _SIZES.items():
        if size / _FACTOR < typical < size * _FACTOR:
            return unit
    return None


def _finding(unit: AccUnit, typical: float, *, is_known: bool) -> Finding:
    factor = STANDARD_GRAVITY_M_S2 / _SIZES[unit]
    done = "kept as it is" if factor == 1.0 else f"multiplied by {factor:.7g}"
    if not is_known:
        fact = (
            f"The typical strength of acceleration is {typical:.3g}, which is gravity neither in g nor in "
            f"m/s^2; the publishers give g, so it was {done}."
        )
        return Finding(check="units.acc", status="warning", fact=fact)
    fact = (
        f"The typical strength of acceleration is {typical:.3g}, so it is in {unit}; it was {done}."
    )
    if unit != "g":
        return Finding(
            check="units.acc", status="warning", fact=f"{fact} The publishers' own files are in g."
        )
    return Finding(check="units.acc", status="ok", fact=fact)
