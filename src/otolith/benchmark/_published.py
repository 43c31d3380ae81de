"""Published values: data beside the code, each file with its source and how its protocol differs."""

from __future__ import annotations

import csv
from collections.abc import Collection
from dataclasses import field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from otolith.benchmark import PROTOCOLS
from otolith.benchmark._table import Row
from otolith.core.config import config, parse, read_yaml
from otolith.core.errors import FileFormatError

FOLDER = Path(__file__).with_name("published")


@config
class PublishedTable:
    """One published table.

    Args:
        protocol: Protocol of ours that it stands beside.
        source: Who published it, and where.
        cite: Citation in one line.
        note: How its protocol differs from ours.
        unit: `percent` or `fraction`.
        columns: Variant and number that the values of a row stand for, in order, written
            `variant/number`.
        data: Their name of a data set -> ours.
        table: CSV file beside this one: a column `dataset`, then one per model; empty = `values`.
        values: Model -> their name of a data set -> values in the order of `columns`; a value
            that was not published is null.
    """

    protocol: str
    source: str
    cite: str
    note: str
    unit: Literal["percent", "fraction"]
    columns: Annotated[tuple[str, ...], Field(min_length=1)]
    data: dict[str, str]
    table: str = ""
    values: dict[str, dict[str, tuple[float | None, ...]]] = field(default_factory=dict)


def published_rows(protocol: str, data: Collection[str] | None = None) -> list[Row]:
    """Return the published lines of a protocol.

    Args:
        protocol: Protocol.
        data: Data sets to keep; None = all.

    Raises:
        FileFormatError: A file of published values is damaged.
    """
    found = []
    for path in sorted(FOLDER.glob("*.yaml")):
        table = parse(PublishedTable, read_yaml(path), source=str(path))
        if table.protocol == protocol:
            found += [row for row in rows_of(path, table) if data is None or row.data in data]
    return found


def rows_of(path: Path, table: PublishedTable) -> list[Row]:
    """Return all lines of one published table.

    Args:
        path: Its file, beside which its CSV file lies.
        table: Its content.

    Raises:
        FileFormatError: A row has another number of values than there are columns, or names no
            known data set; or the protocol is unknown.
    """
    if table.protocol not in PROTOCOLS.names():
        raise FileFormatError(f'{path} is about no protocol: "{table.protocol}".', "Correct it.")
    values = table.values or _from_csv(path.with_name(table.table))
    rows = []
    for model, by_data in values.items():
        for theirs, numbers in by_data.items():
            if theirs not in table.data:
                if table.table:  # a wide table holds data sets that we have no reader for
                    continue
                raise FileFormatError(f'{path} does not say what "{theirs}" is.', "Add it to data.")
            if len(numbers) != len(table.columns):
                raise FileFormatError(
                    f"{path} gives {len(numbers)} values of {model} on {theirs} for "
                    f"{len(table.columns)} columns.",
                    "Write null where nothing was published.",
                )
            rows += _rows(table, model, table.data[theirs], numbers)
    return rows


def _rows(
    table: PublishedTable, model: str, data: str, numbers: tuple[float | None, ...]
) -> list[Row]:
    """One line per variant that has a value."""
    scale = 0.01 if table.unit == "percent" else 1.0
    by_variant: dict[str, dict[str, float]] = {}
    for column, value in zip(table.columns, numbers, strict=True):
        variant, _, name = column.rpartition("/")
        if value is not None:
            by_variant.setdefault(variant, {})[name] = round(value * scale, 6)
    return [
        Row(
            protocol=table.protocol,
            data=data,
            model=model,
            variant=variant,
            numbers=found,
            notes=(table.note,),
            is_published=True,
            source=f"{table.source} {table.cite}",
        )
        for variant, found in by_variant.items()
    ]


def _from_csv(path: Path) -> dict[str, dict[str, tuple[float | None, ...]]]:
    with path.open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    models = [name for name in lines[0] if name != "dataset"]
    return {model: {line["dataset"]: (float(line[model]),) for line in lines} for model in models}
