"""Picture of a recording: every sensor's signals with the labels on the time axis."""

# T samples, P pixel columns

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from otolith.core.errors import DataError
from otolith.core.files import atomic_path
from otolith.recordings.recording import Annotation, Channel, ImuStream, Recording
from otolith.reports.drawing import (
    PALETTE,
    UNKNOWN,
    clock,
    clock_ticks,
    colours,
    ink_on,
    shorten,
    text_width,
)

_COLUMNS = 1600  # about one per pixel of the plot
_SENSORS = {"acc": "acceleration", "gyro": "angular rate", "mag": "magnetic field"}
_UNITS = {"m/s^2": "m/s²", "uT": "µT"}
_MAX_LEGEND, _MAX_TRACKS = 24, 4


def draw_recording(
    recording: Recording, path: Path, *, start_s: float = 0.0, end_s: float | None = None
) -> Path:
    """Draw the motion signals of a recording and its labels.

    A part with more samples than pixels is drawn as the range of the values in every pixel
    column, so that no peak is lost. Missing samples leave a gap.

    Args:
        recording: The recording.
        path: PNG file to write.
        start_s: Start of the shown part in s.
        end_s: End in s; None = the end of the recording.

    Returns:
        `path`.

    Raises:
        DataError: There is no motion stream, or nothing in the wanted part.
    """
    end = recording.duration_s if end_s is None else min(end_s, recording.duration_s)
    rows = [(s, sensor) for s in recording.imus.values() for sensor in _sensors(s)]
    if not rows or not end > start_s:
        raise DataError(
            f'"{recording.id}" has no motion signals between {start_s:g} s and {end:g} s.',
            "Choose another recording or part.",
        )
    from matplotlib.figure import Figure

    tracks = _tracks(recording, start_s, end)
    names = list(dict.fromkeys(_name(a) for found in tracks.values() for a in found))
    palette = colours(names)
    high = 0.28 * len(tracks)
    figure = Figure(figsize=(13, 1.5 + 1.75 * len(rows) + high), layout="constrained")
    ratios = [high / 1.75] * bool(tracks) + [1.0] * len(rows)
    axes = figure.subplots(
        len(ratios), 1, sharex=True, squeeze=False, height_ratios=ratios
    )[:, 0]  # fmt: skip
    if tracks:
        _ribbon(axes[0], tracks, palette, (start_s, end))
    for axis, (stream, sensor) in zip(axes[bool(tracks) :], rows, strict=True):
        _shades(axis, tracks, palette, stream.name)
        _signals(axis, stream, sensor, (start_s, end))
    _time_axis(axes[-1], start_s, end)
    who = f", subject {recording.subject}" if recording.subject else ""
    figure.suptitle(
        f"{recording.id}{who}".replace("$", r"\$"), fontsize=12, x=0.01, ha="left", weight="bold"
    )
    figure.align_ylabels(axes[bool(tracks) :])
    _legend(figure, names, palette)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=110, format="png")
    return path


def envelope(
    times_T: np.ndarray, values_T: np.ndarray, start_s: float, end_s: float, columns: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the range of a signal in equal parts of time.

    Args:
        times_T: Time of each sample in s.
        values_T: Values; NaN = missing.
        start_s: Start of the first part in s.
        end_s: End of the last part in s.
        columns: Number of parts P.

    Returns:
        Middle of each part in s, lowest and highest value in it (NaN without a sample), all [P].
    """
    keep = np.isfinite(values_T) & (times_T >= start_s) & (times_T <= end_s)
    place = ((times_T[keep] - start_s) / (end_s - start_s) * columns).astype(int)
    place = np.minimum(place, columns - 1)
    low, high = np.full(columns, np.inf), np.full(columns, -np.inf)
    np.minimum.at(low, place, values_T[keep])
    np.maximum.at(high, place, values_T[keep])
    empty = ~np.isfinite(low)
    low[empty] = high[empty] = np.nan
    return start_s + (np.arange(columns) + 0.5) * (end_s - start_s) / columns, low, high


def _sensors(stream: ImuStream) -> list[str]:
    """Triads of a stream in column order."""
    return list(dict.fromkeys(c.triad for c in stream.channels))


def _tracks(recording: Recording, start_s: float, end_s: float) -> dict[str, list[Annotation]]:
    """Annotations that touch the shown part, by track (and stream, if they belong to one)."""
    tracks: dict[str, list[Annotation]] = {}
    for a in recording.annotations:
        if a.start_s <= end_s and (a.start_s if a.end_s is None else a.end_s) >= start_s:
            tracks.setdefault(f"{a.track} ({a.stream})" if a.stream else a.track, []).append(a)
    return dict(list(tracks.items())[:_MAX_TRACKS])


def _name(a: Annotation) -> str:
    """What an annotation says: its labels, else verb and noun, else the beginning of its text."""
    words = " + ".join(a.labels) or f"{a.verb} {a.noun}".strip() or a.text
    return shorten(words, 40)


def _ribbon(
    axis: Any,
    tracks: Mapping[str, Sequence[Annotation]],
    palette: Mapping[str, str],
    part: tuple[float, float],
) -> None:
    """Coloured blocks with names, one row per track; points are thin lines."""
    pixel_s = (part[1] - part[0]) / 1150
    for row, found in enumerate(tracks.values()):
        for a in found:
            colour, name = palette.get(_name(a), UNKNOWN), _name(a)
            if a.end_s is None:
                axis.plot([a.start_s] * 2, [row - 0.4, row + 0.4], color=colour, linewidth=1.5)
                continue
            start, end = max(a.start_s, part[0]), min(a.end_s, part[1])
            axis.barh(row, end - start, left=start, height=0.86, color=colour, edgecolor="white", linewidth=0.4)  # fmt: skip
            if name and (end - start) / pixel_s > text_width(name, 10) + 8:
                axis.text(
                    (start + end) / 2, row, name.replace("$", r"\$"), ha="center", va="center",
                    fontsize=7.5, color=ink_on(colour),
                )  # fmt: skip
    axis.set_yticks(range(len(tracks)), [shorten(t, 22) for t in tracks], fontsize=8)
    axis.set_ylim(len(tracks) - 0.5, -0.5)
    axis.tick_params(length=0, labelbottom=False)
    axis.spines[:].set_visible(False)


def _shades(
    axis: Any,
    tracks: Mapping[str, Sequence[Annotation]],
    palette: Mapping[str, str],
    stream: str,
) -> None:
    """The intervals of the first track that concerns a stream, as a faint ground."""
    for found in tracks.values():
        mine = [a for a in found if a.end_s is not None and a.stream in {"", stream}]
        for a in mine:
            axis.axvspan(
                a.start_s, a.end_s, color=palette.get(_name(a), UNKNOWN), alpha=0.13, linewidth=0
            )
        if mine:
            return


def _signals(axis: Any, stream: ImuStream, sensor: str, part: tuple[float, float]) -> None:
    """The channels of one sensor, as lines or as ranges per pixel column."""
    times = stream.times_s
    first, last = np.searchsorted(times, part[0]), np.searchsorted(times, part[1], side="right")
    chosen = [(i, c) for i, c in enumerate(stream.channels) if c.triad == sensor]
    for number, (column, channel) in enumerate(chosen):
        values = stream.samples_TC[first:last, column]
        look = {"color": _colour(channel, number), "linewidth": 0.8}
        if last - first <= 2 * _COLUMNS:
            axis.plot(times[first:last], values, label=channel.axis, **look)
            continue
        x, low, high = envelope(times[first:last], values, *part, _COLUMNS)
        axis.fill_between(x, low, high, label=channel.axis, alpha=0.75, **look)
    if (
        last <= first
        or not np.isfinite(stream.samples_TC[first:last, [i for i, _ in chosen]]).any()
    ):
        axis.text(0.5, 0.5, "no samples", transform=axis.transAxes, ha="center", color="0.5")
    channel = chosen[0][1]
    what = _SENSORS.get(channel.sensor, sensor)
    unit = f"\nin {_UNITS.get(channel.unit, channel.unit)}" if channel.unit else ""
    axis.set_ylabel(f"{shorten(sensor, 20)}\n{what}{unit}" if what != sensor else f"{sensor}{unit}", fontsize=8)  # fmt: skip
    axis.set_title(f"{stream.name}, {stream.rate_hz:g} Hz", fontsize=8, loc="right", color="0.35", pad=2)  # fmt: skip
    axis.tick_params(labelsize=8)
    if len(chosen) > 1:
        axis.legend(loc="upper right", fontsize=7, framealpha=0.6, edgecolor="none", ncols=4)
    axis.grid(axis="y", alpha=0.2)
    axis.spines[["top", "right"]].set_visible(False)


def _colour(channel: Channel, number: int) -> str:
    """One colour per axis, the same in every sensor."""
    axes = ("x", "y", "z", "w")
    return PALETTE[axes.index(channel.axis) if channel.axis in axes else 4 + number]


def _time_axis(axis: Any, start_s: float, end_s: float) -> None:
    axis.set_xlim(start_s, end_s)
    if end_s - start_s < 120:
        axis.set_xlabel("time in s", fontsize=9)
        return
    marks = [
        t for t in clock_ticks(end_s, 12 * math.ceil(end_s / (end_s - start_s))) if t >= start_s
    ]
    axis.set_xticks(marks, [clock(t) for t in marks])
    axis.set_xlabel("time in h:min:s" if end_s >= 3600 else "time in min:s", fontsize=9)


def _legend(figure: Any, names: Sequence[str], palette: Mapping[str, str]) -> None:
    from matplotlib.patches import Patch

    shown = [
        Patch(color=palette.get(n, UNKNOWN), label=(n or "unlabelled").replace("$", r"\$"))
        for n in names[:_MAX_LEGEND]
    ]
    if len(names) > _MAX_LEGEND:
        shown.append(Patch(color="none", label=f"and {len(names) - _MAX_LEGEND} more"))
    if shown:
        figure.legend(
            handles=shown, loc="outside lower center", ncols=min(8, len(shown)), fontsize=8,
            frameon=False,
        )  # fmt: skip
