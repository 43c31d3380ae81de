"""Whole pages: evaluation, labelling, run, model, data set; and the CSV of segments."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from otolith.benchmark._table import Table, is_table
from otolith.core.errors import CheckpointError, DataError, FileFormatError
from otolith.core.files import read_json
from otolith.core.home import data_folder
from otolith.datasets import DATASETS
from otolith.recordings.store import DataFolder, is_data_folder
from otolith.reports import cards, drawing, page, sections
from otolith.reports.leaderboard import read_tables
from otolith.reports.page import Report, Tile
from otolith.tasks._model import Model, load_model
from otolith.tasks._people import training_datasets
from otolith.tasks._result import Result
from otolith.tasks.label import Labelling
from otolith.training.logs import METRICS_LOG, read_records

RESULT_FOLDER = "evaluation"


def evaluation_report(results: Sequence[Result]) -> Report:
    """Return a page that compares results and shows each in detail.

    Raises:
        DataError: There are no results.
    """
    if not results:
        raise DataError("There are no results to report.", "Run otolith evaluate with --json.")
    report = Report(
        f"Evaluation on {', '.join(dict.fromkeys(r.data for r in results))}",
        "Tested on people that were not learned from; macro-F1 first, intervals over people.",
    )
    best = max(results, key=lambda r: r.macro_f1)
    interval = best.ci95.get("macro_f1")
    report.tiles = [
        Tile("best macro-F1", f"{best.macro_f1:.3f}", f"{best.task.replace('_', ' ')}, {best.model}"),
        Tile("95 % interval", f"{interval[0]:.2f} to {interval[1]:.2f}" if interval else "-"),
        Tile("its accuracy", f"{best.accuracy:.3f}"),
        Tile("people tested", f"{best.counts.get('test_subjects', 0):,}"),
        Tile("windows tested", f"{best.counts.get('test_windows', 0):,}"),
    ]  # fmt: skip
    _add_results(report, results)
    return report


def labelling_report(value: Labelling) -> Report:
    """Return a page about a labelled recording."""
    recording = value.recording
    report = Report(f"Activities of {recording.id}", f"Labelled by {value.model} from {value.how}.")
    times: dict[str, float] = {}
    for s in value.segments:
        times[s.label] = times.get(s.label, 0.0) + s.end_s - s.start_s
    longest = max(times, key=lambda label: times[label], default="-")
    report.tiles = [
        Tile("length", drawing.clock(recording.duration_s)),
        Tile("activities", str(len(times)), f"in {len(value.segments)} segments"),
        Tile("most of the time", longest or "unlabelled", drawing.clock(times.get(longest, 0.0))),
        *(
            Tile(s.name, f"{s.rate_hz:g} Hz", f"{len(s.channels)} channels")
            for s in list(recording.imus.values())[:2]
        ),
    ]
    sections.labelling(report, value)
    sections.findings(report, recording.findings)
    return report


def run_report(folder: Path) -> Report:
    """Return a page about a training run.

    It shows the curves, evaluations whose JSON files lie in the run folder or in its folder
    `evaluation`, the cards of the data sets and of the best model, and the settings.

    Raises:
        FileFormatError: The folder holds no run, or a file of it is damaged.
    """
    folder = Path(folder)
    config = folder / "config.yaml"
    if not config.is_file():
        raise FileFormatError(f"{folder} holds no run.", "Name a folder below runs/.")
    metrics = read_json(folder / "metrics.json") if (folder / "metrics.json").is_file() else {}
    records = read_records(folder) if (folder / METRICS_LOG).is_file() else []
    results, model = results_in(folder), model_of(folder)
    name = "/".join(folder.resolve().parts[-2:])
    report = Report(f"Run {name}", "One training run: curves, data, model and settings.")
    report.tiles = _run_tiles(metrics, records, results)
    sections.training(report, records, metrics)
    if results:
        _add_results(report, results)
    if model is not None:
        for data_name in training_datasets(model.provenance):
            data_card(data_name).add_to(report)
        _add_model(report, model, results)
    sections.settings(report, config.read_text(encoding="utf-8"))
    return report


def model_report(model: Model, results: Sequence[Result] = ()) -> Report:
    """Return a page with the card of a model."""
    report = Report(f"Model {model.name}", "What it is, what it has seen, what it is not for.")
    _add_model(report, model, results)
    return report


def dataset_report(folder: DataFolder) -> Report:
    """Return a page with the card of a data folder."""
    card = cards.dataset_card(folder)
    report = Report(f"Data set {folder.name}", card.intro)
    facts = card.parts[0].facts
    report.tiles = [Tile(n, page.plain(facts[n])) for n in ("people", "recordings", "hours")]
    section = card.add_to(report)
    section.title, section.intro = "Data card", ""
    return report


def data_card(name: str) -> cards.Card:
    """Return the card of a data set: of the copy on this machine, else of the built-in module."""
    folder = data_folder(name)
    if is_data_folder(folder):
        return cards.dataset_card(DataFolder.open(folder))
    splits = cards.to_plain(DATASETS.get(name).splits()) if name in DATASETS.names() else {}
    return cards.card_of(name, {"card": cards.known_card(name), "splits": splits})


def read_results(path: Path) -> list[Result]:
    """Read the JSON file of `otolith evaluate`.

    Raises:
        FileFormatError: The file is missing or holds something else.
    """
    data = read_json(path)
    remedy = "Give the file of otolith evaluate --json."
    if not isinstance(data, dict) or not isinstance(data.get("results"), list):
        raise FileFormatError(f"{path} holds no results of otolith evaluate.", remedy)
    try:
        found = TypeAdapter(list[Result]).validate_python(data["results"])
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise FileFormatError(
            f"{path} holds damaged results: {place}: {first['msg']}.", remedy
        ) from None
    for r in found:
        if not len(r.labels) == len(r.confusion) == len(r.per_class) or not r.labels:
            raise FileFormatError(
                f"{path} holds damaged results: {len(r.labels)} labels, {len(r.confusion)} rows of "
                f"the confusion matrix, {len(r.per_class)} rows per class.",
                remedy,
            )
    return found


def read_numbers(paths: Sequence[Path]) -> tuple[list[Result], list[Table]]:
    """Read JSON files of `otolith evaluate` and of `otolith benchmark`, in any order.

    Raises:
        FileFormatError: A file is missing, damaged or of another kind.
    """
    of_benchmarks = [path for path in paths if is_table(read_json(path))]
    others = [path for path in paths if path not in of_benchmarks]
    return [r for path in others for r in read_results(path)], read_tables(of_benchmarks)


def results_in(folder: Path) -> list[Result]:
    """Return the evaluations whose JSON files lie in a run folder or in its `evaluation`."""
    files = [*sorted(folder.glob("*.json")), *sorted((folder / RESULT_FOLDER).glob("*.json"))]
    return [r for path in files if _holds_results(path) for r in read_results(path)]


def segments_csv(values: Sequence[Labelling]) -> str:
    """Return all segments as CSV: recording, start_s, end_s, label, confidence, also_possible.

    The last column is there where label sets were asked for; it holds names joined by "; ".
    """
    has_sets = any(value.coverage is not None for value in values)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    columns = ["recording", "start_s", "end_s", "label", "confidence"]
    writer.writerow([*columns, "also_possible"] if has_sets else columns)
    for value in values:
        for s in value.segments:
            row = [value.recording.id, f"{s.start_s:.3f}", f"{s.end_s:.3f}", s.label]
            row.append(f"{s.confidence:.4f}")
            writer.writerow([*row, "; ".join(s.also)] if has_sets else row)
    return text.getvalue()


def _add_results(report: Report, results: Sequence[Result]) -> None:
    sections.comparison(report, results)
    names_data = len({r.data for r in results}) > 1
    for value in results:
        sections.result(report, value, names_data=names_data)


def _add_model(report: Report, model: Model, results: Sequence[Result]) -> None:
    section = cards.model_card(model, results=results).add_to(report)
    text = cards.model_settings(model)
    if text:
        section.add(page.code(text, "Show the settings of the model"))


def _run_tiles(
    metrics: dict[str, Any], records: Sequence[dict[str, Any]], results: Sequence[Result]
) -> list[Tile]:
    best = metrics.get("best") or {}
    epochs = metrics.get("epochs", sum(r.get("kind") == "epoch" for r in records))
    tiles = [
        Tile("status", str(metrics.get("status", "not finished")).replace("_", " ")),
        Tile("epochs", f"{epochs:,}", f"{metrics.get('steps', 0):,} steps" if metrics else ""),
    ]
    if best.get("value") is not None:
        note = f"{best.get('metric', '')}, epoch {best['epoch'] + 1}".replace("/", " ")
        tiles.append(Tile("best", f"{best['value']:.4g}", note))
    if metrics.get("num_parameters"):
        tiles.append(Tile("parameters", f"{metrics['num_parameters']:,}"))
    if metrics.get("duration_s"):
        tiles.append(Tile("time", drawing.clock(metrics["duration_s"]), metrics.get("device", "")))
    if results:
        top = max(results, key=lambda r: r.macro_f1)
        tiles.append(Tile("best macro-F1", f"{top.macro_f1:.3f}", f"{top.task}, {top.data}"))
    return tiles


def model_of(folder: Path) -> Model | None:
    """Return the model of a run, or None as long as the run has saved none."""
    if not any((folder / "checkpoints").glob("[!.]*/model.json")):
        return None
    try:
        return load_model(folder)
    except CheckpointError as error:
        raise FileFormatError(error.fact, error.remedy) from None


def _holds_results(path: Path) -> bool:
    data = read_json(path)
    return isinstance(data, dict) and "results" in data
