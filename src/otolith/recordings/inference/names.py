"""The vocabulary of column names: which sensor, axis, device and unit a name speaks of."""

from __future__ import annotations

import re
from dataclasses import dataclass

ROLES: dict[str, tuple[str, ...]] = {
    "t": (
        "t", "time", "timestamp", "time_stamp", "timestamps", "times", "datetime", "date_time",
        "seconds", "elapsed", "elapsed_time", "seconds_elapsed", "epoch", "unix_time", "unixtime", "epoch_time",
        "loggingtime", "logging_time", "time_of_day", "sensor_time",
    ),
    "sample": ("sample", "sample_index", "sample_id", "index", "idx", "counter", "packet_counter", "packetcounter", "frame", "seq", "sequence", "sample_number"),
    "recording_id": ("recording_id", "recording", "record_id", "session_id", "session", "trial_id", "window_id", "segment_id", "file_id", "clip_id"),
    "subject": ("subject", "subject_id", "participant", "participant_id", "person", "person_id", "user", "user_id", "userid", "patient", "patient_id", "volunteer"),
    "label": ("label", "labels", "activity", "activity_label", "activity_name", "class", "class_label", "target"),
    "placement": ("placement", "position", "location", "body_part", "device", "sensor_location", "device_id"),
    "side": ("side",),
    "source_recording": ("source_recording", "source_recording_id"),
}  # fmt: skip
SENSORS = {
    "acc": "acc|accel|accelerometer|acceleration|accelero|accl|acceler",
    "gyro": "gyro|gyr|gyroscope|rotationrate|rotation_rate|angularvelocity|angular_velocity|angular_rate|angvel|ang_vel|omega",
    "mag": "mag|magn|magnetometer|magnetic_field|magneticfield",
    "gravity": "grav|gravity",
}
_LETTER = {"a": "acc", "g": "gyro", "w": "gyro", "m": "mag"}
_LINEAR = r"(?:user|linear|lin|body)_?"
_ALL = "|".join(f"(?P<{k}>{v})" for k, v in SENSORS.items())
_NAME = re.compile(
    rf"^(?:(?P<device>.+?)_)??(?P<linear>{_LINEAR})?(?:{_ALL})_?\d*_?(?P<axis>[xyz])$"
)
_AXIS_FIRST = re.compile(rf"^(?P<axis>[xyz])_?(?:axis_)?(?P<linear>{_LINEAR})?(?:{_ALL})$")
_UNITS = {
    "g": "g", "gs": "g", "gee": "g",
    "mg": "mg", "milli_g": "mg", "millig": "mg",
    "m/s2": "m/s2", "m/s^2": "m/s2", "m/s²": "m/s2", "ms2": "m/s2", "ms^-2": "m/s2", "m/s/s": "m/s2", "m_s2": "m/s2", "ms-2": "m/s2", "mps2": "m/s2", "m/s**2": "m/s2", "m s^-2": "m/s2",
    "rad/s": "rad/s", "rads": "rad/s", "rad_s": "rad/s", "radps": "rad/s", "rps": "rad/s", "rad/sec": "rad/s",
    "deg/s": "deg/s", "dps": "deg/s", "deg_s": "deg/s", "degs": "deg/s", "°/s": "deg/s", "deg/sec": "deg/s", "degps": "deg/s", "º/s": "deg/s",
    "ut": "uT", "µt": "uT", "μt": "uT", "microtesla": "uT",
    "s": "s", "sec": "s", "seconds": "s", "second": "s", "ms": "ms", "msec": "ms", "milliseconds": "ms", "millis": "ms",
    "us": "us", "µs": "us", "μs": "us", "microseconds": "us", "micros": "us", "ns": "ns", "nanoseconds": "ns", "nanos": "ns",
}  # fmt: skip
_SUFFIX_UNITS = ("mg", "ms2", "m_s2", "mps2", "dps", "deg_s", "degs", "rad_s", "rads", "radps", "ut", "ms", "us", "ns", "millis", "seconds", "sec", "g", "s")  # fmt: skip


@dataclass(frozen=True)
class SignalName:
    """What the name of a signal column says.

    Args:
        device: Prefix that names the device or place; empty if none.
        sensor: `acc`, `gyro`, `mag` or `gravity`.
        axis: `x`, `y` or `z`.
        is_linear: Whether the name says that gravity was removed.
        unit: Stated unit; empty if none.
    """

    device: str
    sensor: str
    axis: str
    is_linear: bool = False
    unit: str = ""


def known_unit(text: str) -> str:
    """Return the canonical spelling of a unit ("m/s2", "deg/s", "ms"), or an empty text."""
    return _UNITS.get(text.strip().lower().strip("[]()"), "")


def split_unit(name: str) -> tuple[str, str]:
    """Split a column name into the name in snake case and its stated unit (or "")."""
    unit = ""
    if match := re.search(r"[(\[{]([^)\]}]*)[)\]}]", name):
        unit = known_unit(match[1])
        name = name[: match.start()] + name[match.end() :]
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.strip())
    snake = re.sub(r"[^0-9a-zA-Zµμ]+", "_", snake).strip("_").lower()
    if not unit:
        for suffix in _SUFFIX_UNITS:
            stem = snake.removesuffix("_" + suffix)
            if stem != snake and (_signal(stem) or stem in ROLES["t"]):
                return stem, known_unit(suffix.replace("_", "/")) or known_unit(suffix)
    return snake, unit


def signal_name(name: str) -> SignalName | None:
    """Read the name of a signal column; None if it names no signal."""
    snake, unit = split_unit(name)
    found = _signal(snake)
    return None if found is None else SignalName(*found, unit=unit)


def role_name(name: str) -> tuple[str, str] | None:
    """Return (role, stated unit) of a column that is no signal; None if it is unknown."""
    snake, unit = split_unit(name)
    for role, names in ROLES.items():
        if snake in names:
            return role, unit
    return None


def _signal(snake: str) -> tuple[str, str, str, bool] | None:
    if match := re.fullmatch(r"([agwm])_?([xyz])", snake):
        return "", _LETTER[match[1]], match[2], False
    match = _NAME.match(snake) or _AXIS_FIRST.match(snake)
    if match is None:
        return None
    groups = match.groupdict()
    sensor = next(s for s in SENSORS if groups.get(s))
    device = (groups.get("device") or "").strip("_")
    device = "" if device in {"raw", "motion", "sensor", "imu", "calibrated", "cal"} else device
    return device, sensor, groups["axis"], bool(groups.get("linear"))
