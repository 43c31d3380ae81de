"""The public words of Python: open, load_dataset, load_model, train, resume, evaluate.

The command line says the same words. This file is the only place that joins the loop, the
tasks and the reports.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from otolith.core.config import parse
from otolith.core.errors import ConfigError, DataError
from otolith.datasets import make_dataset, register_dataset
from otolith.datasets._part import DatasetPart
from otolith.recipes import load_recipe
from otolith.recordings.reading import ReadOptions, read_recordings
from otolith.recordings.recording import Recording
from otolith.reports.training_plots import PlotCallback
from otolith.tasks import TASKS
from otolith.tasks._model import Model, load_model
from otolith.tasks._result import Result
from otolith.training import runs
from otolith.training.callbacks import Callback
from otolith.training.loop import RunResult
from otolith.training.progress_bar import ProgressBar

__all__ = [
    "evaluate",
    "load_dataset",
    "load_model",
    "make_dataset",
    "open",
    "open_all",
    "register_dataset",
    "resume",
    "train",
]


def open(path: str | Path, **options: Any) -> Recording:  # the public word is otolith.open
    """Read the one recording of a file.

    Args:
        path: CSV, TSV or Parquet file.
        **options: Fields of `otolith.recordings.reading.ReadOptions`, such as `rate_hz=50`.

    Returns:
        The recording in SI units; `findings` says what was inferred or changed.

    Raises:
        DataError: The file cannot be read, or holds several recordings.
    """
    found = open_all(path, **options)
    if len(found) != 1:
        raise DataError(
            f"{path} holds {len(found)} recordings.", "Use otolith.open_all(path) to get them all."
        )
    return found[0]


def open_all(path: str | Path, **options: Any) -> list[Recording]:
    """Read all recordings of a file or folder; see `open`."""
    return read_recordings(Path(path), parse(ReadOptions, options, source="The options"))


def load_dataset(name: str | Path, **settings: Any) -> DatasetPart:
    """Return a data set by name or folder; see `otolith.datasets.make_dataset`."""
    return make_dataset(name, **settings)


def train(
    recipe: str | Path,
    *overrides: str,
    folder: str | Path | None = None,
    root: str | Path = "runs",
    callbacks: Sequence[Callback] | None = None,
) -> RunResult:
    """Start a new run.

    Args:
        recipe: Name of a built-in recipe (`otolith config` lists them) or a YAML file.
        *overrides: Changes such as `"training.epochs=3"`.
        folder: The run folder; None = a new one below `root`.
        root: Where runs lie.
        callbacks: What follows the run; None = progress bar and plots.

    Returns:
        The finished run; its best weights are in `checkpoints/best`.

    Raises:
        ConfigError: The recipe is wrong; all mistakes are listed.
        TrainingError: The run had to stop.
    """
    settings, name = load_recipe(recipe, overrides)
    following = [ProgressBar(), PlotCallback()] if callbacks is None else list(callbacks)
    target = Path(folder) if folder is not None else None
    return runs.train(settings, name=name, root=Path(root), folder=target, callbacks=following)


def resume(folder: str | Path, *, checkpoint: str = "latest") -> RunResult:
    """Go on with an interrupted run exactly where its checkpoint stands.

    Args:
        folder: Run folder.
        checkpoint: Name of a folder or link in its `checkpoints`.
    """
    return runs.resume(
        Path(folder), checkpoint=checkpoint, callbacks=[ProgressBar(), PlotCallback()]
    )


def evaluate(
    task: str,
    model: str | Path | Model,
    data: str | Path | DatasetPart,
    settings: Mapping[str, Any] | None = None,
) -> Result:
    """Evaluate a model on people it has not learned from.

    Args:
        task: Task, such as `probe`; `otolith evaluate --help` lists them.
        model: A model, or what `load_model` takes.
        data: A data set, or what `load_dataset` takes.
        settings: Fields of the task's `Config`.

    Returns:
        Numbers with their intervals.

    Raises:
        ConfigError: A setting is wrong.
        LeakageError: The evaluation would test on people that were trained on.
    """
    module = TASKS.get(task)
    if not hasattr(module, "evaluate"):
        raise ConfigError(f'The task "{task}" gives no numbers.', f"Use otolith {task}.")
    chosen = parse(module.Config, settings or {}, source=f"The settings of {task}")
    ready = model if isinstance(model, Model) else load_model(model)
    part = data if isinstance(data, DatasetPart) else make_dataset(data)
    return module.evaluate(ready, part, chosen)
