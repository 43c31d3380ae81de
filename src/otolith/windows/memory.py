"""Recordings in memory, used like a data set on disk: for labelling a file that was just read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from otolith.core.errors import DataError
from otolith.recordings import store_tables as tables
from otolith.recordings.recording import (
    FeatureStream,
    ImuStream,
    Recording,
    Stream,
    VideoStream,
)


class MemoryFolder:
    """The tables and rows of a data folder, made from recordings in memory.

    Args:
        recordings: Recordings with distinct ids; their arrays are shared, not copied.

    Raises:
        DataError: Two recordings have the same id.
    """

    def __init__(self, recordings: Sequence[Recording]) -> None:
        self._recordings = {r.id: r for r in recordings}
        if len(self._recordings) < len(recordings):
            ids = [r.id for r in recordings]
            twice = next(name for name in ids if ids.count(name) > 1)
            raise DataError(f'Two recordings are called "{twice}".', "Give each its own id.")
        streams = [(r.id, s) for r in recordings for s in r.streams.values()]
        self._values = [_values(stream) for _, stream in streams]
        self.recordings = _table(
            tables.RECORDINGS,
            [
                (r.id, r.subject, r.dataset, r.duration_s, tables.to_json(r.attributes, r.id), "[]")
                for r in recordings
            ],
        )
        self.streams = _table(tables.STREAMS, [_stream_row(i, s) for i, s in streams])
        self.annotations = _table(
            tables.ANNOTATIONS,
            [tables.annotation_row(r.id, a) for r in recordings for a in r.annotations],
        )

    def recording(self, recording_id: str) -> Recording:
        """Return one recording."""
        return self._recordings[recording_id]

    def rows(self, stream_row: int, start: int, stop: int) -> np.ndarray:
        """Return rows [start, stop) of a stream as a view."""
        values = self._values[stream_row]
        if not 0 <= start <= stop <= len(values):
            raise IndexError(f"stream row {stream_row} has no rows {start} to {stop}")
        return values[start:stop]


@dataclass(frozen=True, kw_only=True)
class MemoryPart:
    """Recordings in memory that are used together.

    Args:
        name: Name for tables.
        folder: The recordings.
        recording_ids: Which of them.
        labels: Class names; empty if they are not labelled.
        is_pretrain: Whether labels must not be used.
    """

    name: str
    folder: MemoryFolder
    recording_ids: tuple[str, ...]
    labels: tuple[str, ...] = ()
    is_pretrain: bool = False


def memory_part(
    recordings: Sequence[Recording], *, name: str = "file", labels: Sequence[str] = ()
) -> MemoryPart:
    """Return a part that holds all given recordings."""
    ids = tuple(r.id for r in recordings)
    return MemoryPart(
        name=name, folder=MemoryFolder(recordings), recording_ids=ids, labels=tuple(labels)
    )


def _values(stream: Stream) -> np.ndarray:
    match stream:
        case ImuStream():
            return stream.samples_TC
        case FeatureStream():
            return stream.values_ND
        case VideoStream():
            return stream.frame_times_s[:, None]
    raise TypeError(f"no rows in a {type(stream).__name__}")


def _stream_row(recording_id: str, stream: Stream) -> tuple:
    kind, rate_hz, gravity, channels, extra = "", 0.0, "", "[]", {}
    match stream:
        case ImuStream():
            kind, rate_hz, gravity = "imu", stream.rate_hz, stream.gravity.value
            channels = tables.channels_to_json(stream.channels)
        case FeatureStream():
            kind, rate_hz = "features", 1.0 / stream.stride_s
            extra = {
                "extractor": stream.extractor,
                "window_s": stream.window_s,
                "stride_s": stream.stride_s,
            }
        case VideoStream():
            kind, rate_hz = "video", stream.fps
            extra = {"width_px": stream.width_px, "height_px": stream.height_px}
    return (
        recording_id, stream.name, kind, rate_hz, *_values(stream).shape, "", "", 0,
        stream.offset_s, stream.drift_ppm, gravity, channels,
        tables.quality_to_json(tables.measured_quality(stream)), tables.to_json(extra, stream.name),
    )  # fmt: skip


def _table(schema: pa.Schema, rows: Sequence[tuple]) -> pa.Table:
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(schema)
    arrays = []
    for field, column in zip(schema, columns, strict=True):
        is_repeated = pa.types.is_dictionary(field.type)
        array = pa.array(list(column), pa.string() if is_repeated else field.type)
        arrays.append(array.dictionary_encode() if is_repeated else array)
    return pa.Table.from_arrays(arrays, schema=schema)
