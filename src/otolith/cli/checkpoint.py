"""`otolith checkpoint`: official checkpoints in and out, what a model folder holds, calibration, cards."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from otolith.cli._show import facts, results, say

app = typer.Typer(no_args_is_help=True, help="Convert, inspect and calibrate weights.")
_MAX_ITEMS = 16
_MAX_KEYS = 4


@app.command("convert")
def convert(
    source: Annotated[
        Path, typer.Argument(help="Official checkpoint, or one of our model folders.")
    ],
    out: Annotated[
        Path, typer.Argument(help="Model folder, or official .safetensors file, to write.")
    ],
    system: Annotated[
        str, typer.Option(help="System that the checkpoint belongs to, such as tsfm_pretrain.")
    ] = "",
    setting: Annotated[
        list[str] | None,
        typer.Option(
            help="Setting of the authors that no file states, such as num_heads=4; repeat."
        ),
    ] = None,
) -> None:
    """Convert an official checkpoint into a model folder, or a model folder back.

    Every key is accounted for: loaded, renamed, missing, unexpected or ignored with a reason.
    """
    from otolith.core.config import apply_overrides
    from otolith.systems._convert import export_official, import_official
    from otolith.systems._official import settings_path
    from otolith.tasks._model import load_model
    from otolith.training.checkpoints import save_model

    if source.is_dir():
        _refuse(system or setting, f"{source} is a model folder and says itself what it holds.")
        facts({"tensors": export_official(load_model(source).system, out)})
        if settings_path(out).is_file():
            results(settings_path(out))
    else:
        _refuse(out.exists() and not (out / "model.json").is_file(), f"{out} exists already.")
        model, report = import_official(source, system, apply_overrides({}, setting or []))
        name = type(model).__module__.rsplit(".", 1)[-1]
        save_model(out, name, model, {"official": source.name})
        facts(
            {
                "system": name,
                "loaded": len(report.loaded),
                "renamed": len(report.renamed),
                "missing": _few(report.missing),
                "unexpected": _few(report.unexpected),
                "ignored": len(report.ignored),
            }
        )
        for key, reason in report.ignored.items():
            say(f"ignored {key}: {reason}")
    results(out)


@app.command("show")
def show(folder: Annotated[Path, typer.Argument(help="Model folder, checkpoint or run.")]) -> None:
    """Show system, size, settings and origin of a model."""
    from otolith.core.config import dump_yaml, to_plain
    from otolith.tasks._model import load_model

    model = load_model(folder)
    facts(
        {
            "model": model.name,
            "folder": model.path or "-",
            "system": type(model.system).__module__.rsplit(".", 1)[-1],
            "parameters": sum(p.numel() for p in model.system.parameters()),
            "labels as words": "yes" if model.has_text else "no",
        }
    )
    plain = to_plain({"settings": model.system.config, "origin": model.provenance})
    say(dump_yaml(_shortened(plain)).rstrip())


@app.command("calibrate")
def calibrate(
    model: Annotated[str, typer.Argument(help="Run or model folder of the system otolith_imu.")],
    on: Annotated[str, typer.Option(help="Data sets with people to fit on, separated by commas.")],
    labels: Annotated[str, typer.Option(help="Labels as words, separated by commas.")],
    out: Annotated[Path, typer.Option(help="Model folder to write.")],
    scored_by: Annotated[
        str,
        typer.Option(
            help="Models that score the data sets instead: one for all, or one for each, by commas."
        ),
    ] = "",
    known: Annotated[
        str, typer.Option(help="Data sets with what the model knows, for novelty, by commas.")
    ] = "",
    window_seconds: Annotated[float, typer.Option(help="Length of a window in s.")] = 5.0,
    stride_seconds: Annotated[float | None, typer.Option(help="Distance of windows in s.")] = None,
    setting: Annotated[
        list[str] | None, typer.Option(help="Any other setting: key.path=value.")
    ] = None,
) -> None:
    """Make probabilities mean what they say: temperature, conformal sets and novelty.

    People that the scoring model has learned from are left out. The model itself is unchanged.
    """
    from otolith import api
    from otolith.core.config import apply_overrides, parse
    from otolith.reports.cards import metrics_of
    from otolith.tasks import _calibrate
    from otolith.tasks._model import load_model
    from otolith.training.checkpoints import save_model

    loaded = load_model(model)
    _refuse(out.exists() and not (out / "model.json").is_file(), f"{out} exists already.")
    is_same = loaded.path is not None and out.resolve() == loaded.path.resolve()
    _refuse(is_same, f"{out} is the model that is calibrated.")
    given = {
        "labels": _split(labels),
        "windows": {"window_s": window_seconds, "stride_s": stride_seconds},
    }
    changed = apply_overrides(given, setting or [])
    settings = parse(_calibrate.Config, changed, source="The settings of calibration")
    parts = [api.load_dataset(name) for name in _split(on)]
    scorers = [load_model(name) for name in _split(scored_by)] or [loaded]
    _refuse(
        len(scorers) not in {1, len(parts)} or not parts,
        f"{len(scorers)} scoring models are given for {len(parts)} data sets.",
    )
    pairs = list(zip(scorers * (len(parts) // len(scorers)), parts, strict=True))
    learned_from = [api.load_dataset(name) for name in _split(known)]
    made = _calibrate.calibrate(loaded, pairs, settings, learned_from)
    origin = {**made.provenance, "cost": metrics_of(loaded)}
    save_model(out, loaded.system_name, made.system, origin)
    _say_calibration(made.provenance["calibration"])
    results(out)


@app.command("card")
def card(
    model: Annotated[str, typer.Argument(help="Run or model folder.")],
    results_file: Annotated[
        list[Path] | None,
        typer.Option(
            "--results", help="JSON file of `otolith evaluate` or `otolith benchmark`; repeat."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Markdown file; default: card.md in the model folder.")
    ] = None,
) -> None:
    """Write the card of a model: data, words, numbers, calibration, limits and cost."""
    from otolith.core.files import write_text
    from otolith.reports import build, cards
    from otolith.tasks._model import load_model

    loaded = load_model(model)
    found, tables = build.read_numbers(results_file or [])
    target = out or (loaded.path or Path()) / "card.md"
    write_text(target, cards.model_card(loaded, results=found, tables=tables).markdown())
    results(target)


def _say_calibration(found: dict[str, Any]) -> None:
    from otolith.cli._show import errors, table

    names = {"log_loss": "log loss", "expected_calibration_error": "ECE", "brier": "Brier"}
    rows = [
        [name, found["before"][key], found["after"][key]]
        for key, name in {"accuracy": "accuracy", **names}.items()
    ]
    table("held-out people", ("", "before", "after"), rows)
    facts({"temperature": found["temperature"], "windows": found["windows"]})
    for warning in found["warnings"]:
        errors.print(f"Note: {warning}", markup=False)


def _split(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _refuse(condition: object, fact: str) -> None:
    from otolith.core.errors import ConfigError

    if condition:
        raise ConfigError(fact, "Leave the option out, or give another value.")


def _few(keys: Sequence[str]) -> str:
    """All of a few keys, or the number of many and the first of them."""
    if len(keys) <= _MAX_KEYS:
        return ", ".join(keys) or "none"
    return f"{len(keys)}: {', '.join(keys[:_MAX_KEYS])}, ..."


def _shortened(value: Any) -> Any:
    """Plain data whose long lists are cut, for reading."""
    if isinstance(value, dict):
        return {k: _shortened(v) for k, v in value.items()}
    if isinstance(value, list) and len(value) > _MAX_ITEMS:
        return [*value[:3], f"... and {len(value) - 3} more"]
    return value
