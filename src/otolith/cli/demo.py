"""`otolith demo`: the main job on real recordings, from raw signals to a report, in minutes.

Ten people did seven shoulder exercises with a smart watch (package `seglearn`). A small encoder
learns from seven of them without labels; then it and plain window statistics are compared on
the three people that neither has seen, and a whole session of one of them is labelled.
"""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from otolith.cli._show import errors, results, say, table

if TYPE_CHECKING:
    from otolith.datasets._part import DatasetPart
    from otolith.recordings.recording import Recording
    from otolith.tasks._model import Model
    from otolith.tasks._result import Result
    from otolith.tasks.label import Labelling

RECIPE = "demo/pretrain"
DATA = "seglearn_watch"
WINDOWS = {"window_s": 5.0, "stride_s": 2.5}
SHOTS = 5


def run(
    out: Annotated[Path, typer.Option(help="Folder for everything the demo writes.")] = Path(
        "runs/demo"
    ),
    short: Annotated[
        bool, typer.Option(help="Train for one epoch only, to see that it runs.")
    ] = False,
) -> None:
    """Pretrain, compare, label and report on real watch recordings; about two minutes."""
    import torch

    from otolith.datasets import make_dataset

    started = time.perf_counter()
    torch.set_num_threads(min(torch.get_num_threads(), 4))
    say("1/4  Reading 140 watch recordings of ten people ...")
    part = make_dataset(DATA, home=out)
    model, untrained, metrics = _pretrain(part, out, short=short)
    say(f"3/4  Comparing on people that were not learned from: {', '.join(_unseen(part))} ...")
    found = _compare(part, model, untrained)
    say("4/4  Labelling a session of one of them ...")
    labelling = _label(part, model)
    words = part.folder.info["card"]["label_groups"]
    found = [_result_in_words(r, words) for r in found]
    labelling = _labelling_in_words(labelling, words)
    page = _report(part, model, found, labelling, metrics, out)
    _say(found, labelling)
    say(f"Done in {time.perf_counter() - started:.0f} s.")
    results(page, out / "segments.csv", out / "results.json")


def _pretrain(part: DatasetPart, out: Path, *, short: bool) -> tuple[Model, Model, dict[str, Any]]:
    """The trained encoder, the same one before training, and the numbers of the run."""
    import shutil

    import torch

    from otolith import api
    from otolith.recipes import load_recipe
    from otolith.tasks._model import Model, load_model

    changes = [f"data.datasets=[{{name: '{part.folder.path}', split: train}}]"]
    changes += ["training.epochs=1"] if short else []
    recipe, _ = load_recipe(RECIPE, changes)
    torch.manual_seed(recipe.seed)
    fresh = recipe.system.module.System(recipe.system.config).eval()
    untrained = Model("untrained encoder", fresh, provenance={"is_untrained": True})
    say(f"2/4  Pretraining a small encoder without labels ({_size(untrained)} parameters) ...")
    shutil.rmtree(out / "pretrain", ignore_errors=True)
    done = api.train(RECIPE, *changes, folder=out / "pretrain")
    model = load_model(out / "pretrain" / "checkpoints" / "best")
    return dataclasses.replace(model, name="pretrained encoder"), untrained, done.metrics


def _compare(part: DatasetPart, model: Model, untrained: Model) -> list[Result]:
    """Probe and few-shot of all three models on the same people."""
    from otolith import api
    from otolith.tasks._model import load_model

    statistics = dataclasses.replace(load_model("statistics"), name="window statistics")
    shared = {"windows": WINDOWS, "folds": "official"}
    found = []
    for task, own in (("probe", {}), ("few_shot", {"shots": SHOTS})):
        found += [
            api.evaluate(task, candidate, part, {**shared, **own})
            for candidate in (model, statistics, untrained)
        ]
    return found


def _label(part: DatasetPart, model: Model) -> Labelling:
    """Label the exercises of one unseen person, done one after another."""
    from otolith.datasets import make_dataset
    from otolith.tasks._windows import EvaluationWindows, labelled_windows
    from otolith.tasks.label import Config, label_recording

    train = make_dataset(part.folder.path, split="train")
    examples = labelled_windows(train, EvaluationWindows(**WINDOWS))
    person = _unseen(part)[0]
    session = _session(part, person)
    settings = Config(window_s=WINDOWS["window_s"], stride_s=1.0, smoothing_s=10.0)
    return label_recording(model, session, settings, examples=examples)


def _unseen(part: DatasetPart) -> list[str]:
    """People of the test part of the data set's split."""
    return list(part.folder.info["splits"]["subjects"]["test"])


def _session(part: DatasetPart, person: str) -> Recording:
    """Join the recordings of one person's right arm, in the order of the exercises.

    The publishers cut the session into one recording per exercise; the pauses are not there.
    """
    import numpy as np

    from otolith.recordings.recording import Finding, Recording

    pieces = [part.folder.recording(i) for i in part.recording_ids]
    pieces = [r for r in pieces if r.subject == person and r.attributes.get("side") == "right"]
    streams = [r.imus["imu"] for r in pieces]
    starts = np.cumsum([0.0, *(s.duration_s for s in streams)])
    notes = tuple(
        dataclasses.replace(
            a, start_s=a.start_s + start, end_s=None if a.end_s is None else a.end_s + start
        )
        for r, start in zip(pieces, starts[:-1].tolist(), strict=True)
        for a in r.annotations
    )
    joined = np.concatenate([s.samples_TC for s in streams])
    fact = f"The session joins {len(pieces)} recordings of this person without the pauses between."
    finding = Finding(check="session.joined", status="fixed", fact=fact)
    return Recording(
        id=f"session of person {person}, right arm",
        subject=person,
        dataset=part.name,
        streams={"imu": dataclasses.replace(streams[0], samples_TC=joined)},
        annotations=notes,
        findings=(finding, *dict.fromkeys(f for r in pieces for f in r.findings)),
    )


def _report(
    part: DatasetPart,
    model: Model,
    found: list[Result],
    labelling: Labelling,
    metrics: dict[str, Any],
    out: Path,
) -> Path:
    """Write the page, the segments and the numbers."""
    from otolith.core.files import write_json, write_text
    from otolith.reports import cards, sections
    from otolith.reports.build import segments_csv
    from otolith.reports.page import Report, Tile
    from otolith.tasks._windows import EvaluationWindows, labelled_windows
    from otolith.training.logs import read_records

    unseen = _unseen(part)
    report = Report(
        "From watch recordings to named exercises",
        f"Ten people, seven shoulder exercises, one smart watch. A small encoder learned from "
        f"{len(part.subjects) - len(unseen)} people without labels; every number below is about "
        f"the {len(unseen)} people that nothing was learned from.",
    )
    right = _agreement(labelling)
    best = found[0]
    report.tiles = [
        Tile("macro-F1 of the pretrained encoder", f"{best.macro_f1:.3f}", "probe, unseen people"),
        Tile(
            "macro-F1 of window statistics",
            f"{found[1].macro_f1:.3f}",
            "same folds, the line to beat",
        ),
        Tile("of the labelled session is right", f"{right:.0%}", labelling.recording.id),
        Tile("pretraining", f"{metrics['duration_s']:.0f} s", f"{_size(model)} parameters"),
    ]
    sections.labelling(report, labelling)
    sections.comparison(report, found)
    for value in found[:2]:
        sections.result(report, value)
    test = labelled_windows(part, EvaluationWindows(**WINDOWS))
    words = part.folder.info["card"]["label_groups"]
    names = [words[test.labels[i]] for i in test.label_N]
    sections.embedding_map(
        report, model.embed_windows(test.windows), names, list(test.subject_N), model.name
    )
    sections.training(report, read_records(out / "pretrain"), metrics)
    cards.dataset_card(part.folder).add_to(report)
    sections.findings(report, labelling.recording.findings)
    sections.settings(report, (out / "pretrain" / "config.yaml").read_text(encoding="utf-8"))
    write_text(out / "segments.csv", segments_csv([labelling]))
    write_json(out / "results.json", {"format": 1, "results": [r.to_json() for r in found]})
    return report.write(out / "report.html")


def _agreement(labelling: Labelling) -> float:
    """Share of the session that is labelled right."""
    from otolith.reports.sections_labelling import agreement

    return agreement(labelling) or 0.0


def _result_in_words(result: Result, words: dict[str, str]) -> Result:
    """The same numbers with the exercises' names in place of the publishers' codes."""
    rows = [{**row, "label": words[row["label"]]} for row in result.per_class]
    return dataclasses.replace(
        result, labels=tuple(words[n] for n in result.labels), per_class=rows
    )


def _labelling_in_words(labelling: Labelling, words: dict[str, str]) -> Labelling:
    """The same labelling with the exercises' names in place of the publishers' codes."""
    notes = tuple(
        dataclasses.replace(a, labels=tuple(words[n] for n in a.labels))
        for a in labelling.recording.annotations
    )
    segments = tuple(dataclasses.replace(s, label=words[s.label]) for s in labelling.segments)
    return dataclasses.replace(
        labelling,
        recording=dataclasses.replace(labelling.recording, annotations=notes),
        labels=tuple(words[n] for n in labelling.labels),
        segments=segments,
    )


def _size(model: Model) -> str:
    return f"{sum(p.numel() for p in model.system.parameters()):,}"


def _say(found: list[Result], labelling: Labelling) -> None:
    rows = []
    for r in found:
        interval = r.ci95["macro_f1"]
        shown = f"[{interval[0]:.3f}, {interval[1]:.3f}]" if interval else "-"
        rows.append([r.task.replace("_", " "), r.model, r.macro_f1, shown, r.accuracy])
    columns = ("task", "model", "macro-F1", "95 % over people", "accuracy")
    table(f"{found[0].counts['test_subjects']} people that were not learned from", columns, rows)
    say(f"{_agreement(labelling):.0%} of the {labelling.recording.id} is labelled right.")
    for warning in dict.fromkeys(w for r in found for w in r.warnings):
        errors.print(f"Note: {warning}", markup=False)
