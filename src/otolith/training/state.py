"""Where a run stands, and the optimizer's state as tensors with names and plain numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import torch
from torch import Tensor, nn

from otolith.core.errors import CheckpointError
from otolith.training.sums import LossSums


@dataclass(kw_only=True)
class LoopState:
    """Position and memory of the loop.

    Args:
        epoch: Current epoch, 0-based; equal to the number of epochs when done.
        batch: Global batches of this epoch that are done.
        step: Optimizer steps that are done.
        num_samples: Samples seen, over all processes.
        num_skipped: Optimizer steps that were skipped because of a loss that is no number.
        best_value: Best value of the selecting metric; None before the first.
        best_epoch: Its epoch, 0-based; -1 before the first.
        watched_value: Best value of the early-stop metric.
        num_bad_epochs: Epochs since it improved.
        is_stopped_early: Whether early stop ended the run.
        log_bytes: Length of `metrics.jsonl`, so that a resumed run cuts off what came later.
        elapsed_s: Time spent so far, over all processes of the run in s.
        epoch_sums: Losses of the current epoch.
        last_epoch: Record of the last finished epoch.
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0
    num_samples: int = 0
    num_skipped: int = 0
    best_value: float | None = None
    best_epoch: int = -1
    watched_value: float | None = None
    num_bad_epochs: int = 0
    is_stopped_early: bool = False
    log_bytes: int = 0
    elapsed_s: float = 0.0
    epoch_sums: LossSums = field(default_factory=LossSums)
    last_epoch: dict[str, Any] = field(default_factory=dict)

    def to_plain(self) -> dict[str, Any]:
        """Return the state for a JSON file."""
        plain = {f.name: getattr(self, f.name) for f in fields(self)}
        return plain | {"epoch_sums": self.epoch_sums.to_plain()}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> LoopState:
        """Undo `to_plain`."""
        state = cls(**{k: v for k, v in plain.items() if k != "epoch_sums"})
        state.epoch_sums = LossSums(plain["epoch_sums"])
        return state


def optimizer_to_plain(
    optimizer: torch.optim.Optimizer, module: nn.Module
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Split an optimizer's state into named tensors and plain numbers.

    Args:
        optimizer: Optimizer over parameters of `module`.
        module: Gives the parameters' names.

    Returns:
        Tensors under `<parameter>/<key>`, and a mapping with `groups` (settings and parameter
        names of each group) and `numbers` (state that is no tensor).
    """
    names = {id(p): n for n, p in module.named_parameters()}
    tensors: dict[str, Tensor] = {}
    numbers: dict[str, Any] = {}
    for parameter, entries in optimizer.state.items():
        for key, value in entries.items():
            place = f"{names[id(parameter)]}/{key}"
            if isinstance(value, Tensor):
                tensors[place] = value.detach()
            else:
                numbers[place] = value
    groups = [
        {k: v for k, v in group.items() if k != "params"}
        | {"params": [names[id(p)] for p in group["params"]]}
        for group in optimizer.param_groups
    ]
    return tensors, {"groups": groups, "numbers": numbers}


def load_optimizer(
    optimizer: torch.optim.Optimizer,
    module: nn.Module,
    tensors: Mapping[str, Tensor],
    plain: Mapping[str, Any],
) -> None:
    """Give an optimizer the state that `optimizer_to_plain` split.

    Raises:
        CheckpointError: The groups hold other parameters than those that were saved.
    """
    _, current = optimizer_to_plain(optimizer, module)
    stored = plain["groups"]
    if [g["params"] for g in stored] != [g["params"] for g in current["groups"]]:
        raise CheckpointError(
            "The optimizer's parameter groups differ from those in the checkpoint.",
            "Resume with the code that started the run, or start a new run with init_from.",
        )
    index = {n: i for i, n in enumerate(n for g in stored for n in g["params"])}
    state: dict[int, dict[str, Any]] = {}
    for place, value in [*tensors.items(), *plain["numbers"].items()]:
        name, _, key = place.rpartition("/")
        state.setdefault(index[name], {})[key] = value
    groups, start = [], 0
    for group in stored:
        count = len(group["params"])
        settings = {k: tuple(v) if k == "betas" else v for k, v in group.items()}
        groups.append(settings | {"params": list(range(start, start + count))})
        start += count
    optimizer.load_state_dict({"state": state, "param_groups": groups})
