"""Sections that reports share: results, embedding map, findings, data card, training, settings."""

# N windows, D width

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from otolith.core.config import dump_yaml
from otolith.recordings.recording import Finding
from otolith.reports import cards, charts, page
from otolith.reports.embedding_map import layout
from otolith.reports.page import Report, Section
from otolith.reports.point_cloud import point_cloud
from otolith.reports.sections_labelling import labelling
from otolith.tasks._result import Result

__all__ = [
    "comparison", "data_card", "embedding_map", "findings", "labelling", "result", "settings",
    "training",
]  # fmt: skip
_STATUSES = ("warning", "unknown", "fixed", "inferred", "ok")
_MAX_POINTS = {"tsne": 1000, "pca": 1500}  # t-SNE of 1000 points takes a few seconds
_RUN_FACTS = {
    "status": "status", "epochs": "epochs", "steps": "steps", "num_samples": "samples seen",
    "num_skipped": "steps left out", "num_parameters": "parameters", "device": "device",
    "precision": "precision", "num_processes": "processes",
}  # fmt: skip


def comparison(report: Report, results: Sequence[Result], title: str = "Comparison") -> Section:
    """Add a table and a chart that compare results; the best of each task and data set is bold."""
    section = report.section(
        title,
        "Every number is over people that were not learned from. Brackets and whiskers: 95 % "
        "interval over people. Macro-F1 counts every class the same.",
    )
    several = len({r.data for r in results}) > 1
    groups = list(dict.fromkeys((r.task, r.data) for r in results))
    best = [
        max(
            (i for i, r in enumerate(results) if (r.task, r.data) == group),
            key=lambda i: results[i].macro_f1,
        )
        for group in groups
    ]
    rows = [_comparison_row(r, several) for r in results]
    columns = (
        "task", *(["data"] if several else []), "model", "macro-F1", "95 % interval", "accuracy",
        "people", "windows",
    )  # fmt: skip
    section.add(page.table(columns, rows, best=best, label=title))
    names = [
        " · ".join([_task(r), *([r.data] if several else []), r.model.rpartition("/")[2]])
        for r in results
    ]
    chart = charts.interval_chart(
        [
            (name, r.macro_f1, r.ci95.get("macro_f1"))
            for name, r in zip(names, results, strict=True)
        ],
        groups=[r.model for r in results],
    )
    section.add(chart, "Macro-F1")
    notes = [*_unequal_tests(results), *dict.fromkeys(w for r in results for w in r.warnings)]
    if notes:
        section.add(page.warnings(notes), "Read this with the numbers")
    return section


def result(report: Report, value: Result, *, names_data: bool = False) -> Section:
    """Add confusion matrix and scores per class of one result.

    Args:
        report: The page.
        value: The result.
        names_data: Whether the heading names the data set, because the page is about several.
    """
    title = f"{_task(value).capitalize()}: {value.model}"
    section = report.section(
        title + (f" on {value.data}" if names_data else ""), f"{value.data}: {value.protocol}."
    )
    matrix = charts.confusion_matrix(
        value.confusion, value.labels, [int(row["support"]) for row in value.per_class]
    )
    scores = charts.class_table(value.per_class)
    note = (
        "In the matrix rows are the truth and columns the choice; numbers are percent of the true "
        "class, added up over folds and repetitions."
    )
    used = page.code(dump_yaml(value.settings), "Settings of this evaluation")
    section.add(
        page.side_by_side(matrix, scores) + used, "Confusion matrix and scores per class", note
    )
    return section


def embedding_map(
    report: Report,
    features_ND: np.ndarray,
    labels: Sequence[str],
    people: Sequence[str],
    model: str,
) -> Section:
    """Add the map of features in 2-D (neighbourhoods) and 3-D (turn it with the pointer)."""
    section = report.section(
        "Embedding map",
        f"Each point is one window as {model} sees it. Points of one colour that lie together are "
        "easy to tell from the others; if points lie together by person instead, the model sees "
        "who moves more than what is done.",
    )
    for dims, method, title, note in (
        (2, "tsne", "Neighbourhoods (t-SNE, 2-D)", "Distances between groups mean nothing here."),
        (
            3,
            "pca",
            "Principal components (3-D)",
            "Drag or use the arrow keys to turn; click the map, then use the wheel to zoom.",
        ),
    ):
        points, rows = layout(features_ND, dims=dims, method=method, limit=_MAX_POINTS[method])
        groupings = {
            "activity": [labels[i] for i in rows],
            "person": [people[i] for i in rows],
        }
        cloud = point_cloud(points, groupings, dims=dims, label=f"Embeddings of {model}, {title}")
        section.add(cloud, title, note)
    return section


def findings(report: Report, values: Sequence[Finding]) -> Section:
    """Add what was inferred or changed while reading the input; equal findings once."""
    section = report.section(
        "What was inferred about the input", "Nothing is guessed silently; each line says why."
    )
    rows = [
        [
            page.badge(f.status),
            Markup("<code>{}</code>{}{}").format(
                f.check,
                f.fact,
                Markup("<small>{}</small>").format(f.evidence) if f.evidence else "",
            ),
            f.remedy,
        ]
        for f in sorted(dict.fromkeys(values), key=lambda f: _STATUSES.index(f.status))
    ]
    if rows:
        table = page.table(("status", "fact and evidence", "what you can do"), rows)
        section.add(Markup('<div class="findings">{}</div>').format(table))
    else:
        section.add(Markup("<p>{}</p>").format("Nothing had to be inferred or changed."))
    return section


def data_card(
    report: Report, name: str, info: Mapping[str, Any], counts: Mapping[str, Any]
) -> Section:
    """Add the card of a data set from the content of its `dataset.json` and further facts."""
    return cards.card_of(name, info, facts=counts).add_to(report)


def training(
    report: Report, records: Sequence[Mapping[str, Any]], metrics: Mapping[str, Any]
) -> Section:
    """Add loss curves and key facts of a run."""
    section = report.section("Training")
    epochs = [r for r in records if r.get("kind") == "epoch"]
    facts = {shown: metrics.get(key) for key, shown in _RUN_FACTS.items()}
    facts["status"] = str(facts["status"] or "not finished").replace("_", " ")
    if metrics.get("duration_s"):
        facts["time"] = f"{metrics['duration_s']:,.0f} s"
    both = _series(epochs, ("train", "validation"), ())
    chart = charts.curves(both, x_name="epoch", y_name="loss", dashed=("validation",), wide=930)
    section.add(chart + _numbers(both), "Loss")
    small = []
    for key, title in (("parts", "Parts of the loss"), ("datasets", "Loss per data set")):
        names = sorted({n for r in epochs for n in (r.get("train") or {}).get(key, {})})
        if len(names) > 1:
            found = {n: _series(epochs, ("train",), (key, n)) for n in names}
            series = {n: parts["train"] for n, parts in found.items() if parts}
            chart = charts.curves(series, x_name="epoch", y_name="training loss", wide=410)
            small.append(_titled(title, chart + _numbers(series)))
    steps = [r for r in records if r.get("kind") == "step"] or epochs
    if len(steps) > 1:
        rates = {"learning rate": ([r["step"] for r in steps], [r.get("lr") for r in steps])}
        chart = charts.curves(rates, x_name="step", y_name="learning rate", wide=410)
        small.append(_titled("Learning rate", chart))
    if small:
        section.add(page.side_by_side(*small))
    section.add(page.key_values(facts), "Run")
    return section


def settings(report: Report, text: str, title: str = "Settings") -> Section:
    """Add the resolved settings."""
    section = report.section(title, "Running this recipe again repeats the run.")
    section.add(page.code(text, "Show the resolved recipe"))
    return section


def _series(
    epochs: Sequence[Mapping[str, Any]], parts: Sequence[str], keys: Sequence[str]
) -> dict[str, tuple[list[float], list[float | None]]]:
    """Epoch numbers (from 1) and the loss found at `keys` (none = the total) per part."""
    out: dict[str, tuple[list[float], list[float | None]]] = {}
    for part in parts:
        values = []
        for record in epochs:
            value: Any = record.get(part) or {}
            for key in keys or ("loss",):
                value = value.get(key) if isinstance(value, Mapping) else None
            values.append(value)
        if any(v is not None for v in values):
            out[part] = ([float(r["epoch"] + 1) for r in epochs], values)
    return out


def _titled(title: str, html: Markup) -> Markup:
    return Markup("<h3>{}</h3>{}").format(title, html)


def _numbers(series: Mapping[str, tuple[Sequence[float], Sequence[float | None]]]) -> Markup:
    """The values of a chart as a folded table, for readers who want or need numbers."""
    if not series:
        return Markup("")
    xs = next(iter(series.values()))[0]
    rows = [
        [int(x), *("-" if ys[i] is None else f"{ys[i]:.4g}" for _, ys in series.values())]
        for i, x in enumerate(xs)
    ]
    return page.folded("Numbers", page.table(("epoch", *series), rows))


def _unequal_tests(results: Sequence[Result]) -> list[str]:
    """One sentence per data set whose results are over different numbers of people."""
    people: dict[str, set[int]] = {}
    for r in results:
        people.setdefault(r.data, set()).add(r.counts.get("test_subjects", 0))
    return [
        f"The results on {name} are over different people ({', '.join(map(str, sorted(found)))} "
        "tested): differences between models can come from that."
        for name, found in people.items()
        if len(found) > 1
    ]


def _comparison_row(r: Result, names_data: bool) -> list[Any]:
    interval = r.ci95.get("macro_f1")
    return [
        _task(r),
        *([r.data] if names_data else []),
        r.model,
        r.macro_f1,
        f"[{interval[0]:.3f},\u00a0{interval[1]:.3f}]" if interval else "-",
        r.accuracy,
        r.counts.get("test_subjects", 0),
        r.counts.get("test_windows", 0),
    ]


def _task(r: Result) -> str:
    shots = f", {r.counts['shots']} shots" if "shots" in r.counts else ""
    return r.task.replace("_", " ") + shots
