"""The leaderboard: one page from the JSON files of `otolith benchmark`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from markupsafe import Markup

from otolith.benchmark._table import Refusal, Row, Table, read_table
from otolith.core.config import dump_yaml
from otolith.core.errors import DataError
from otolith.reports import charts, page
from otolith.reports.page import Report, Section, Tile

_NAMES = {
    "macro_f1": "macro-F1", "accuracy": "accuracy", "macro_f1_fold_mean": "mean of folds",
    "auroc": "AUROC", "ece": "ECE", "coverage": "coverage", "set_size": "set size",
    "empty_sets": "empty sets",
}  # fmt: skip
_ALWAYS = ("macro_f1", "auroc", "accuracy")  # columns wherever a row has them, in this order


def read_tables(paths: Sequence[Path]) -> list[Table]:
    """Read the files of several runs and join those of one protocol.

    A later file replaces rows of the same contestant, data set and variant.

    Args:
        paths: JSON files of `otolith benchmark`.

    Raises:
        FileFormatError: A file is missing, damaged or of another kind.
    """
    joined: dict[str, Table] = {}
    for path in paths:
        table = read_table(path)
        before = joined.get(table.protocol)
        joined[table.protocol] = table if before is None else _join(before, table)
    return list(joined.values())


def leaderboard(tables: Sequence[Table]) -> Report:
    """Return a page with one section per protocol and data set, best first.

    Args:
        tables: One per protocol.

    Raises:
        DataError: There is no table, or no table has a row.
    """
    measured = [row for table in tables for row in table.rows if not row.is_published]
    refused = [refusal for table in tables for refusal in table.refused]
    if not measured and not refused:
        raise DataError("There are no measured results to show.", "Run otolith benchmark first.")
    report = Report(
        "Leaderboard",
        "People who are tested were never learned from. Intervals are 95 % over people; values "
        "marked as published were not measured here, and their protocols differ.",
    )
    report.tiles = [
        Tile("protocols", str(len(tables))),
        Tile("data sets", str(len({row.data for row in measured}))),
        Tile("models measured", str(len({row.model for row in measured}))),
        Tile("refused", str(sum(r.num_cells for r in refused)), "cells"),
        Tile("compute time", f"{_seconds(measured) / 60:,.1f} min"),
    ]
    for table in tables:
        _add_protocol(report, table)
    return report


def _join(before: Table, table: Table) -> Table:
    """Rows of both; those of the later table count."""
    rows = {(r.model, r.data, r.variant, r.source): r for r in [*before.rows, *table.rows]}
    done = {(r.model, r.data) for r in rows.values()}
    refused = [r for r in [*before.refused, *table.refused] if (r.model, r.data) not in done]
    refused += [r for r in table.refused if (r.model, r.data) in done]
    return replace(table, rows=list(rows.values()), refused=list(dict.fromkeys(refused)))


def _add_protocol(report: Report, table: Table) -> None:
    """Sections of one protocol: each data set, what was refused, and values published elsewhere."""
    name = table.protocol.replace("_", " ").capitalize()
    data = list(dict.fromkeys(r.data for r in table.rows if not r.is_published))
    for number, one in enumerate(data):
        section = report.section(f"{name}: {one}", table.description if number == 0 else "")
        _add_data(section, table, [row for row in table.rows if row.data == one])
    last = report.section(f"{name}: notes", "" if data else table.description)
    _add_refused(last, table.refused)
    elsewhere = [row for row in table.rows if row.is_published and row.data not in data]
    if elsewhere:
        columns = _columns(elsewhere)
        rows = [
            [row.data, *_cells(row, columns, several=True)]
            for row in sorted(elsewhere, key=lambda r: (r.data, r.variant, -_rank(r, table)))
        ]
        shown = page.table(
            ("data", *_heads(columns, several=True)), rows, label="Published elsewhere"
        )
        last.add(
            page.folded(
                "Show values that others published on data sets that were not run here", shown
            )
            + page.bullets(_sources(elsewhere)),
            "Published elsewhere",
        )
    text = dump_yaml({"settings": table.settings, "versions": table.versions})
    last.add(page.code(text, "Show the settings"), "Settings")


def _add_data(section: Section, table: Table, rows: Sequence[Row]) -> None:
    """Table and chart of one data set."""
    variants = list(dict.fromkeys(r.variant for r in rows if not r.is_published))
    variants += [v for v in dict.fromkeys(r.variant for r in rows) if v not in variants]
    ordered = []
    for variant in sorted(variants, key=lambda v: v != table.headline):
        own = [row for row in rows if row.variant == variant]
        ordered += sorted(own, key=lambda r: -_rank(r, table))
    best = [
        next(i for i, r in enumerate(ordered) if r.variant == v and not r.is_published)
        for v in variants
        if any(r.variant == v and not r.is_published for r in ordered)
    ]
    columns, several = _columns(rows), len(variants) > 1
    lines = [_cells(row, columns, several) for row in ordered]
    section.add(page.table(_heads(columns, several), lines, best=best, label="Results"))
    ranked = [r for r in ordered if table.metric in r.numbers]
    if ranked:
        chart = charts.interval_chart(
            [(_label(r, several), r.numbers[table.metric], r.intervals.get(table.metric)) for r in ranked],
            groups=["" if r.is_published else r.model for r in ranked],
        )  # fmt: skip
        section.add(chart, _NAMES.get(table.metric, table.metric))
    if table.protocol == "robustness":
        _add_losses(section, ordered, table)
    _add_reliability(section, ordered)
    notes = [n for r in ordered if not r.is_published for n in r.notes]
    notes = list(dict.fromkeys([*_unequal(ordered), *notes]))
    if notes:
        section.add(page.warnings(notes), "Read this with the numbers")
    published = [row for row in ordered if row.is_published]
    if published:
        section.add(page.bullets(_sources(published)), "Where published values come from")


def _add_losses(section: Section, rows: Sequence[Row], table: Table) -> None:
    """What each change costs against the unchanged windows, in points."""
    variants = [v for v in dict.fromkeys(r.variant for r in rows) if v != table.headline]
    lines = []
    for model in dict.fromkeys(r.model for r in rows):
        own = {r.variant: r.numbers.get(table.metric) for r in rows if r.model == model}
        start = own.get(table.headline)
        if start is not None:
            found = [own.get(variant) for variant in variants]
            lines.append(
                [model, *("-" if v is None else f"{100 * (v - start):+.1f}" for v in found)]
            )
    if variants and lines:
        section.add(
            page.table(("model", *variants), lines, label="Differences"),
            "Difference to unchanged windows in points of macro-F1",
        )


def _add_reliability(section: Section, rows: Sequence[Row]) -> None:
    """Accuracy against confidence."""
    series: dict[str, tuple[list[float], list[float | None]]] = {
        f"{r.model}, {r.variant}": (
            [b["confidence"] for b in r.reliability],
            [b["accuracy"] for b in r.reliability],
        )
        for r in rows
        if r.reliability
    }
    if not series:
        return
    series["perfect"] = ([0.0, 1.0], [0.0, 1.0])
    chart = charts.curves(
        series, x_name="mean confidence of a bin", y_name="accuracy", dashed=("perfect",), wide=900
    )
    section.add(chart, "Reliability")


def _add_refused(section: Section, refused: Sequence[Refusal]) -> None:
    if refused:
        lines = [[r.model, r.data, r.num_cells, r.reason] for r in refused]
        section.add(
            page.table(("model", "data", "cells", "why"), lines, label="Refused"),
            "Refused",
            "A number that could not be computed honestly is not shown.",
        )


def _columns(rows: Sequence[Row]) -> list[str]:
    """Numbers that occur, the usual ones first."""
    found = dict.fromkeys(name for row in rows for name in row.numbers)
    return [n for n in _ALWAYS if n in found] + [n for n in found if n not in _ALWAYS]


def _heads(columns: Sequence[str], several: bool) -> list[str]:
    head = ["model", *(["variant"] if several else [])]
    for name in columns:
        head.append(_NAMES.get(name, name.replace("_", " ")))
        head += ["95 % interval"] if name == columns[0] else []
    return [*head, "people", "windows", "parameters", "seconds"]


def _cells(row: Row, columns: Sequence[str], several: bool) -> list[Any]:
    cells: list[Any] = [_model(row), *([row.variant] if several else [])]
    for name in columns:
        cells.append(row.numbers.get(name, "-"))
        if name == columns[0]:
            interval = row.intervals.get(name)
            cells.append(f"[{interval[0]:.3f},\u00a0{interval[1]:.3f}]" if interval else "-")
    cells = [f"{c:.3f}" if isinstance(c, float) else c for c in cells]
    counts = (row.counts.get("people"), row.counts.get("windows"), row.num_parameters)
    cells += ["-" if c is None else f"{c:,}" for c in counts]
    return [*cells, "-" if row.seconds is None else f"{row.seconds:,.1f}"]


def _unequal(rows: Sequence[Row]) -> list[str]:
    """A sentence if the measured rows of a variant are over different numbers of people."""
    found: dict[str, set[int]] = {}
    for row in rows:
        if not row.is_published:
            found.setdefault(row.variant, set()).add(row.counts.get("people", 0))
    if all(len(numbers) == 1 for numbers in found.values()):
        return []
    return [
        "Models were tested on different people, because some have seen a part of them: compare "
        "with care."
    ]


def _model(row: Row) -> Any:
    """Name of the contestant; published values are marked."""
    if not row.is_published:
        return row.model
    return Markup("{} {}").format(row.model, page.badge("published"))


def _label(row: Row, several: bool) -> str:
    words = [row.model, *([row.variant] if several else [])]
    return " · ".join(words) + (" (published)" if row.is_published else "")


def _rank(row: Row, table: Table) -> float:
    return row.numbers.get(table.metric, -1.0)


def _sources(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(f"{row.source} {' '.join(row.notes)}".strip() for row in rows))


def _seconds(rows: Sequence[Row]) -> float:
    """Compute time; all variants of a contestant and data set share theirs."""
    each = {(r.protocol, r.model, r.data): r.seconds or 0.0 for r in rows}
    return sum(each.values())
