"""A weighted sum of losses, each divided by its running mean, so that none drowns the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from otolith.objectives._gather import num_processes, sum_over_processes


class BalancedSum(nn.Module):
    """Sum of weight * loss / running mean of the loss.

    The running means are part of the state, so a resumed run goes on where it stopped. A loss of
    zero (nothing was masked in a batch) leaves its running mean alone, and so does one that is
    no finite number: a step that is skipped must not spoil those that follow.

    Args:
        names: Names of the losses.
        decay: Share of the old running mean that is kept per training step.
        is_balanced: False = the plain weighted sum.
    """

    mean_K: Tensor

    def __init__(
        self, names: Sequence[str], *, decay: float = 0.99, is_balanced: bool = True
    ) -> None:
        super().__init__()
        self.names = tuple(names)
        self.decay = decay
        self.is_balanced = is_balanced
        self.register_buffer("mean_K", torch.zeros(len(self.names)))

    def forward(self, losses: Mapping[str, Tensor], weights: Mapping[str, float]) -> Tensor:
        """Return the sum; in training mode the running means are updated first.

        In evaluation mode it is the plain weighted sum: divided by means that move, the losses
        of two epochs could not be compared, and the best epoch would be chosen by accident.

        Args:
            losses: Scalars by name.
            weights: Weight of each loss.
        """
        values_K = torch.stack([losses[name].float() for name in self.names])
        weights_K = values_K.new_tensor([weights[name] for name in self.names])
        if not self.is_balanced or not self.training:
            return (weights_K * values_K).sum()
        current_K = sum_over_processes(values_K) / num_processes()
        started_K = torch.where(self.mean_K == 0, current_K, self.mean_K)
        moved_K = self.decay * started_K + (1.0 - self.decay) * current_K
        is_usable_K = (current_K != 0) & current_K.isfinite()
        mean_K = torch.where(is_usable_K, moved_K, self.mean_K)
        self.mean_K.copy_(mean_K)
        return (weights_K * values_K / (mean_K + 1e-8)).sum()
