"""Reads the TSFM layout: `manifest.json`, `labels.json`, `sessions/<id>/data.parquet`.

Facts of the layout: `manifest.json` names the data set and its channels with text and rate;
`labels.json` maps every session to a list of labels and is also the list of sessions; a
session is a table with `timestamp_sec` and one float column per channel, at one rate. The
layout has no field for units, gravity or people; `otolith.recordings.tsfm_writer` adds them
under keys of their own (`unit`, `placement`, `gravity`, `session_subjects`), which are read
here where they are present.
"""

# T time, C channels

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from otolith.core.config import config
from otolith.core.errors import DataError, FileFormatError
from otolith.core.files import read_json
from otolith.recordings.recording import (
    UNITS,
    Annotation,
    Channel,
    Finding,
    Gravity,
    ImuStream,
    Quality,
    Recording,
)
from otolith.recordings.tsfm_times import check_times
from otolith.signals.units import DEG_TO_RAD, STANDARD_GRAVITY_M_S2

TIME_COLUMN = "timestamp_sec"
STREAM = "imu"
_FACTORS = {"g": STANDARD_GRAVITY_M_S2, "deg/s": DEG_TO_RAD}
# How texts name the units of a sensor; only an unambiguous mention counts.
_UNIT_WORDS = {
    "acc": {
        "m/s^2": r"m/s\^?2|m/s²|m/s/s|m\s?s\^?-2|met(?:er|re)s? per second squared",
        "g": r"[(\[]g[)\]]|\bin g\b|\bunits? of g\b|\bg[- ]units?\b",
    },
    "gyro": {
        "rad/s": r"\brad/s|\brad\s?s\^?-1|radians? per second",
        "deg/s": r"\bdeg/s|°/s|\bdps\b|degrees? per second",
    },
    "mag": {"uT": r"[uµμ]T\b|micro-?tesla"},
}


@config
class TsfmOptions:
    """How to read what the layout leaves open.

    Args:
        acc_unit: Unit of acceleration; `auto` = what the manifest says, else left as it is.
        gyro_unit: Unit of angular rate; `auto` likewise.
        rate_hz: Sampling rate; None = the manifest's.
        gravity: Whether acceleration contains gravity; None = what the manifest says.
        rate_tolerance: Relative difference of the stamps' rate from the manifest's above
            which a warning is given.
    """

    acc_unit: Literal["auto", "g", "m/s^2"] = "auto"
    gyro_unit: Literal["auto", "rad/s", "deg/s"] = "auto"
    rate_hz: float | None = None
    gravity: Gravity | None = None
    rate_tolerance: float = 0.05


@dataclass(frozen=True)
class _Entry:
    """A channel of the manifest: its SI description, factor to SI, rate."""

    channel: Channel
    factor: float
    rate_hz: float
    said_unit: str
    said_by: str


def read_tsfm(folder: Path | str, options: TsfmOptions | None = None) -> Iterator[Recording]:
    """Read a data set in the TSFM layout, one recording per session.

    Args:
        folder: Folder that holds `manifest.json`.
        options: What the layout leaves open.

    Returns:
        Recordings in the order of `labels.json`; units, rate and stamps are reported as
        findings. A session's labels become one annotation over the whole recording.

    Raises:
        FileFormatError: A file is missing, corrupt or not of the layout; sessions are checked
            when their turn comes.
        DataError: A session's name would lead out of the folder.
    """
    folder = Path(folder)
    reader = _Reader(folder, options or TsfmOptions())
    return reader.recordings()


def is_tsfm_folder(folder: Path | str) -> bool:
    """Return whether a folder has the three parts of the layout."""
    folder = Path(folder)
    parts = (folder / "manifest.json").is_file(), (folder / "labels.json").is_file()
    return all(parts) and (folder / "sessions").is_dir()


class _Reader:
    """Manifest and labels of one folder, read once."""

    def __init__(self, folder: Path, options: TsfmOptions) -> None:
        self.folder = folder
        self.options = options
        self.manifest = _mapping(folder / "manifest.json")
        self.labels = _mapping(folder / "labels.json")
        self.entries = self._read_entries()
        keys = ("description", "source", "body_position")
        self.attributes = {k: self.manifest[k] for k in keys if _is_text(self.manifest.get(k))}
        gravities = {
            c["gravity"] for c in self.manifest["channels"] if _is_text(c.get("gravity"))
        } & set(Gravity)
        self.gravity = options.gravity or (
            Gravity(gravities.pop()) if len(gravities) == 1 else Gravity.UNKNOWN
        )

    def recordings(self) -> Iterator[Recording]:
        for session, labels in self.labels.items():
            if not isinstance(labels, list) or not all(_is_text(label) for label in labels):
                raise FileFormatError(
                    f'{self.folder / "labels.json"} gives session "{session}" no list of labels.',
                    "Write a list of texts.",
                )
            yield self._read_session(session, tuple(labels))

    def unlisted_sessions(self) -> int:
        """Number of session folders that `labels.json` does not list."""
        sessions = self.folder / "sessions"
        if not sessions.is_dir():
            return 0
        return sum(p.name not in self.labels for p in sessions.iterdir() if p.is_dir())

    def _read_entries(self) -> dict[str, _Entry]:
        path = self.folder / "manifest.json"
        channels = self.manifest.get("channels")
        if not isinstance(channels, list) or not channels:
            raise FileFormatError(f"{path} lists no channels.", "Add the list `channels`.")
        entries = {}
        for number, values in enumerate(channels):
            if not isinstance(values, dict) or not _is_text(values.get("name")):
                raise FileFormatError(f"{path}: channels[{number}] has no name.", "Name it.")
            rate_hz = self.options.rate_hz or values.get("sampling_rate_hz")
            if not isinstance(rate_hz, int | float) or not 0 < rate_hz < float("inf"):
                raise FileFormatError(
                    f"{path}: channels[{number}].sampling_rate_hz is {rate_hz!r}.",
                    "Give a positive number, or pass rate_hz.",
                )
            entries[values["name"]] = self._entry(values, float(rate_hz))
        return entries

    def _entry(self, values: Mapping[str, Any], rate_hz: float) -> _Entry:
        placement = values.get("placement", self.manifest.get("body_position", ""))
        channel = Channel.from_name(
            values["name"],
            placement=placement if _is_text(placement) else "",
            description=values.get("description", ""),
        )
        unit, said_by = self._said_unit(channel.sensor, values)
        factor = _FACTORS.get(unit, 1.0)
        si = UNITS.get(channel.sensor, unit) if unit else ""
        return _Entry(replace(channel, unit=si), factor, rate_hz, unit, said_by)

    def _said_unit(self, sensor: str, values: Mapping[str, Any]) -> tuple[str, str]:
        """Unit of a channel and who says so; empty if nobody does."""
        chosen = {"acc": self.options.acc_unit, "gyro": self.options.gyro_unit}.get(sensor, "auto")
        if chosen != "auto":
            return chosen, f"the option {sensor}_unit"
        words = _UNIT_WORDS.get(sensor, {})
        unit = values.get("unit")
        if isinstance(unit, str) and (unit in words or not words):
            return unit, "the manifest"
        for text, said_by in (
            (unit, "the manifest"),
            (values.get("description"), "the channel's description"),
            (self.manifest.get("description"), "the data set's description"),
        ):
            named = [u for u, p in words.items() if re.search(p, str(text), re.IGNORECASE)]
            if named:
                return (named[0], said_by) if len(named) == 1 else ("", "")
        return "", ""

    def _read_session(self, session: str, labels: tuple[str, ...]) -> Recording:
        if Path(session).name != session or session in {"", ".", ".."} or "\\" in session:
            raise DataError(
                f'{self.folder / "labels.json"} names the session "{session}".',
                "Give it a name that is a plain folder name.",
            )
        path = self.folder / "sessions" / session / "data.parquet"
        table = _read_parquet(path)
        times_s = _column(table, TIME_COLUMN).astype(np.float64)
        entries, findings = self._choose_channels(table)
        samples_TC = np.empty((len(table), len(entries)), np.float32)
        for column, entry in enumerate(entries):
            samples_TC[:, column] = _column(table, entry.channel.name) * entry.factor
        rate_hz = _motion_rate_hz(entries)
        findings += _unit_findings(entries, samples_TC)
        findings += _value_findings(samples_TC)
        findings += check_times(times_s, rate_hz, tolerance=self.options.rate_tolerance)
        if session == next(iter(self.labels)) and (unlisted := self.unlisted_sessions()):
            findings.append(_unlisted_finding(unlisted))
        stream = ImuStream(
            name=STREAM,
            samples_TC=samples_TC,
            rate_hz=rate_hz,
            channels=tuple(e.channel for e in entries),
            gravity=self.gravity,
            quality=_quality(samples_TC, findings),
        )
        start = {"source_start_s": repr(float(times_s[0]))} if len(times_s) and times_s[0] else {}
        subjects = self.manifest.get("session_subjects", {})
        return Recording(
            id=session,
            subject=subjects.get(session, ""),
            dataset=str(self.manifest.get("dataset_name", self.folder.name)),
            streams={STREAM: stream},
            annotations=(Annotation(start_s=0.0, end_s=stream.duration_s, labels=labels),)
            if labels
            else (),
            attributes=self.attributes | start,
            findings=tuple(findings),
        )

    def _choose_channels(self, table: pa.Table) -> tuple[list[_Entry], list[Finding]]:
        """Channels of a session in the order of its columns, and what does not fit."""
        entries, findings, left_out, unknown = [], [], [], []
        for field in table.schema:
            if field.name == TIME_COLUMN:
                continue
            kind = field.type
            if not (pa.types.is_floating(kind) or pa.types.is_integer(kind)):
                left_out.append(field.name)
            elif field.name in self.entries:
                entries.append(self.entries[field.name])
            else:
                unknown.append(field.name)
                entries.append(self._entry({"name": field.name}, _motion_rate_hz(self._all)))
        absent = [n for n in self.entries if n not in table.column_names]
        for check, names, fact in (
            ("channels.absent", absent, "The session lacks channels of the manifest."),
            ("channels.unlisted", unknown, "The manifest does not describe these columns."),
            ("channels.left_out", left_out, "These columns hold no numbers and were left out."),
        ):
            if names:
                evidence = ", ".join(names)
                findings.append(
                    Finding(check=check, status="warning", fact=fact, evidence=evidence)
                )
        rates = sorted({e.rate_hz for e in entries})
        if len(rates) > 1:
            findings.append(
                Finding(
                    check="rate.mixed",
                    status="warning",
                    fact="The manifest gives the channels different rates, the session has one.",
                    evidence=", ".join(f"{r:g} Hz" for r in rates),
                    remedy="Pass rate_hz if the first motion channel's rate is not the right one.",
                )
            )
        return entries, findings

    @property
    def _all(self) -> list[_Entry]:
        return list(self.entries.values())


def _motion_rate_hz(entries: list[_Entry]) -> float:
    """Rate of the first motion channel, else of the first channel; 1 if there is none."""
    motion = [e for e in entries if e.channel.sensor in {"acc", "gyro", "mag", "ori"}]
    return (motion or entries)[0].rate_hz if entries else 1.0


def _unit_findings(entries: list[_Entry], samples_TC: np.ndarray) -> list[Finding]:
    """Say per sensor which unit was taken and by whose word."""
    findings = []
    for sensor in ("acc", "gyro"):
        columns = [i for i, e in enumerate(entries) if e.channel.sensor == sensor]
        for unit, said_by in dict.fromkeys(
            (entries[i].said_unit, entries[i].said_by) for i in columns
        ):
            mine = [
                i for i in columns if (entries[i].said_unit, entries[i].said_by) == (unit, said_by)
            ]
            fact, status = f"{sensor}: unit {unit} by {said_by}.", "ok"
            remedy = ""
            if unit in _FACTORS:
                fact, status = (
                    f"{sensor}: {unit} by {said_by}, converted to {UNITS[sensor]}.",
                    "fixed",
                )
            elif unit != UNITS[sensor]:
                fact, status = (
                    f"{sensor}: the unit is not known, values are as in the file.",
                    "unknown",
                )
                remedy = f"Pass {sensor}_unit."
            findings.append(
                Finding(
                    check=f"units.{sensor}", status=status, fact=fact, remedy=remedy,
                    evidence=_magnitude(samples_TC[:, mine]),
                )
            )  # fmt: skip
    return findings


def _magnitude(samples_TC: np.ndarray) -> str:
    finite = np.abs(samples_TC[np.isfinite(samples_TC)])
    return f"95 % of the values are below {np.percentile(finite, 95):.3g}" if finite.size else ""


def _value_findings(samples_TC: np.ndarray) -> list[Finding]:
    missing = int((~np.isfinite(samples_TC)).sum())
    if not missing:
        return []
    return [
        Finding(
            check="values.missing",
            status="warning",
            fact="Some values are missing or not finite.",
            evidence=f"{missing} of {samples_TC.size}",
        )
    ]


def _unlisted_finding(count: int) -> Finding:
    return Finding(
        check="sessions.unlisted",
        status="warning",
        fact="Session folders that labels.json does not list were not read.",
        evidence=f"{count} folders",
        remedy="Add them to labels.json.",
    )


def _quality(samples_TC: np.ndarray, findings: list[Finding]) -> Quality:
    valid = float(np.isfinite(samples_TC).all(axis=1).mean()) if samples_TC.size else 1.0
    doubts = [
        f for f in findings if f.status == "warning" and f.check.startswith(("time", "values"))
    ]
    return Quality(
        flag="suspect" if doubts else "good",
        valid_fraction=valid,
        notes=tuple(f.fact for f in doubts),
    )


def _mapping(path: Path) -> dict[str, Any]:
    content = read_json(path)
    if not isinstance(content, dict):
        raise FileFormatError(f"{path} holds no mapping.", "Restore or rewrite it.")
    return content


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _read_parquet(path: Path) -> pa.Table:
    try:
        table = pq.read_table(path, partitioning=None)
    except FileNotFoundError:
        raise FileFormatError(
            f"{path} is missing.", "Restore it, or remove the session from labels.json."
        ) from None
    except (OSError, pa.ArrowException) as error:
        raise FileFormatError(
            f"{path} is not a readable Parquet file ({error}).", "Restore or rewrite it."
        ) from None
    if TIME_COLUMN not in table.column_names:
        raise FileFormatError(f"{path} has no column {TIME_COLUMN}.", "Add it, in seconds.")
    return table


def _column(table: pa.Table, name: str) -> np.ndarray:
    """Values of a column; nulls become NaN."""
    values = table[name].to_numpy()
    return values if values.dtype.kind == "f" else values.astype(np.float64)
