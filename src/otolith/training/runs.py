"""Runs on disk: start one from a recipe, resume one, start from weights."""

from __future__ import annotations

import datetime
import importlib.metadata
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from otolith.core.config import dump_yaml, parse, read_yaml, to_plain
from otolith.core.errors import CheckpointError, TrainingError
from otolith.core.files import read_json, write_json, write_text
from otolith.systems import KeyReport, System
from otolith.training.callbacks import Callback
from otolith.training.checkpoints import CARD, find_folder, load_weights, read_model, writing
from otolith.training.devices import Devices
from otolith.training.loaders import BatchLoader
from otolith.training.loop import RunResult, fit
from otolith.training.recipe import Recipe
from otolith.training.refusals import forgotten_if_refused
from otolith.training.saving import CHECKPOINTS

CONFIG = "config.yaml"
RUN = "run.json"
INIT_REPORT = "init_from.json"
Build = Callable[[Recipe, int, int], tuple[BatchLoader, BatchLoader | None, dict[str, Any]]]


def train(
    recipe: Recipe,
    *,
    name: str,
    root: Path = Path("runs"),
    folder: Path | None = None,
    callbacks: Sequence[Callback] = (),
    extra_metrics: Callable[[System], Mapping[str, float]] | None = None,
    build: Build | None = None,
) -> RunResult:
    """Start a new run.

    Args:
        recipe: Settings; they are saved as `config.yaml` and repeat the run.
        name: Name of the recipe.
        root: Where runs lie; the run gets the folder `<root>/<name>/<time>`.
        folder: The run folder itself, instead of one below `root`.
        callbacks: Called on the main process.
        extra_metrics: See `otolith.training.loop.fit`.
        build: Makes the loaders; None = from the recipe's data sets.

    Returns:
        The result; the best weights are in `checkpoints/best` of its folder.

    Raises:
        OtolithError: A setting, a data set or the run itself failed; the message says what.
    """
    devices = Devices(recipe.training)
    folder = Path(devices.share_text(str(folder or new_run_folder(root, name))))
    _check_unused(folder, devices)
    written = (RUN, CONFIG, INIT_REPORT)
    with forgotten_if_refused(folder, written, is_main=devices.is_main):
        with devices.main_writes(f"write {folder}") as is_main:
            if is_main:
                with writing(folder):
                    write_json(folder / RUN, {"format": 1, "name": name})
                    write_text(folder / CONFIG, dump_yaml(recipe))
        return _run(recipe, folder, name, devices, callbacks, extra_metrics, build, checkpoint="")


def resume(
    folder: Path,
    *,
    checkpoint: str = "latest",
    callbacks: Sequence[Callback] = (),
    extra_metrics: Callable[[System], Mapping[str, float]] | None = None,
    build: Build | None = None,
) -> RunResult:
    """Go on with a run exactly where its checkpoint stands.

    Args:
        folder: Run folder.
        checkpoint: Name of a folder or link in its `checkpoints`.
        callbacks: Called on the main process.
        extra_metrics: As when the run was started.
        build: As when the run was started.

    Returns:
        The result; of a finished run at once.

    Raises:
        CheckpointError: The folder is no run or the checkpoint is damaged.
    """
    folder = Path(folder)
    if not (folder / CONFIG).is_file():
        raise CheckpointError(
            f"{folder} has no {CONFIG}, so it is no run.", "Name a folder below runs/."
        )
    recipe = parse(Recipe, read_yaml(folder / CONFIG), source=str(folder / CONFIG))
    is_untouched = checkpoint == "latest" and not any((folder / CHECKPOINTS).glob("[!.]*"))
    return _run(
        recipe,
        folder,
        str(read_json(folder / RUN)["name"]),
        Devices(recipe.training),
        callbacks,
        extra_metrics,
        build,
        checkpoint="" if is_untouched else checkpoint,
    )


def init_from(system: System, path: Path, *, strict: bool = True) -> KeyReport:
    """Give a new run's system the weights of a model folder, a checkpoint or a run folder.

    Args:
        system: Target.
        path: Model folder; of a run folder its `checkpoints/best` is taken.
        strict: Whether weights that do not fit are refused.

    Returns:
        Which keys were loaded, missing and unexpected.

    Raises:
        CheckpointError: The folder is no model, or weights do not fit and `strict` is true.
    """
    folder = _weights_folder(Path(path))
    _, weights = read_model(folder)
    try:
        weights = system.adapt_weights(weights)
    except CheckpointError as error:
        raise CheckpointError(f"{folder}: {error.fact}", error.remedy) from None
    return load_weights(system, weights, source=str(folder), strict=strict)


def new_run_folder(root: Path, name: str) -> Path:
    """Return `<root>/<name>/<time>`, with a number behind it if that exists; not created."""
    now = datetime.datetime.now().astimezone()
    folder = root / name / now.strftime("%Y-%m-%d_%H-%M-%S")
    number = 1
    while folder.exists():
        number += 1
        folder = folder.with_name(f"{folder.name.partition('.')[0]}.{number}")
    return folder


def _run(
    recipe: Recipe,
    folder: Path,
    name: str,
    devices: Devices,
    callbacks: Sequence[Callback],
    extra_metrics: Callable[[System], Mapping[str, float]] | None,
    build: Build | None,
    *,
    checkpoint: str,
) -> RunResult:
    if build is None:
        from otolith.training.data import build_data

        build = build_data
    train_loader, validation_loader, facts = build(recipe, devices.rank, devices.world_size)
    torch.manual_seed(recipe.seed)
    system = recipe.system.module.System(recipe.system.config)
    if recipe.init_from and not checkpoint:
        _init(recipe, system, folder, devices)
    ancestors = _ancestors(folder) if recipe.init_from else {}
    return fit(
        system,
        train_loader,
        validation_loader,
        recipe.training,
        folder=folder,
        system_name=recipe.system.name,
        seed=recipe.seed,
        provenance={
            "recipe": name,
            "seed": recipe.seed,
            "is_pretrain": recipe.data.is_pretrain,
            "init_from": recipe.init_from,
            "init_provenance": ancestors,
            "data": facts,
            "window": to_plain(recipe.data.window),
            "version": _version(),
        },
        callbacks=callbacks,
        extra_metrics=extra_metrics,
        checkpoint=checkpoint,
        devices=devices,
    )


def _check_unused(folder: Path, devices: Devices) -> None:
    with devices.main_writes(f"use {folder}") as is_main:
        if is_main and (folder / CONFIG).exists():
            raise TrainingError(
                f"{folder} holds a run already.", "Resume it or choose another run folder."
            )


def _init(recipe: Recipe, system: System, folder: Path, devices: Devices) -> None:
    report = init_from(system, Path(recipe.init_from), strict=recipe.init_is_strict)
    card = read_json(_weights_folder(Path(recipe.init_from)) / CARD)
    plain = {
        "from": recipe.init_from,
        "provenance": card.get("provenance", {}),
        "loaded": sorted(report.loaded),
        "missing": list(report.missing),
        "unexpected": list(report.unexpected),
    }
    with devices.main_writes(f"write {INIT_REPORT}") as is_main:
        if is_main:
            write_json(folder / INIT_REPORT, plain)


def _ancestors(folder: Path) -> dict[str, Any]:
    """What the weights that a run started from were trained on; a resumed run knows it too."""
    report = folder / INIT_REPORT
    return read_json(report).get("provenance", {}) if report.is_file() else {}


def _weights_folder(path: Path) -> Path:
    """The model folder that a path stands for; of a run folder its best checkpoint."""
    best = path / CHECKPOINTS / "best"
    return find_folder(best if (path / CONFIG).is_file() else path)


def _version() -> str:
    """Version of the installed package; "unknown" in a source tree that is not installed."""
    try:
        return importlib.metadata.version("otolith")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"
