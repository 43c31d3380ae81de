"""`otolith train` and `otolith resume`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from otolith.cli._show import facts, results

if TYPE_CHECKING:
    from otolith.training.loop import RunResult


def run(
    recipe: Annotated[
        str, typer.Argument(help="Built-in recipe (`otolith config` lists them) or YAML file.")
    ],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Changes: key.path=value ...")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder where runs lie.")] = Path("runs"),
    folder: Annotated[Path | None, typer.Option(help="The run folder itself.")] = None,
    init_from: Annotated[
        str, typer.Option(help="Start a new run from the weights of this run or model folder.")
    ] = "",
    tensorboard: Annotated[bool, typer.Option(help="Also write TensorBoard events.")] = False,
    dry_run: Annotated[bool, typer.Option(help="Build data and model, take no step.")] = False,
) -> None:
    """Start a new run of a recipe. To go on with an interrupted run use `otolith resume`."""
    changes = [*(overrides or []), *([f"init_from={init_from}"] if init_from else [])]
    if dry_run:
        _dry_run(recipe, changes)
        return
    from otolith import api
    from otolith.reports.training_plots import PlotCallback
    from otolith.training.callbacks import Callback
    from otolith.training.progress_bar import ProgressBar

    callbacks: list[Callback] = [ProgressBar(), PlotCallback()]
    if tensorboard:
        from otolith.training.tensorboard import TensorBoard

        callbacks.append(TensorBoard())
    _say(api.train(recipe, *changes, folder=folder, root=out, callbacks=callbacks))


def resume(
    folder: Annotated[Path, typer.Argument(help="Run folder, such as runs/tsfm/pretrain/2026-...")],
    checkpoint: Annotated[str, typer.Option(help="Checkpoint to go on from.")] = "latest",
) -> None:
    """Go on with an interrupted run, exactly where its checkpoint stands."""
    from otolith import api

    _say(api.resume(folder, checkpoint=checkpoint))


def _dry_run(recipe: str, changes: list[str]) -> None:
    """Build everything and say how large it is."""
    from otolith.recipes import load_recipe
    from otolith.training.data import build_data
    from otolith.training.runs import init_from

    settings, name = load_recipe(recipe, changes)
    train, validation, info = build_data(settings)
    system = settings.system.module.System(settings.system.config)
    if settings.init_from:
        init_from(system, Path(settings.init_from), strict=settings.init_is_strict)
    facts(
        {
            "recipe": name,
            "parameters": sum(p.numel() for p in system.parameters()),
            "training windows": info["num_train"],
            "validation windows": info["num_validation"],
            "batches per epoch": len(train),
            "validation batches": len(validation) if validation is not None else 0,
            "epochs": settings.training.epochs,
        }
    )


def _say(result: RunResult) -> None:
    if os.environ.get("RANK", "0") != "0":
        return  # of several processes the main one speaks
    metrics = result.metrics
    best = metrics["best"]
    facts(
        {
            "status": metrics["status"].replace("_", " "),
            "epochs": metrics["epochs"],
            "best": f"{best['metric']} {best['value']:.4g} in epoch {best['epoch'] + 1}"
            if best["value"] is not None
            else "none",
            "time": f"{metrics['duration_s']:.0f} s",
        }
    )
    results(result.folder / "checkpoints" / "best", result.folder / "plots")
