"""Recordings for other tools: one tidy Parquet table, a row per sample; choice of stream and rate."""

# T time, C channels

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from otolith.core.errors import DataError, suggest
from otolith.core.files import atomic_path
from otolith.recordings.recording import ImuStream, Recording, Stream

_TEXTS = ("recording_id", "subject", "placement", "label")


def write_tidy(path: Path, recordings: Iterable[Recording], *, track: str = "activity") -> int:
    """Write the motion streams of recordings.

    Columns: recording_id, subject, placement (the stream), label, t (s), then one column per
    channel in m/s^2 and rad/s; channels that a stream lacks are null there.

    Args:
        path: Parquet file to write.
        recordings: Recordings; those with other channels than the first may add no columns.
        track: Annotation track of the label column.

    Returns:
        Number of rows.

    Raises:
        DataError: There is no motion stream, or a stream has channels the first one lacks.
    """
    schema: pa.Schema | None = None
    rows = 0
    with atomic_path(path) as temporary:
        writer: pq.ParquetWriter | None = None
        try:
            for recording in recordings:
                for stream in recording.imus.values():
                    if schema is None or writer is None:
                        schema = _schema(stream)
                        writer = pq.ParquetWriter(temporary, schema, compression="zstd")
                    table = _table(recording, stream, schema, track)
                    writer.write_table(table)
                    rows += len(table)
        finally:
            if writer is not None:
                writer.close()
        if schema is None:
            raise DataError("There is no motion stream to write.", "Choose another data set.")
    return rows


def labels_of_samples(
    recording: Recording, stream: ImuStream, track: str = "activity"
) -> np.ndarray:
    """Return the label of every sample [T] as text; empty where there is none."""
    times_s = stream.times_s
    labels = np.full(len(times_s), "", dtype=object)
    for a in recording.annotations:
        if a.track == track and a.labels and a.end_s is not None and a.stream in {"", stream.name}:
            half_s = 0.5 / stream.rate_hz
            first, last = np.searchsorted(times_s, [a.start_s - half_s, a.end_s - half_s])
            labels[first:last] = a.labels[0]
    return labels


def _schema(stream: ImuStream) -> pa.Schema:
    texts = [(name, pa.string()) for name in _TEXTS]
    return pa.schema(
        [*texts, ("t", pa.float64()), *((c.name, pa.float32()) for c in stream.channels)]
    )


def _table(recording: Recording, stream: ImuStream, schema: pa.Schema, track: str) -> pa.Table:
    names = {c.name: i for i, c in enumerate(stream.channels)}
    if unknown := [name for name in names if name not in schema.names]:
        raise DataError(
            f'Stream "{stream.name}" of {recording.id} has the channel {unknown[0]}, which the '
            "first stream lacks.",
            "Export data with the same channels, or use --format tsfm.",
        )
    count = len(stream.samples_TC)
    columns = {
        "recording_id": pa.repeat(recording.id, count),
        "subject": pa.repeat(recording.subject, count),
        "placement": pa.repeat(stream.channels[0].placement or stream.name, count),
        "label": pa.array(labels_of_samples(recording, stream, track), pa.string()),
        "t": pa.array(stream.times_s),
    }
    for field in schema:
        if field.name in names:
            columns[field.name] = pa.array(
                np.ascontiguousarray(stream.samples_TC[:, names[field.name]])
            )
        elif field.name not in columns:
            columns[field.name] = pa.nulls(count, field.type)
    return pa.table(
        [columns[name].cast(schema.field(name).type) for name in schema.names], schema=schema
    )


def select_motion(
    recording: Recording, *, stream: str = "", rate_hz: float | None = None
) -> Recording:
    """Keep one motion stream, or all, at its own rate or another one.

    Args:
        recording: The recording.
        stream: Name of the stream to keep; empty = all motion streams.
        rate_hz: Rate to resample to in Hz, without aliasing; None = as it is.

    Raises:
        DataError: The recording has no such stream, or the rate is not positive.
    """
    if rate_hz is not None and rate_hz <= 0:
        raise DataError(f"A rate of {rate_hz:g} Hz is impossible.", "Give a positive rate.")
    kept = recording.imus
    if stream:
        if stream not in kept:
            raise DataError(
                f'{recording.id} has no motion stream "{stream}".', suggest(stream, kept)
            )
        kept = {stream: kept[stream]}
    streams: dict[str, Stream] = {name: _at_rate(s, rate_hz) for name, s in kept.items()}
    return dataclasses.replace(recording, streams=streams)


def _at_rate(stream: ImuStream, rate_hz: float | None) -> ImuStream:
    if rate_hz is None or rate_hz == stream.rate_hz:
        return stream
    from otolith.signals.resampling import resample

    samples_TC = resample(np.asarray(stream.samples_TC), stream.rate_hz, rate_hz)
    return dataclasses.replace(stream, samples_TC=samples_TC, rate_hz=rate_hz)
