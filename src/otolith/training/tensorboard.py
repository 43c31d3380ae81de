"""TensorBoard logger, an extra: `pip install otolith[tensorboard]`."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from otolith.core.errors import MissingDependencyError
from otolith.training.callbacks import Callback, RunInfo
from otolith.training.logs import flatten


class TensorBoard(Callback):
    """Writes every logged number to `<run>/tensorboard`.

    Raises:
        MissingDependencyError: The package tensorboard is not installed.
    """

    def __init__(self) -> None:
        try:
            importlib.import_module("tensorboard")
            module = importlib.import_module("torch.utils.tensorboard")
        except ImportError:
            raise MissingDependencyError(
                "TensorBoard logs need the package tensorboard, which is not installed.",
                "Install it with `pip install otolith[tensorboard]`.",
            ) from None
        self._make_writer = module.SummaryWriter
        self._writer: Any = None

    def on_start(self, run: RunInfo) -> None:
        """Open the event file; a resumed run hides what came after its checkpoint."""
        self._writer = self._make_writer(
            str(run.folder / "tensorboard"), purge_step=run.start_step + 1
        )

    def on_step(self, run: RunInfo, record: Mapping[str, Any]) -> None:
        """Write the numbers of a logged step."""
        if record["step"] % run.config.log_every_steps == 0:
            self._add(record, "step", record["step"])

    def on_epoch(self, run: RunInfo, record: Mapping[str, Any]) -> None:
        """Write the numbers of an epoch."""
        self._add(record, "epoch", record["step"])

    def on_close(self, run: RunInfo) -> None:
        """Close the event file."""
        if self._writer is not None:
            self._writer.close()

    def _add(self, record: Mapping[str, Any], prefix: str, step: int) -> None:
        for name, value in flatten(record).items():
            if isinstance(value, int | float) and name not in {"step", "epoch"}:
                self._writer.add_scalar(f"{prefix}/{name}", value, step)
