"""Values that cannot be right: missing, sentinels, stuck, clipped, spikes, constant, doubled."""

# N rows, C channels, R runs of equal values

from __future__ import annotations

import numpy as np

from otolith.recordings.inference.excerpts import excerpts
from otolith.recordings.inference.notes import Notes, plural, some
from otolith.recordings.inference.tracks import Track
from otolith.recordings.options import ReadOptions

SENTINELS = np.array(
    [-999, -9999, -99999, -999.9, 999, 9999, 99999, 999999, 32767, -32768, 65535, 2147483647,
     -2147483648, -99, 99, 1e6, 1e9, -1e6, -1e9, 1e20, 1e30, 1e38, -1e38], np.float32,
)  # fmt: skip
_CLIPPED_SHARE = 0.05


def check_values(track: Track, options: ReadOptions, notes: Notes) -> None:
    """Find values that cannot be right in file units and treat them by policy.

    Args:
        track: `samples_NC` is changed where a policy says so.
        options: Policies, and `stuck_s`.
        notes: Receives what was found.

    Raises:
        DataError: A policy refuses, or a channel holds nothing.
    """
    _check_infinite(track, notes)
    _check_sentinels(track, options, notes)
    _check_missing(track, options, notes)
    _check_runs(track, options, notes)
    _check_spikes(track, options, notes)
    _check_doubled(track, notes)
    _check_resolution(track, notes)
    _check_order(track, notes)
    _check_repeated(track, notes)


def _check_infinite(track: Track, notes: Notes) -> None:
    infinite = np.isinf(track.samples_NC)
    if infinite.any():
        rows = np.flatnonzero(infinite.any(axis=1))
        notes.add(
            "values.infinite",
            "fixed",
            f"{plural(int(infinite.sum()), 'value')} are infinite; they are missing now.",
            _where(track, infinite),
            recordings=track.names_of(rows),
        )
        track.samples_NC[infinite] = np.nan


def _where(track: Track, bad_NC: np.ndarray) -> str:
    """Channels with counts, as text."""
    counts = bad_NC.sum(axis=0)
    return some((f"{c}: {n:,}" for c, n in zip(track.channels, counts, strict=True) if n), 9)


def _check_sentinels(track: Track, options: ReadOptions, notes: Notes) -> None:
    """A known sentinel far outside what the channel shows otherwise."""
    x = track.samples_NC
    bad = np.zeros(x.shape, bool)
    for c in range(x.shape[1]):
        size = np.abs(x[:, c])
        largest = np.nanmax(size, initial=0.0)
        if largest < 90:
            continue
        hits = np.isin(x[:, c], SENTINELS)
        if not hits.any() or hits.mean() > 0.3:
            continue
        others = size[~hits & np.isfinite(size)]
        limit = 3.0 * np.quantile(others, 0.999) if len(others) else np.inf
        bad[:, c] = hits & (size > limit)
    if bad.any():
        values = np.unique(x[bad])
        rows = np.flatnonzero(bad.any(axis=1))
        done = "they are missing now" if options.on_sentinel == "nan" else "they were kept"
        status = "fixed" if options.on_sentinel == "nan" else "warning"
        notes.act(
            options.on_sentinel,
            "values.sentinel",
            status,
            f"{plural(int(bad.sum()), 'value')} stand for something missing ({some(f'{v:g}' for v in values)}); {done}",
            _where(track, bad),
            'Pass on_sentinel="keep" if they are real.',
            recordings=track.names_of(rows),
        )
        if options.on_sentinel == "nan":
            x[bad] = np.nan


def _check_missing(track: Track, options: ReadOptions, notes: Notes) -> None:
    missing = np.isnan(track.samples_NC)
    if not missing.any():
        return
    empty = [c for c, gone in zip(track.channels, missing.T, strict=True) if gone.all()]
    if empty:
        raise notes.error(
            "values.empty",
            f"There is no value in {some(empty)}",
            "",
            "Fill the column or remove it.",
        )
    rows = np.flatnonzero(missing.any(axis=1))
    done = (
        f"holes up to {options.max_interpolate_s:g} s are bridged"
        if options.on_nan == "interpolate"
        else "they stay missing (NaN)"
    )
    notes.act(
        options.on_nan,
        "values.missing",
        "fixed" if options.on_nan == "interpolate" else "warning",
        f"{plural(int(missing.sum()), 'value')} in {plural(len(rows), 'row')} are missing; {done}",
        _where(track, missing),
        'Pass on_nan="interpolate" to bridge short holes.',
        recordings=track.names_of(rows),
    )


def runs(track: Track, column: int) -> tuple[np.ndarray, np.ndarray]:
    """Return first row and length of every run of equal values within a group [R]."""
    x = track.samples_NC[:, column]
    change = np.empty(len(x), bool)
    change[0] = True
    np.not_equal(x[1:], x[:-1], out=change[1:])
    change[track.starts_G] = True
    first = np.flatnonzero(change)
    return first, np.diff(np.append(first, len(x)))


def _check_runs(track: Track, options: ReadOptions, notes: Notes) -> None:
    """Constant and stuck channels, dropouts of all channels, clipping."""
    num_rows = len(track.samples_NC)
    rate = float(np.median(track.rates_G))
    constant: dict[str, list[str]] = {}
    held = np.zeros(num_rows, np.int16)
    stuck = np.zeros(track.samples_NC.shape, bool)
    clipped: list[tuple[int, np.ndarray]] = []
    for c in range(track.samples_NC.shape[1]):
        first, length = runs(track, c)
        group = track.group_of(first)
        whole = length == (track.stops_G - track.starts_G)[group]
        whole &= length > 5
        if whole.any():
            constant[track.channels[c]] = [track.recordings[g] for g in group[whole]]
        long = (length >= max(5, options.stuck_s * rate)) & ~whole
        for a, n in zip(first[long], length[long], strict=True):
            stuck[a : a + n, c] = True
        short = (length >= max(4, 0.3 * rate)) & ~whole
        for a, n in zip(first[short], length[short], strict=True):
            held[a : a + n] += 1
        clipped.append(_clipping(track, c, first, length))
    for channel, names in constant.items():
        notes.act(
            options.on_constant,
            "values.constant",
            "warning",
            f"{channel} never changes in {plural(len(set(names)), 'recording')}",
            some(dict.fromkeys(names)),
            "Remove the column if the sensor is broken.",
            recordings=names,
        )
    _note_dropouts(track, held, notes)
    if stuck.any():
        names = track.names_of(np.flatnonzero(stuck.any(axis=1)))
        moving = track.columns("acc") + track.columns("gyro")
        # A magnetometer of a lying device may well show one value for seconds.
        status = "warning" if stuck[:, moving].any() else "inferred"
        status = "fixed" if options.on_stuck == "nan" else status
        notes.act(
            options.on_stuck,
            "values.stuck",
            status,
            f"Channels show one value for {options.stuck_s:g} s or longer",
            _where(track, stuck),
            'Pass on_stuck="nan" to treat them as missing.',
            recordings=names,
        )
    _note_clipping(track, clipped, options, notes)
    if options.on_stuck == "nan":
        track.samples_NC[stuck] = np.nan


def _note_dropouts(track: Track, held_N: np.ndarray, notes: Notes) -> None:
    """All channels hold their values at once: a transmission stood still, or wrote zeros."""
    dead = held_N == track.samples_NC.shape[1]
    if not dead.any():
        return
    rows = np.flatnonzero(dead)
    zero = int((track.samples_NC[rows] == 0).all(axis=1).sum())
    text = f", {zero:,} of them all zero" if zero else ""
    notes.add(
        "values.dropout",
        "warning" if zero or len(rows) > 0.05 * len(held_N) else "inferred",
        f"All channels stand still in {plural(len(rows), 'row')}{text}.",
        f"{len(rows) / len(held_N):.2%} of the rows, runs of 0.3 s or longer",
        "Treat these times with care.",
        recordings=track.names_of(rows),
    )


def _clipping(
    track: Track, column: int, first: np.ndarray, length: np.ndarray
) -> tuple[int, np.ndarray]:
    """Rows at the channel's largest or smallest value, if those come in runs."""
    x = track.samples_NC[:, column]
    if np.isnan(x).all():
        return 0, np.zeros(0, np.int64)
    found = []
    for limit in (np.nanmax(x), np.nanmin(x)):
        at = x[first] == limit
        count = int(length[at].sum())
        in_runs = int(length[at & (length >= 3)].sum())
        if (
            limit != 0
            and count >= 12
            and in_runs >= 0.25 * count
            and length[at].max(initial=0) < 0.5 * len(x)
        ):
            found.append(np.flatnonzero(x == limit))
    rows = np.concatenate(found) if found else np.zeros(0, np.int64)
    return len(rows), rows


def _note_clipping(
    track: Track, clipped: list[tuple[int, np.ndarray]], options: ReadOptions, notes: Notes
) -> None:
    """Constant channels and short resting values are no clipping; many extremes in runs are."""
    texts, rows = [], []
    for c, (count, at) in enumerate(clipped):
        x = track.samples_NC[:, c]
        if not count or np.nanmin(x) == np.nanmax(x):
            continue
        limits = f"{np.nanmin(x):.4g} or {np.nanmax(x):.4g}"
        texts.append(f"{track.channels[c]}: {count:,} rows at {limits}")
        rows.append(at)
        if options.on_saturation == "nan":
            x[at] = np.nan
    if not texts:
        return
    share = max(len(r) for r in rows) / len(track.samples_NC)
    status = (
        "fixed"
        if options.on_saturation == "nan"
        else "warning"
        if share > _CLIPPED_SHARE
        else "inferred"
    )
    notes.act(
        options.on_saturation,
        "values.saturated",
        status,
        f"Values of {plural(len(texts), 'channel')} are cut off at a limit",
        some(texts, 9),
        'Pass on_saturation="nan" to treat them as missing.',
        recordings=track.names_of(np.concatenate(rows)),
    )


def _check_spikes(track: Track, options: ReadOptions, notes: Notes) -> None:
    """Single samples far from both neighbours, which agree with each other."""
    x = track.samples_NC
    bad = np.zeros(x.shape, bool)
    for c in range(x.shape[1]):
        column = x[:, c]
        size = np.abs(column - np.nanmedian(column))
        limit = 4.0 * np.nanquantile(size, 0.999)
        middle = column[1:-1]
        with np.errstate(invalid="ignore"):
            jump = np.minimum(np.abs(middle - column[:-2]), np.abs(middle - column[2:]))
            agree = np.abs(column[2:] - column[:-2])
            bad[1:-1, c] = (jump > limit) & (jump > 8 * agree) & (limit > 0)
        if bad[:, c].sum() > 0.0005 * len(column) + 3:
            bad[:, c] = False
    if bad.any():
        rows = np.flatnonzero(bad.any(axis=1))
        status = "fixed" if options.on_spike == "nan" else "warning"
        done = "they are missing now" if options.on_spike == "nan" else "they were kept"
        notes.act(
            options.on_spike,
            "values.spike",
            status,
            f"{plural(int(bad.sum()), 'single value')} lie far beyond both neighbours; {done}",
            f"{_where(track, bad)}; largest {np.abs(x[bad]).max():.4g}",
            'Pass on_spike="nan" to treat them as missing.',
            recordings=track.names_of(rows),
        )
        if options.on_spike == "nan":
            x[bad] = np.nan


def _check_doubled(track: Track, notes: Notes) -> None:
    """Two channels that hold the same, or the same with the other sign."""
    x = track.samples_NC[:: max(1, len(track.samples_NC) // 20_000)]
    names = track.channels
    for i in range(x.shape[1]):
        for j in range(i + 1, x.shape[1]):
            both = np.isfinite(x[:, i]) & np.isfinite(x[:, j])
            a, b = x[both, i], x[both, j]
            if len(a) > 20 and np.ptp(a) > 0 and max((a == b).mean(), (a == -b).mean()) > 0.98:
                notes.add(
                    "values.doubled",
                    "warning",
                    f"{names[i]} and {names[j]} hold the same values.",
                    remedy="Map the right columns.",
                )


def _check_resolution(track: Track, notes: Notes) -> None:
    """Steps so coarse that movements disappear."""
    for sensor in ("acc", "gyro"):
        columns = track.columns(sensor)
        x = track.samples_NC[:: max(1, len(track.samples_NC) // 50_000)][:, columns]
        coarse = []
        for c, values in zip(columns, x.T, strict=True):
            seen = np.unique(values[np.isfinite(values)])
            spread = float(np.nanstd(values.astype(np.float64)))
            if (
                len(seen) > 1
                and len(values) > 200
                and np.diff(seen).min() > 0.2 * spread > 0
                and len(seen) < 100
            ):
                coarse.append(
                    f"{track.channels[c]}: steps of {np.diff(seen).min():.3g}, deviation {spread:.3g}"
                )
        if coarse:
            notes.add(
                "values.coarse",
                "warning",
                f"Values of the sensor {sensor} are rounded coarsely.",
                some(coarse),
                "Export more digits.",
            )


def _check_order(track: Track, notes: Notes) -> None:
    """Neighbouring samples that are no more alike than far ones: shuffled rows."""
    values, _ = excerpts(track, track.columns("acc"), 64, limit=1000)
    if len(values) < 5:
        return
    moving = np.argsort(-values.var(axis=1).sum(axis=-1))[: max(5, len(values) // 3)]
    values = values[moving]
    near = np.square(np.diff(values, axis=1)).mean()
    total = 2.0 * values.var(axis=1).mean()
    if total > 0 and near / total > 0.93:
        notes.add(
            "rows.order",
            "warning",
            "Neighbouring samples are no more alike than distant ones: the rows may be shuffled, or the rate is far too low.",
            f"ratio {near / total:.2f}",
            "Sort the rows by time before import.",
        )


def _check_repeated(track: Track, notes: Notes) -> None:
    """Many rows that equal the row before: written twice, or held between slower updates."""
    x = track.samples_NC
    same = np.asarray((x[1:] == x[:-1]).all(axis=1))
    same[track.starts_G[1:] - 1] = False
    share = float(same.mean()) if len(same) else 0.0
    if share > 0.2:
        notes.add(
            "rows.repeated",
            "warning",
            "Many rows equal the row before: rows may be written twice, or the sensor is slower than the file.",
            f"{share:.0%} of the rows",
            "Leave out repeated rows and give the true rate.",
        )
