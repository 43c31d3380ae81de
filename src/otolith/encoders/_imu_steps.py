"""Puts the motion windows of a batch on one time grid, whatever their rates are."""

# B batch, T time in, N steps on the grid, C channels

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from otolith.core.errors import DataError, suggest
from otolith.encoders import Grid
from otolith.signals.resampling import resample
from otolith.windows.batch import StreamBatch


def motion_stream(streams: Mapping[str, StreamBatch], name: str) -> StreamBatch:
    """Return the motion stream called `name`.

    Raises:
        DataError: There is none, or it is not of the form [B, T, C].
    """
    if name not in streams:
        raise DataError(f'The batch has no stream "{name}".', suggest(name, sorted(streams)))
    stream = streams[name]
    if stream.values.ndim != 3:
        raise DataError(
            f'Stream "{name}" has the shape {tuple(stream.values.shape)}, not [batch, time, channels].',
            "Choose a motion stream.",
        )
    return stream


def to_rate(
    values_BTC: Tensor, mask_BT: Tensor, rate_hz_B: Tensor, rate_hz: float | None
) -> tuple[Tensor, Tensor]:
    """Resample every sample to one rate without aliasing; samples of one rate go together.

    Args:
        values_BTC: Signals; what is masked may hold anything.
        mask_BT: bool, True = real.
        rate_hz_B: Rate of every sample in Hz.
        rate_hz: Wanted rate in Hz; None = leave every sample as it is.

    Returns:
        Values [B, N, C], float32, zero where masked, and the mask [B, N]. A step is real if more
        than half of what it stands for was.
    """
    values = values_BTC.float().masked_fill(~mask_BT.unsqueeze(-1), torch.nan)
    if rate_hz is not None:
        values = _resampled(values, rate_hz_B.cpu().numpy(), rate_hz)
    mask_BN = ~values.isnan().any(-1)
    return values.masked_fill(~mask_BN.unsqueeze(-1), 0.0), mask_BN


def _resampled(values_BTC: Tensor, rate_hz_B: np.ndarray, rate_hz: float) -> Tensor:
    """One call per rate, up to its last real row; NaN behind the end of what is shorter."""
    rows_T = torch.arange(1, values_BTC.shape[1] + 1, device=values_BTC.device)
    extent_B = (rows_T * ~values_BTC.isnan().any(-1)).amax(1).clamp(min=1)
    rates, group_B = np.unique(rate_hz_B, return_inverse=True)
    groups = [np.flatnonzero(group_B == number) for number in range(len(rates))]
    rows = [torch.from_numpy(own).to(values_BTC.device) for own in groups]
    with torch.autocast(values_BTC.device.type, enabled=False):
        parts = [
            resample(values_BTC[own, : int(extent_B[own].max())], float(rate), rate_hz)
            for own, rate in zip(rows, rates, strict=True)
        ]
    if len(parts) == 1:
        return parts[0]
    longest = max((part.shape[1] for part in parts), default=0)
    grid = values_BTC.new_full((len(values_BTC), longest, values_BTC.shape[2]), torch.nan)
    for own, part in zip(rows, parts, strict=True):
        padding = (0, 0, 0, longest - part.shape[1])
        grid = grid.index_copy(0, own, F.pad(part, padding, value=torch.nan))
    return grid


def shared_rate_hz(rate_hz_B: Tensor) -> float | None:
    """Return the rate of all samples in Hz; None if they differ."""
    same = len(rate_hz_B) > 0 and bool((rate_hz_B == rate_hz_B[0]).all())
    return float(rate_hz_B[0]) if same else None


def time_grid(num_steps: int, rate_hz: float | None) -> Grid:
    """Return the layout of tokens on a time axis; `rate_hz` is None if their distance differs."""
    step_s = None if rate_hz is None else 1.0 / rate_hz
    return Grid(axes=("time",), sizes=(num_steps,), seconds_per_step=step_s)


def mean_over(features_BND: Tensor, mask_BN: Tensor) -> Tensor:
    """Return the mean of the real tokens [B, D]; zero if there is none."""
    weight = mask_BN.unsqueeze(-1).to(features_BND.dtype)
    return (features_BND * weight).sum(1) / weight.sum(1).clamp(min=1.0)
