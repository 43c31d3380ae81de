"""`otolith checkpoint`: the authors' checkpoints in and out, and what a model folder holds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from otolith.cli._show import facts, results, say

app = typer.Typer(no_args_is_help=True, help="Convert and inspect weights.")
_MAX_ITEMS = 16


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
    from otolith.tasks._model import load_model
    from otolith.training.checkpoints import save_model

    if source.is_dir():
        _refuse(system or setting, f"{source} is a model folder and says itself what it holds.")
        facts({"tensors": export_official(load_model(source).system, out)})
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
                "missing": ", ".join(report.missing) or "none",
                "unexpected": ", ".join(report.unexpected) or "none",
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


def _refuse(condition: object, fact: str) -> None:
    from otolith.core.errors import ConfigError

    if condition:
        raise ConfigError(fact, "Leave the option out, or give another path.")


def _shortened(value: Any) -> Any:
    """Plain data whose long lists are cut, for reading."""
    if isinstance(value, dict):
        return {k: _shortened(v) for k, v in value.items()}
    if isinstance(value, list) and len(value) > _MAX_ITEMS:
        return [*value[:3], f"... and {len(value) - 3} more"]
    return value
