"""Objectives: features -> loss; each returns a `LossOutput`."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from otolith.core.registry import Registry

OBJECTIVES = Registry("otolith.objectives", "objective")


@dataclass(frozen=True, kw_only=True)
class LossOutput:
    """A loss with its named parts.

    Args:
        total: Scalar with gradient.
        parts: Named detached scalars for the log.
        per_sample_B: Detached loss per sample where it exists, for per-dataset curves.
        is_global: What `total` and `parts` are when several processes train. False: means over
            this process's samples, which the loop weighs by their number. True: values whose
            plain mean over the processes is the mean over the global batch.
        logged: What the log calls the loss, where `total` is no number to compare over steps
            (a sum of losses divided by moving means); None = `total`.
    """

    total: Tensor
    parts: dict[str, Tensor] = field(default_factory=dict)
    per_sample_B: Tensor | None = None
    is_global: bool = False
    logged: Tensor | None = None
