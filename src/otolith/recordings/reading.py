"""Reading the user's own files: any table of motion signals to recordings in SI units.

What `otolith.open(path)` and `otolith data import` do. Order of questions: layout and columns
(`readers`), rows that belong together, clock, rate, suspicious values, gravity, units, axes,
labels, grid (`inference`). Every answer is a `Finding` of the recording; what a policy does not
allow is a `DataError`.
"""

# N rows, T samples

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from otolith.core.errors import DataError
from otolith.recordings.inference import axes, clock, grid, labels, rates, units, values
from otolith.recordings.inference.gravity import at_rest
from otolith.recordings.inference.notes import NoMotionError, Notes, some
from otolith.recordings.inference.tracks import Session, Track, build_tracks
from otolith.recordings.options import ReadOptions
from otolith.recordings.readers.folder import list_tables
from otolith.recordings.readers.gopro import is_video, read_video
from otolith.recordings.readers.raw_table import RawTable
from otolith.recordings.readers.table import read_table
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

__all__ = ["FileSummary", "ReadOptions", "read_recordings", "summarize_files"]
_DEFAULTS = ReadOptions()


def read_recordings(path: str | Path, options: ReadOptions = _DEFAULTS) -> list[Recording]:
    """Read one table or video file, or a folder of them.

    Args:
        path: CSV, TSV, other text table or Parquet file, or a folder of such files. One file
            holds one recording, or many (column `recording_id`). A video, with the telemetry
            of a GoPro camera if there is some, or a folder of videos without tables.
        options: Facts that the user states, and policies.

    Returns:
        Recordings in order of files and rows; samples in m/s^2 and rad/s on uniform grids,
        time from the recording's first sample, findings in `Recording.findings`.

    Raises:
        FileFormatError: A file is missing, empty, truncated or of another kind.
        DataError: The evidence is not enough, or a policy refuses; names file and remedy.
    """
    path = Path(path)
    files, found = list_tables(path, options)
    root = path if path.is_dir() else path.parent
    recordings: list[Recording] = []
    left_out: list[str] = []
    for file in files:
        try:
            recordings += _read_file(file, root, options, found)
        except NoMotionError as error:
            if len(files) == 1 or (options.on_other_file != "skip_tables"):
                raise _with_choice(error, len(files)) from None
            left_out.append(file.relative_to(root).as_posix())
    if left_out:
        recordings = _note_left_out(recordings, left_out, path)
    names = [r.id for r in recordings]
    if len(set(names)) < len(names) and len(files) > 1:
        recordings = _rename(recordings)
        names = [r.id for r in recordings]
    if len(set(names)) < len(names):
        twice = sorted({n for n in names if names.count(n) > 1})
        raise DataError(
            f"Recordings occur twice in {path}: {some(twice)}.",
            "Rename the files or their recording ids.",
        )
    return recordings


def _with_choice(error: NoMotionError, num_files: int) -> NoMotionError:
    """The error, with the remedy that only a folder has."""
    choice = ' Or pass on_other_file="skip_tables" to leave such tables out.'
    return NoMotionError(error.fact, error.remedy + (choice if num_files > 1 else ""))


def _note_left_out(recordings: list[Recording], names: list[str], path: Path) -> list[Recording]:
    if not recordings:
        raise DataError(f"No table in {path} holds a motion signal.", "Check the path.")
    found = Finding(
        check="folder.tables_left_out",
        status="warning",
        fact="Tables without a motion signal were not read.",
        evidence=some(names, 8),
    )
    return [replace(r, findings=(found, *r.findings)) for r in recordings]


@dataclass(frozen=True, kw_only=True)
class FileSummary:
    """What was understood of one file, for a table on the screen.

    Args:
        file: File name.
        recordings: Number of recordings.
        streams: Names of all streams, those of motion first.
        duration_s: Total length of the recordings in s.
        rates_hz: Distinct rates of motion in Hz.
        unit_acc: Unit of acceleration in the file.
        unit_gyro: Unit of angular rate in the file; empty without gyroscope.
        gravity: "included", "removed" or "unknown".
        labels: Class names.
        warnings: Number of distinct warnings.
        fixed: Number of distinct repairs.
    """

    file: str
    recordings: int
    streams: tuple[str, ...]
    duration_s: float
    rates_hz: tuple[float, ...]
    unit_acc: str
    unit_gyro: str
    gravity: str
    labels: tuple[str, ...]
    warnings: int
    fixed: int


def summarize_files(recordings: Sequence[Recording]) -> list[FileSummary]:
    """Summarize recordings of `read_recordings` by file."""
    by_file: dict[str, list[Recording]] = {}
    for recording in recordings:
        by_file.setdefault(recording.attributes.get("file", ""), []).append(recording)
    return [_summary(file, group) for file, group in by_file.items()]


def _summary(file: str, group: list[Recording]) -> FileSummary:
    streams = [s for r in group for s in r.imus.values()]
    every = [name for r in group for name in r.streams]
    found = {f for r in group for f in r.findings}

    def joined(key: str) -> str:
        return ", ".join(dict.fromkeys(r.attributes[key] for r in group if key in r.attributes))

    return FileSummary(
        file=file,
        recordings=len(group),
        streams=tuple(dict.fromkeys([*(s.name for s in streams), *every])),
        duration_s=sum(r.duration_s for r in group),
        rates_hz=tuple(sorted({s.rate_hz for s in streams})),
        unit_acc=joined("source_unit_acc"),
        unit_gyro=joined("source_unit_gyro"),
        gravity=", ".join(dict.fromkeys(s.gravity.value for s in streams)),
        labels=tuple(sorted({x for r in group for a in r.annotations for x in a.labels})),
        warnings=sum(f.status == "warning" for f in found),
        fixed=sum(f.status == "fixed" for f in found),
    )


def _rename(recordings: list[Recording]) -> list[Recording]:
    """Ids that several files share get their file in front."""
    renamed = []
    for recording in recordings:
        file = Path(recording.attributes["file"]).with_suffix("").as_posix()
        stem = file.replace("/", "_")
        own = recording.id == Path(file).name
        found = Finding(
            check="folder.ids",
            status="inferred",
            fact="Recording ids occur in several files; the file's name was put in front.",
        )
        renamed.append(
            replace(
                recording,
                id=stem if own else f"{stem}_{recording.id}",
                findings=(*recording.findings, found),
            )
        )
    return renamed


def _read_file(
    path: Path, root: Path, options: ReadOptions, found: tuple[Finding, ...]
) -> list[Recording]:
    """All recordings of one file."""
    notes = Notes(path)
    if path.is_file() and is_video(path):
        recording = read_video(path, options, notes)
        file = path.relative_to(root).as_posix()
        return [
            replace(
                recording,
                attributes=recording.attributes | {"file": file},
                findings=(*found, *notes.of(recording.id)),
            )
        ]
    table = read_table(path, options, notes)
    clock.read_text_times(table, notes)
    tracks, sessions = build_tracks(table, options, notes)
    decided = _understand(table, tracks, sessions, options, notes)
    marked = _annotate(table, tracks, options, notes)
    file = path.relative_to(root).as_posix()
    recordings = _assemble(tracks, decided, sessions, marked, file, options, notes)
    return [replace(r, findings=(*found, *notes.of(r.id))) for r in recordings]


def _understand(
    table: RawTable,
    tracks: list[Track],
    sessions: dict[str, Session],
    options: ReadOptions,
    notes: Notes,
) -> list[units.Units]:
    """Clock, rate, values, gravity, units and axes of every track; converts to SI."""
    is_only = len(tracks) == 1
    decided: list[units.Units] = []
    for track in tracks:
        clock.set_seconds(track, table, options, notes)
        rates.note_counter(track, notes)
        clock.clean_stamps(track, sessions, options, notes, is_only=is_only)
        rates.decide_rates(track, table.stated_rate_hz, options, notes)
        grid.split_gaps(track, sessions, options, notes, is_only=is_only)
        values.check_values(track, options, notes)
        sibling = next(
            (
                d.acc
                for t, d in zip(tracks, decided, strict=False)
                if track.prefix == f"{t.prefix}_linear".strip("_")
            ),
            "",
        )
        decided.append(_decide_units(track, sibling, options, notes))
        units.convert(track, decided[-1])
    return decided


def _decide_units(track: Track, sibling: str, options: ReadOptions, notes: Notes) -> units.Units:
    """Gravity, units and axes of one track."""
    rate = float(np.median(track.rates_G))
    acc, gyro = at_rest(track, "acc", rate), at_rest(track, "gyro", rate)
    if units.check_swapped(track, acc, gyro, options, notes):
        acc, gyro = gyro, acc
    units.check_uniform(track, acc, options, notes)
    unit, gravity = units.decide_acc(track, acc, options, notes, sibling_unit=sibling)
    units.check_scale(track, acc, unit, gravity, notes)
    found = axes.turning(track, rate) if gravity is Gravity.INCLUDED else None
    gyro_unit = ""
    if track.columns("gyro"):
        gyro_unit = units.decide_gyro(track, gyro, acc, unit, found, rate, options, notes)
    axes.check_axes(track, found, options, notes)
    return units.Units(unit, gyro_unit, gravity)


def _annotate(
    table: RawTable, tracks: list[Track], options: ReadOptions, notes: Notes
) -> dict[str, list[Annotation]]:
    """Annotations of every recording, on the file's clock."""
    column = table.texts.get(table.plan.roles.get("label", ""))
    if column is None:
        notes.add(
            "labels.none",
            "unknown",
            "The file has no label column, so what the person did is not known from it.",
        )
        return {}
    names = labels.label_names(column, options, notes)
    if not any(names):
        notes.add("labels.none", "warning", "The label column is empty.")
        return {}
    per_recording: dict[str, list[tuple[str, list[Annotation]]]] = {}
    for track in tracks:
        for recording, found in labels.intervals(track, names, notes).items():
            per_recording.setdefault(recording, []).append((track.stream, found))
    return {r: labels.merge_intervals(found) for r, found in per_recording.items()}


def _assemble(
    tracks: list[Track],
    decided: list[units.Units],
    sessions: dict[str, Session],
    marked: dict[str, list[Annotation]],
    file: str,
    options: ReadOptions,
    notes: Notes,
) -> list[Recording]:
    """Put streams on their grids and on one clock per recording."""
    members: dict[str, list[tuple[Track, units.Units, int]]] = {}
    for track, found in zip(tracks, decided, strict=True):
        for g, name in enumerate(track.recordings):
            members.setdefault(name, []).append((track, found, g))
    recordings = []
    for name, parts in members.items():
        zero = min(float(t.seconds[t.starts_G[g]]) for t, _, g in parts)
        streams = {
            t.stream: _stream(t, u, g, zero, sessions[name], options, notes) for t, u, g in parts
        }
        attributes = dict(sessions[name].attributes)
        attributes["file"] = file
        attributes |= {"source_unit_acc": parts[0][1].acc, "source_unit_gyro": parts[0][1].gyro}
        if zero:
            attributes["start_time_s"] = f"{zero:.6f}"
        spans = tuple(
            replace(a, start_s=a.start_s - zero, end_s=None if a.end_s is None else a.end_s - zero)
            for a in marked.get(name, [])
        )
        recordings.append(
            Recording(
                id=name,
                subject=sessions[name].subject,
                dataset=options.dataset,
                streams=dict(streams),
                annotations=spans,
                attributes={k: v for k, v in attributes.items() if v},
            )
        )
    return recordings


def _stream(
    track: Track,
    found: units.Units,
    g: int,
    zero: float,
    session: Session,
    options: ReadOptions,
    notes: Notes,
) -> ImuStream:
    """One stream of one recording."""
    rows = slice(int(track.starts_G[g]), int(track.stops_G[g]))
    rate = float(track.rates_G[g])
    gridded = grid.to_grid(
        track.seconds[rows],
        track.samples_NC[rows],
        rate,
        track.recordings[g],
        track.stream,
        options,
        notes,
    )
    placement = track.placement or session.attributes.get("placement", "")
    side = session.attributes.get("side", "")
    if side and side.casefold() not in placement.casefold():
        placement = f"{side} {placement}".strip()
    channels = tuple(_channel(s.channel, placement) for s in track.signals)
    valid = float(np.isfinite(gridded.samples_TC).all(axis=1).mean())
    quality = Quality(
        flag="good" if valid > 0.95 else "suspect" if valid > 0.5 else "bad", valid_fraction=valid
    )
    return ImuStream(
        name=track.stream,
        offset_s=gridded.start_s - zero,
        quality=quality,
        samples_TC=gridded.samples_TC,
        rate_hz=rate,
        channels=channels,
        gravity=found.gravity,
    )


def _channel(name: str, placement: str) -> Channel:
    channel = Channel.from_name(name, placement=placement)
    return replace(channel, unit=UNITS.get(channel.sensor, ""))
