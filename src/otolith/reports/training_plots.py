"""Pictures of a training run, drawn from `metrics.jsonl`, every N epochs and at the end.

Files: `overall_loss.png`, `loss_components.png`, `per_dataset_losses.png`, `learning_rate.png`,
`dataset_<name>_detail.png`; of a masked autoencoder on spectrograms also
`reconstruction_epoch_0010.png`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from otolith.core.files import atomic_path
from otolith.reports.drawing import PALETTE
from otolith.reports.reconstructions import draw_progress
from otolith.training.callbacks import Callback, RunInfo
from otolith.training.logs import read_records

PLOTS = "plots"
_STYLES = {"train": "-", "validation": "--"}
_INSIDE_LEGEND = 5  # more curves than these get their legend beside the axes
Records = Sequence[Mapping[str, Any]]


class PlotCallback(Callback):
    """Draws the pictures of a run while it goes on."""

    def on_epoch(self, run: RunInfo, record: Mapping[str, Any]) -> None:
        """Draw when `plots_every_epochs` epochs have passed."""
        every = run.config.plots_every_epochs
        if every and (record["epoch"] + 1) % every == 0:
            draw_run(run.folder)
            _draw_reconstruction(run, record["epoch"] + 1)

    def on_end(self, run: RunInfo, metrics: Mapping[str, Any]) -> None:
        """Draw the finished run."""
        draw_run(run.folder)
        _draw_reconstruction(run, metrics["epochs"])


def _draw_reconstruction(run: RunInfo, epoch: int) -> None:
    """Draw what the model makes of the first held-out window, unless it was drawn already."""
    path = run.folder / PLOTS / f"reconstruction_epoch_{epoch:04d}.png"
    if run.preview is not None and not path.exists():
        draw_progress(run.system, run.preview, path)


def draw_run(folder: Path) -> list[Path]:
    """Draw all pictures of a run.

    Values that are missing or not finite leave a gap. A run without validation, with one epoch,
    or with steps alone is drawn as far as it goes.

    Args:
        folder: Run folder with `metrics.jsonl`.

    Returns:
        The written files, in `folder/plots`; none before the first record.

    Raises:
        FileFormatError: There is no readable `metrics.jsonl`.
    """
    records = read_records(folder)
    epochs = [r for r in records if r.get("kind") == "epoch"]
    steps = [r for r in records if r.get("kind") == "step"]
    out = folder / PLOTS
    if not records:
        return []
    written = [
        _overall(out / "overall_loss.png", epochs, steps),
        _rates(out / "learning_rate.png", epochs, steps),
    ]
    parts, names = _names(epochs, "parts"), _names(epochs, "datasets")
    if parts:
        path = out / "loss_components.png"
        written.append(_family(path, "Parts of the loss", epochs, "parts", parts))
    if names:
        path = out / "per_dataset_losses.png"
        written.append(_family(path, "Loss per data set", epochs, "datasets", names))
    for name, stem in zip(names, _stems(names), strict=True):
        written.append(_detail(out / f"dataset_{stem}_detail.png", name, epochs))
    return written


def epochs_of_steps(epochs: Records, steps: Records) -> np.ndarray:
    """Return where steps lie on the axis of epochs, float64 [number of steps].

    The end of each epoch is known from its record, so epochs may differ in length. Steps of an
    epoch that has not ended are placed by the length of the last one, else by the steps so far.

    Args:
        epochs: Records of kind `epoch`, each with the step at its end.
        steps: Records of kind `step`.
    """
    at = np.array([r["step"] for r in steps], float)
    ends = np.array([0.0, *(r["step"] for r in epochs)])
    marks = np.array([0.0, *(r["epoch"] + 1 for r in epochs)])
    if len(epochs):
        length = (ends[-1] - ends[-2]) / max(marks[-1] - marks[-2], 1e-9)
    else:
        length = float(at.max(initial=1.0))
    beyond = marks[-1] + (at - ends[-1]) / max(length, 1.0)
    return np.where(at > ends[-1], beyond, np.interp(at, ends, marks))


def _overall(path: Path, epochs: Records, steps: Records) -> Path:
    """Loss of every logged step (grey), of training and validation epochs; the best is marked."""
    figure, axes = _figure()
    if steps:
        loss = [np.nan if s.get("loss") is None else s["loss"] for s in steps]
        axes.plot(
            epochs_of_steps(epochs, steps), loss, color="0.75", linewidth=0.9, label="training step"
        )
    for number, (part, style) in enumerate(_STYLES.items()):
        x, y = _series(epochs, (part, "loss"))
        if np.isfinite(y).any():
            axes.plot(x, y, style, color=PALETTE[number], label=part, marker=".")
    best = [e for e in epochs if e.get("is_best")]
    if best:
        axes.axvline(best[-1]["epoch"] + 1, color="0.6", linewidth=0.8, linestyle=":")
        axes.text(
            best[-1]["epoch"] + 1, 0.98, " best", transform=axes.get_xaxis_transform(),
            fontsize=8, color="0.4", va="top",
        )  # fmt: skip
    _finish(axes, "Loss", "epoch", "loss")
    return _save(figure, path)


def _rates(path: Path, epochs: Records, steps: Records) -> Path:
    figure, axes = _figure()
    records = steps or epochs
    rates = [np.nan if r.get("lr") is None else r["lr"] for r in records]
    axes.plot([r["step"] for r in records], rates, color=PALETTE[0], marker="." * (len(rates) < 3))
    axes.ticklabel_format(axis="y", style="sci", scilimits=(-2, 4))
    _finish(axes, "Learning rate", "step", "learning rate")
    return _save(figure, path)


def _family(path: Path, title: str, epochs: Records, key: str, names: Sequence[str]) -> Path:
    """Training (solid) and validation (dashed) curves, one colour per name."""
    from matplotlib.lines import Line2D

    figure, axes = _figure(wide=len(names) > _INSIDE_LEGEND)
    used: set[str] = set()
    for number, name in enumerate(names):
        for part, style in _STYLES.items():
            x, y = _series(epochs, (part, key, name))
            if np.isfinite(y).any():
                used.add(part)
                axes.plot(x, y, style, color=PALETTE[number % len(PALETTE)], marker=".")
    handles = [
        Line2D([], [], color=PALETTE[i % len(PALETTE)], label=name) for i, name in enumerate(names)
    ]
    handles += [axes.plot([], [], _STYLES[p], color="0.4", label=p)[0] for p in sorted(used)]
    _finish(axes, title, "epoch", "loss", legend=False)
    if len(names) > _INSIDE_LEGEND:
        figure.legend(handles=handles, loc="outside right upper", fontsize=8, frameon=False)
    else:
        axes.legend(handles=handles, fontsize=8, frameon=False)
    return _save(figure, path)


def _detail(path: Path, name: str, epochs: Records) -> Path:
    """One sheet per data set: loss, share of it, gap to validation, and the numbers."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 6.4), layout="constrained")
    (loss, ratio), (gap, words) = figure.subplots(2, 2)
    ends = {}
    for number, (part, style) in enumerate(_STYLES.items()):
        x, y = _series(epochs, (part, "datasets", name))
        if not np.isfinite(y).any():
            continue
        ends[part] = (x, y)
        look = {"linestyle": style, "color": PALETTE[number], "marker": ".", "label": part}
        loss.plot(x, y, **look)
        ratio.plot(x, y / _means(epochs, part), **look)
    ratio.axhline(1.0, color="0.7", linewidth=0.8)
    if len(ends) == 2:
        (x, train), (at, validation) = ends["train"], ends["validation"]
        both, of_train, of_validation = np.intersect1d(x, at, return_indices=True)
        gap.plot(both, validation[of_validation] - train[of_train], color=PALETTE[2], marker=".")
        gap.axhline(0.0, color="0.7", linewidth=0.8)
    else:
        gap.text(0.5, 0.5, "no validation", transform=gap.transAxes, ha="center", color="0.5")
    _finish(loss, "Loss", "epoch", "loss")
    _finish(ratio, "Loss / mean over data sets", "epoch", "ratio", legend=False)
    _finish(gap, "Validation minus training", "epoch", "difference of loss")
    words.axis("off")
    words.text(0.02, 0.95, _summary(ends), va="top", fontsize=10, family="monospace")
    figure.suptitle(_plain(name), fontsize=13)
    return _save(figure, path)


def _summary(ends: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> str:
    """First, last and lowest loss of a data set in words."""
    lines = []
    for part, (x, y) in ends.items():
        known = np.flatnonzero(np.isfinite(y))
        best = known[np.argmin(y[known])]
        lines += [
            part,
            f"  first   {y[known[0]]:10.4g}  (epoch {x[known[0]]:.0f})",
            f"  last    {y[known[-1]]:10.4g}  (epoch {x[known[-1]]:.0f})",
            f"  lowest  {y[best]:10.4g}  (epoch {x[best]:.0f})",
            "",
        ]
    return "\n".join(lines) or "no finite loss"


def _means(epochs: Records, part: str) -> np.ndarray:
    """Mean loss over data sets per epoch; NaN where there is none or it is 0."""
    means = []
    for record in epochs:
        if record.get(part) is None:
            continue
        values = [v for v in record[part].get("datasets", {}).values() if v is not None]
        means.append(float(np.mean(values)) if values else np.nan)
    array = np.asarray(means)
    return np.where(array == 0, np.nan, array)


def _series(epochs: Records, keys: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Epoch numbers (from 1) and values of the epochs that have `keys[0]`, NaN where none is known.

    An epoch without validation is left out and joined over; a loss that was not finite is a gap.
    """
    having = [e for e in epochs if e.get(keys[0]) is not None]
    values = []
    for record in having:
        value: Any = record
        for key in keys:
            value = value.get(key) if isinstance(value, Mapping) else None
        values.append(np.nan if value is None else float(value))
    y = np.asarray(values, float)
    return np.array([e["epoch"] + 1.0 for e in having]), np.where(np.isfinite(y), y, np.nan)


def _names(epochs: Records, key: str) -> list[str]:
    parts = ((e.get(part) or {}).get(key, {}) for e in epochs for part in _STYLES)
    return sorted({name for found in parts for name in found})


def _stems(names: Iterable[str]) -> list[str]:
    """File names of data sets, distinct also where only odd characters tell names apart."""
    stems: list[str] = []
    for number, name in enumerate(names):
        stem = re.sub(r"[^A-Za-z0-9_-]+", "_", name).strip("_")[:80] or f"{number}"
        stems.append(stem if stem not in stems else f"{stem}_{number}")
    return stems


def _figure(wide: bool = False) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.6) if wide else (7.5, 4.2), layout="constrained")
    return figure, figure.subplots()


def _finish(axes: Any, title: str, x_name: str, y_name: str, *, legend: bool = True) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set_title(title, fontsize=11, loc="left")
    axes.set(xlabel=x_name, ylabel=y_name)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    if legend and axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=8, frameon=False)


def _plain(name: str) -> str:
    """A name that matplotlib does not read as a formula."""
    return name.replace("$", r"\$")


def _save(figure: Any, path: Path) -> Path:
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=120, format="png")
    return path
