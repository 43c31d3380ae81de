"""Rows of a table: cells of one contestant and data set put together; the JSON file of a benchmark."""

# N windows

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from pydantic import TypeAdapter, ValidationError

from otolith.benchmark import Cell, Tally
from otolith.core.config import to_plain
from otolith.core.errors import FileFormatError
from otolith.core.files import read_json, write_json
from otolith.metrics.intervals import Interval
from otolith.tasks._result import Predictions, Result, summarise

FORMAT = 1
KIND = "otolith benchmark"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of a table.

    Args:
        protocol: Protocol.
        data: Data set that was tested.
        model: Contestant.
        variant: Variant of the protocol.
        numbers: Name -> value, such as macro_f1, accuracy, ece, auroc (fractions).
        intervals: Name -> [low, high] over people, or None.
        spread: Name -> standard deviation over seeds.
        counts: People and windows tested, cells, seeds.
        per_class: Class -> F1, for classifications.
        reliability: Rows of the reliability table; empty if there is none.
        notes: What a reader must know.
        num_parameters: Numbers that were learned or loaded; None if not known.
        seconds: Compute time of all cells together; None if not known.
        device: Where it was computed.
        is_published: Whether the numbers are taken from a publication instead of measured.
        source: Where they were published.
    """

    protocol: str
    data: str
    model: str
    variant: str
    numbers: dict[str, float]
    intervals: dict[str, tuple[float, float] | None] = field(default_factory=dict)
    spread: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    per_class: dict[str, float] = field(default_factory=dict)
    reliability: list[dict[str, float]] = field(default_factory=list)
    notes: tuple[str, ...] = ()
    num_parameters: int | None = None
    seconds: float | None = None
    device: str = ""
    is_published: bool = False
    source: str = ""


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A cell that could not be computed honestly.

    Args:
        protocol: Protocol.
        data: Data set.
        model: Contestant.
        reason: Why, in one or two sentences.
        num_cells: Cells that this concerns.
    """

    protocol: str
    data: str
    model: str
    reason: str
    num_cells: int = 1


@dataclass(frozen=True, kw_only=True)
class Table:
    """What a benchmark found.

    Args:
        protocol: Protocol.
        description: What it does, in one sentence.
        headline: Variant that tables are sorted by.
        metric: Number that tables are sorted by.
        settings: Settings of the protocol, seeds and limits.
        rows: Measured and published lines.
        refused: What could not be computed.
        versions: Package -> version.
    """

    protocol: str
    description: str
    headline: str
    metric: str
    settings: dict[str, Any]
    rows: list[Row]
    refused: list[Refusal] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)


def write_table(path: Path, table: Table) -> None:
    """Write the JSON file of a benchmark atomically."""
    write_json(path, {"format": FORMAT, "kind": KIND, **to_plain(table)})


def is_table(data: Any) -> bool:
    """Return whether JSON data claim to be the table of a benchmark."""
    return isinstance(data, dict) and data.get("kind") == KIND


def read_table(path: Path) -> Table:
    """Read the JSON file of a benchmark.

    Raises:
        FileFormatError: The file is missing, is of another kind or version, or is damaged.
    """
    data = read_json(path)
    remedy = "Give the file of otolith benchmark --json."
    if not is_table(data):
        raise FileFormatError(f"{path} holds no table of otolith benchmark.", remedy)
    if data.get("format") != FORMAT:
        raise FileFormatError(
            f"{path} has format {data.get('format')}, and this version reads format {FORMAT}.",
            "Write it again with this version.",
        )
    content = {key: value for key, value in data.items() if key not in ("format", "kind")}
    try:
        table = TypeAdapter(Table).validate_python(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise FileFormatError(
            f"{path} holds a damaged table: {place}: {first['msg']}.", remedy
        ) from None
    for number, row in enumerate(table.rows):
        if not all(math.isfinite(value) for value in row.numbers.values()):
            raise FileFormatError(
                f"{path} holds a damaged table: a number of row {number + 1} is not finite.", remedy
            )
    return table


def make_rows(cells: Sequence[Cell], protocol: ModuleType) -> list[Row]:
    """Put the cells of one contestant and data set together, one row per variant.

    Classifications: accuracy and macro-F1 are means over seeds of what all people tested with that
    seed give together; intervals are over people.

    Args:
        cells: Finished cells; at least one.
        protocol: Module of the protocol.
    """
    extra = protocol.measure(cells) if hasattr(protocol, "measure") else {}
    tables = protocol.tables(cells) if hasattr(protocol, "tables") else {}
    variants = dict.fromkeys([*(v for cell in cells for v in cell.outcome.tallies), *extra])
    rows = []
    for variant in variants:
        result = _classification(cells, variant)
        row = _row(cells, variant, result, extra.get(variant, {}))
        if row.numbers:
            rows.append(replace(row, reliability=tables.get(variant, [])))
    return rows


def _row(
    cells: Sequence[Cell], variant: str, result: Result | None, extra: dict[str, Interval]
) -> Row:
    first = cells[0]
    numbers: dict[str, float] = {}
    intervals: dict[str, tuple[float, float] | None] = {}
    counts = {"cells": len(cells), "seeds": len({cell.seed for cell in cells})}
    if result is not None:
        numbers = {"macro_f1": result.macro_f1, "accuracy": result.accuracy}
        intervals |= result.ci95
        folds = _fold_mean(cells, variant)
        numbers |= {"macro_f1_fold_mean": folds} if folds is not None else {}
        counts |= {"people": result.counts["test_subjects"], "windows": result.counts["windows"]}
    for name, interval in extra.items():
        numbers[name] = interval.value
        both = (interval.low, interval.high)
        intervals[name] = None if None in both else both  # pyrefly: ignore  # both are numbers
        counts.setdefault("people", interval.num_units)
    sizes = [cell.outcome.num_parameters for cell in cells]
    return Row(
        protocol=first.protocol,
        data=first.data,
        model=first.model,
        variant=variant,
        numbers=numbers,
        intervals=intervals,
        spread=result.spread if result is not None else {},
        counts=counts,
        per_class={r["label"]: r["f1"] for r in result.per_class} if result is not None else {},
        notes=tuple(dict.fromkeys(note for cell in cells for note in cell.outcome.notes)),
        num_parameters=round(float(np.mean(sizes))),
        seconds=sum(cell.seconds for cell in cells),
        device=", ".join(dict.fromkeys(cell.device for cell in cells)),
    )


def _classification(cells: Sequence[Cell], variant: str) -> Result | None:
    """Scores of the tallies of all cells; None if nobody was tested."""
    parts = [(c.seed, c.outcome.tallies[variant]) for c in cells if variant in c.outcome.tallies]
    parts = [(seed, tally) for seed, tally in parts if tally.people]
    if not parts:
        return None
    expanded = [_expand(seed, tally) for seed, tally in parts]
    numbers = np.concatenate([e[0] for e in expanded])
    people = np.concatenate([e[1] for e in expanded])
    num_seeds = len({seed for seed, _ in parts})
    return summarise(
        Predictions(
            truth_N=numbers[:, 0],
            predicted_N=numbers[:, 1],
            subjects_N=people,
            repetition_N=numbers[:, 2],
            window_N=np.arange(len(numbers)),
        ),
        labels=parts[0][1].labels,
        task=cells[0].protocol,
        model=cells[0].model,
        data=cells[0].data,
        protocol="",
        counts={"windows": len(numbers) // num_seeds},
    )


def _expand(seed: int, tally: Tally) -> tuple[np.ndarray, np.ndarray]:
    """(truth, choice, seed) of every window [N, 3], and its person [N]."""
    rows = [(p, *triple) for p, triples in tally.people.items() for triple in triples]
    people = np.array([r[0] for r in rows], dtype=object)
    numbers = np.array([r[1:] for r in rows], np.int64)
    repeat = numbers[:, 2]
    pairs = np.repeat(numbers[:, :2], repeat, axis=0)
    return (
        np.column_stack([pairs, np.full(len(pairs), seed)]),
        np.repeat(people, repeat).astype(str),
    )


def _fold_mean(cells: Sequence[Cell], variant: str) -> float | None:
    """Mean over cells of the macro-F1 over the classes that occur; None with one fold only."""
    if len({cell.fold for cell in cells}) < 2:
        return None
    from otolith.metrics.classification import report_classification

    found = []
    for cell in cells:
        tally = cell.outcome.tallies.get(variant)
        if tally is not None and tally.people:
            numbers, _ = _expand(cell.seed, tally)
            report = report_classification(numbers[:, 0], numbers[:, 1], tally.labels)
            found.append(report.macro_f1_observed)
    return float(np.mean(found)) if found else None
