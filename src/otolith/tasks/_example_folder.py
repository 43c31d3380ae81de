"""A folder of labelled example recordings of the user."""

# N windows

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from otolith.core.errors import DataError
from otolith.recordings.options import ReadOptions
from otolith.recordings.reading import read_recordings
from otolith.recordings.recording import Annotation, Recording
from otolith.tasks._windows import Labelled
from otolith.windows.dataset import WindowDataset
from otolith.windows.memory import memory_part
from otolith.windows.spec import WindowSpec

_MIN_SHARE = 0.6
_TRACK = "activity"


def read_examples(folder: Path, options: ReadOptions) -> list[Recording]:
    """Read labelled recordings.

    A file with a label column says itself when what was done; every other file shows the activity
    that its sub-folder is called (`walking/a.csv`).

    Args:
        folder: Folder of tables and sub-folders.
        options: How to read them.

    Returns:
        Recordings with annotations of the activity.

    Raises:
        FileFormatError: There is no such folder.
        DataError: It holds no table, or a file of which nothing says the activity.
    """
    folder = Path(folder)
    if folder.is_file():
        raise DataError(
            f"{folder} is a file, not a folder of examples.",
            "Give the folder that holds it; a file needs a label column.",
        )
    return [_labelled(recording, folder) for recording in read_recordings(folder, options)]


def _labelled(recording: Recording, folder: Path) -> Recording:
    if any(a.track == _TRACK and a.labels for a in recording.annotations):
        return recording
    place = Path(recording.attributes["file"]).parts
    if len(place) < 2:
        raise DataError(
            f"Nothing says what {folder / place[0]} shows.",
            "Add a label column, or put the file into a sub-folder named by its activity.",
        )
    whole = Annotation(start_s=0.0, end_s=recording.duration_s, labels=(place[0],), track=_TRACK)
    return replace(recording, annotations=(*recording.annotations, whole))


def example_windows(
    recordings: Sequence[Recording], *, window_s: float, min_s: float, streams: tuple[str, ...] = ()
) -> Labelled:
    """Cut labelled recordings into windows without overlap.

    Args:
        recordings: Recordings with annotations of the activity.
        window_s: Length of a window in s.
        min_s: Shortest recording, or rest at its end, in s.
        streams: Motion streams to use; empty = all.

    Returns:
        The windows; a recording of an unknown person counts as a person of its own.

    Raises:
        DataError: No window is labelled.
    """
    found = [
        a.labels[0] for r in recordings for a in r.annotations if a.track == _TRACK and a.labels
    ]
    names = tuple(dict.fromkeys(found))
    spec = WindowSpec(
        window_s=window_s,
        min_s=min(min_s, window_s),
        streams=streams,
        separate=True,
        label_track=_TRACK,
        label_rule="majority",
        min_label_share=_MIN_SHARE,
    )
    windows = WindowDataset([memory_part(recordings, labels=names)], spec, labels=names)
    people = np.array([r.subject or f"recording {r.id}" for r in recordings], dtype=str)
    return Labelled(
        windows=windows,
        labels=names,
        label_N=windows.table.label,
        subject_N=people[windows.table.recording],
    )
