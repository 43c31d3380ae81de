"""What a user may state about a file, and what to do about each kind of damage."""

from __future__ import annotations

from dataclasses import field
from typing import Literal

from otolith.core.config import config

UnitAcc = Literal["g", "m/s2", "mg"]
UnitGyro = Literal["rad/s", "deg/s"]
TimeUnit = Literal["s", "ms", "us", "ns"]


@config
class ReadOptions:
    """Facts that the user states, and policies; a stated fact wins over the evidence.

    Every policy accepts `refuse`, which raises a `DataError` instead of changing anything.

    Args:
        unit_acc: Unit of acceleration in the file; None = infer.
        unit_gyro: Unit of angular rate in the file; None = infer.
        rate_hz: Sampling rate in Hz; None = from the time stamps.
        gravity: Whether acceleration contains gravity; None = infer.
        placement: Where the sensor was worn, in words.
        subject: Person, for files without a subject column.
        dataset: Name stored in every recording.
        columns: Our column name -> the file's (`{"acc_x": "Ch 1", "t": "Zeit"}`).
        time_unit: Unit of a numeric time column; None = infer.
        max_interpolate_s: Longest hole between two samples that is bridged, in s.
        max_gap_s: Longest gap that is filled with NaN, in s.
        stuck_s: Shortest run of one unchanging value that is called stuck, in s.
        on_unknown_rate: Without stamps and a stated rate: refuse, or `estimate` it from how
            the gyroscope turns gravity.
        on_unknown_unit: Where the evidence does not decide the unit: refuse, or `assume_si`.
        on_bad_row: Truncated, repeated-header, comment and ragged rows.
        on_bad_value: Text in a number column.
        on_bad_time: Rows whose time is missing or unreadable.
        on_duplicate_row: Neighbouring rows with the same time and the same values.
        on_duplicate_time: Equal stamps with different values; `spread` places them evenly.
        on_backward_time: Stamps that go back; `split` starts a new recording there.
        on_gap: Holes longer than `max_interpolate_s`.
        on_jitter: Uneven stamps; `keep` takes the rows as evenly spaced.
        on_nan: Missing values; `interpolate` bridges up to `max_interpolate_s`.
        on_sentinel: Values such as -999 that stand for "missing".
        on_spike: Single samples far beyond their neighbours.
        on_stuck: Channels that stop changing while the others move.
        on_saturation: Samples at the sensor's limit.
        on_constant: A channel that never changes.
        on_missing_axis: A sensor without all of x, y, z.
        on_swapped_sensors: Acceleration and angular rate in each other's columns.
        on_axis_mismatch: Accelerometer and gyroscope axes that disagree; `fix` turns the
            gyroscope into the accelerometer's frame.
        on_unlabelled: Rows without a label.
        on_label_spelling: Labels that differ only in case, spaces or punctuation.
        on_other_file: Files of a folder that are no recordings; `skip` leaves out files of other
            kinds, `skip_tables` also tables without a motion signal (lists of people, ...).
    """

    unit_acc: UnitAcc | None = None
    unit_gyro: UnitGyro | None = None
    rate_hz: float | None = None
    gravity: Literal["included", "removed"] | None = None
    placement: str = ""
    subject: str = ""
    dataset: str = ""
    columns: dict[str, str] = field(default_factory=dict)
    time_unit: TimeUnit | None = None
    max_interpolate_s: float = 0.2
    max_gap_s: float = 600.0
    stuck_s: float = 2.0
    on_unknown_rate: Literal["refuse", "estimate"] = "refuse"
    on_unknown_unit: Literal["refuse", "assume_si"] = "refuse"
    on_bad_row: Literal["drop", "refuse"] = "drop"
    on_bad_value: Literal["nan", "refuse"] = "nan"
    on_bad_time: Literal["drop", "refuse"] = "drop"
    on_duplicate_row: Literal["drop", "refuse"] = "drop"
    on_duplicate_time: Literal["spread", "keep_first", "refuse"] = "spread"
    on_backward_time: Literal["refuse", "sort", "split"] = "refuse"
    on_gap: Literal["nan", "split", "interpolate", "refuse"] = "nan"
    on_jitter: Literal["resample", "keep", "refuse"] = "resample"
    on_nan: Literal["keep", "interpolate", "refuse"] = "keep"
    on_sentinel: Literal["nan", "keep", "refuse"] = "nan"
    on_spike: Literal["keep", "nan", "refuse"] = "keep"
    on_stuck: Literal["keep", "nan", "refuse"] = "keep"
    on_saturation: Literal["keep", "nan", "refuse"] = "keep"
    on_constant: Literal["keep", "refuse"] = "keep"
    on_missing_axis: Literal["refuse", "keep"] = "refuse"
    on_swapped_sensors: Literal["refuse", "swap", "keep"] = "refuse"
    on_axis_mismatch: Literal["keep", "fix", "refuse"] = "keep"
    on_unlabelled: Literal["keep", "refuse"] = "keep"
    on_label_spelling: Literal["merge", "keep", "refuse"] = "merge"
    on_other_file: Literal["skip", "skip_tables", "refuse"] = "skip"
