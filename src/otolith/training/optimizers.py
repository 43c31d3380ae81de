"""Optimizer, learning rate and gradient clipping over the parameter groups of a system."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from otolith.core.errors import TrainingError
from otolith.systems import System
from otolith.training.config import OptimizerConfig, ScheduleConfig
from otolith.training.schedules import SCHEDULES

_CLASSES = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam, "sgd": torch.optim.SGD}


def build_optimizer(system: System, config: OptimizerConfig) -> torch.optim.Optimizer:
    """Build the optimizer over `system.parameter_groups()`.

    A group may carry `name`, `weight_decay`, `lr_scale` and `clip`; the last three default to
    the setting, 1 and "" (the clip set that all such groups share).

    Raises:
        TrainingError: Nothing is trainable, a trainable parameter is in no group or in two.
    """
    groups = [
        {
            "params": list(group["params"]),
            "name": group.get("name", str(index)),
            "weight_decay": group.get("weight_decay", config.weight_decay),
            "lr_scale": group.get("lr_scale", 1.0),
            "clip": str(group.get("clip", "")),
        }
        for index, group in enumerate(system.parameter_groups())
    ]
    groups = [g for g in groups if g["params"]]
    _check_groups(system, groups)
    settings: dict[str, Any] = {"lr": config.lr, "fused": _has_fused(groups)}
    if config.name == "sgd":
        settings["momentum"] = config.momentum
    else:
        settings |= {"betas": config.betas, "eps": config.eps}
    return _CLASSES[config.name](groups, **settings)


def schedule_factor(
    config: ScheduleConfig, *, step: int, epoch: int, steps_per_epoch: int, epochs: int
) -> float:
    """Return the learning-rate factor of an optimizer step.

    Args:
        config: Schedule.
        step: Optimizer step of the run, 0-based.
        epoch: Its epoch, 0-based.
        steps_per_epoch: Optimizer steps of an epoch.
        epochs: Epochs of the run.
    """
    scale = 1 if config.per == "epoch" else steps_per_epoch
    warmup = config.warmup_steps
    if warmup is None:
        warmup = (config.warmup_epochs or 0.0) * scale
    position = epoch if config.per == "epoch" else step
    extra: dict[str, Any] = {}
    if config.name == "steps":
        extra = {"milestones": [m * scale for m in config.milestones], "factor": config.factor}
    return SCHEDULES[config.name](position, warmup, epochs * scale, config.floor, **extra)


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Set every group's rate to `lr` times its `lr_scale`."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group["lr_scale"]


def scale_gradients(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Multiply all gradients in place."""
    gradients = [
        p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None
    ]
    torch._foreach_mul_(gradients, factor)


def clip_gradients(optimizer: torch.optim.Optimizer, clip_norm: float | None) -> Tensor:
    """Clip each clip set to `clip_norm` and return the norm over everything before clipping.

    Args:
        optimizer: Its groups name their clip set under `clip`.
        clip_norm: Largest norm of a set; None = only measure.

    Returns:
        Scalar tensor; infinite or NaN if a gradient is.
    """
    sets: dict[str, list[Tensor]] = {}
    for group in optimizer.param_groups:
        found = [p for p in group["params"] if p.grad is not None]
        sets.setdefault(group["clip"], []).extend(found)
    norms = []
    for parameters in sets.values():
        norm = torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
        if clip_norm is not None and parameters:
            torch.nn.utils.clip_grads_with_norm_(parameters, clip_norm, norm)
        norms.append(norm)
    return norms[0] if len(norms) == 1 else torch.linalg.vector_norm(torch.stack(norms))


def _check_groups(system: System, groups: list[dict[str, Any]]) -> None:
    grouped = [p for group in groups for p in group["params"]]
    if not any(p.requires_grad for p in grouped):
        raise TrainingError(
            f"{type(system).__name__} gives no trainable parameters.",
            "Unfreeze a part or choose a system that can be trained.",
        )
    seen = {id(p) for p in grouped}
    missing = [n for n, p in system.named_parameters() if p.requires_grad and id(p) not in seen]
    if missing or len(seen) != len(grouped):
        what = f"leave out {missing[0]}" if missing else "name a parameter twice"
        raise TrainingError(
            f"The parameter groups of {type(system).__name__} {what}.",
            "Give every trainable parameter to exactly one group, or freeze it.",
        )


def _has_fused(groups: list[dict[str, Any]]) -> bool:
    """Whether torch's one-kernel update works for all parameters."""
    return all(
        p.device.type in {"cpu", "cuda"} and p.is_floating_point()
        for group in groups
        for p in group["params"]
    )
