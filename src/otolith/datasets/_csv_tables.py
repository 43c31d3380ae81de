"""Read number columns of comma-separated text, from files and from inside archives."""

# T rows, C columns

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from pyarrow import csv

from otolith.core.errors import FileFormatError

_NULLS = ["", "NaN", "nan", "NULL", "null"]


@dataclass(frozen=True)
class Words:
    """A text column, as numbers of the few words that occur in it.

    Args:
        words: The words, without blanks around them, in order of occurrence; "" = empty cell.
        codes_T: Position in `words` of every row, int64 [T].
    """

    words: tuple[str, ...]
    codes_T: np.ndarray


def csv_numbers(
    data: bytes | pa.Buffer, where: str, columns: Sequence[str], *, has_header: bool = True
) -> dict[str, np.ndarray]:
    """Return number columns of comma-separated text.

    Args:
        data: The text.
        where: What it is, for messages.
        columns: Names of the wanted columns; without a header, of all columns.
        has_header: Whether the first row names the columns.

    Returns:
        Name -> float64 [T]; empty cells are NaN.

    Raises:
        FileFormatError: As for `csv_table`.
    """
    names = None if has_header else columns
    return csv_table(data, where, columns, names=names)[0]


def csv_table(
    data: bytes | pa.Buffer,
    where: str,
    numbers: Sequence[str],
    *,
    texts: Sequence[str] = (),
    names: Sequence[str] | None = None,
) -> tuple[dict[str, np.ndarray], dict[str, Words]]:
    """Return number and text columns of comma-separated text.

    Args:
        data: The text.
        where: What it is, for messages.
        numbers: Names of number columns.
        texts: Names of text columns.
        names: Names of all columns of a text without a header; None = the first row names them.

    Returns:
        Name -> float64 [T] (empty cells are NaN), and name -> words.

    Raises:
        FileFormatError: There are no rows, a column is missing, a row has another number of
            cells, or a cell is no number.
    """
    types = dict.fromkeys(numbers, pa.float64()) | dict.fromkeys(
        texts, pa.dictionary(pa.int32(), pa.string())
    )
    try:
        table = csv.read_csv(
            pa.BufferReader(data),
            csv.ReadOptions(column_names=list(names) if names else None, use_threads=False),
            convert_options=csv.ConvertOptions(
                column_types=types, include_columns=list(types), null_values=_NULLS
            ),
        )
    except (pa.ArrowInvalid, pa.ArrowKeyError) as error:
        reason = " ".join(str(error).split()).strip("'\".")
        raise FileFormatError(f"{where} is damaged: {reason}.", "Fetch it again.") from None
    if not len(table):
        raise FileFormatError(f"{where} holds no rows.", "Fetch it again.")
    found = {name: table[name].to_numpy() for name in numbers}
    return found, {name: _words(table[name].combine_chunks()) for name in texts}


def triad(table: dict[str, np.ndarray], columns: Sequence[str]) -> np.ndarray:
    """Return columns side by side, float64 [T, C]."""
    return np.stack([table[column] for column in columns], axis=1)


def _words(column: pa.DictionaryArray) -> Words:
    raw = [str(word).strip() for word in column.dictionary.to_pylist()]
    if column.null_count:
        raw.append("")
    words = tuple(dict.fromkeys(raw))
    code_of = np.array([words.index(word) for word in raw], dtype=np.int64)
    codes_T = column.indices.fill_null(len(raw) - 1).to_numpy(zero_copy_only=False)
    return Words(words, code_of[codes_T])
