"""Picture of a recording: every sensor's signals with the labels on the time axis."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from otolith.core.errors import DataError
from otolith.core.files import atomic_path
from otolith.recordings.recording import ImuStream, Recording
from otolith.reports.drawing import PALETTE, UNKNOWN, colours

_MAX_POINTS = 4000


def draw_recording(
    recording: Recording, path: Path, *, start_s: float = 0.0, end_s: float | None = None
) -> Path:
    """Draw the motion signals of a recording and its labels.

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
    if not rows or end <= start_s:
        raise DataError(
            f'"{recording.id}" has no motion signals between {start_s:g} s and {end:g} s.',
            "Choose another recording or part.",
        )
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 1.2 + 1.9 * len(rows)), layout="constrained")
    axes = figure.subplots(len(rows), 1, sharex=True, squeeze=False)[:, 0]
    names = list(dict.fromkeys(a.labels[0] for a in recording.annotations if a.labels))
    palette = colours(names)
    for axis, (stream, sensor) in zip(axes, rows, strict=True):
        _signals(axis, stream, sensor, start_s, end)
        for annotation in recording.annotations:
            if (
                annotation.labels
                and annotation.end_s is not None
                and annotation.stream in {"", stream.name}
            ):
                colour = palette.get(annotation.labels[0], UNKNOWN)
                axis.axvspan(
                    annotation.start_s, annotation.end_s, color=colour, alpha=0.18, linewidth=0
                )
    axes[-1].set(xlabel="time in s", xlim=(start_s, end))
    title = f"{recording.id}" + (f", subject {recording.subject}" if recording.subject else "")
    figure.suptitle(title, fontsize=11)
    if names:
        from matplotlib.patches import Patch

        shown = [Patch(color=palette[n], alpha=0.5, label=n) for n in names[:14]]
        figure.legend(
            handles=shown,
            loc="outside lower center",
            ncols=min(7, len(shown)),
            fontsize=8,
            frameon=False,
        )
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=110, format="png")
    return path


def _sensors(stream: ImuStream) -> list[str]:
    """Triads of a stream in column order."""
    return list(dict.fromkeys(c.triad for c in stream.channels))


def _signals(axis, stream: ImuStream, sensor: str, start_s: float, end_s: float) -> None:  # noqa: ANN001  # matplotlib axes
    times = stream.times_s
    rows = np.flatnonzero((times >= start_s) & (times <= end_s))
    rows = rows[:: max(1, len(rows) // _MAX_POINTS)]
    unit = ""
    for column, channel in enumerate(stream.channels):
        if channel.triad == sensor:
            colour = PALETTE[
                ("x", "y", "z", "w").index(channel.axis) if channel.axis in "xyzw" else 4
            ]
            axis.plot(
                times[rows],
                stream.samples_TC[rows, column],
                color=colour,
                linewidth=0.8,
                label=channel.axis,
            )
            unit = channel.unit
    axis.set_ylabel(f"{stream.name}\n{sensor}\n{unit}", fontsize=8)
    axis.legend(loc="upper right", fontsize=7, frameon=False, ncols=4)
    axis.spines[["top", "right"]].set_visible(False)
