"""HHAR: 9 people with eight phones in a pouch at the waist and four watches, six activities.

`Activity recognition exp/{Phones,Watch}_{accelerometer,gyroscope}.csv` hold the rows of all people
and devices: Index, Arrival_Time (ms), Creation_Time (ns), x, y, z (m/s^2 or rad/s), User, Model,
Device, gt ("null" = no activity). Each model samples as fast as it can (about 50 to 200 Hz), so
each person and device is read by itself and keeps its own mean rate. Creation times are even, but
count from different starts; per device they are shifted onto its arrival clock.
"""

# T time, C channels

from __future__ import annotations

import functools
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pyarrow as pa
from pyarrow import csv
from pydantic import Field

from otolith.core.config import config
from otolith.core.errors import FileFormatError
from otolith.datasets import Card, RemoteFile, Source, Split
from otolith.datasets._clocks import (
    Span,
    covered,
    grid,
    in_order,
    mean_rate_hz,
    nearest,
    overlap,
    sample_at,
)
from otolith.datasets._files import find_root, need
from otolith.datasets._labels import groups_of
from otolith.datasets._streams import bouts, motion_stream, unit_findings
from otolith.recordings.recording import Finding, Gravity, Recording

ACTIVITIES = {
    "bike": "cycling", "sit": "sitting", "stand": "standing", "walk": "walking",
    "stairsup": "walking_upstairs", "stairsdown": "walking_downstairs",
}  # fmt: skip
PLACEMENTS = {"phone": "waist", "watch": "wrist"}
_FILES = {"phone": "Phones", "watch": "Watch"}
_CODES = {word: code for code, word in enumerate(ACTIVITIES)}
_NAMES = dict(enumerate(ACTIVITIES.values()))
_WORD = pa.dictionary(pa.int32(), pa.string())
_TYPES = {
    "Arrival_Time": pa.int64(), "Creation_Time": pa.int64(),
    "x": pa.float32(), "y": pa.float32(), "z": pa.float32(),
    "User": _WORD, "Model": _WORD, "Device": _WORD, "gt": _WORD,
}  # fmt: skip
MAX_RATE_ERROR = 0.1
MIN_CLOCK_ERROR_S = 10.0
"""Creation times whose span differs by this share and this much from that of arrival times are no
clock; smaller differences come from bursts."""

SOURCE = Source(
    licence="CC-BY-4.0",
    licence_url="https://archive.ics.uci.edu/dataset/344",
    cite=(
        "A. Stisen, H. Blunck, S. Bhattacharya, T. S. Prentow, M. B. Kjaergaard, A. Dey, "
        "T. Sonne, M. M. Jensen, Smart Devices are Different: Assessing and Mitigating Mobile "
        "Sensing Heterogeneities for Activity Recognition, SenSys 2015."
    ),
    homepage="https://archive.ics.uci.edu/dataset/344",
    files=(
        RemoteFile(
            name="hhar.zip",
            url=(
                "https://archive.ics.uci.edu/static/public/344/"
                "heterogeneity+activity+recognition.zip"
            ),
            unpack=True,
        ),
    ),
    redistributable=True,
)

CARD = Card(
    title="Heterogeneity Human Activity Recognition (HHAR)",
    description=(
        "9 people bike, sit, stand, walk and take stairs with eight phones of four models in a "
        "pouch at the waist and four watches of two models on the arms."
    ),
    rate_hz=(50.0, 100.0, 150.0, 200.0),
    placements=tuple(PLACEMENTS.values()),
    gravity=Gravity.INCLUDED,
    num_subjects=9,
    labels=tuple(ACTIVITIES.values()),
    label_groups=groups_of(tuple(ACTIVITIES.values())),
    caveats=(
        "No copy of the real files was at hand; the reader was tested on a fixture in the official "
        "layout.",
        "The rate depends on the model and varies with its load.",
        "All devices of a person recorded the same minutes; split by subject only.",
        "The devices have no common clock, so each is a recording of its own.",
        "The recordings of resting devices (Still exp) are not read.",
    ),
)


@config
class Config:
    """Settings of the reader.

    Args:
        root: Folder of the release; it holds the `.csv` files, or `Activity recognition exp`.
        devices: Which kinds of devices to read.
        max_gap_s: Longer holes between samples split a recording.
        min_piece_s: Shorter pieces between holes are left out.
        max_clock_jump_s: A larger change of the delay between creation and arrival is a new start
            of the device's clock.
    """

    root: Path
    devices: tuple[Literal["phone", "watch"], ...] = ("phone", "watch")
    max_gap_s: Annotated[float, Field(gt=0)] = 1.0
    min_piece_s: Annotated[float, Field(gt=0)] = 1.0
    max_clock_jump_s: Annotated[float, Field(gt=0)] = 60.0


@dataclass(frozen=True)
class _Rows:
    """Rows of one person, device and sensor in the order of the file."""

    arrival_ns: np.ndarray
    creation_ns: np.ndarray
    samples_T4: np.ndarray  # x, y, z, code of the activity (-1 = none)


Key = tuple[str, str, str]  # user, device, model
Samples = tuple[np.ndarray, np.ndarray]


def recordings(config: Config) -> Iterator[Recording]:
    """Yield one recording per person and device (more where there are long holes).

    Raises:
        DataError: A file is missing.
        FileFormatError: A file is damaged or holds an unknown activity.
    """
    folder = "Activity recognition exp"
    root = find_root(config.root, (f"{folder}/{folder}", folder), "hhar", SOURCE)
    for kind in config.devices:
        paths = {
            sensor: need(root / f"{_FILES[kind]}_{word}.csv", "hhar", SOURCE)
            for sensor, word in (("acc", "accelerometer"), ("gyro", "gyroscope"))
        }
        acc, gyro = (_Table.read(path) for path in paths.values())
        for key in sorted(acc.places):
            rows = {"acc": acc.rows(key)}
            if key in gyro.places:
                rows["gyro"] = gyro.rows(key)
            yield from _read_device(key, kind, rows, config)


def splits() -> dict[str, Split]:
    """Return a division into people; the publishers use leave-one-out over people."""
    return {"subjects": Split(train=tuple("abcdefg"), test=("h", "i"), origin="otolith")}


@dataclass(frozen=True)
class _Table:
    """One file; `places` tells which rows belong to whom."""

    table: pa.Table
    code_T: np.ndarray
    places: dict[Key, np.ndarray]

    @classmethod
    def read(cls, path: Path) -> _Table:
        try:
            table = csv.read_csv(
                path,
                csv.ReadOptions(use_threads=False),
                convert_options=csv.ConvertOptions(
                    column_types=_TYPES, include_columns=list(_TYPES), null_values=[""],
                ),
            ).unify_dictionaries().combine_chunks()  # fmt: skip
        except (pa.ArrowInvalid, pa.ArrowKeyError) as error:
            reason = " ".join(str(error).split())
            raise FileFormatError(f"{path} is damaged: {reason}.", "Fetch it again.") from None
        if not len(table) or any(column.null_count for column in table.columns):
            raise FileFormatError(f"{path} has empty cells or no rows.", "Fetch it again.")
        return cls(table, _codes(table, path), _places(table))

    def rows(self, key: Key) -> _Rows:
        """Rows of one person and device."""
        own = self.table.take(pa.array(self.places[key]))
        columns = [own[axis].to_numpy().astype(np.float64) for axis in "xyz"]
        return _Rows(
            own["Arrival_Time"].to_numpy() * 1_000_000,
            own["Creation_Time"].to_numpy(),
            np.stack([*columns, self.code_T[self.places[key]].astype(np.float64)], axis=1),
        )


def _words(table: pa.Table, name: str) -> tuple[np.ndarray, list[str]]:
    """Number of the word of each row [T], and the words."""
    if not len(column := table[name]):
        return np.zeros(0, np.int64), []
    encoded = column.chunk(0)
    return encoded.indices.to_numpy().astype(np.int64), encoded.dictionary.to_pylist()


def _codes(table: pa.Table, path: Path) -> np.ndarray:
    """Code of the activity of each row [T]; -1 = none."""
    index_T, words = _words(table, "gt")
    if unknown := sorted(set(words) - {*_CODES, "null"}):
        raise FileFormatError(f'{path} holds the unknown activity "{unknown[0]}".', "Correct it.")
    return np.array([_CODES.get(word, -1) for word in words], np.int8)[index_T]


def _places(table: pa.Table) -> dict[Key, np.ndarray]:
    """Rows of each person and device, in the order of the file."""
    columns = [_words(table, name) for name in ("User", "Device", "Model")]
    sizes = [len(words) for _, words in columns]
    key_T = np.ravel_multi_index([index_T for index_T, _ in columns], sizes)
    order_T = np.argsort(key_T, kind="stable")
    keys, firsts = np.unique(key_T[order_T], return_index=True)
    found = {}
    for key, rows in zip(keys, np.split(order_T, firsts[1:]), strict=True):
        at = np.unravel_index(key, sizes)
        user, device, model = (words[i] for (_, words), i in zip(columns, at, strict=True))
        found[user, device, model] = rows
    return found


def _read_device(
    key: Key, kind: str, rows: dict[str, _Rows], config: Config
) -> Iterator[Recording]:
    """Put a device's sensors on one clock and cut at holes."""
    times, notes = _one_clock(rows, config.max_clock_jump_s)
    sensors: dict[str, Samples] = {}
    for sensor, own in rows.items():
        times_s, samples_T4, more = in_order(times[sensor], own.samples_T4, f"the {sensor} sensor")
        sensors[sensor] = (times_s, samples_T4)
        notes += more
    name = f"{key[0]}_{key[1]}"
    pieces, more = _pieces(sensors, config)
    if not pieces:
        warnings.warn(f"{name} has no {config.min_piece_s:g} s of samples; left out.", stacklevel=2)
    attributes = {"device": key[1], "model": key[2], "kind": kind, "source_recording": name}
    for number, piece in enumerate(pieces, start=1):
        piece_name = name if len(pieces) == 1 else f"{name}_{number}"
        yield _piece(piece_name, key[0], sensors, piece, attributes, (*notes, *more))


def _one_clock(
    rows: dict[str, _Rows], max_jump_s: float
) -> tuple[dict[str, np.ndarray], tuple[Finding, ...]]:
    """Times in s [T] by sensor: creation times, shifted onto the arrival clock."""
    creation_ns = np.concatenate([own.creation_ns for own in rows.values()])
    arrival_ns = np.concatenate([own.arrival_ns for own in rows.values()])
    delay_ns = arrival_ns - creation_ns
    order_T = np.argsort(delay_ns, kind="stable")
    is_jump = np.diff(delay_ns[order_T]) > max_jump_s * 1e9
    parts = np.split(order_T, np.flatnonzero(is_jump) + 1)
    spans_s = np.array([[np.ptp(x[p]) * 1e-9 for x in (creation_ns, arrival_ns)] for p in parts])
    own_s, shared_s = spans_s.sum(axis=0)
    if abs(own_s - shared_s) > max(MAX_RATE_ERROR * shared_s, MIN_CLOCK_ERROR_S):
        time_ns = arrival_ns
        fact = (
            f"Creation times span {own_s:.1f} s where arrival times span {shared_s:.1f} s; "
            "arrival times were used."
        )
        status = "warning"
    else:
        time_ns = creation_ns.copy()
        for part in parts:
            time_ns[part] += int(np.median(delay_ns[part]))
        starts = "" if len(parts) == 1 else f" after each of {len(parts)} starts of the clock"
        fact = f"Creation times were shifted by their median delay onto the arrival clock{starts}."
        status = "fixed"
    times_s = (time_ns - time_ns.min()) * 1e-9
    ends = np.cumsum([len(own.creation_ns) for own in rows.values()])[:-1]
    split = dict(zip(rows, np.split(times_s, ends), strict=True))
    return split, (Finding(check="time.clock", status=status, fact=fact),)


def _pieces(
    sensors: dict[str, Samples], config: Config
) -> tuple[list[Span], tuple[Finding, ...]]:  # fmt: skip
    """Spans in which all sensors have samples; a gyroscope that has none there is taken out."""
    spans = {s: covered(times_s, config.max_gap_s) for s, (times_s, _) in sensors.items()}
    found = functools.reduce(overlap, spans.values())
    notes: tuple[Finding, ...] = ()
    if "gyro" not in sensors or not found:
        sensors.pop("gyro", None)
        found = spans["acc"]
        fact = "The device has no angular rate beside its acceleration; the recording has none."
        notes += (Finding(check="gyro.missing", status="warning", fact=fact),)
    own = [_between_samples(span, sensors["acc"][0]) for span in found]
    pieces = [(a, b) for a, b in own if b - a >= config.min_piece_s]
    lost_s = _length_s(spans["acc"]) - _length_s(pieces)
    if lost_s >= config.min_piece_s or len(pieces) > 1:
        fact = (
            f"Holes longer than {config.max_gap_s:g} s leave {len(pieces)} pieces; {lost_s:.1f} s "
            f"of acceleration lie in pieces shorter than {config.min_piece_s:g} s or have no "
            "angular rate beside them and were left out."
        )
        notes += (Finding(check="time.gap", status="fixed", fact=fact),)
    return pieces, notes


def _between_samples(span: Span, times_s: np.ndarray) -> Span:
    """The part of a span from its first sample to its last, so that even samples stay as they are."""
    first = np.searchsorted(times_s, span[0])
    last = np.searchsorted(times_s, span[1], side="right") - 1
    return float(times_s[first]), float(times_s[last])


def _length_s(spans: list[Span]) -> float:
    return sum(end - start for start, end in spans)


def _piece(
    name: str,
    subject: str,
    sensors: dict[str, Samples],
    piece: Span,
    attributes: dict[str, str],
    notes: tuple[Finding, ...],
) -> Recording:
    kind = attributes["kind"]
    acc_s, acc_T4 = sensors["acc"]
    rate_hz = mean_rate_hz(acc_s, piece)
    instants_s = grid(piece, rate_hz)
    triads = {s: sample_at(times_s, x[:, :3], instants_s) for s, (times_s, x) in sensors.items()}
    stream = motion_stream(
        kind, triads, {"acc": "m/s^2", "gyro": "rad/s"},
        rate_hz=rate_hz, gravity=Gravity.INCLUDED, placement=PLACEMENTS[kind],
    )  # fmt: skip
    code_T = nearest(acc_s, acc_T4[:, 3], instants_s).astype(np.int64)
    gridded = Finding(
        check="time.grid",
        status="fixed",
        fact=f"Samples were interpolated to a grid of {rate_hz:g} Hz, the mean rate of the device.",
    )
    return Recording(
        id=name,
        subject=subject,
        dataset="hhar",
        streams={kind: stream},
        annotations=bouts(code_T, _NAMES, rate_hz),
        attributes=attributes,
        findings=(*unit_findings("m/s^2", "rad/s" if "gyro" in sensors else None), gridded, *notes),
    )
