"""Checkpoints of a run: everything that the loop needs to go on exactly where it was."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from otolith.systems import System
from otolith.training.checkpoints import (
    find_folder,
    load_weights,
    new_folder,
    point,
    prune,
    read_model,
    read_training,
    write_model,
    write_training,
)
from otolith.training.config import CheckpointConfig
from otolith.training.devices import Devices
from otolith.training.ema import WeightAverage
from otolith.training.state import LoopState, load_optimizer, optimizer_to_plain

CHECKPOINTS = "checkpoints"
_OPTIMIZER = "optimizer/"
_RAW = "raw/"


@dataclass(kw_only=True)
class Saver:
    """Writes and reads the checkpoints of a run; only the main process writes.

    Args:
        folder: Run folder.
        system_name: Registered name of the system.
        system: The model.
        optimizer: Its optimizer.
        average: Average of the weights, if there is one; it is then what the model file holds.
        devices: Gives the loss scaler.
        config: How many checkpoints are kept.
        provenance: Plain data saved with the weights.
    """

    folder: Path
    system_name: str
    system: System
    optimizer: torch.optim.Optimizer
    average: WeightAverage | None
    devices: Devices
    config: CheckpointConfig
    provenance: Mapping[str, Any]

    def save(self, name: str, state: LoopState, *, is_best: bool = False) -> Path:
        """Write the checkpoint `name`, let `latest` (and `best`) lead to it, remove old ones.

        Returns:
            The checkpoint's folder.
        """
        checkpoints = self.folder / CHECKPOINTS
        with new_folder(checkpoints / name) as folder:
            with self.average.applied() if self.average else nullcontext():
                position = {
                    "epochs": state.epoch,
                    "steps": state.step,
                    "is_averaged": self.average is not None,
                }
                provenance = {**self.provenance, "training": position}
                write_model(folder, self.system_name, self.system, provenance)
            tensors, plain = self._training_state()
            write_training(folder, tensors, plain | {"loop": state.to_plain()})
        if is_best:
            point(checkpoints, "best", name)
        point(checkpoints, "latest", name)
        prune(checkpoints, every_epochs=self.config.every_epochs, keep=self.config.keep)
        return checkpoints / name

    def load(self, name: str) -> LoopState:
        """Load weights, optimizer, average and loss scale; return the position.

        Raises:
            CheckpointError: There is no such checkpoint, it is damaged or does not fit.
        """
        folder = find_folder(self.folder / CHECKPOINTS / name)
        _, weights = read_model(folder)
        tensors, plain = read_training(folder)
        load_weights(self.system, weights, source=str(folder))
        if self.average is not None:
            self.average.load(weights, plain["average_updates"])
            self._load_raw(tensors)
        kept = {
            n.removeprefix(_OPTIMIZER): t for n, t in tensors.items() if n.startswith(_OPTIMIZER)
        }
        load_optimizer(self.optimizer, self.system, kept, plain["optimizer"])
        if self.devices.scaler is not None:
            self.devices.scaler.load_state_dict(plain["scaler"])
        return LoopState.from_plain(plain["loop"])

    def _training_state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        tensors, plain = optimizer_to_plain(self.optimizer, self.system)
        tensors = {_OPTIMIZER + n: t for n, t in tensors.items()}
        state: dict[str, Any] = {"optimizer": plain}
        if self.average is not None:
            tensors |= {_RAW + n: p.detach() for n, p in self._averaged()}
            state["average_updates"] = self.average.num_updates
        if self.devices.scaler is not None:
            state["scaler"] = self.devices.scaler.state_dict()
        return tensors, state

    @torch.no_grad()
    def _load_raw(self, tensors: Mapping[str, Tensor]) -> None:
        for name, parameter in self._averaged():
            parameter.copy_(tensors[_RAW + name])

    def _averaged(self) -> list[tuple[str, Tensor]]:
        """Parameters that have an average, by name."""
        names = self.average.averages if self.average is not None else {}
        return [(n, p) for n, p in self.system.named_parameters() if n in names]
