"""Sections that reports share: results, findings, data card, run, embedding map, labelling."""

# N windows, D width

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from otolith.core.config import dump_yaml
from otolith.recordings.recording import Finding, Recording
from otolith.reports import drawing, page
from otolith.reports.embedding_map import layout
from otolith.reports.page import Block, Report, Section
from otolith.tasks._result import Result
from otolith.tasks.label import Labelling


def comparison(report: Report, results: Sequence[Result], title: str = "Comparison") -> Section:
    """Add a table and a chart that compare results; the best macro-F1 of each task is bold."""
    section = report.section(
        title,
        "Every number is over people that were not learned from. Brackets: 95 % interval over "
        "people (cluster bootstrap). Macro-F1 counts every class the same.",
    )
    best = {
        max((i for i, r in enumerate(results) if r.task == task), key=lambda i: results[i].macro_f1)
        for task in {r.task for r in results}
    }
    rows = [
        [
            r.task + (f" ({r.counts['shots']} shots)" if "shots" in r.counts else ""),
            r.model,
            r.macro_f1,
            _interval(r.ci95.get("macro_f1")),
            r.accuracy,
            r.counts["test_subjects"],
            r.counts["test_windows"],
        ]
        for r in results
    ]
    columns = ("task", "model", "macro-F1", "95 % interval", "accuracy", "people", "windows")
    chart = drawing.interval_chart(
        [(f"{r.task} · {r.model}", r.macro_f1, r.ci95.get("macro_f1")) for r in results]
    )
    section.blocks.append(Block(page.table(columns, rows, best=sorted(best))))
    section.blocks.append(Block(chart, "Macro-F1"))
    notes = list(dict.fromkeys(w for r in results for w in r.warnings))
    if notes:
        section.blocks.append(Block(page.warnings(notes)))
    return section


def result(report: Report, value: Result) -> Section:
    """Add confusion matrix and per-class bars of one result."""
    section = report.section(f"{value.task.replace('_', ' ').capitalize()}: {value.model}")
    section.intro = f"{value.data}: {value.protocol}."
    matrix = drawing.confusion_matrix(value.confusion, value.labels)
    bars = drawing.class_bars(value.per_class)
    section.blocks.append(
        Block(
            page.side_by_side(matrix, bars),
            "Confusion matrix and F1 per class",
            "Rows are the truth, columns the choice; numbers are percent of the true class.",
        )
    )
    if value.warnings:
        section.blocks.append(Block(page.warnings(value.warnings)))
    section.blocks.append(
        Block(page.code(dump_yaml(value.settings), "Settings of this evaluation"))
    )
    return section


def labelling(report: Report, value: Labelling) -> Section:
    """Add the timeline of a labelled recording, with the truth below it where there is one."""
    recording = value.recording
    section = report.section(
        "Timeline",
        f"{recording.id}: {drawing.clock(recording.duration_s)} long, "
        f"{len(value.segments)} segments by {value.model} from {value.how}.",
    )
    tracks: dict[str, list[tuple[float, float, str, str]]] = {
        "labelled": [
            (
                s.start_s,
                s.end_s,
                s.label,
                f"{_span(s.start_s, s.end_s)}\nconfidence {s.confidence:.2f}",
            )
            for s in value.segments
        ]
    }
    truth = [
        (a.start_s, a.end_s, a.labels[0], _span(a.start_s, a.end_s))
        for a in recording.annotations
        if a.end_s is not None and a.labels
    ]
    if truth:
        tracks["truth"] = truth
    names = list(dict.fromkeys([*value.labels, *(t[2] for t in truth), "unknown"]))
    chart = drawing.timeline(tracks, recording.duration_s, names, signal=_norm(recording))
    section.blocks.append(Block(chart))
    times = _time_per_label(value)
    section.blocks.append(
        Block(page.table(("activity", "time", "share"), times), "Time per activity")
    )
    columns = ("start", "end", "activity", "confidence")
    rows = [
        [drawing.clock(s.start_s), drawing.clock(s.end_s), s.label, s.confidence]
        for s in value.segments
    ]
    shown = Markup("<details><summary>All {} segments</summary>{}</details>").format(
        len(rows), page.table(columns, rows)
    )
    section.blocks.append(Block(shown))
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
        f"Each point is one window as {model} sees it; colours are the true labels.",
    )
    names = list(dict.fromkeys(sorted(labels)))
    number = {name: i for i, name in enumerate(names)}
    for dims, method, title in (
        (2, "tsne", "2-D (t-SNE)"),
        (3, "pca", "3-D (principal components)"),
    ):
        points, rows = layout(features_ND, dims=dims, method=method, limit=1500)
        groups = [number[labels[i]] for i in rows]
        tips = [f"person {people[i]}" for i in rows]
        cloud = drawing.point_cloud(points, groups, names, tips, dims=dims)
        note = "Click a label to hide it." + (" Drag to turn, wheel to zoom." if dims == 3 else "")
        section.blocks.append(Block(cloud, title, note))
    return section


def findings(report: Report, values: Sequence[Finding]) -> Section:
    """Add what was inferred or changed while reading the input."""
    section = report.section(
        "What was inferred about the input", "Nothing is guessed silently; each line says why."
    )
    order = {"warning": 0, "unknown": 1, "fixed": 2, "inferred": 3, "ok": 4}
    rows = [
        [page.badge(f.status), f.check, f.fact, f.evidence, f.remedy]
        for f in sorted(values, key=lambda f: order[f.status])
    ]
    columns = ("status", "check", "fact", "evidence", "what you can do")
    if rows:
        section.blocks.append(Block(page.table(columns, rows)))
    return section


def data_card(
    report: Report, name: str, info: Mapping[str, Any], counts: Mapping[str, Any]
) -> Section:
    """Add the card of a data set: licence, citation, placements, caveats, counts."""
    section = report.section(f"Data: {name}")
    card = {str(k): v for k, v in (info.get("card") or {}).items()}
    flat = {k.replace("_", " "): v for k, v in card.items() if not isinstance(v, dict)}
    section.blocks.append(Block(page.key_values({**flat, **counts})))
    return section


def training(
    report: Report, records: Sequence[Mapping[str, Any]], metrics: Mapping[str, Any]
) -> Section:
    """Add loss curves and key facts of a run."""
    section = report.section("Training")
    epochs = [r for r in records if r.get("kind") == "epoch"]
    x = [r["epoch"] + 1 for r in epochs]
    curves = {
        part: (x, [(r.get(part) or {}).get("loss") for r in epochs])
        for part in ("train", "validation")
    }
    section.blocks.append(Block(drawing.lines(curves, x_name="epoch", y_name="loss"), "Loss"))
    parts = sorted({n for r in epochs for n in r["train"].get("parts", {})})
    if parts:
        series = {n: (x, [r["train"].get("parts", {}).get(n) for r in epochs]) for n in parts}
        section.blocks.append(
            Block(
                drawing.lines(series, x_name="epoch", y_name="loss"), "Parts of the training loss"
            )
        )
    names = sorted({n for r in epochs for n in r["train"].get("datasets", {})})
    if len(names) > 1:
        series = {n: (x, [r["train"].get("datasets", {}).get(n) for r in epochs]) for n in names}
        section.blocks.append(
            Block(
                drawing.lines(series, x_name="epoch", y_name="loss"), "Training loss per data set"
            )
        )
    wanted = (
        "status",
        "epochs",
        "steps",
        "num_samples",
        "num_parameters",
        "duration_s",
        "device",
        "precision",
    )
    section.blocks.append(
        Block(page.key_values({k.replace("_", " "): metrics.get(k) for k in wanted}))
    )
    return section


def settings(report: Report, text: str, title: str = "Settings") -> Section:
    """Add the resolved settings."""
    section = report.section(title)
    section.blocks.append(Block(page.code(text, "Show the resolved recipe")))
    return section


def _norm(recording: Recording) -> tuple[np.ndarray, np.ndarray] | None:
    """Times and norm of acceleration of the first stream that has three axes of it."""
    for stream in recording.imus.values():
        columns = [
            i for i, c in enumerate(stream.channels) if c.sensor == "acc" and c.axis in "xyz"
        ][:3]
        if len(columns) == 3:
            norm = np.linalg.norm(stream.samples_TC[:, columns], axis=1)
            keep = np.isfinite(norm)
            return stream.times_s[keep], norm[keep]
    return None


def _time_per_label(value: Labelling) -> list[list[Any]]:
    total = sum(s.end_s - s.start_s for s in value.segments) or 1.0
    sums: dict[str, float] = {}
    for segment in value.segments:
        sums[segment.label] = sums.get(segment.label, 0.0) + segment.end_s - segment.start_s
    rows = sorted(sums.items(), key=lambda item: -item[1])
    return [[name, drawing.clock(s), f"{s / total:.0%}"] for name, s in rows]


def _interval(pair: tuple[float, float] | None) -> str:
    return f"[{pair[0]:.3f}, {pair[1]:.3f}]" if pair else ""


def _span(start_s: float, end_s: float) -> str:
    return f"{drawing.clock(start_s)} - {drawing.clock(end_s)}"
