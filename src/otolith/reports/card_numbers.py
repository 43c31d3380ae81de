"""Parts of a model's card that are made of stored numbers: benchmark tables and calibration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from otolith.benchmark._table import Row, Table
from otolith.reports.card import Part

_NAMES = {
    "accuracy": "accuracy",
    "log_loss": "log loss",
    "expected_calibration_error": "expected calibration error",
    "brier": "Brier score",
}


def benchmark_part(table: Table) -> Part:
    """Return the rows of one benchmark: best first within a data set, published values marked."""
    rows = sorted(
        table.rows, key=lambda r: (r.data, r.variant != table.headline, -_first(r, table.metric))
    )
    others = sorted({name for row in rows for name in row.numbers} - {table.metric})
    return Part(
        title=f"Benchmark: {table.protocol.replace('_', ' ')}",
        text=table.description,
        columns=("data", "variant", "model", table.metric, "95 % interval", *others, "people"),
        rows=[_row(row, table.metric, others) for row in rows],
        items=[f"{r.model} on {r.data} was refused: {r.reason}" for r in table.refused]
        + list(dict.fromkeys(note for row in rows for note in row.notes)),
    )


def calibration_parts(found: Mapping[str, Any]) -> list[Part]:
    """Return what `otolith checkpoint calibrate` noted; nothing for a model without it."""
    if not found:
        return []
    sets = found["after"].get("sets", {})
    facts = {
        "temperature": round(found["temperature"], 4),
        "labels": ", ".join(found["labels"]),
        "windows": found["windows"],
        **{
            f"set for {float(c):.0%} coverage": f"all labels with 1 - p up to {q:.3f}"
            + (f"; covers {s['coverage']:.1%}, {s['labels_per_set']:.2f} labels" if s else "")
            for c, q in zip(found["coverages"], found["quantiles"], strict=True)
            for s in [sets.get(f"{c:g}")]
        },
    }
    if novelty := found.get("novelty"):
        facts["novelty"] = (
            f"{novelty['windows']:,} windows of {', '.join(novelty['datasets'])} are known; "
            f"{novelty['held_out_windows']:,} held-out windows set the scale"
        )
    return [
        Part(
            title="Calibration",
            text="Numbers after calibration are those of people that nothing was fitted on.",
            facts=facts,
            columns=("number", "before", "after"),
            rows=[[_NAMES[k], found["before"][k], found["after"][k]] for k in _NAMES],
        ),
        Part(
            title="Calibrated on",
            columns=("data", "people", "windows", "scored by", "which learned from"),
            rows=[_calibrated_row(name, facts) for name, facts in found["datasets"].items()],
            items=list(found.get("warnings") or ()),
        ),
    ]


def _calibrated_row(name: str, facts: Mapping[str, Any]) -> list[Any]:
    scorer = facts["scored_by"]
    learned = ", ".join(scorer["datasets"])
    return [name, len(facts["people"]), facts["windows"], scorer["model"], learned]


def _first(row: Row, metric: str) -> float:
    return row.numbers.get(metric, float("-inf"))


def _row(row: Row, metric: str, others: list[str]) -> list[Any]:
    interval = row.intervals.get(metric)
    values = [row.numbers.get(name, "-") for name in (metric, *others)]
    shown = f"{interval[0]:.3f} to {interval[1]:.3f}" if interval else "-"
    model = f"{row.model} (published: {row.source})" if row.is_published else row.model
    people = row.counts.get("test_subjects", "-")
    return [row.data, row.variant, model, values[0], shown, *values[1:], people]
