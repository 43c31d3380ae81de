"""Callbacks: how progress bars, plots and loggers follow a run without the loop knowing them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from otolith.systems import System
from otolith.training.config import TrainingConfig
from otolith.windows.batch import Batch


@dataclass(frozen=True, kw_only=True)
class RunInfo:
    """What a callback may know about a run.

    Args:
        folder: The run folder; `metrics.jsonl` in it holds all records so far.
        config: Settings of the loop.
        system: The model on its device; callbacks must not change it.
        total_steps: Optimizer steps of the whole run.
        steps_per_epoch: Optimizer steps of an epoch.
        start_step: Steps that were done before this process (more than 0 after a resume).
        device: Device in words.
        preview: Gives a batch to draw, the same at every call: the first one of the validation data,
            else of the training data; None = there is none. Call it between epochs only.
    """

    folder: Path
    config: TrainingConfig
    system: System
    total_steps: int
    steps_per_epoch: int
    start_step: int
    device: str
    preview: Callable[[], Batch] | None = None


class Callback:
    """Base of callbacks; every method does nothing. They are called on the main process only."""

    def on_start(self, run: RunInfo) -> None:
        """Before the first step."""

    def on_step(self, run: RunInfo, record: Mapping[str, Any]) -> None:
        """After every optimizer step, with the record of the step."""

    def on_epoch(self, run: RunInfo, record: Mapping[str, Any]) -> None:
        """After an epoch and its validation, with the record that went to `metrics.jsonl`."""

    def on_checkpoint(self, run: RunInfo, folder: Path) -> None:
        """After a checkpoint folder was written and `latest` points to it."""

    def on_end(self, run: RunInfo, metrics: Mapping[str, Any]) -> None:
        """After the last step, with the content of `metrics.json`; not called after an error."""

    def on_close(self, run: RunInfo) -> None:
        """Last call of all, also after an error: release what was opened."""
