"""A video file as a recording: the film, and the motion that GoPro cameras store inside it.

Channels are in the camera's frame as GoPro names it: x to the side, y along the lens, z up through
the camera. `ORIN` says which axis each stored component is (a small letter: reversed); the first
camera with telemetry, HERO5, stored z, x, y and did not say so. `GRAV` is stored as x, z, y in the
sense of the accelerometer, which was measured (correlation with the smoothed acceleration), not
published.
"""

# T samples of the recording, N samples of a sensor, C components

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from otolith.core.errors import DataError, FileFormatError
from otolith.recordings.inference.grid import to_grid
from otolith.recordings.inference.notes import Notes, plural, some
from otolith.recordings.inference.units import ACC_SCALES, GYRO_SCALES
from otolith.recordings.options import ReadOptions
from otolith.recordings.readers.gopro_axes import GRAVITY_AXES, camera_axes
from otolith.recordings.readers.gpmf import SENSORS, SensorBlock, read_sensors, sensor_keys
from otolith.recordings.readers.packets import Packet, join_packets
from otolith.recordings.recording import Channel, Gravity, ImuStream, Quality, Recording, Stream
from otolith.recordings.video import data_packets, open_video
from otolith.signals.units import STANDARD_GRAVITY_M_S2

Timed = tuple[Packet, SensorBlock]
SUFFIXES = (".mp4", ".mov", ".m4v", ".360", ".mkv", ".avi", ".webm")
_HANDLER = "GoPro MET"
_NOT_FOR_VIDEO = ("rate_hz", "columns", "time_unit")
_WORDS = {"ACCL": "acc", "GYRO": "gyro", "GRAV": "gravity"}
_UNIT_WORDS = {"m/s²": "m/s2", "m/s^2": "m/s2", "m/s2": "m/s2", "g": "g", "rad/s": "rad/s",
               "deg/s": "deg/s", "°/s": "deg/s"}  # fmt: skip
_RATES_HZ = (1.0, 20_000.0)
_SAME_CLOCK = 0.02  # samples by which two sensors may drift apart and count as sampled together
_NEAR_GRAVITY = (0.5, 2.0)
_MIN_GRAVITY_COSINE = 0.8


def is_video(path: Path) -> bool:
    """Whether a file is a video, by its suffix or its first bytes."""
    if path.suffix.lower() in SUFFIXES:
        return True
    with path.open("rb") as file:
        return file.read(12)[4:8] == b"ftyp"


@dataclass(frozen=True)
class _Sensor:
    """One sensor on a regular clock: [N, 3] in SI units and the camera's axes."""

    samples_NC: np.ndarray
    rate_hz: float
    start_s: float


def read_video(path: Path, options: ReadOptions, notes: Notes) -> Recording:
    """Read a video, and the motion in it if a GoPro camera recorded some.

    Args:
        path: The video file.
        options: Uses the stated units, gravity, placement, subject, dataset and the policies of
            gaps and missing values.
        notes: Receives what was found.

    Returns:
        A recording with the stream `camera` and, with telemetry, the stream `imu`: acceleration,
        angular rate and the camera's estimate of gravity, on the accelerometer's clock. Time 0 is
        the first frame, or the first sample if that is earlier.

    Raises:
        FileFormatError: It is no video, or all of its telemetry is damaged.
        DataError: An option has no effect on a video, or a policy refuses.
    """
    stated = [name for name in _NOT_FOR_VIDEO if getattr(options, name)]
    if stated:
        raise DataError(
            f"{path.name} is a video, whose telemetry states its rate and columns.",
            f"Leave {', '.join(stated)} out.",
        )
    video = open_video(path)
    first_frame_s = float(video.frame_times_s[0])
    blocks = read_blocks(data_packets(path, _HANDLER, b"DEVC"), notes)
    imu = motion(blocks, path, options, notes, first_frame_s) if blocks else None
    zero_s = min(0.0, imu.offset_s) if imu else 0.0  # on the clock that starts with the film
    streams: dict[str, Stream] = {"camera": replace(video, offset_s=abs(zero_s))}
    if imu:
        streams["imu"] = replace(imu, offset_s=imu.offset_s - zero_s)
    notes.add(
        "labels.none",
        "unknown",
        "A video has no labels, so what the person did is not known from it.",
    )
    device = next((b.device for _, b in blocks if b.device), "")
    attributes = {"file": path.name, "device": device}
    if imu:
        attributes |= {"source_unit_acc": "m/s2", "source_unit_gyro": "rad/s"}
    return Recording(
        id=path.stem,
        subject=options.subject,
        dataset=options.dataset,
        streams=streams,
        attributes={k: v for k, v in attributes.items() if v},
    )


def read_blocks(packets: Iterable[tuple[float, float, bytes]], notes: Notes) -> list[Timed]:
    """Return the samples of all sensors with the time of their packets.

    Args:
        packets: Start and duration in s, and payload.
        notes: Receives which packets are damaged; they are left out.

    Returns:
        Empty if there is no acceleration.

    Raises:
        FileFormatError: All packets are damaged.
    """
    found, damaged, num_packets = [], [], 0
    others: dict[str, None] = {}
    for start_s, duration_s, payload in packets:
        num_packets += 1
        try:
            blocks = read_sensors(payload)
            others |= dict.fromkeys(k for k in sensor_keys(payload) if k not in SENSORS)
        except FileFormatError as error:
            damaged.append(f"at {start_s:.3f} s: {error.fact}")
            continue
        found += [(Packet(start_s, duration_s, b.values_NC, b.stamp_us), b) for b in blocks]
    if damaged and not found:
        raise FileFormatError(
            f"All telemetry of {notes.path} is damaged ({damaged[0].rstrip('.')}).",
            "Copy the file from the camera again.",
        )
    if damaged:
        notes.add(
            "telemetry.damaged",
            "warning",
            f"{plural(len(damaged), 'telemetry packet')} of {num_packets} could not be read and was left out.",
            "; ".join(damaged[:3]),
            "Copy the file from the camera again.",
        )
    if others:
        notes.add("telemetry.unused", "inferred", "Other telemetry was not read.", some(others, 12))
    if not any(b.key == "ACCL" for _, b in found):
        notes.add(
            "telemetry.none",
            "warning",
            "The video holds no acceleration, so the recording has no motion stream.",
            f"{plural(num_packets, 'telemetry packet')}",
            "Videos from a camera that records GPMF telemetry hold it, unless they were edited.",
        )
        return []
    return found


def motion(
    blocks: Sequence[Timed],
    path: Path,
    options: ReadOptions,
    notes: Notes,
    first_frame_s: float = 0.0,
) -> ImuStream:
    """Return all motion sensors on the accelerometer's clock.

    Args:
        blocks: What `read_blocks` found; acceleration is among it.
        path: The file, for messages.
        options: Facts and policies of the user.
        notes: Receives what was found.
        first_frame_s: Time of the first frame on the packets' clock in s.

    Raises:
        FileFormatError: A sensor has other than three components, or its times make no sense.
        DataError: A unit is unknown, or a policy refuses.
    """
    sensors = {
        key: _sensor(path, key, own, options, notes)
        for key in SENSORS
        if (own := [(p, b) for p, b in blocks if b.key == key])
    }
    acc = sensors["ACCL"]
    gravity = _gravity(acc, options, notes)
    columns = {"ACCL": acc.samples_NC}
    if "GYRO" in sensors:
        columns["GYRO"] = _on_clock_of(acc, sensors["GYRO"], notes)
    if "GRAV" in sensors and _agrees(acc, sensors["GRAV"], gravity, notes):
        columns["GRAV"] = _interpolated(acc, sensors["GRAV"])
    samples_TC = np.concatenate(list(columns.values()), axis=1).astype(np.float32)
    channels = tuple(
        Channel.from_name(f"{_WORDS[key]}_{axis}", placement=options.placement)
        for key in columns
        for axis in "xyz"
    )
    valid = float(np.isfinite(samples_TC).all(axis=1).mean())
    return ImuStream(
        name="imu",
        offset_s=acc.start_s - first_frame_s,
        quality=Quality(
            flag="good" if valid > 0.95 else "suspect" if valid > 0.5 else "bad",
            valid_fraction=valid,
        ),
        samples_TC=np.ascontiguousarray(samples_TC),
        rate_hz=acc.rate_hz,
        channels=channels,
        gravity=gravity,
    )


def _sensor(
    path: Path,
    key: str,
    own: Sequence[Timed],
    options: ReadOptions,
    notes: Notes,
) -> _Sensor:
    """One sensor in SI units, in the camera's axes, on a regular clock."""
    own = _uniform(key, own, notes)
    first = own[0][1]
    if first.values_NC.shape[1] != 3:
        raise FileFormatError(
            f"{key} of {path} has {first.values_NC.shape[1]} components instead of three.",
            "Copy the file from the camera again.",
        )
    timed = join_packets([p for p, _ in own])
    is_possible = _RATES_HZ[0] <= timed.rate_hz <= _RATES_HZ[1]
    if not (is_possible and (np.diff(timed.times_N) > 0).all()):
        raise FileFormatError(
            f"The times of {key} in {path} contradict each other ({timed.rate_hz:.6g} Hz).",
            "Copy the file from the camera again.",
        )
    by = "the camera's time stamps" if timed.by_stamps else "the times of the packets"
    notes.add(
        f"time.rate.{_WORDS[key]}",
        "ok",
        f"The rate of {key} is {timed.rate_hz:.4f} Hz by {by}.",
        f"packets lie within {timed.error_s * 1e3:.2f} ms of it",
    )
    _note_lost(key, own, notes)
    scale = _scale(path, key, first, options, notes)
    axes = GRAVITY_AXES if key == "GRAV" else camera_axes(first, path, notes)
    values_NC = (timed.values_NC @ (axes.T * scale)).astype(np.float32)
    gridded = to_grid(
        timed.times_N, values_NC, timed.rate_hz, path.stem, _WORDS[key], options, notes
    )
    return _Sensor(gridded.samples_TC, timed.rate_hz, gridded.start_s)


def _uniform(key: str, own: Sequence[Timed], notes: Notes) -> list[Timed]:
    """The packets that describe the sensor as most do; the rest must be damaged."""
    kinds = [(b.unit, b.order_in, b.order_out, b.matrix, b.values_NC.shape[1]) for _, b in own]
    usual = max(dict.fromkeys(kinds), key=kinds.count)
    kept = [pair for pair, kind in zip(own, kinds, strict=True) if kind == usual]
    if len(kept) < len(own):
        notes.add(
            "telemetry.inconsistent",
            "warning",
            f"{plural(len(own) - len(kept), 'packet')} of {key} names other units or axes than the rest and was left out.",
        )
    return kept


def _note_lost(key: str, own: Sequence[Timed], notes: Notes) -> None:
    """Compare the number of samples with the camera's own count."""
    first, last = own[0][1], own[-1][1]
    if first.total is None or last.total is None:
        return
    expected = last.total - first.total + len(first.values_NC)
    seen = sum(len(b.values_NC) for _, b in own)
    if expected != seen:
        notes.add(
            "time.count",
            "warning",
            f"The camera counted {expected} samples of {key}, the file holds {seen}.",
        )


def _scale(path: Path, key: str, block: SensorBlock, options: ReadOptions, notes: Notes) -> float:
    """Factor to SI units; a stated unit wins over the file's."""
    if key == "GRAV":
        return STANDARD_GRAVITY_M_S2
    is_acc = key == "ACCL"
    scales = ACC_SCALES if is_acc else GYRO_SCALES
    usual = "m/s2" if is_acc else "rad/s"
    stated = options.unit_acc if is_acc else options.unit_gyro
    named = _UNIT_WORDS.get(block.unit, "")
    check = "units.acc" if is_acc else "units.gyro"
    if stated or named in scales:
        source = "was stated" if stated else "is written in the file"
        unit = stated or named
        notes.add(check, "ok", f"The unit of {key}, {unit}, {source}.")
    elif block.unit:
        raise notes.error(
            check, f'The unit of {key} is "{block.unit}"', "", f"Pass unit_{_WORDS[key]}."
        )
    else:
        unit = usual
        notes.add(check, "inferred", f"{key} names no unit; GoPro cameras use {usual}.")
    return float(scales[unit])


def _gravity(acc: _Sensor, options: ReadOptions, notes: Notes) -> Gravity:
    """Whether acceleration contains gravity; cameras store what the sensor measures."""
    norm = float(np.nanmedian(np.linalg.norm(acc.samples_NC, axis=1)))
    seen = norm / STANDARD_GRAVITY_M_S2
    evidence = f"median length {norm:.3f} m/s^2"
    if options.gravity:
        notes.add("gravity", "ok", f"Gravity was stated as {options.gravity}.", evidence)
        return Gravity(options.gravity)
    if _NEAR_GRAVITY[0] < seen < _NEAR_GRAVITY[1]:
        notes.add("gravity", "ok", "Acceleration contains gravity.", evidence)
        return Gravity.INCLUDED
    notes.add(
        "gravity",
        "warning",
        "The length of the acceleration is not near gravity, which cameras include.",
        evidence,
        'Pass gravity="included" or "removed", or unit_acc.',
    )
    return Gravity.UNKNOWN


def _on_clock_of(acc: _Sensor, other: _Sensor, notes: Notes) -> np.ndarray:
    """Samples of another sensor at the accelerometer's instants, without aliasing [T, 3]."""
    count = len(acc.samples_NC)
    drift = abs(other.rate_hz / acc.rate_hz - 1.0) * count
    shift = abs(other.start_s - acc.start_s) * acc.rate_hz
    if drift + shift <= _SAME_CLOCK:
        padded = np.full((count, 3), np.nan, np.float32)
        padded[: len(other.samples_NC)] = other.samples_NC[:count]
        return padded
    from otolith.signals.resampling import resample

    notes.add(
        "time.resampled",
        "fixed",
        f"The gyroscope was brought from {other.rate_hz:.4f} Hz to the accelerometer's {acc.rate_hz:.4f} Hz.",
    )
    slow = resample(other.samples_NC, other.rate_hz, acc.rate_hz)
    return _interpolated(acc, _Sensor(np.asarray(slow), acc.rate_hz, other.start_s))


def _interpolated(acc: _Sensor, other: _Sensor) -> np.ndarray:
    """Linear interpolation at the accelerometer's instants; NaN more than a sample outside."""
    place_T = (
        np.arange(len(acc.samples_NC)) / acc.rate_hz + acc.start_s - other.start_s
    ) * other.rate_hz
    rows = np.arange(len(other.samples_NC))
    found = np.stack([np.interp(place_T, rows, c) for c in other.samples_NC.T], axis=1)
    found[(place_T < -1.0) | (place_T > rows[-1] + 1.0)] = np.nan
    return found


def _agrees(acc: _Sensor, gravity: _Sensor, kind: Gravity, notes: Notes) -> bool:
    """Whether the camera's estimate of gravity points as the mean acceleration does."""
    if kind is not Gravity.INCLUDED:
        return False
    a, b = (np.nanmean(s.samples_NC, axis=0, dtype=np.float64) for s in (acc, gravity))
    cosine = float(np.dot(a, b) / max(np.linalg.norm(a) * np.linalg.norm(b), 1e-12))
    evidence = f"cosine {cosine:.3f}"
    if cosine < _MIN_GRAVITY_COSINE:
        notes.add(
            "gravity.vector",
            "warning",
            "The camera's estimate of gravity points elsewhere than the mean acceleration; it was left out.",
            evidence,
        )
        return False
    notes.add(
        "gravity.vector",
        "inferred",
        "The camera's estimate of gravity was interpolated to the accelerometer's clock.",
        f"{evidence} with the mean acceleration, {gravity.rate_hz:.2f} Hz in the file",
    )
    return True
