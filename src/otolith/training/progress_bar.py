"""A progress bar with the loss and the time left, as a callback."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from otolith.training.callbacks import Callback, RunInfo


class ProgressBar(Callback):
    """Shows optimizer steps, the loss, and one line per epoch.

    Args:
        console: Where to draw; None = standard error, as plain lines where that is no terminal.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True)
        self._progress: Progress | None = None
        self._task = TaskID(0)

    def on_start(self, run: RunInfo) -> None:
        """Draw the bar, at the place where a resumed run goes on."""
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[loss]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self._console,
            refresh_per_second=4,
            disable=not self._console.is_terminal,
        )
        self._console.print(f"Training on {run.device}, {run.total_steps} steps; run {run.folder}")
        self._task = self._progress.add_task(
            "training", total=run.total_steps, completed=run.start_step, loss=""
        )
        self._progress.start()

    def on_step(self, run: RunInfo, record: Mapping[str, Any]) -> None:
        """Advance the bar."""
        if self._progress is not None and record["loss"] is not None:
            text = f"epoch {record['epoch'] + 1}/{run.config.epochs}"
            loss = f"loss {record['loss']:.4g}"
            self._progress.update(self._task, completed=record["step"], description=text, loss=loss)

    def on_epoch(self, run: RunInfo, record: Mapping[str, Any]) -> None:
        """Print one line."""
        losses = [
            f"{name} loss {record[name]['loss']:.4g}"
            for name in ("train", "validation")
            if record.get(name, {}).get("loss") is not None
        ]
        skipped = f", skipped steps {record['num_skipped']}" if record["num_skipped"] else ""
        self._console.print(
            f"epoch {record['epoch'] + 1}/{run.config.epochs}: {', '.join(losses)}{skipped}"
        )

    def on_close(self, run: RunInfo) -> None:
        """Remove the bar."""
        if self._progress is not None:
            self._progress.stop()
