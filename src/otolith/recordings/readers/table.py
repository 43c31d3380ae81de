"""One table file: text of any layout, or Parquet; the content decides, not the suffix."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from otolith.core.errors import FileFormatError
from otolith.recordings.inference.columns import ColumnPlan, plan_columns
from otolith.recordings.inference.notes import Notes, some
from otolith.recordings.options import ReadOptions
from otolith.recordings.readers.raw_table import RawTable, to_columns
from otolith.recordings.readers.text import read_text_table

SUFFIXES = (".csv", ".tsv", ".txt", ".tab", ".dat", ".parquet", ".pq")


def read_table(path: Path, options: ReadOptions, notes: Notes) -> RawTable:
    """Read one file of signals.

    Args:
        path: A text table or a Parquet file.
        options: Facts and policies of the user.
        notes: Receives what was found.

    Raises:
        FileFormatError: The file is missing, empty, truncated or of another kind.
        DataError: It is no table of signals, or a policy refuses.
    """
    if not path.is_file():
        raise FileFormatError(f"There is no file {path}.", "Check the path.")
    with path.open("rb") as file:
        magic = file.read(4)
    if magic != b"PAR1" and path.suffix.lower() not in (".parquet", ".pq"):
        return read_text_table(path, options, notes)
    if magic == b"PAR1" and path.suffix.lower() not in (".parquet", ".pq"):
        notes.add(
            "file.suffix",
            "inferred",
            f"The file is Parquet although it is called {path.suffix or 'otherwise'}.",
        )
    return _read_parquet(path, options, notes)


def _read_parquet(path: Path, options: ReadOptions, notes: Notes) -> RawTable:
    """Read the wanted columns of a Parquet file."""
    try:
        file = pq.ParquetFile(path, memory_map=True)
        schema = file.schema_arrow
        plan = plan_columns(schema.names, options, notes)
        plan = replace(plan, extras=tuple(_textual_extras(plan, schema, notes)))
        wanted = [*plan.roles.values(), *plan.signal_columns, *plan.extras]
        table = file.read(columns=wanted)
    except (pa.ArrowException, OSError) as error:
        first = " ".join(str(error).split())[:160].rstrip(".")
        raise FileFormatError(
            f"{path.name} [file.parquet] is not a whole Parquet file: {first}.", "Copy it again."
        ) from None
    if table.num_rows == 0:
        raise notes.error(
            "file.rows", "There are no data rows", "", "Give a table with one row per sample."
        )
    columns = {name: table[name] for name in wanted}
    unit, is_single = _fix_time(columns, plan, notes)
    numbers, texts = to_columns(columns, plan, options, notes)
    return RawTable(
        path, table.num_rows, plan, numbers, texts, is_single_precision=is_single, time_unit=unit
    )


def _textual_extras(plan: ColumnPlan, schema: pa.Schema, notes: Notes) -> list[str]:
    words = [c for c in plan.extras if schema.field(c).type in (pa.string(), pa.large_string())]
    rest = [c for c in plan.extras if c not in words]
    if rest:
        notes.add(
            "columns.unused",
            "inferred",
            "Columns of unknown meaning were not read.",
            some(rest, 8),
            "Map them with columns if they are needed.",
        )
    return words


def _fix_time(
    columns: dict[str, pa.ChunkedArray], plan: ColumnPlan, notes: Notes
) -> tuple[str, bool]:
    """Turn a time stamp column into epoch seconds; say whether time is single precision."""
    name = plan.roles.get("t")
    if name is None:
        return "", False
    kind = columns[name].type
    if pa.types.is_timestamp(kind):
        stamps = columns[name].cast(pa.timestamp("ns"), safe=False)
        counts = stamps.cast(pa.int64()).to_numpy()
        seconds = np.asarray(counts, dtype=np.float64) * 1e-9
        columns[name] = pa.chunked_array([pa.array(seconds)])
        notes.add("time.stamps", "inferred", "Time stamps were turned into seconds.", str(kind))
        return "s", False
    return "", kind == pa.float32()
