"""Standardisation of channels with the mean and deviation of the training windows."""

# B batch, T time, C channels

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from otolith.recordings.recording import Channel
from otolith.windows.batch import StreamBatch
from otolith.windows.dataset import WindowDataset

_READ = 512  # windows that are read at a time


@dataclass(frozen=True, kw_only=True)
class ChannelScale:
    """Mean and deviation by channel name; a channel that is not known stays as it is.

    Args:
        mean: Channel -> mean of the training values.
        deviation: Channel -> their deviation, above 0.
    """

    mean: dict[str, float]
    deviation: dict[str, float]

    def apply(self, stream: StreamBatch) -> StreamBatch:
        """Return the stream with scaled values; masked values stay 0."""
        mean_BC, deviation_BC = self._of(stream)
        real = real_values(stream)
        scaled = (stream.values - mean_BC[:, None]) / deviation_BC[:, None]
        return replace(stream, values=torch.where(real, scaled, 0.0))

    def _of(self, stream: StreamBatch) -> tuple[Tensor, Tensor]:
        """Mean and deviation of every column [B, C]."""
        width = stream.values.shape[2]
        known = {own: self._row(own, width) for own in dict.fromkeys(stream.channels)}
        rows = [known[own] for own in stream.channels]
        return torch.stack([r[0] for r in rows]), torch.stack([r[1] for r in rows])

    def _row(self, channels: tuple[Channel, ...], width: int) -> tuple[Tensor, Tensor]:
        mean, deviation = torch.zeros(width), torch.ones(width)
        for column, channel in enumerate(channels):
            mean[column] = self.mean.get(channel.name, 0.0)
            deviation[column] = self.deviation.get(channel.name, 1.0)
        return mean, deviation


def real_values(stream: StreamBatch) -> Tensor:
    """Return which values are real, bool [B, T, C]."""
    real = stream.mask_BT[:, :, None].expand(stream.values.shape)
    return real if stream.channel_mask_BC is None else real & stream.channel_mask_BC[:, None]


def measure_scale(parts: Sequence[tuple[WindowDataset, np.ndarray]]) -> ChannelScale:
    """Measure the channels of the windows at some positions of some data sets."""
    sums: dict[str, np.ndarray] = {}
    for windows, rows in parts:
        for start in range(0, len(rows), _READ):
            batch = windows.batch(rows[start : start + _READ], 0)
            for stream in batch.streams.values():
                if stream.channels:
                    _add(sums, stream)
    mean = {name: s[1] / max(s[0], 1.0) for name, s in sums.items()}
    variance = {n: max(s[2] / max(s[0], 1.0) - mean[n] ** 2, 0.0) for n, s in sums.items()}
    deviation = {n: float(np.sqrt(v)) if v > 1e-12 else 1.0 for n, v in variance.items()}
    return ChannelScale(mean={n: float(m) for n, m in mean.items()}, deviation=deviation)


def _add(sums: dict[str, np.ndarray], stream: StreamBatch) -> None:
    """Add count, sum and sum of squares of every channel."""
    real = real_values(stream)
    values = torch.where(real, stream.values, 0.0).double()
    each_BC3 = torch.stack([real.sum(1), values.sum(1), values.square().sum(1)], -1).numpy()
    groups: dict[tuple[Channel, ...], list[int]] = {}
    for row, own in enumerate(stream.channels):
        groups.setdefault(own, []).append(row)
    for own, rows in groups.items():
        total_C3 = each_BC3[rows].sum(0)
        for column, channel in enumerate(own):
            sums[channel.name] = sums.get(channel.name, np.zeros(3)) + total_C3[column]
