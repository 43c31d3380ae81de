"""Exponential moving average of the weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from otolith.training.config import EmaConfig


class WeightAverage:
    """Averages of the trainable parameters; buffers are taken as they are.

    Args:
        module: Module whose parameters are followed.
        config: Decay.

    Attributes:
        averages: Parameter name -> average, on the parameter's device.
        num_updates: Updates so far.
    """

    def __init__(self, module: nn.Module, config: EmaConfig) -> None:
        self._config = config
        self._parameters = {n: p for n, p in module.named_parameters() if p.requires_grad}
        self.averages = {n: p.detach().clone() for n, p in self._parameters.items()}
        self.num_updates = 0

    @torch.no_grad()
    def update(self) -> None:
        """Move the averages towards the current weights; call after every optimizer step."""
        decay = self._config.decay
        if self._config.is_warmed_up:
            decay = min(decay, (1.0 + self.num_updates) / (10.0 + self.num_updates))
        self.num_updates += 1
        current: list[Tensor] = list(self._parameters.values())
        torch._foreach_lerp_(list(self.averages.values()), current, 1.0 - decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Give the module the averages; afterwards its weights are exactly those before."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def keep(self) -> None:
        """Give the module the averages for good."""
        for name, parameter in self._parameters.items():
            parameter.copy_(self.averages[name])

    def load(self, averages: dict[str, Tensor], num_updates: int) -> None:
        """Continue from stored averages."""
        for name, average in self.averages.items():
            average.copy_(averages[name])
        self.num_updates = num_updates

    @torch.no_grad()
    def _swap(self) -> None:
        for name, parameter in self._parameters.items():
            kept = parameter.detach().clone()
            parameter.copy_(self.averages[name])
            self.averages[name].copy_(kept)
