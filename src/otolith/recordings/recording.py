"""A recording: streams on one clock, and annotations.

The clock of a recording is float64 seconds since its start. Acceleration is in m/s^2 and
angular rate in rad/s everywhere behind this file; a reader converts and says so in a
`Finding`. Nothing is silently sorted, dropped or guessed.
"""

# T time, C channels, N feature windows, D width

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Literal

import numpy as np

from otolith.core.errors import DataError

Sensor = Literal["acc", "gyro", "mag", "ori", "gravity", "pressure", "other"]
Axis = Literal["x", "y", "z", "w", "norm", "other"]
UNITS: dict[str, str] = {"acc": "m/s^2", "gyro": "rad/s", "mag": "uT", "gravity": "m/s^2"}
_SENSOR_WORDS = {
    "acc": "accelerometer",
    "gyro": "gyroscope",
    "mag": "magnetometer",
    "ori": "orientation",
}


class Gravity(StrEnum):
    """Whether the acceleration contains gravity."""

    INCLUDED = "included"
    REMOVED = "removed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class Channel:
    """One column of a motion stream.

    Args:
        name: Unique name within the stream, such as `acc_x` or `wrist_gyro_z`.
        sensor: Kind of sensor.
        axis: Axis of the sensor's own frame.
        placement: Where it is worn, in words ("waist"); empty if unknown.
        description: One short text about the channel, for text encoders.
        unit: SI unit of the values.
    """

    name: str
    sensor: Sensor
    axis: Axis
    placement: str = ""
    description: str = ""
    unit: str = ""

    @classmethod
    def from_name(cls, name: str, *, placement: str = "", description: str = "") -> Channel:
        """Make a channel from a name of the form `[<location>_]<sensor>[digits]_<axis>`."""
        match = re.search(r"(?:^|_)(acc|accel|gyro|mag|ori|gravity)\d*_(x|y|z|w|norm|[1-4])$", name)
        sensor: Sensor = "other"
        axis: Axis = "other"
        if match:
            sensor = "acc" if match[1] == "accel" else match[1]  # pyrefly: ignore  # the pattern lists the sensors
            axis = {"1": "w", "2": "x", "3": "y", "4": "z"}.get(match[2], match[2])  # pyrefly: ignore  # the pattern lists the axes
        words = f"{_SENSOR_WORDS.get(sensor, sensor)} {axis}-axis" + (
            f" at the {placement}" if placement else ""
        )
        return cls(
            name=name,
            sensor=sensor,
            axis=axis,
            placement=placement,
            description=description or words,
            unit=UNITS.get(sensor, ""),
        )

    @property
    def triad(self) -> str:
        """Name without the axis: channels of one three-axis sensor share it."""
        return re.sub(r"_(x|y|z|w|norm|[1-4])$", "", self.name)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something that was seen, inferred or changed while reading; stored with the recording.

    Args:
        check: Name of the check, such as `units.acc` or `time.backward`.
        status: `ok`, `inferred`, `fixed`, `warning`, `unknown` (cannot be known from the file).
        fact: One sentence that says what was found.
        evidence: The numbers behind it.
        remedy: What the user can do or say to decide otherwise; may be empty.
    """

    check: str
    status: Literal["ok", "inferred", "fixed", "warning", "unknown"]
    fact: str
    evidence: str = ""
    remedy: str = ""


@dataclass(frozen=True, kw_only=True)
class Quality:
    """Quality of a stream.

    Args:
        flag: `good`, `suspect` or `bad`.
        valid_fraction: Share of samples that were measured (not filled), 0..1.
        notes: Short sentences.
    """

    flag: Literal["good", "suspect", "bad"] = "good"
    valid_fraction: float = 1.0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Stream(ABC):
    """What all streams share.

    Args:
        name: Unique name within the recording, such as `imu`, `watch`, `camera`.
        offset_s: Time of the stream's first sample on the recording's clock, in s.
        drift_ppm: Clock drift against the recording's clock in parts per million.
        quality: Quality flag.
    """

    name: str
    offset_s: float = 0.0
    drift_ppm: float = 0.0
    quality: Quality = field(default_factory=Quality)

    @property
    @abstractmethod
    def duration_s(self) -> float:
        """Length in seconds on the recording's clock."""


@dataclass(frozen=True, kw_only=True)
class ImuStream(Stream):
    """Uniformly sampled motion signals.

    Args:
        samples_TC: float32 [T, C] in the channels' units (m/s^2, rad/s); NaN = missing.
        rate_hz: Sampling rate in Hz.
        channels: One entry per column.
        gravity: Whether acceleration contains gravity.
    """

    samples_TC: np.ndarray
    rate_hz: float
    channels: tuple[Channel, ...]
    gravity: Gravity = Gravity.UNKNOWN

    def __post_init__(self) -> None:
        """Check that shape, type and rate agree."""
        if self.samples_TC.ndim != 2 or self.samples_TC.shape[1] != len(self.channels):
            raise DataError(
                f'Stream "{self.name}" has samples of shape {self.samples_TC.shape} '
                f"but {len(self.channels)} channels.",
                "Give samples as [time, channels].",
            )
        if self.samples_TC.dtype != np.float32:
            raise DataError(
                f'Stream "{self.name}" has samples of type {self.samples_TC.dtype}.',
                "Convert them to float32.",
            )
        if not (np.isfinite(self.rate_hz) and self.rate_hz > 0):
            raise DataError(
                f'Stream "{self.name}" has rate {self.rate_hz} Hz.', "Give a positive rate."
            )
        if len({c.name for c in self.channels}) != len(self.channels):
            raise DataError(f'Stream "{self.name}" names a channel twice.', "Rename one of them.")

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.samples_TC) / self.rate_hz * (1.0 + self.drift_ppm * 1e-6)

    @property
    def times_s(self) -> np.ndarray:
        """Time of every sample on the recording's clock, float64 [T], in s."""
        step_s = (1.0 + self.drift_ppm * 1e-6) / self.rate_hz
        return self.offset_s + np.arange(len(self.samples_TC), dtype=np.float64) * step_s


@dataclass(frozen=True, kw_only=True)
class VideoStream(Stream):
    """Video by reference.

    Args:
        path: The video file.
        fps: Nominal frames per second.
        frame_times_s: float64 [F], presentation time of each frame on the stream's clock in s.
        width_px: Width of a frame as shown (after rotation).
        height_px: Height of a frame as shown.
        num_bytes: Size of the file when it was opened, by which a changed file is noticed;
            0 = not recorded.
    """

    path: Path
    fps: float
    frame_times_s: np.ndarray
    width_px: int
    height_px: int
    num_bytes: int = 0

    @property
    def duration_s(self) -> float:
        """Time from the first frame to the end of the last in seconds."""
        if not len(self.frame_times_s):
            return 0.0
        span = float(self.frame_times_s[-1] - self.frame_times_s[0])
        return (span + 1.0 / self.fps) * (1.0 + self.drift_ppm * 1e-6)


@dataclass(frozen=True, kw_only=True)
class FeatureStream(Stream):
    """Precomputed features on a regular grid; width and stride are read, never typed.

    Args:
        values_ND: float32 [N, D], row i describes [i * stride_s, i * stride_s + window_s].
        extractor: What computed them ("omnivore", "i3d", "mae").
        window_s: Length of the described window in s.
        stride_s: Distance of neighbouring windows in s.
    """

    values_ND: np.ndarray
    extractor: str
    window_s: float
    stride_s: float

    @property
    def duration_s(self) -> float:
        """Length in seconds, from the start of the first window to the end of the last."""
        count = len(self.values_ND)
        span = 0.0 if count == 0 else (count - 1) * self.stride_s + self.window_s
        return span * (1.0 + self.drift_ppm * 1e-6)


@dataclass(frozen=True, kw_only=True)
class Annotation:
    """A statement about a point or an interval.

    Args:
        start_s: Start on the recording's clock in s.
        end_s: End in s; None for a point.
        labels: Class names (several for multi-label); empty if there is only text.
        text: Free text, such as a narration; empty if none.
        verb: Verb of a verb/noun pair; empty if none.
        noun: Noun of a verb/noun pair; empty if none.
        source: Who says so ("publisher", "user", a model's name).
        track: Name of the annotation track, such as `activity` or `narration`.
        stream: Name of the stream it belongs to; empty = the whole recording.
    """

    start_s: float
    end_s: float | None
    labels: tuple[str, ...] = ()
    text: str = ""
    verb: str = ""
    noun: str = ""
    source: str = "publisher"
    track: str = "activity"
    stream: str = ""


@dataclass(frozen=True, kw_only=True)
class Recording:
    """One continuous capture of one person.

    Args:
        id: Unique within the dataset.
        subject: Person; empty if unknown.
        dataset: Name of the dataset; empty for a file of the user.
        streams: Streams by name, on one clock.
        annotations: Statements about points and intervals.
        attributes: Further facts as texts (side, trial, device, `source_recording`, ...).
        findings: What was inferred or changed while reading.
    """

    id: str
    subject: str = ""
    dataset: str = ""
    streams: dict[str, Stream] = field(default_factory=dict)
    annotations: tuple[Annotation, ...] = ()
    attributes: dict[str, str] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()

    @property
    def imus(self) -> dict[str, ImuStream]:
        """The motion streams by name."""
        return {k: s for k, s in self.streams.items() if isinstance(s, ImuStream)}

    @property
    def duration_s(self) -> float:
        """Time at which the last stream ends, in s."""
        return max((s.offset_s + s.duration_s for s in self.streams.values()), default=0.0)
