"""Columns of the tables of a data folder as numpy arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

# Arrow makes these functions when it is imported, where type checkers do not see them.
compute: Any = pyarrow.compute


def text_column(table: pa.Table, name: str) -> np.ndarray:
    """Return a text column as an object array; null becomes the empty text."""
    return compute.fill_null(table[name].cast(pa.string()), "").to_numpy(zero_copy_only=False)


def number_column(table: pa.Table, name: str, missing: float) -> np.ndarray:
    """Return a numeric column as float64; null becomes `missing`."""
    return compute.fill_null(table[name].cast(pa.float64()), missing).to_numpy()


def codes(column: pa.ChunkedArray | pa.Array, values: Sequence[str]) -> np.ndarray:
    """Return for every text its position in `values`, int64; -1 = not there."""
    known = pa.array(list(values), pa.string())
    found = compute.fill_null(compute.index_in(column.cast(pa.string()), value_set=known), -1)
    return found.to_numpy(zero_copy_only=False).astype(np.int64)


def list_codes(column: pa.ChunkedArray, values: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return the positions in `values` of the texts in a column of lists.

    Args:
        column: Lists of texts.
        values: Known texts; others get the position `len(values)`.

    Returns:
        (first, code): those of row i are code[first[i] : first[i + 1]].
    """
    lengths = compute.fill_null(compute.list_value_length(column), 0)
    first = np.concatenate([[0], np.cumsum(lengths.to_numpy(zero_copy_only=False))])
    code = codes(compute.list_flatten(column), values)
    return first.astype(np.int64), np.where(code < 0, len(values), code)


def distinct(column: pa.ChunkedArray) -> list[str]:
    """Return the distinct texts of a column of texts or of lists of texts, sorted."""
    if pa.types.is_list(column.type):
        column = compute.list_flatten(column)
    return sorted(text for text in compute.unique(column.cast(pa.string())).to_pylist() if text)
