"""Time stamps: their unit, dates, counters; missing, doubled and backward stamps."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa

from otolith.recordings.inference.notes import Notes, plural
from otolith.recordings.inference.tracks import Session, Track, new_part
from otolith.recordings.options import ReadOptions
from otolith.recordings.readers.arrow import compute
from otolith.recordings.readers.raw_table import RawTable, TextColumn

SCALES = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
SLOWEST_HZ, FASTEST_HZ = 1.5, 1500.0
_EPOCH_S, _YEAR_9999_S = 1e8, 2.5e11


def read_text_times(table: RawTable, notes: Notes) -> None:
    """Replace a text time column (dates, times of day) by seconds in `table.numbers`.

    Raises:
        DataError: The texts are neither ISO dates nor times of day.
    """
    name = table.plan.roles.get("t", "")
    column = table.texts.pop(name, None)
    if column is None:
        return
    seconds = _parse_dates(column)
    kind = "ISO dates"
    if seconds is None:
        seconds, kind = _parse_clock(column), "times of day"
    if seconds is None:
        raise notes.error(
            "time.format",
            f'Column "{name}" holds times of an unknown form',
            column.values[0][:40] if column.values else "",
            "Write seconds, or ISO dates such as 2024-05-31T12:00:00.020.",
        )
    notes.add("time.format", "inferred", f'Column "{name}" holds {kind}.', column.values[0][:40])
    table.numbers[name] = seconds


def _expand(column: TextColumn, seconds: np.ndarray) -> np.ndarray:
    return np.append(seconds, np.nan)[column.codes_N]


def _parse_dates(column: TextColumn) -> np.ndarray | None:
    """Seconds since 1970 of ISO dates; None if too many do not parse."""
    texts = compute.utf8_trim_whitespace(pa.array(column.values, pa.string()))
    texts = compute.replace_substring(texts, ",", ".")
    zoned = compute.match_substring_regex(texts, r"(Z|[+-]\d\d:?\d\d)$")
    texts = compute.replace_substring_regex(texts, r"\s*(Z|[+-]\d\d:?\d\d)$", "")
    good = compute.match_substring_regex(
        texts, r"^\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d(\.\d{1,9})?)?$"
    )
    if (compute.mean(good.cast(pa.float64())).as_py() or 0.0) < 0.8:
        return None
    clean = compute.if_else(good, texts, pa.scalar(None, pa.string()))
    try:
        counts = clean.cast(pa.timestamp("ns")).cast(pa.int64())
    except pa.ArrowInvalid:
        return None
    seconds = np.asarray(counts.to_numpy(zero_copy_only=False), dtype=np.float64) * 1e-9
    if compute.any(zoned).as_py():
        seconds = seconds - np.array([_zone_s(v) for v in column.values])
    return _expand(column, seconds)


def _zone_s(text: str) -> float:
    """Offset of a zone suffix such as +02:00 in s."""
    tail = text.strip()[-6:].replace(":", "")
    sign = next((i for i, c in enumerate(tail) if c in "+-"), None)
    if sign is None or not tail[sign + 1 :].isdigit():
        return 0.0
    hours, minutes = int(tail[sign + 1 : sign + 3]), int(tail[sign + 3 :] or 0)
    return (-1.0 if tail[sign] == "-" else 1.0) * (hours * 3600.0 + minutes * 60.0)


def _parse_clock(column: TextColumn) -> np.ndarray | None:
    """Seconds since midnight of h:m:s texts; None if too many do not parse."""
    seconds = np.full(len(column.values), np.nan)
    for i, text in enumerate(column.values):
        parts = text.strip().replace(",", ".").split(":")
        if len(parts) in (2, 3) and all(p.replace(".", "", 1).isdigit() for p in parts):
            seconds[i] = sum(float(p) * 60.0**k for k, p in enumerate(reversed(parts)))
    return None if np.isnan(seconds).mean() > 0.2 else _expand(column, seconds)


def set_seconds(track: Track, table: RawTable, options: ReadOptions, notes: Notes) -> None:
    """Bring stamps to seconds, or find that they only count rows.

    Sets `times_N` in s, or `times_N = None` and `counters_N`.

    Raises:
        DataError: The stamps stand still or fit no unit of time.
    """
    for stamps_N in (track.times_N, track.counters_N):
        if stamps_N is not None:
            stamps_N[np.isinf(stamps_N)] = np.nan
    if track.times_N is None:
        return
    steps = track.steps(track.times_N)
    forward = steps[steps > 0]
    if not len(forward):
        raise notes.error(
            "time.constant",
            "The time stamps never advance",
            "",
            "Map another column with columns, or remove it and give rate_hz.",
        )
    # Stamps rounded to less than a sample repeat: several rows share one step.
    rows_per_stamp = max(1.0, (len(forward) + np.count_nonzero(steps == 0)) / len(forward))
    period = float(np.median(forward)) / (rows_per_stamp if rows_per_stamp > 1.2 else 1.0)
    _check_steps(forward, notes)
    stated = options.time_unit or table.time_unit or table.plan.time_unit
    if not stated and period == 1.0 and np.mean(forward == 1.0) > 0.9:
        notes.add(
            "time.counter",
            "inferred",
            "The time column counts rows (it advances by one), so it holds no time.",
            "step 1",
            'Pass time_unit="ms" if it holds milliseconds.',
        )
        track.counters_N, track.times_N = track.times_N, None
        return
    unit = _unit(period, stated, notes)
    spacing = float(np.nanmax(np.abs(track.times_N)))
    if table.is_single_precision and np.spacing(np.float32(spacing)) > 0.25 * period:
        raise notes.error(
            "time.precision",
            "The time column is single precision and too large to tell samples apart",
            f"steps of {float(np.spacing(np.float32(spacing))):g}",
            "Store it as float64 or int64.",
        )
    track.times_N = track.times_N * SCALES[unit]
    earliest = float(np.nanmin(track.times_N))
    if _EPOCH_S < earliest < _YEAR_9999_S:
        start = datetime.fromtimestamp(earliest, tz=UTC).isoformat(timespec="milliseconds")
        notes.add("time.epoch", "inferred", "Time counts from 1970.", f"the file starts at {start}")


def _unit(period: float, stated: str, notes: Notes) -> str:
    """Unit of numeric stamps with a usual step of `period`."""
    fitting = [u for u, s in SCALES.items() if SLOWEST_HZ <= 1.0 / (period * s) <= FASTEST_HZ]
    if not stated and not fitting:
        raise notes.error(
            "time.unit",
            "The time stamps fit no unit of time",
            f"median step {period:g}",
            "Pass time_unit and check the column.",
        )
    unit = stated or fitting[0]
    evidence = f"median step {period:g} {unit} = {1.0 / (period * SCALES[unit]):.4g} Hz"
    if stated and fitting and stated not in fitting:
        notes.add(
            "time.unit",
            "warning",
            f"Time is stated in {unit}, but its steps fit {fitting[0]}.",
            evidence,
            "Check time_unit or the column's name.",
        )
    elif unit != "s" or not stated:
        notes.add(
            "time.unit",
            "inferred",
            f"Time stamps are in {unit}.",
            evidence,
            "Pass time_unit to decide otherwise.",
        )
    return unit


def _check_steps(forward: np.ndarray, notes: Notes) -> None:
    """Refuse stamps of which a part runs at quite another pace (a unit that changes)."""
    ratio = forward / np.median(forward)
    odd = float(np.mean((ratio > 50) | (ratio < 1 / 50)))
    if odd > 0.02:
        raise notes.error(
            "time.steps",
            "Steps of the time stamps differ by more than a factor of 50",
            f"{odd:.0%} of the steps, median {np.median(forward):g}",
            "The unit of time may change within the file: bring it to one unit.",
        )


def clean_stamps(
    track: Track, sessions: dict[str, Session], options: ReadOptions, notes: Notes, *, is_only: bool
) -> None:
    """Treat missing, doubled and backward stamps (or counters) by policy.

    Afterwards `times_N` (or `counters_N`) increases strictly within every group.

    Args:
        track: Changed in place.
        sessions: Gains an entry per new recording when a recording is split.
        options: Uses the policies of time.
        notes: Receives what was changed.
        is_only: Whether this is the table's only track; only then can recordings be split.
    """
    axis = track.times_N if track.times_N is not None else track.counters_N
    if axis is None:
        return
    if track.times_N is None:
        axis = _unwrapped(track, axis, notes)
    with np.errstate(invalid="ignore"):
        broken = ~(np.diff(axis) > 0)
    broken[track.starts_G[1:] - 1] = False
    broken = np.append(broken, False)
    broken |= np.isnan(axis)
    if not broken.any():
        return
    groups = set(track.group_of(np.flatnonzero(broken)).tolist())
    parts, times, names = [], [], []
    for g, (start, stop) in enumerate(zip(track.starts_G, track.stops_G, strict=True)):
        rows, t = np.arange(start, stop), axis[start:stop]
        pieces = [(rows, t)]
        if g in groups:
            pieces = _clean_group(track, g, rows, t, options, notes, is_only=is_only)
        for i, (piece_rows, piece_t) in enumerate(pieces):
            name = track.recordings[g]
            if len(pieces) > 1:
                name = new_part(sessions, track.recordings[g], i, notes)
            parts.append(piece_rows)
            times.append(piece_t)
            names.append(name)
    is_counter = track.times_N is None
    track.recordings = names
    track.replace_rows(parts, None)
    if is_counter:
        track.counters_N = np.concatenate(times)
    else:
        track.times_N = np.concatenate(times)


def _unwrapped(track: Track, counters_N: np.ndarray, notes: Notes) -> np.ndarray:
    """Counters of 8 to 16 bits start again at zero; make them go on."""
    steps = track.steps(counters_N)
    back = np.unique(steps[steps < 0])
    if len(back) != 1 or -back[0] + 1 not in {2.0**b for b in (8, 10, 12, 16)}:
        return counters_N
    wraps = np.cumsum(np.nan_to_num(steps) < 0)
    count = int(wraps[-1])
    notes.add(
        "time.counter_wrap",
        "fixed",
        f"The row counter overflows {plural(count, 'time')}; it was continued.",
        f"step {back[0]:g}",
    )
    track.counters_N = counters_N + np.append(0, wraps) * (1.0 - back[0])
    return track.counters_N


def _clean_group(
    track: Track,
    g: int,
    rows: np.ndarray,
    t: np.ndarray,
    options: ReadOptions,
    notes: Notes,
    *,
    is_only: bool,
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Rows and stamps of one group after all policies; several pieces if it is split."""
    name = track.recordings[g]
    what = "time stamp" if track.times_N is not None else "row number"
    missing = ~np.isfinite(t)
    if missing.any():
        notes.act(
            options.on_bad_time,
            "time.missing_stamp",
            "fixed",
            f"{plural(int(missing.sum()), 'row')} of {name} without a {what} were left out",
            f"first at row {int(np.argmax(missing))}",
            "Repair the column.",
            recordings=[name],
        )
        rows, t = rows[~missing], t[~missing]
    rows, t = _drop_repeats(track, name, rows, t, options, notes)
    cuts = np.flatnonzero(np.diff(t) < 0) + 1
    if len(cuts):
        back = float(np.max(t[cuts - 1] - t[cuts]))
        fact = f"The {what} of {name} goes back {plural(len(cuts), 'time')}"
        evidence = f"first at row {int(cuts[0])}, at most by {back:.6g}"
        choice = 'on_backward_time="split" (several recordings in one file) or "sort" (rows in wrong order)'
        if options.on_backward_time == "refuse" or (
            options.on_backward_time == "split" and not is_only
        ):
            raise notes.error("time.backward", fact, evidence, f"Pass {choice}.")
        done = "rows were sorted" if options.on_backward_time == "sort" else "it was cut there"
        notes.add(
            "time.backward",
            "fixed",
            f"{fact}; {done}.",
            evidence,
            f"Other choice: {choice}.",
            recordings=[name, *(f"{name}_part{i + 1}" for i in range(len(cuts) + 1))],
        )
        if options.on_backward_time == "split":
            pairs = zip(np.split(rows, cuts), np.split(t, cuts), strict=True)
            return [_separate(track, name, r, s, options, notes) for r, s in pairs]
        order = np.argsort(t, kind="stable")
        rows, t = _drop_repeats(track, name, rows[order], t[order], options, notes)
    return [_separate(track, name, rows, t, options, notes)]


def _drop_repeats(
    track: Track, name: str, rows: np.ndarray, t: np.ndarray, options: ReadOptions, notes: Notes
) -> tuple[np.ndarray, np.ndarray]:
    """Leave out rows that repeat the row before in time and values."""
    again = np.flatnonzero(np.diff(t) == 0)
    same = np.zeros(len(t), bool)
    if len(again):
        x, y = track.samples_NC[rows[again]], track.samples_NC[rows[again + 1]]
        same[again + 1] = ((x == y) | (np.isnan(x) & np.isnan(y))).all(axis=1)
    if same.any():
        notes.act(
            options.on_duplicate_row,
            "rows.duplicate",
            "fixed",
            f"{plural(int(same.sum()), 'row')} of {name} repeat the row before; they were left out",
            f"first at row {int(np.argmax(same))}",
            "Repair the file.",
            recordings=[name],
        )
    return rows[~same], t[~same]


def _separate(
    track: Track, name: str, rows: np.ndarray, t: np.ndarray, options: ReadOptions, notes: Notes
) -> tuple[np.ndarray, np.ndarray]:
    """Treat equal stamps with different values."""
    is_first = np.r_[True, np.diff(t) > 0]
    count = int((~is_first).sum())
    if not count:
        return rows, t
    verb = "were spread evenly" if options.on_duplicate_time == "spread" else "were left out"
    notes.act(
        options.on_duplicate_time,
        "time.duplicate",
        "fixed",
        f"{plural(count, 'row')} of {name} have the time stamp of the row before but other values; they {verb}",
        f"{count / len(t):.1%} of the rows",
        'Pass on_duplicate_time="spread", "keep_first" or "refuse".',
        recordings=[name],
    )
    if options.on_duplicate_time == "keep_first":
        return rows[is_first], t[is_first]
    first = np.flatnonzero(is_first)
    length = np.diff(np.r_[first, len(t)])
    # The last stamp has no successor: its rows get the mean spacing of the others.
    mean = float(t[-1] - t[0]) / max(1, first[-1]) if first[-1] else 1.0
    span = np.r_[np.diff(t[first]), mean * length[-1]]
    # Stamps of bursts say when the burst arrived; across a hole the usual spacing is right.
    span = np.minimum(span, max(float(np.median(span)), mean) * 1.5 * np.maximum(length, 1))
    inside = np.arange(len(t)) - np.repeat(first, length)
    return rows, t + inside * np.repeat(span / length, length)
