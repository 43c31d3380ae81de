"""Read named columns of the CSV files of official releases."""

# T rows

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
from pyarrow import csv

from otolith.core.errors import FileFormatError

Kind = Literal["number", "text", "time"]
_TYPES = {
    "number": pa.float64(),
    "text": pa.dictionary(pa.int32(), pa.string()),
    "time": pa.timestamp("us"),
}
_NULLS = ["", "NaN", "nan", "NA", "null"]


def header(path: Path, data: bytes | None = None) -> list[str]:
    """Return the column names in the first row of a comma-separated file.

    Args:
        path: The file.
        data: Its content, if it does not lie on disk.

    Raises:
        FileFormatError: The file is empty.
    """
    with path.open("rb") if data is None else io.BytesIO(data) as file:
        line = file.readline().decode("utf-8-sig", errors="replace")
    names = [cell.strip().strip('"') for cell in line.split(",")]
    if not any(names):
        raise FileFormatError(f"{path} holds no rows.", "Fetch it again.")
    return names


def read_columns(
    path: Path,
    columns: Mapping[str, Kind],
    *,
    names: Sequence[str] | None = None,
    skip_rows: int = 0,
    data: bytes | None = None,
) -> dict[str, np.ndarray]:
    """Read columns of a comma-separated file by name; the others are not looked at.

    Args:
        path: The file.
        columns: Name -> what it holds.
        names: Names of all columns where no row of the file gives them as wanted; None = the
            first row does.
        skip_rows: Rows before the first row of values; only with `names`.
        data: Content of the file, if it lies in an archive; `path` then names it in messages.

    Returns:
        Name -> [T]: float64 with NaN for empty cells, texts without blanks around them, or
        datetime64[us].

    Raises:
        FileFormatError: A column is missing, a row has another number of cells, a cell does not
            fit its column, a time is empty, or there are no rows.
    """
    present = list(names) if names is not None else header(path, data)
    for name in columns:
        if present.count(name) != 1:
            fact = "no" if name not in present else "more than one"
            raise FileFormatError(f'{path} has {fact} column "{name}".', "Fetch it again.")
    # columns that are not wanted may have no name, or one twice
    unique = [n if n in columns else f"_{i}" for i, n in enumerate(present)]
    try:
        table = csv.read_csv(
            pa.BufferReader(path.read_bytes() if data is None else data),
            csv.ReadOptions(
                column_names=unique,
                skip_rows=skip_rows if names is not None else 1,
                use_threads=False,
            ),
            convert_options=csv.ConvertOptions(
                column_types={name: _TYPES[kind] for name, kind in columns.items()},
                include_columns=list(columns),
                null_values=_NULLS,
            ),
        )
    except pa.ArrowInvalid as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise FileFormatError(f"{path} is damaged: {reason}.", "Fetch it again.") from None
    if not len(table):
        raise FileFormatError(f"{path} holds no rows.", "Fetch it again.")
    return {name: _array(path, name, kind, table[name]) for name, kind in columns.items()}


def _array(path: Path, name: str, kind: Kind, column: pa.ChunkedArray) -> np.ndarray:
    if kind == "text":
        coded = column.combine_chunks()
        words = np.array([*(word.strip() for word in coded.dictionary.to_pylist()), ""])
        return words[coded.indices.fill_null(len(words) - 1).to_numpy(zero_copy_only=False)]
    if kind == "time" and column.null_count:
        raise FileFormatError(f'Column "{name}" of {path} has empty cells.', "Fetch it again.")
    return column.to_numpy(zero_copy_only=False)
