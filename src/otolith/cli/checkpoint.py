"""`otolith checkpoint`: the authors' checkpoints in and out, and what a model folder holds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from otolith.cli._show import facts, results, say

app = typer.Typer(no_args_is_help=True, help="Convert and inspect weights.")


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
) -> None:
    """Convert an official checkpoint into a model folder, or a model folder back.

    Every key is accounted for: loaded, renamed, missing, unexpected or ignored with a reason.
    """
    from otolith.systems._convert import export_official, import_official
    from otolith.training.checkpoints import load_model_folder, save_model

    if (source / "model.json").is_file():
        model, _ = load_model_folder(source)
        facts({"tensors": export_official(model, out)})
    else:
        model, report = import_official(source, system)
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
    from otolith.core.config import dump_yaml
    from otolith.tasks._model import load_model

    model = load_model(folder)
    facts(
        {
            "model": model.name,
            "folder": model.path,
            "system": type(model.system).__module__.rsplit(".", 1)[-1],
            "parameters": sum(p.numel() for p in model.system.parameters()),
            "labels as words": "yes" if model.has_text else "no",
        }
    )
    say(dump_yaml({"settings": model.system.config, "origin": model.provenance}).rstrip())
