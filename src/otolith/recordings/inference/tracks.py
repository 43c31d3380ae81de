"""Which rows belong together: recordings, and within each the streams worn at the same time."""

# N rows of a track, C channels, G groups (one recording's rows within a track)

from __future__ import annotations

import re
from dataclasses import dataclass, field

import numpy as np

from otolith.recordings.inference.columns import Signal
from otolith.recordings.inference.notes import Notes, plural, some
from otolith.recordings.options import ReadOptions
from otolith.recordings.readers.raw_table import RawTable, TextColumn

KEYS = ("placement", "side")


@dataclass
class Track:
    """The rows of one stream name, grouped by recording.

    Args:
        stream: Name of the stream in its recordings.
        placement: Where it is worn; empty if unknown or different per recording.
        prefix: Column prefix it was read from.
        signals: One entry per column of `samples_NC`.
        samples_NC: float32 [N, C]; file units at first, SI after `convert`.
        starts_G: First row of each group, int64.
        stops_G: Row behind the last of each group, int64.
        recordings: Recording id of each group.
        times_N: float64 [N] in s (file units until the unit is known); None without stamps.
        counters_N: float64 [N]; None without a counter column.
        labels_N: int32 [N], codes into the label column's values; None without labels.
        rates_G: Rate of each group in Hz, once decided.
    """

    stream: str
    placement: str
    prefix: str
    signals: tuple[Signal, ...]
    samples_NC: np.ndarray
    starts_G: np.ndarray
    stops_G: np.ndarray
    recordings: list[str]
    times_N: np.ndarray | None = None
    counters_N: np.ndarray | None = None
    labels_N: np.ndarray | None = None
    rates_G: np.ndarray = field(default_factory=lambda: np.zeros(0))

    @property
    def channels(self) -> list[str]:
        """Channel names in column order."""
        return [s.channel for s in self.signals]

    @property
    def seconds(self) -> np.ndarray:
        """Times in s; only after the clock was decided."""
        if self.times_N is None:
            raise ValueError("The clock of this track is not decided yet.")
        return self.times_N

    def columns(self, sensor: str) -> list[int]:
        """Return the column numbers of a sensor."""
        return [i for i, s in enumerate(self.signals) if s.name.sensor == sensor]

    def group_of(self, rows: np.ndarray) -> np.ndarray:
        """Return the group of every row number."""
        return np.searchsorted(self.starts_G, rows, side="right") - 1

    def names_of(self, rows: np.ndarray) -> list[str]:
        """Return the ids of the recordings that these rows lie in."""
        return [self.recordings[g] for g in np.unique(self.group_of(rows))]

    def steps(self, values_N: np.ndarray) -> np.ndarray:
        """Return differences to the row before [N-1]; NaN where a group starts."""
        steps = np.diff(values_N)
        steps[self.starts_G[1:] - 1] = np.nan
        return steps

    def replace_rows(self, parts: list[np.ndarray | slice], times: list[np.ndarray] | None) -> None:
        """Keep, for every group, the given rows (and times) in the given order."""
        lengths = [
            len(range(*p.indices(len(self.samples_NC)))) if isinstance(p, slice) else len(p)
            for p in parts
        ]
        for name in ("samples_NC", "times_N", "counters_N", "labels_N"):
            values = getattr(self, name)
            if values is not None:
                setattr(self, name, np.concatenate([values[p] for p in parts]))
        if times is not None:
            self.times_N = np.concatenate(times)
        ends = np.cumsum(lengths)
        self.starts_G, self.stops_G = ends - lengths, ends


@dataclass
class Session:
    """What the table says about one recording besides its samples."""

    subject: str = ""
    attributes: dict[str, str] = field(default_factory=dict)


def new_part(sessions: dict[str, Session], recording: str, index: int, notes: Notes) -> str:
    """Name the part `index` (from 0) of a recording that is cut, and give it a session.

    Raises:
        DataError: The table already holds a recording of that name.
    """
    name = f"{recording}_part{index + 1}"
    if name in sessions:
        raise notes.error(
            "rows.recordings", f'There already is a recording "{name}"', "", "Rename it."
        )
    old = sessions[recording]
    sessions[name] = Session(old.subject, {"source_recording": recording, **old.attributes})
    return name


def build_tracks(
    table: RawTable, options: ReadOptions, notes: Notes
) -> tuple[list[Track], dict[str, Session]]:
    """Group the rows of a table.

    Args:
        table: The columns; signal columns are taken out of it to save memory.
        options: Uses `placement`, `subject`.
        notes: Receives what was inferred.

    Returns:
        Tracks in order of appearance, and sessions by recording id.

    Raises:
        DataError: Rows have no recording id.
    """
    ids, recording_N = _recordings(table, notes)
    streams, stream_N = _placements(table, recording_N)
    order, group_N = _order(recording_N * len(streams) + stream_N, ids, len(streams), notes)
    sessions = _sessions(table, ids, recording_N, options, notes)
    labels = table.texts.get(table.plan.roles.get("label", ""))
    tracks = []
    for s, placement in enumerate(streams):
        rows: np.ndarray | slice = slice(None)
        if len(streams) > 1:
            rows = np.flatnonzero(group_N % len(streams) == s)
        codes = group_N[rows]
        source = rows if order is None else order[rows]
        starts = np.flatnonzero(np.r_[True, codes[1:] != codes[:-1]])
        stops = np.r_[starts[1:], len(codes)]
        names = [ids[c // len(streams)] for c in codes[starts]]
        for prefix, signals in table.plan.signals.items():
            samples = np.empty((len(codes), len(signals)), np.float32)
            for i, signal in enumerate(signals):
                samples[:, i] = table.numbers[signal.source][source]
            tracks.append(
                Track(
                    stream=_stream_name(placement, prefix, len(streams)),
                    placement=options.placement
                    or placement
                    or prefix.removesuffix("linear").replace("_", " ").strip(),
                    prefix=prefix,
                    signals=signals,
                    samples_NC=samples,
                    starts_G=starts,
                    stops_G=stops,
                    recordings=list(names),
                    times_N=_taken(table, "t", source),
                    counters_N=_taken(table, "sample", source),
                    labels_N=None if labels is None else labels.codes_N[source],
                )
            )
    for signal in table.plan.signal_columns:
        table.numbers.pop(signal, None)
    if len(table.plan.signals) > 1:
        for track in tracks:
            _drop_foreign_rows(track, notes)
    if len(streams) > 1:
        for track in tracks:
            _drop_lacking_sensors(track, notes)
    return tracks, sessions


def _taken(table: RawTable, role: str, rows: np.ndarray | slice) -> np.ndarray | None:
    values = table.numbers.get(table.plan.roles.get(role, ""))
    return None if values is None else values[rows].copy()


def _stream_name(placement: str, prefix: str, num_streams: int) -> str:
    parts = [placement if num_streams > 1 else "", prefix]
    text = "_".join(p for p in parts if p) or "imu"
    return re.sub(r"[^0-9a-z]+", "_", text.lower()).strip("_") or "imu"


def _recordings(table: RawTable, notes: Notes) -> tuple[list[str], np.ndarray]:
    """Ids of the recordings and the recording of every row."""
    roles, texts = table.plan.roles, table.texts
    ids, subjects = texts.get(roles.get("recording_id", "")), texts.get(roles.get("subject", ""))
    if ids is None:
        if subjects is None or len(np.unique(subjects.codes_N)) < 2:
            return [table.path.stem], np.zeros(table.num_rows, np.int64)
        notes.add(
            "rows.recordings",
            "inferred",
            "There is no recording_id; every subject was taken as one recording.",
            some(subjects.values),
            "Add a recording_id column.",
        )
        _refuse_missing(subjects, "subject", notes)
        return [f"{table.path.stem}_{v}" for v in subjects.values], subjects.codes_N.astype(
            np.int64
        )
    _refuse_missing(ids, roles["recording_id"], notes)
    codes = ids.codes_N.astype(np.int64)
    if subjects is not None:
        width = len(subjects.values) + 1
        pairs = codes * width + subjects.codes_N + 1
        unique, inverse = np.unique(pairs, return_inverse=True)
        owners = unique // width
        if len(np.unique(owners)) < len(unique):
            twice = owners[1:][owners[1:] == owners[:-1]]
            notes.add(
                "rows.recordings",
                "warning",
                "Recording ids are shared by several subjects; each pair was taken as one recording.",
                some(ids.values[i] for i in np.unique(twice)),
                "Check both columns.",
            )
            names = [
                f"{subjects.values[p % width - 1] if p % width else 'unknown'}_{ids.values[p // width]}"
                for p in unique
            ]
            return names, inverse.astype(np.int64)
    return list(ids.values), codes


def _refuse_missing(column: TextColumn, name: str, notes: Notes) -> None:
    empty = [i for i, v in enumerate(column.values) if not v.strip()]
    missing = int(np.isin(column.codes_N, [-1, *empty]).sum())
    if missing:
        raise notes.error(
            "rows.no_recording",
            f'Column "{name}" is empty in {plural(missing, "row")}',
            "",
            "Fill it, or delete these rows.",
        )


def _placements(table: RawTable, recording_N: np.ndarray) -> tuple[list[str], np.ndarray]:
    """Names of the simultaneous streams of the table and the stream of every row.

    Placement and side tell streams apart only if one recording has several of them;
    otherwise they are facts about whole recordings.
    """
    names, codes = [""], np.zeros(table.num_rows, np.int64)
    for role in reversed(KEYS):
        column = table.texts.get(table.plan.roles.get(role, ""))
        if column is None or _is_constant(column.codes_N, recording_N).all():
            continue
        values = [*column.values, "unknown"]
        codes = codes + len(names) * np.where(
            column.codes_N < 0, len(column.values), column.codes_N
        )
        names = [" ".join(filter(None, [n, v])) for v in values for n in names]
    used, codes = np.unique(codes, return_inverse=True)
    return [names[u] for u in used], codes.astype(np.int64)


def _is_constant(codes_N: np.ndarray, recording_N: np.ndarray) -> np.ndarray:
    """For every recording, whether a column has one value in it."""
    count = int(recording_N.max()) + 1
    first = np.zeros(count, codes_N.dtype)
    first[recording_N[::-1]] = codes_N[::-1]
    return np.bincount(recording_N, weights=codes_N != first[recording_N], minlength=count) == 0


def _order(
    group_N: np.ndarray, ids: list[str], num_streams: int, notes: Notes
) -> tuple[np.ndarray | None, np.ndarray]:
    """Row order that makes groups contiguous (None = as it is) and the groups in that order."""
    firsts = np.flatnonzero(np.r_[True, group_N[1:] != group_N[:-1]])
    if len(firsts) == len(np.unique(group_N[firsts])):
        return None, group_N
    recording_runs = group_N[firsts] // num_streams
    runs = 1 + np.count_nonzero(np.diff(recording_runs))
    if runs > len(np.unique(recording_runs)):
        torn = np.unique(recording_runs[1:][np.diff(recording_runs) != 0])
        notes.add(
            "rows.interleaved",
            "inferred",
            "Rows of different recordings are mixed; they were put together in their order.",
            some(ids[i] for i in torn),
        )
    order = np.argsort(group_N, kind="stable")
    return order, group_N[order]


def _sessions(
    table: RawTable, ids: list[str], recording_N: np.ndarray, options: ReadOptions, notes: Notes
) -> dict[str, Session]:
    """Subject and constant texts of every recording."""
    sessions = {name: Session(subject=options.subject) for name in ids}
    first = np.zeros(len(ids), np.int64)
    first[recording_N[::-1]] = np.arange(table.num_rows)[::-1]
    roles = {column: role for role, column in table.plan.roles.items()}
    for name, column in table.texts.items():
        role = roles.get(name, name)
        if role in ("recording_id", "label", "t"):
            continue
        constant = _is_constant(column.codes_N, recording_N)
        if role not in ("subject", *KEYS) and not constant.all():
            notes.add(
                "columns.unused",
                "inferred",
                f'Column "{name}" changes within recordings and was not kept.',
                some(column.values),
                "Map it as label if it holds classes.",
            )
            continue
        for i, code in enumerate(column.codes_N[first]):
            if code < 0 or not constant[i]:
                continue
            if role == "subject":
                sessions[ids[i]].subject = options.subject or column.values[code]
            else:
                sessions[ids[i]].attributes[role] = column.values[code]
    return sessions


def _drop_foreign_rows(track: Track, notes: Notes) -> None:
    """In a table of several devices, rows without any value of this device are not its rows."""
    has = np.asarray(np.isfinite(track.samples_NC).any(axis=1))
    if has.all() or not has.any():
        return
    notes.add(
        "rows.other_device",
        "inferred",
        f'{plural(int((~has).sum()), "row")} hold nothing of "{track.stream}" and were left to the other devices.',
    )
    parts = [
        a + np.flatnonzero(has[a:b]) for a, b in zip(track.starts_G, track.stops_G, strict=True)
    ]
    kept = [i for i, p in enumerate(parts) if len(p)]
    track.recordings = [track.recordings[i] for i in kept]
    track.replace_rows([parts[i] for i in kept], None)


def _drop_lacking_sensors(track: Track, notes: Notes) -> None:
    """In a table with a row per device and instant, a sensor without any value is not there."""
    is_empty_C = np.asarray(~np.isfinite(track.samples_NC).any(axis=0))
    lacking = [
        sensor
        for sensor in dict.fromkeys(s.name.sensor for s in track.signals)
        if sensor != "acc" and is_empty_C[track.columns(sensor)].all()
    ]
    if not lacking:
        return
    notes.add(
        "columns.lacking",
        "inferred",
        f'"{track.stream}" has no {" and no ".join(lacking)}; the columns hold nothing in its rows.',
    )
    kept = [i for i, s in enumerate(track.signals) if s.name.sensor not in lacking]
    track.signals = tuple(track.signals[i] for i in kept)
    track.samples_NC = np.ascontiguousarray(track.samples_NC[:, kept])
