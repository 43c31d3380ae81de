"""Pictures of a training run, drawn from `metrics.jsonl`, every N epochs and at the end.

Files: `overall_loss.png`, `loss_components.png`, `per_dataset_losses.png`, `learning_rate.png`,
`dataset_<name>_detail.png`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from otolith.core.files import atomic_path
from otolith.reports.drawing import PALETTE
from otolith.training.callbacks import Callback, RunInfo
from otolith.training.logs import read_records

PLOTS = "plots"


class PlotCallback(Callback):
    """Draws the pictures of a run while it goes on."""

    def on_epoch(self, run: RunInfo, record: Mapping[str, Any]) -> None:
        """Draw when `plots_every_epochs` epochs have passed."""
        every = run.config.plots_every_epochs
        if every and (record["epoch"] + 1) % every == 0:
            draw_run(run.folder)

    def on_end(self, run: RunInfo, metrics: Mapping[str, Any]) -> None:
        """Draw the finished run."""
        del metrics
        draw_run(run.folder)


def draw_run(folder: Path) -> list[Path]:
    """Draw all pictures of a run.

    Args:
        folder: Run folder with `metrics.jsonl`.

    Returns:
        The written files, in `folder/plots`.

    Raises:
        FileFormatError: There is no readable `metrics.jsonl`.
    """
    records = read_records(folder)
    epochs = [r for r in records if r.get("kind") == "epoch"]
    steps = [r for r in records if r.get("kind") == "step"]
    if not epochs:
        return []
    out = folder / PLOTS
    written = [
        _curves(out / "overall_loss.png", "Loss", {"loss": ("loss",)}, epochs, steps),
        _rates(out / "learning_rate.png", steps or epochs),
    ]
    parts = sorted({n for e in epochs for n in e["train"].get("parts", {})})
    if parts:
        wanted = {n: ("parts", n) for n in parts}
        written.append(_curves(out / "loss_components.png", "Parts of the loss", wanted, epochs))
    names = sorted({n for e in epochs for n in e["train"].get("datasets", {})})
    if names:
        wanted = {n: ("datasets", n) for n in names}
        path = out / "per_dataset_losses.png"
        written.append(_curves(path, "Loss per data set", wanted, epochs))
    for name in names:
        path = out / f"dataset_{re.sub(r'[^A-Za-z0-9_-]+', '_', name)}_detail.png"
        written.append(_detail(path, name, epochs))
    return written


def _curves(
    path: Path,
    title: str,
    wanted: Mapping[str, Sequence[str]],
    epochs: Sequence[Mapping[str, Any]],
    steps: Sequence[Mapping[str, Any]] = (),
) -> Path:
    """Training (solid) and validation (dashed) curves, one colour per entry of `wanted`."""
    figure, axes = _figure()
    if steps and epochs:
        per_epoch = max(1, epochs[0]["step"])
        x = [s["step"] / per_epoch for s in steps if s["loss"] is not None]
        y = [s["loss"] for s in steps if s["loss"] is not None]
        axes.plot(x, y, color="0.8", linewidth=0.8, label="step")
    for number, (name, keys) in enumerate(wanted.items()):
        colour = PALETTE[number % len(PALETTE)]
        for part, style in (("train", "-"), ("validation", "--")):
            x, y = _series(epochs, (part, *keys))
            if len(x):
                axes.plot(x, y, style, color=colour, label=f"{name} ({part})", marker=".")
    _finish(axes, title, "epoch", "loss")
    return _save(figure, path)


def _detail(path: Path, name: str, epochs: Sequence[Mapping[str, Any]]) -> Path:
    """One sheet per data set: its losses, and its share of the loss over all data sets."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for part, style in (("train", "-"), ("validation", "--")):
        x, y = _series(epochs, (part, "datasets", name))
        if not len(x):
            continue
        left.plot(x, y, style, color=PALETTE[0], marker=".", label=part)
        every = {e["epoch"] + 1: e.get(part, {}).get("datasets", {}) for e in epochs}
        means = [np.mean([v for v in every[int(i)].values() if v is not None]) for i in x]
        right.plot(x, y / np.asarray(means), style, color=PALETTE[1], marker=".", label=part)
    right.axhline(1.0, color="0.7", linewidth=0.8)
    _finish(left, f"{name}: loss", "epoch", "loss")
    _finish(right, f"{name}: loss relative to the mean of all data sets", "epoch", "ratio")
    return _save(figure, path)


def _rates(path: Path, records: Sequence[Mapping[str, Any]]) -> Path:
    figure, axes = _figure()
    axes.plot([r["step"] for r in records], [r["lr"] for r in records], color=PALETTE[0])
    _finish(axes, "Learning rate", "step", "learning rate")
    return _save(figure, path)


def _series(
    records: Sequence[Mapping[str, Any]], keys: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Epoch numbers (1-based) and values where the value exists and is finite."""
    pairs = []
    for record in records:
        value: Any = record
        for key in keys:
            value = value.get(key) if isinstance(value, Mapping) else None
        if value is not None:
            pairs.append((record["epoch"] + 1, value))
    array = np.asarray(pairs, float).reshape(-1, 2)
    return array[:, 0], array[:, 1]


def _figure():  # noqa: ANN202  # matplotlib's types are loaded on first use
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    return figure, figure.subplots()


def _finish(axes: Any, title: str, x_name: str, y_name: str) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set(title=title, xlabel=x_name, ylabel=y_name)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=8, frameon=False)


def _save(figure: Any, path: Path) -> Path:
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=120)
    return path
