"""Build motion streams in SI units from a publisher's units, and say so in findings."""

# T time, C channels

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from otolith.recordings.recording import (
    Annotation,
    Channel,
    Finding,
    Gravity,
    ImuStream,
    Quality,
)
from otolith.signals.units import DEG_TO_RAD, STANDARD_GRAVITY_M_S2

AccUnit = Literal["m/s^2", "g"]
GyroUnit = Literal["rad/s", "deg/s"]
_TO_SI = {"m/s^2": 1.0, "g": STANDARD_GRAVITY_M_S2, "rad/s": 1.0, "deg/s": DEG_TO_RAD, "uT": 1.0}
_AXES = ("x", "y", "z")


def motion_stream(
    name: str,
    triads: dict[str, np.ndarray],
    units: dict[str, str],
    *,
    rate_hz: float,
    gravity: Gravity,
    placement: str = "",
    offset_s: float = 0.0,
    quality: Quality | None = None,
) -> ImuStream:
    """Return a motion stream in m/s^2, rad/s and uT.

    Args:
        name: Name of the stream.
        triads: Sensor ("acc", "gyro", "mag") -> samples [T, 3] in the publisher's unit; all of
            one length, in the order of the channels.
        units: Sensor -> unit of the publisher.
        rate_hz: Sampling rate in Hz.
        gravity: Whether acceleration contains gravity.
        placement: Where the sensor is worn, in words.
        offset_s: Time of the first sample on the recording's clock in s.
        quality: Quality of the stream.
    """
    columns = [np.asarray(x, np.float64) * _TO_SI[units[sensor]] for sensor, x in triads.items()]
    names = [f"{sensor}_{axis}" for sensor in triads for axis in _AXES]
    return ImuStream(
        name=name,
        samples_TC=np.ascontiguousarray(np.concatenate(columns, axis=1), dtype=np.float32),
        rate_hz=rate_hz,
        channels=tuple(Channel.from_name(n, placement=placement) for n in names),
        gravity=gravity,
        offset_s=offset_s,
        quality=quality or Quality(),
    )


def unit_findings(acc: AccUnit, gyro: GyroUnit | None) -> tuple[Finding, ...]:
    """Return findings that say which units the publishers use and what was done with them."""
    found = [Finding(check="units.acc", status="ok", fact=_conversion("acceleration", acc))]
    if gyro is not None:
        found.append(
            Finding(check="units.gyro", status="ok", fact=_conversion("angular rate", gyro))
        )
    return tuple(found)


def _conversion(what: str, unit: str) -> str:
    factor = _TO_SI[unit]
    done = "kept as it is" if factor == 1.0 else f"multiplied by {factor:.7g}"
    return f"The publishers give {what} in {unit}; it was {done}."


def whole(label: str, duration_s: float, *, text: str = "") -> tuple[Annotation, ...]:
    """Return the annotation of a recording that shows one activity from start to end."""
    return (Annotation(start_s=0.0, end_s=duration_s, labels=(label,), text=text),)


def bouts(codes_T: np.ndarray, names: dict[int, str], rate_hz: float) -> tuple[Annotation, ...]:
    """Turn one code per sample into one annotation per bout.

    Args:
        codes_T: Integer codes [T].
        names: Code -> class name; other codes mean no label.
        rate_hz: Sampling rate in Hz.
    """
    edges = np.flatnonzero(np.diff(codes_T)) + 1
    starts: Sequence[int] = [0, *edges.tolist()]
    ends: Sequence[int] = [*edges.tolist(), len(codes_T)]
    return tuple(
        Annotation(start_s=a / rate_hz, end_s=b / rate_hz, labels=(names[int(codes_T[a])],))
        for a, b in zip(starts, ends, strict=True)
        if b > a and int(codes_T[a]) in names
    )
