"""Mean and standard deviation of the maps, measured before the first step of a new run."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

import torch

from otolith.encoders.imu_evi_mae import Encoder
from otolith.objectives._gather import sum_over_processes
from otolith.windows.batch import Batch

NUM_BATCHES = 50


def measure(encoder: Encoder | None, batches: Iterable[Batch]) -> None:
    """Set the statistics of a motion encoder that has none yet; all processes get the same.

    Args:
        encoder: The encoder; None, and one with fixed or measured statistics, stays as it is.
        batches: Training batches, of which the first 50 are read.
    """
    if encoder is None or (statistics := encoder.statistics_3) is None or bool(statistics[0] > 0):
        return
    total = torch.zeros(3, dtype=torch.float64)
    for batch in islice(batches, NUM_BATCHES):
        total += encoder.moments(batch).cpu()
    count, first, second = sum_over_processes(total.to(statistics.device)).tolist()
    if count < 1:
        return
    mean = first / count
    std = max(second / count - mean**2, 1e-12) ** 0.5
    statistics.copy_(torch.tensor([count, mean, std]))
