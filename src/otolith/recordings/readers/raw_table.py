"""The columns of one file before anything is inferred from their values."""

# N rows

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from otolith.recordings.inference.columns import ColumnPlan
from otolith.recordings.inference.notes import Notes, plural, some
from otolith.recordings.options import ReadOptions
from otolith.recordings.readers.arrow import compute

_NUMBER = r"^\s*[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?\s*$|^\s*[-+]?(?i:inf|infinity)\s*$"
_MISSING = r"^\s*(?i:nan|na|n/a|null|none|-nan|#n/a|-)?\s*$"
_MOSTLY_WORDS = 0.2


@dataclass(frozen=True)
class TextColumn:
    """Texts as codes into a short list of values.

    Args:
        codes_N: int32 [N], -1 = missing.
        values: The distinct texts.
    """

    codes_N: np.ndarray
    values: tuple[str, ...]


@dataclass(frozen=True)
class RawTable:
    """The columns of one file.

    Args:
        path: The file.
        num_rows: Number of rows.
        plan: What each column is.
        numbers: Column name -> float32 (signals) or float64 (time, counters) [N], NaN = missing.
        texts: Column name -> texts.
        stated_rate_hz: Rate that a line above the header states; None if none does.
        is_single_precision: Whether the time column was stored as float32.
        time_unit: Unit of the time column if the file's type fixes it.
    """

    path: Path
    num_rows: int
    plan: ColumnPlan
    numbers: dict[str, np.ndarray]
    texts: dict[str, TextColumn]
    stated_rate_hz: float | None = None
    is_single_precision: bool = False
    time_unit: str = ""


def to_columns(
    table: Mapping[str, pa.ChunkedArray], plan: ColumnPlan, options: ReadOptions, notes: Notes
) -> tuple[dict[str, np.ndarray], dict[str, TextColumn]]:
    """Turn arrow columns into numbers and texts as the plan wants them.

    Raises:
        DataError: A column has a type that cannot be used, or a policy refuses bad values.
    """
    numbers: dict[str, np.ndarray] = {}
    texts: dict[str, TextColumn] = {}
    wanted = dict.fromkeys(plan.signal_columns, np.float32)
    wanted |= {plan.roles[r]: np.float64 for r in ("t", "sample") if r in plan.roles}
    for name, column in table.items():
        if name not in wanted:
            texts[name] = _text(column)
        elif not _is_text(column.type):
            numbers[name] = _cast(column, name, wanted[name], notes)
        elif name == plan.roles.get("t") and _share_of_words(column) > _MOSTLY_WORDS:
            texts[name] = _text(column)
        else:
            numbers[name] = _parse(column, name, wanted[name], options, notes)
    return numbers, texts


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type  # pyrefly: ignore  # is_dictionary has checked the type
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _text(column: pa.ChunkedArray) -> TextColumn:
    """Codes and values of a column of any simple type."""
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    merged = column.unify_dictionaries().combine_chunks()
    if isinstance(merged, pa.ChunkedArray):
        if merged.num_chunks == 0:
            return TextColumn(np.zeros(0, np.int32), ())
        merged = merged.chunk(0)
    codes = merged.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int32, copy=False)
    values = merged.dictionary.to_pylist()
    missing = [i for i, v in enumerate(values) if v is None or v != v]  # NaN differs from itself
    if missing:
        codes = np.where(np.isin(codes, missing), np.int32(-1), codes)
    return TextColumn(codes, tuple(_plain(v) for v in values))


def _plain(value: object) -> str:
    """Text of a value; whole floats lose their ".0" (ids next to missing ids become floats)."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _cast(column: pa.ChunkedArray, name: str, dtype: type[np.floating], notes: Notes) -> np.ndarray:
    """Numbers of a number column; what single precision cannot hold becomes infinite."""
    kind = column.type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
        raise notes.error(
            "columns.type", f'Column "{name}" has type {kind}', "", "Store it as numbers."
        )
    if kind == pa.float32():
        return np.asarray(column.to_numpy(), dtype=dtype)
    with np.errstate(over="ignore"):
        return column.cast(pa.float64(), safe=False).to_numpy().astype(dtype)


def _words(column: pa.ChunkedArray) -> tuple[Any, Any]:
    """(is a number, is neither a number nor missing) for every row of a text column."""
    is_number = compute.match_substring_regex(column, _NUMBER).fill_null(False)
    is_missing = compute.match_substring_regex(column, _MISSING).fill_null(True)
    return is_number, compute.invert(compute.or_(is_number, is_missing))


def _share_of_words(column: pa.ChunkedArray) -> float:
    words = _words(column.cast(pa.string()))[1]
    return float(compute.mean(words.cast(pa.float64())).as_py() or 0.0)


def _parse(
    column: pa.ChunkedArray,
    name: str,
    dtype: type[np.floating],
    options: ReadOptions,
    notes: Notes,
) -> np.ndarray:
    """Numbers of a text column; what is no number becomes NaN by policy."""
    column = column.cast(pa.string())
    is_number, bad = _words(column)
    count = int(compute.sum(bad).as_py() or 0)
    if count:
        found = compute.unique(column.filter(bad)).to_pylist()
        fact = f'Column "{name}" holds text in {plural(count, "row")}'
        if count > _MOSTLY_WORDS * len(column):
            raise notes.error(
                "values.text", fact, some(found), "Repair the column, or map another with columns."
            )
        notes.act(
            options.on_bad_value,
            "values.text",
            "fixed",
            f"{fact}; they are missing now",
            some(found),
            "Repair the rows.",
        )
    clean = compute.if_else(
        is_number, compute.utf8_trim_whitespace(column), pa.scalar(None, column.type)
    )
    with np.errstate(over="ignore"):
        return clean.cast(pa.float64()).to_numpy().astype(dtype)
