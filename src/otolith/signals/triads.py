"""Which channels belong together: triads of one sensor, and the body site they are worn at.

Channel names have the form `[<site>_]<sensor>[digits]_<axis>`, such as `left_wrist_gyro_z`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_AXIS = re.compile(r"_(x|y|z|w|norm|[1-4])$")
_SENSOR = re.compile(r"(?:^|_)(acc|accel|gyro|mag|ori|gravity)\d*$")
_SITE_WORDS = ("acc", "gyro", "mag", "ori")


def triad_name(channel: str) -> str:
    """Return a channel's name without its axis: `hand_acc16_x` -> `hand_acc16`."""
    return _AXIS.sub("", channel)


def axis_name(channel: str) -> str:
    """Return the axis of a channel's name, or an empty text: `acc_x` -> `x`."""
    match = _AXIS.search(channel)
    return match[1] if match else ""


def sensor_name(channel: str) -> str:
    """Return the kind of sensor (`acc`, `gyro`, `mag`, `ori`, `gravity`), or an empty text."""
    match = _SENSOR.search(triad_name(channel))
    return {"accel": "acc"}.get(match[1], match[1]) if match else ""


def body_site(channel: str) -> str:
    """Return the body site of a channel or triad: its name without a trailing sensor word.

    `left_wrist_gyro_z` -> `left_wrist`; a name that starts with a sensor word (`acc_x`) has
    the empty site; a name that does not end in acc, gyro, mag or ori (`hand_acc16_x`) is a site
    of its own. This is the rule of TSFM (reference specification, section 4.6).
    """
    group = triad_name(channel)
    if group.startswith(_SITE_WORDS):
        return ""
    for word in _SITE_WORDS:
        if group.endswith(f"_{word}"):
            return group.removesuffix(f"_{word}")
    return group


def wearing_site(channel: str) -> str:
    """Return where a channel is worn: its triad's name without any trailing sensor word.

    Unlike `body_site` it also knows numbered sensors: `hand_acc16_x` and `hand_gyro_x` are both
    worn at `hand`.
    """
    return _SENSOR.sub("", triad_name(channel))


def find_triads(channels: Sequence[str]) -> dict[str, tuple[int, int, int]]:
    """Return the three-axis sensors among channels.

    Args:
        channels: Channel names in column order.

    Returns:
        Triad name -> columns of its x, y and z axis, in order of first appearance. Sensors
        that lack an axis, and quaternions, are not among them.
    """
    axes: dict[str, dict[str, int]] = {}
    for column, channel in enumerate(channels):
        if axis_name(channel) != "norm":
            axes.setdefault(triad_name(channel), {})[axis_name(channel)] = column
    return {
        name: (found["x"], found["y"], found["z"])
        for name, found in axes.items()
        if set(found) == {"x", "y", "z"}
    }
