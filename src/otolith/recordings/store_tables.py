"""The tables of a data folder: their columns, and how parts of a recording become texts.

Columns with JSON hold what has no fixed columns (channels, findings, attributes), so that
pandas, polars and DuckDB can read every table.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from otolith.core.errors import DataError, FileFormatError
from otolith.recordings.recording import (
    Annotation,
    Channel,
    Finding,
    ImuStream,
    Quality,
    Stream,
)

FORMAT_VERSION = 1
INFO_FILE = "dataset.json"
_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)
_TEXT = pa.string()
# A text that repeats in most rows is stored, and held in memory, once.
_REPEATED = pa.dictionary(pa.int32(), pa.string())

RECORDINGS = pa.schema(
    [
        ("recording_id", _TEXT),
        ("subject", _TEXT),
        ("dataset", _TEXT),
        ("duration_s", pa.float64()),
        ("attributes", _TEXT),
        ("findings", _REPEATED),
    ]
)
STREAMS = pa.schema(
    [
        ("recording_id", _TEXT),
        ("stream", _TEXT),
        ("kind", _TEXT),
        ("rate_hz", pa.float64()),
        ("num_rows", pa.int64()),
        ("width", pa.int64()),
        ("shard", _REPEATED),
        ("tensor", _TEXT),
        ("row_start", pa.int64()),
        ("offset_s", pa.float64()),
        ("drift_ppm", pa.float64()),
        ("gravity", _TEXT),
        ("channels", _REPEATED),
        ("quality", _REPEATED),
        ("extra", _REPEATED),
    ]
)
ANNOTATIONS = pa.schema(
    [
        ("recording_id", _TEXT),
        ("track", _TEXT),
        ("stream", _TEXT),
        ("start_s", pa.float64()),
        ("end_s", pa.float64()),
        ("labels", pa.list_(_TEXT)),
        ("text", _TEXT),
        ("verb", _TEXT),
        ("noun", _TEXT),
        ("source", _TEXT),
    ]
)
TABLES = {"recordings": RECORDINGS, "streams": STREAMS, "annotations": ANNOTATIONS}


class TableWriter:
    """Writes a Parquet table in groups of rows, so that memory use stays small.

    Args:
        path: File to write.
        schema: Columns.
        group_rows: Rows that are held in memory.
    """

    def __init__(self, path: Path, schema: pa.Schema, *, group_rows: int = 65_536) -> None:
        self._schema = schema
        self._group_rows = group_rows
        self._rows: list[tuple] = []
        self._writer = pq.ParquetWriter(path, schema, compression="zstd")
        self.num_rows = 0

    def append(self, row: tuple) -> None:
        """Append one row, values in the order of the schema."""
        self._rows.append(row)
        self.num_rows += 1
        if len(self._rows) >= self._group_rows:
            self._flush()

    def close(self) -> None:
        """Write what is left and end the file."""
        self._flush()
        self._writer.close()

    def abort(self) -> None:
        """Close the file without writing what is left; harmless after `close`."""
        self._rows = []
        self._writer.close()

    def _flush(self) -> None:
        columns = zip(*self._rows, strict=True) if self._rows else [()] * len(self._schema)
        try:
            arrays = [
                _as_array(list(c), f.type) for c, f in zip(columns, self._schema, strict=True)
            ]
        except (UnicodeEncodeError, pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise DataError(
                f"A recording holds a text or number that cannot be stored ({error}).",
                "Give valid Unicode texts and plain numbers.",
            ) from None
        self._writer.write_table(pa.Table.from_arrays(arrays, schema=self._schema))
        self._rows = []


def _as_array(values: list, kind: pa.DataType) -> pa.Array:
    if kind == _REPEATED:
        return pa.array(values, _TEXT).dictionary_encode()
    return pa.array(values, kind)


def read_table(path: Path, schema: pa.Schema, columns: list[str] | None = None) -> pa.Table:
    """Read a table, or some of its columns, each in one piece.

    Raises:
        FileFormatError: The file is missing, is no Parquet file or lacks columns.
    """
    repeated = [f.name for f in schema if f.type == _REPEATED]
    try:
        table = pq.read_table(path, columns=columns, read_dictionary=repeated, partitioning=None)
    except FileNotFoundError:
        raise FileFormatError(f"{path} is missing.", "Restore the folder.") from None
    except (OSError, pa.ArrowException) as error:
        raise FileFormatError(
            f"{path} is not a readable Parquet file ({error}).", "Restore or rewrite the folder."
        ) from None
    wanted = schema if columns is None else pa.schema([schema.field(c) for c in columns])
    absent = [name for name in wanted.names if name not in table.column_names]
    if absent:
        raise FileFormatError(
            f"{path} has no column {', '.join(absent)}.", "Restore or rewrite the folder."
        )
    return table.select(wanted.names).unify_dictionaries().combine_chunks()


def to_json(value: Any, where: str) -> str:
    """Return compact JSON.

    Raises:
        DataError: JSON cannot hold the value; `where` says what it is.
    """
    try:
        return _JSON.encode(value)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"{where} cannot be stored ({error}).", "Use texts, finite numbers and lists."
        ) from None


def from_json(text: str, where: str) -> Any:
    """Read JSON of a table's column.

    Raises:
        FileFormatError: It is not JSON.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise FileFormatError(
            f"{where} is not JSON ({error}).", "Restore or rewrite the folder."
        ) from None


@lru_cache(maxsize=4096)
def channels_to_json(channels: tuple[Channel, ...]) -> str:
    """Return the channels of a motion stream as JSON."""
    return to_json([vars(c) for c in channels], "The channels")


@lru_cache(maxsize=4096)
def channels_from_json(text: str) -> tuple[Channel, ...]:
    """Inverse of `channels_to_json`."""
    return tuple(_build(Channel, c, "channels") for c in from_json(text, "channels"))


@lru_cache(maxsize=4096)
def quality_to_json(quality: Quality) -> str:
    """Return a quality flag as JSON."""
    return to_json(vars(quality), "The quality of a stream")


def measured_quality(stream: Stream) -> Quality:
    """Return the quality of a stream with a share of measured values that its samples bear out.

    A reader may state less than the samples show (filled values), never more.
    """
    if not isinstance(stream, ImuStream) or not stream.samples_TC.size:
        return stream.quality
    share = float(np.isfinite(stream.samples_TC).mean())
    if share >= stream.quality.valid_fraction:
        return stream.quality
    return replace(stream.quality, valid_fraction=share)


@lru_cache(maxsize=4096)
def quality_from_json(text: str) -> Quality:
    """Inverse of `quality_to_json`."""
    values = from_json(text, "quality")
    return _build(Quality, values | {"notes": tuple(values.get("notes", ()))}, "quality")


@lru_cache(maxsize=4096)
def findings_to_json(findings: tuple[Finding, ...]) -> str:
    """Return findings as JSON."""
    return to_json([vars(f) for f in findings], "A finding")


@lru_cache(maxsize=4096)
def findings_from_json(text: str) -> tuple[Finding, ...]:
    """Inverse of `findings_to_json`."""
    return tuple(_build(Finding, f, "findings") for f in from_json(text, "findings"))


def annotation_row(recording_id: str, annotation: Annotation) -> tuple:
    """Return the row of `ANNOTATIONS` for an annotation."""
    a = annotation
    return (
        recording_id, a.track, a.stream, a.start_s, a.end_s, list(a.labels), a.text, a.verb,
        a.noun, a.source,
    )  # fmt: skip


def annotation_from_row(row: Mapping[str, Any]) -> Annotation:
    """Inverse of `annotation_row`."""
    values = {k: v for k, v in row.items() if k != "recording_id"}
    return Annotation(**(values | {"labels": tuple(values["labels"])}))


def _build(cls: type, values: Any, where: str) -> Any:
    try:
        return cls(**values)
    except TypeError as error:
        raise FileFormatError(
            f"A table holds {where} of another form ({error}).",
            "Read it with the version of Otolith that wrote it.",
        ) from None
