"""Mean and standard deviation of maps, measured before the first step of a new run."""

# ... any axes, such as one of channels

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from otolith.objectives._gather import sum_over_processes
from otolith.windows.batch import Batch

NUM_BATCHES = 50
_LEAST_VARIANCE = 1e-12


class Meter:
    """Gathers moments of batches; all processes write the same statistics.

    Args:
        statistics: Number of values, mean and standard deviation [3, ...], a buffer that is written
            to; 0 values = not measured yet. None, and what is measured already, is left alone.
        moments: Gives number, sum and sum of squares of the values of a batch, float64 [3, ...].
    """

    def __init__(self, statistics: Tensor | None, moments: Callable[[Batch], Tensor]) -> None:
        is_wanted = statistics is not None and not bool((statistics[0] > 0).any())
        self.statistics = statistics if is_wanted else None
        self.moments = moments
        self.num_batches = 0
        self.total = torch.zeros(0) if statistics is None else torch.zeros_like(statistics).double()

    @property
    def is_done(self) -> bool:
        """Whether no further batch is wanted."""
        return self.statistics is None or self.num_batches >= NUM_BATCHES

    def add(self, batch: Batch) -> None:
        """Take a batch into account, unless there were enough."""
        if not self.is_done:
            self.total += self.moments(batch).to(self.total)
            self.num_batches += 1

    def write(self) -> None:
        """Set the statistics of what there were values of; the rest keeps what it has."""
        if self.statistics is None:
            return
        count, first, second = sum_over_processes(self.total)
        mean = first / count.clamp(min=1)
        std = (second / count.clamp(min=1) - mean**2).clamp(min=_LEAST_VARIANCE).sqrt()
        found = torch.stack([count, mean, std]).to(self.statistics)
        self.statistics.copy_(torch.where(count >= 1, found, self.statistics))


def measure(
    statistics: Tensor | None, moments: Callable[[Batch], Tensor], batches: Iterable[Batch]
) -> None:
    """Set statistics that are not measured yet; see `Meter`.

    Args:
        statistics: What is written to.
        moments: Gives the moments of a batch.
        batches: Training batches, of which the first 50 are read, and none if none is wanted.
    """
    meter = Meter(statistics, moments)
    if not meter.is_done:
        for batch in batches:
            meter.add(batch)
            if meter.is_done:
                break
        meter.write()
