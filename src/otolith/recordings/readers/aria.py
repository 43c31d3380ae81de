"""Project Aria glasses: both motion sensors of the head, from CSV tables or from a VRS file.

The left sensor (`imu-left`) of the first generation runs at 800 Hz, the right one (`imu-right`) at
1000 Hz, both of the second at 800 Hz (a VRS file says so); both are stamped by the device's one clock and measure acceleration with gravity in m/s^2 and angular rate in rad/s.
Each becomes a stream of its own, at its own rate and with its own number of samples. VRS files are read
by the package `projectaria-tools` (extra `aria`), whose provider gives one sample per call.
"""

# N rows, T samples

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from otolith.core.errors import DataError, FileFormatError, MissingDependencyError
from otolith.recordings.inference.grid import to_grid
from otolith.recordings.inference.notes import Notes, plural
from otolith.recordings.options import ReadOptions
from otolith.recordings.recording import (
    Channel,
    Gravity,
    ImuStream,
    Quality,
    Recording,
    Stream,
)
from otolith.signals.units import STANDARD_GRAVITY_M_S2

Side = Literal["left", "right", "both"]
RATES_HZ = {"left": 800.0, "right": 1000.0}
CHANNELS = ("acc_x", "acc_y", "acc_z", "gyro_x", "gyro_y", "gyro_z")
_TIMES = {"t": 1.0, "timestamp_s": 1.0, "capture_timestamp_ns": 1e-9, "timestamp_ns": 1e-9,
          "tracking_timestamp_us": 1e-6}  # fmt: skip
_MAX_RATE_ERROR = 0.05
_NEAR_GRAVITY = (0.7, 1.4)
_DEFAULTS = ReadOptions()
Rows = tuple[np.ndarray, np.ndarray]


def read_aria_csv(path: Path, side: Side = "both", options: ReadOptions = _DEFAULTS) -> Recording:
    """Read the CSV tables of both motion sensors.

    Args:
        path: Folder with one table whose name holds `imu` and `left`, and one with `right`; or one
            such table. Columns `acc_x` ... `gyro_z` and a time: `t` in s, or
            `capture_timestamp_ns`, `timestamp_ns`, `tracking_timestamp_us`.
        side: Which sensors.
        options: Uses subject, dataset and the policies of time, gaps and missing values.

    Returns:
        One recording with the streams `left` and `right`; time 0 is the first sample of either.

    Raises:
        DataError: A wanted table is missing, there are several, or a policy refuses.
        FileFormatError: A table is damaged or lacks a column.
    """
    path = Path(path)
    tables = {one: _table_of(path, one) for one in _sides(path, side)}
    notes = Notes(path)
    rows = {one: _read_table(table) for one, table in tables.items()}
    name = path.name if path.is_dir() else path.stem
    return _recording(name, rows, "; ".join(t.name for t in tables.values()), options, notes)


def read_aria_vrs(
    path: Path,
    side: Side = "both",
    options: ReadOptions = _DEFAULTS,
    *,
    open_provider: Callable[[str], Any] | None = None,
) -> Recording:
    """Read the motion sensors of a VRS file.

    Args:
        path: The VRS file.
        side: Which sensors.
        options: Uses subject, dataset and the policies of time, gaps and missing values.
        open_provider: Opens a file; None = `create_vrs_data_provider` of projectaria-tools.

    Returns:
        One recording with the streams `left` and `right`; time 0 is the first sample of either.

    Raises:
        MissingDependencyError: projectaria-tools is not installed.
        DataError: The file is missing, has no such sensor, or a policy refuses.
        FileFormatError: It is no VRS file, or is damaged.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"There is no file {path}.", "Check the path.")
    opener = open_provider or _default_opener()
    try:
        provider = opener(str(path))
    # the package raises bare RuntimeErrors, and only prints the reason where it returns None
    except Exception as error:  # noqa: BLE001
        raise _no_vrs(path, str(error)) from None
    if provider is None:
        raise _no_vrs(path, "the reader could not open it")
    notes = Notes(path)
    wanted = ("left", "right") if side == "both" else (side,)
    ids = {one: _stream_id(provider, path, one) for one in wanted}
    rows = {one: _read_stream(provider, stream, one, notes) for one, stream in ids.items()}
    usual_hz = {
        one: float(provider.get_imu_configuration(stream).nominal_rate_hz)
        for one, stream in ids.items()
    }
    return _recording(path.stem, rows, path.name, options, notes, usual_hz)


def _no_vrs(path: Path, reason: str) -> FileFormatError:
    first = reason.split("\n", 1)[0].rstrip(".")
    return FileFormatError(f"{path} is not a readable VRS file ({first}).", "Copy it again.")


def _default_opener() -> Callable[[str], Any]:
    try:
        from projectaria_tools.core import (  # pyrefly: ignore  # an optional package
            data_provider,
        )
    except ImportError:
        raise MissingDependencyError(
            "Reading VRS files needs the package projectaria-tools.",
            'Install it with `pip install "otolith[aria]"`, or export the sensors to CSV.',
        ) from None
    return data_provider.create_vrs_data_provider


def _sides(path: Path, side: Side) -> tuple[str, ...]:
    """Which sensors to read; one table is one sensor."""
    if not path.exists():
        raise DataError(f"There is no file or folder {path}.", "Check the path.")
    if path.is_dir():
        return ("left", "right") if side == "both" else (side,)
    named = [one for one in RATES_HZ if one in path.stem.lower()]
    if len(named) != 1:
        raise DataError(
            f"{path.name} does not say whether it is the left or the right sensor.",
            "Name it imu_left.csv or imu_right.csv.",
        )
    if side not in ("both", named[0]):
        raise DataError(f"{path.name} is not the {side} sensor.", "Give its table, or the folder.")
    return (named[0],)


def _table_of(path: Path, side: str) -> Path:
    """The table of one sensor in a folder."""
    if path.is_file():
        return path
    found = sorted(
        p for p in path.glob("*.csv") if re.search(rf"imu.*{side}|{side}.*imu", p.stem.lower())
    )
    if not found:
        raise DataError(
            f"{path} holds no table of the {side} sensor.",
            f"Name it imu_{side}.csv, or ask for the other sensor alone.",
        )
    if len(found) > 1:
        names = ", ".join(p.name for p in found[:3])
        raise DataError(
            f"{path} holds several tables of the {side} sensor: {names}.",
            "Put each recording into a folder of its own.",
        )
    return found[0]


def _read_table(path: Path) -> Rows:
    """Times in s and samples of one CSV table."""
    import pyarrow as pa
    from pyarrow import csv

    try:
        table = csv.read_csv(path)
        times = [name for name in _TIMES if name in table.column_names]
        missing = [name for name in CHANNELS if name not in table.column_names]
        if missing or len(times) != 1:
            lacks = ", ".join(missing) if missing else f"one time column of {', '.join(_TIMES)}"
            raise FileFormatError(
                f"{path} lacks {lacks}.", f"Its columns are {', '.join(table.column_names)}."
            )
        columns = [table[name].cast(pa.float64()).to_numpy() for name in CHANNELS]
        stamps = table[times[0]].to_numpy()
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:160].rstrip(".")
        raise FileFormatError(f"{path} is no whole CSV table ({reason}).", "Copy it.") from None
    if stamps.dtype.kind not in "iuf" or not len(stamps):
        raise FileFormatError(f"{path} holds no rows with a time.", "Export it again.")
    return stamps * _TIMES[times[0]], np.stack(columns, axis=1)


def _stream_id(provider: Any, path: Path, side: str) -> Any:
    """The stream of one sensor of a VRS file.

    Raises:
        DataError: There is none, or it is empty.
    """
    counts = {}
    for one in RATES_HZ:
        stream = provider.get_stream_id_from_label(f"imu-{one}")
        counts[one] = provider.get_num_data(stream) if stream is not None else 0
        if one == side and counts[one]:
            return stream
    others = [one for one, count in counts.items() if count]
    raise DataError(
        f"{path} holds no samples of imu-{side}.",
        f"Ask for the {others[0]} sensor alone." if others else "It has no motion sensors at all.",
    )


def _read_stream(provider: Any, stream: Any, side: str, notes: Notes) -> Rows:
    """Times in s and samples of one sensor of a VRS file; what is marked invalid becomes NaN."""
    count = provider.get_num_data(stream)
    stamps_N = np.empty(count, np.int64)
    samples_NC = np.empty((count, 6))
    invalid_N2 = np.zeros((count, 2), bool)
    for row in range(count):
        sample = provider.get_imu_data_by_index(stream, row)
        stamps_N[row] = sample.capture_timestamp_ns
        samples_NC[row, :3] = sample.accel_msec2
        samples_NC[row, 3:] = sample.gyro_radsec
        invalid_N2[row] = not sample.accel_valid, not sample.gyro_valid
    if invalid_N2.any():
        notes.add(
            "values.invalid",
            "fixed",
            f"{plural(int(invalid_N2.any(axis=1).sum()), 'sample')} of imu-{side} marked invalid were left empty.",
        )
        samples_NC[np.repeat(invalid_N2, 3, axis=1)] = np.nan
    return stamps_N * 1e-9, samples_NC


def _recording(
    name: str,
    rows: dict[str, Rows],
    file: str,
    options: ReadOptions,
    notes: Notes,
    usual_hz: dict[str, float] = RATES_HZ,
) -> Recording:
    """Streams on one clock that starts with the earliest sample."""
    streams: dict[str, ImuStream] = {
        side: _stream(name, side, *part, usual_hz[side], options, notes)
        for side, part in rows.items()
    }
    zero_s = min(s.offset_s for s in streams.values())
    moved: dict[str, Stream] = {
        side: replace(s, offset_s=s.offset_s - zero_s) for side, s in streams.items()
    }
    notes.add(
        "units.acc", "ok", "Aria gives acceleration in m/s^2 and angular rate in rad/s; kept as is."
    )
    notes.add("labels.none", "unknown", "The sensors' tables have no labels.")
    attributes = {"file": file, "device": "Project Aria", "source_unit_acc": "m/s2",
                  "source_unit_gyro": "rad/s", "start_time_s": f"{zero_s:.6f}"}  # fmt: skip
    return Recording(
        id=name,
        subject=options.subject,
        dataset=options.dataset,
        streams=moved,
        attributes=attributes,
        findings=notes.of(name),
    )


def _stream(
    name: str,
    side: str,
    times_N: np.ndarray,
    samples_NC: np.ndarray,
    usual_hz: float,
    options: ReadOptions,
    notes: Notes,
) -> ImuStream:
    """One sensor on a regular clock of its real rate; the offset is still the device's time."""
    times_N, samples_NC = _in_order(side, times_N, samples_NC, options, notes)
    rate_hz = _rate(side, times_N, usual_hz, notes)
    gridded = to_grid(times_N, samples_NC.astype(np.float32), rate_hz, name, side, options, notes)
    acc_TC = gridded.samples_TC[:, :3]
    if not np.isfinite(acc_TC).all(axis=1).any():
        raise notes.error(
            "values.none", f"No row of the {side} sensor has a whole acceleration", "",
            "Export it again, or ask for the other sensor alone.",
        )  # fmt: skip
    norm = float(np.nanmedian(np.linalg.norm(acc_TC, axis=1))) / STANDARD_GRAVITY_M_S2
    is_near = _NEAR_GRAVITY[0] < norm < _NEAR_GRAVITY[1]
    notes.add(
        f"gravity.{side}",
        "ok" if is_near else "warning",
        "Acceleration contains gravity." if is_near else "Acceleration is not near gravity.",
        f"median length {norm * STANDARD_GRAVITY_M_S2:.3f} m/s^2",
    )
    valid = float(np.isfinite(gridded.samples_TC).all(axis=1).mean())
    placement = options.placement or f"head, {side} temple"
    return ImuStream(
        name=side,
        offset_s=gridded.start_s,
        quality=Quality(
            flag="good" if valid > 0.95 else "suspect" if valid > 0.5 else "bad",
            valid_fraction=valid,
        ),
        samples_TC=gridded.samples_TC,
        rate_hz=rate_hz,
        channels=tuple(Channel.from_name(c, placement=placement) for c in CHANNELS),
        gravity=Gravity.INCLUDED if is_near else Gravity.UNKNOWN,
    )


def _in_order(
    side: str, times_N: np.ndarray, samples_NC: np.ndarray, options: ReadOptions, notes: Notes
) -> Rows:
    """Rows in order of time; stamps that go back or repeat follow the policies."""
    if not np.isfinite(times_N).all():
        raise notes.error(
            "time.missing", f"A row of the {side} sensor has no time", "", "Export it again."
        )
    steps = np.diff(times_N)
    if (steps < 0).any():
        if options.on_backward_time != "sort":
            row = int(np.flatnonzero(steps < 0)[0]) + 1
            raise notes.error(
                "time.backward",
                f"Time stamps of the {side} sensor go back",
                f"row {row}",
                'Pass on_backward_time="sort".',
            )
        order = np.argsort(times_N, kind="stable")
        times_N, samples_NC = times_N[order], samples_NC[order]
        notes.add("time.backward", "fixed", f"Rows of the {side} sensor were sorted by time.")
    first = np.concatenate([[True], np.diff(times_N) > 0])
    if not first.all():
        notes.act(
            "refuse" if options.on_duplicate_time == "refuse" else "keep_first",
            "time.duplicate",
            "fixed",
            f"{plural(int((~first).sum()), 'row')} of the {side} sensor repeat a time",
            "" if options.on_duplicate_time == "refuse" else "the first of each was kept",
            "Export it again.",
        )
    return times_N[first], samples_NC[first]


def _rate(side: str, times_N: np.ndarray, usual_hz: float, notes: Notes) -> float:
    """Real rate of a sensor: nominal where the stamps agree, else the stamps'."""
    if len(times_N) < 2:
        raise notes.error(
            "time.rows", f"The {side} sensor has one sample", "", "Give a longer recording."
        )
    usual_s = float(np.median(np.diff(times_N)))
    near = np.diff(times_N) < 1.5 * usual_s
    rate_hz = 1.0 / float(np.diff(times_N)[near].mean())
    is_usual = abs(rate_hz / usual_hz - 1.0) <= _MAX_RATE_ERROR
    notes.add(
        f"time.rate.{side}",
        "ok" if is_usual else "warning",
        f"The {side} sensor runs at {rate_hz:.4f} Hz; it should at {usual_hz:g} Hz.",
    )
    return rate_hz
