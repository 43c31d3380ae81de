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
_TYPES = {"number": pa.float64(), "text": pa.string(), "time": pa.timestamp("us")}
_NULLS = ["", "NaN", "nan", "NA", "null"]


def header(path: Path) -> list[str]:
    """Return the column names in the first row of a comma-separated file.

    Raises:
        FileFormatError: The file is empty.
    """
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        names = [cell.strip().strip('"') for cell in file.readline().split(",")]
    if not any(names):
        raise FileFormatError(f"{path} holds no rows.", "Fetch it again.")
    return names


def read_columns(
    path: Path,
    columns: Mapping[str, Kind],
    *,
    names: Sequence[str] | None = None,
    skip_rows: int = 0,
) -> dict[str, np.ndarray]:
    """Read columns of a comma-separated file by name; the others are not looked at.

    Args:
        path: The file.
        columns: Name -> what it holds.
        names: Names of all columns where no row of the file gives them as wanted; None = the
            first row does.
        skip_rows: Rows before the first row of values; only with `names`.

    Returns:
        Name -> [T]: float64 with NaN for empty cells, texts without blanks around them, or
        datetime64[us].

    Raises:
        FileFormatError: A column is missing, a row has another number of cells, a cell does not
            fit its column, a time is empty, or there are no rows.
    """
    present = list(names) if names is not None else header(path)
    for name in columns:
        if present.count(name) != 1:
            fact = "no" if name not in present else "more than one"
            raise FileFormatError(f'{path} has {fact} column "{name}".', "Fetch it again.")
    # columns that are not wanted may have no name, or one twice
    unique = [n if n in columns else f"_{i}" for i, n in enumerate(present)]
    try:
        table = csv.read_csv(
            io.BytesIO(path.read_bytes()),
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
        cells = column.to_numpy(zero_copy_only=False)
        return np.char.strip(np.where(cells == None, "", cells).astype(str))  # noqa: E711  # elementwise
    if kind == "time" and column.null_count:
        raise FileFormatError(f'Column "{name}" of {path} has empty cells.', "Fetch it again.")
    return column.to_numpy(zero_copy_only=False)
