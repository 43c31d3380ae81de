"""Whole pages: evaluation, labelling, run; and the CSV of segments."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from otolith.core.errors import FileFormatError
from otolith.core.files import read_json
from otolith.reports import sections
from otolith.reports.page import Report, Tile
from otolith.tasks._result import Result
from otolith.tasks.label import Labelling
from otolith.training.logs import read_records


def evaluation_report(results: Sequence[Result]) -> Report:
    """Return a page that compares results and shows each in detail."""
    names = list(dict.fromkeys(r.data for r in results))
    report = Report(
        f"Evaluation on {', '.join(names)}",
        "Tested on people that were not learned from; macro-F1 first, intervals over people.",
    )
    best = max(results, key=lambda r: r.macro_f1)
    report.tiles = [
        Tile("best macro-F1", f"{best.macro_f1:.3f}", best.model),
        Tile("its accuracy", f"{best.accuracy:.3f}"),
        Tile("people tested", str(best.counts["test_subjects"])),
        Tile("windows tested", str(best.counts["test_windows"])),
    ]
    sections.comparison(report, results)
    for value in results:
        sections.result(report, value)
    return report


def labelling_report(value: Labelling) -> Report:
    """Return a page about a labelled recording."""
    report = Report(
        f"Activities of {value.recording.id}", f"Labelled by {value.model} from {value.how}."
    )
    recording = value.recording
    report.tiles = [
        Tile("length", sections.drawing.clock(recording.duration_s)),
        Tile("segments", str(len(value.segments))),
        Tile("activities", str(len({s.label for s in value.segments}))),
        *(
            Tile(f"{s.name}: rate", f"{s.rate_hz:g} Hz", f"{len(s.channels)} channels")
            for s in list(recording.imus.values())[:2]
        ),
    ]
    sections.labelling(report, value)
    sections.findings(report, recording.findings)
    return report


def run_report(folder: Path) -> Report:
    """Return a page about a training run.

    Raises:
        FileFormatError: The folder holds no run.
    """
    config = folder / "config.yaml"
    if not config.is_file():
        raise FileFormatError(f"{folder} holds no run.", "Name a folder below runs/.")
    metrics = read_json(folder / "metrics.json") if (folder / "metrics.json").is_file() else {}
    report = Report(f"Run {folder.parent.name}/{folder.name}")
    best = metrics.get("best") or {}
    report.tiles = [
        Tile("status", str(metrics.get("status", "not finished")).replace("_", " ")),
        Tile("epochs", str(metrics.get("epochs", "-"))),
        Tile(
            "best",
            f"{best['value']:.4g}" if best.get("value") is not None else "-",
            str(best.get("metric", "")),
        ),
    ]
    sections.training(report, read_records(folder), metrics)
    sections.settings(report, config.read_text(encoding="utf-8"))
    return report


def read_results(path: Path) -> list[Result]:
    """Read the JSON file of `otolith evaluate`.

    Raises:
        FileFormatError: The file is missing or holds something else.
    """
    data = read_json(path)
    try:
        return [_result(entry) for entry in data["results"]]
    except (KeyError, TypeError, AttributeError) as error:
        raise FileFormatError(
            f"{path} holds no results of otolith evaluate ({error}).", "Give the file of --json."
        ) from None


def _result(entry: dict[str, Any]) -> Result:
    """Inverse of `Result.to_json`."""
    tuples = {name: tuple(entry[name]) for name in ("labels", "warnings")}
    intervals = {k: tuple(v) if v is not None else None for k, v in entry["ci95"].items()}
    return Result(**(entry | tuples | {"ci95": intervals}))


def segments_csv(values: Sequence[Labelling]) -> str:
    """Return all segments as CSV: recording, start_s, end_s, label, confidence."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["recording", "start_s", "end_s", "label", "confidence"])
    for value in values:
        for s in value.segments:
            writer.writerow(
                [
                    value.recording.id,
                    f"{s.start_s:.3f}",
                    f"{s.end_s:.3f}",
                    s.label,
                    f"{s.confidence:.4f}",
                ]
            )
    return text.getvalue()
