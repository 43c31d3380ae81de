"""`otolith evaluate`: numbers on people that were not learned from."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from otolith.cli._show import errors, results, say, table

if TYPE_CHECKING:
    from otolith.datasets._part import DatasetPart
    from otolith.tasks._model import Model
    from otolith.tasks._result import Result


def run(
    task: Annotated[
        str,
        typer.Argument(
            help="probe, few_shot, knn, fine_tune, zero_shot, or a published protocol (tsfm_...)."
        ),
    ],
    model: Annotated[
        list[str], typer.Option(help="Run or model folder, or `statistics`; repeat to compare.")
    ],
    data: Annotated[list[str], typer.Option(help="Data set or data folder; repeat for several.")],
    json: Annotated[Path | None, typer.Option(help="Write the results here.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write a report here.")] = None,
    window_seconds: Annotated[float | None, typer.Option(help="Length of a window in s.")] = None,
    stride_seconds: Annotated[float | None, typer.Option(help="Distance of windows in s.")] = None,
    labels: Annotated[str, typer.Option(help="Only these labels, separated by commas.")] = "",
    folds: Annotated[str, typer.Option(help="Number of folds by person, or `official`.")] = "",
    shots: Annotated[int | None, typer.Option(help="Examples per class (few_shot).")] = None,
    head: Annotated[
        str, typer.Option(help="Classifier: logistic, forest, prototypes or prior.")
    ] = "",
    seeds: Annotated[
        str, typer.Option(help="Seeds, separated by commas; one repetition each.")
    ] = "",
    open_set: Annotated[
        bool | None,
        typer.Option(
            "--open-set/--closed-set",
            help="Candidates of zero_shot: all known words, or the data set's labels.",
        ),
    ] = None,
    setting: Annotated[
        list[str] | None, typer.Option(help="Any other setting: key.path=value.")
    ] = None,
) -> None:
    """Evaluate models on people they have not learned from; subjects are never shared."""
    from otolith.core.config import apply_overrides

    windows = {
        "window_s": window_seconds,
        "stride_s": stride_seconds,
        "labels": _words(labels) or None,
    }
    given = {
        "windows": {k: v for k, v in windows.items() if v is not None} or None,
        "folds": _whole_number(folds),
        "shots": shots,
        "head": head or None,
        "seeds": [_whole_number(s) for s in _words(seeds)] or None,
        "open_set": open_set,
    }
    settings = {k: v for k, v in given.items() if v is not None}
    found = _evaluate_all(task, model, data, apply_overrides(settings, setting or []))
    _say(found)
    written = []
    if json is not None:
        from otolith.core.files import write_json

        write_json(json, {"format": 1, "results": [r.to_json() for r in found]})
        written.append(json)
    if html is not None:
        from otolith.reports.build import evaluation_report

        written.append(evaluation_report(found).write(html))
    results(*written)


def _evaluate_all(
    task: str, models: list[str], data: list[str], settings: dict[str, Any]
) -> list[Result]:
    """Results of every model on every data set; wrong settings are refused before any work."""
    from otolith import api
    from otolith.core.config import parse
    from otolith.core.errors import ConfigError, suggest
    from otolith.tasks import TASKS
    from otolith.tasks._model import load_model
    from otolith.tasks._windows import EvaluationWindows

    module = TASKS.get(task)
    if not hasattr(module, "evaluate"):
        raise ConfigError(f'The task "{task}" gives no numbers.', f"Use `otolith {task}`.")
    fields = {f.name for f in dataclasses.fields(module.Config)}
    if "windows" in settings and "windows" not in fields:
        raise ConfigError(
            f"{task} prescribes its own windows.",
            "Leave --window-seconds, --stride-seconds and --labels out.",
        )
    if extra := sorted(set(settings) - fields):
        raise ConfigError(f"{task} has no setting {extra[0]}.", suggest(extra[0], fields, limit=30))
    checked = parse(module.Config, settings, source=f"The settings of {task}")
    loaded = [load_model(name) for name in models]
    if isinstance(getattr(checked, "windows", None), EvaluationWindows):
        settings = _with_joint_windows(settings, loaded)
    found = []
    for name in data:
        part = api.load_dataset(name)
        own = _same_people(settings, loaded, part) if "folds" in fields else settings
        found += [api.evaluate(task, ready, part, own) for ready in loaded]
    return found


def _with_joint_windows(settings: dict[str, Any], models: list[Model]) -> dict[str, Any]:
    """Settings whose windows are those of models that read several streams at once."""
    from otolith.tasks._run_windows import common_joint_windows, described, with_usual

    given = settings.get("windows") or {}
    usual = common_joint_windows(models)
    if not usual or not set(usual) - set(given):
        return settings
    for note in described(usual, given):
        errors.print(f"Note: {note}", markup=False)
    return {**settings, "windows": with_usual(given, usual)}


def _same_people(
    settings: dict[str, Any], models: list[Model], part: DatasetPart
) -> dict[str, Any]:
    """Settings under which all models are tested on people that none of them has seen."""
    from otolith.tasks._people import seen_people
    from otolith.tasks._windows import relatives_of

    relatives = relatives_of(part)
    seen = set().union(*(seen_people(m.provenance, part.name, relatives) for m in models))
    if len(models) == 1 or not seen:
        return settings
    windows = dict(settings.get("windows") or {})
    windows["never_test"] = sorted({*seen, *windows.get("never_test", ())})
    return {**settings, "windows": windows}


def _whole_number(text: str) -> int | str | None:
    """A number if it looks like one; the settings refuse other words with their reason."""
    return int(text) if text.isdecimal() else text or None


def _say(found: list[Result]) -> None:
    rows = []
    for r in found:
        interval = r.ci95["macro_f1"]
        rows.append(
            [
                r.model,
                r.data,
                r.macro_f1,
                f"[{interval[0]:.3f}, {interval[1]:.3f}]" if interval else "-",
                r.accuracy,
                r.counts["test_subjects"],
                r.counts["test_windows"],
            ]
        )
    columns = ("model", "data", "macro-F1", "95 % interval", "accuracy", "people", "windows")
    table(found[0].task.replace("_", " "), columns, rows)
    for line in dict.fromkeys(f"{r.data}: {r.protocol}." for r in found):
        say(line)
    for warning in dict.fromkeys(w for r in found for w in r.warnings):
        errors.print(f"Note: {warning}", markup=False)


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]
