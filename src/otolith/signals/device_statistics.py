"""Statistics of motion in the sensor's own axes: for one data set whose sensors are worn alike.

How a sensor lies tells sitting from standing, and how that changes within a window tells one change
of posture from another; both are lost once signals are turned to gravity.

| statistic | definition |
|---|---|
| A/mean, A/p05 ... p95 | of an axis A, in m/s^2 or rad/s (percentiles interpolated linearly) |
| A/log_std | natural logarithm of the standard deviation + 0.01 |
| A/quarter_1 ... 4 | mean of each quarter of the window |
| A/change | mean of the last quarter less that of the first |
"""

# B batch, T time, C axes, Q percentiles or quarters, N statistics

from __future__ import annotations

import itertools

import numpy as np
import torch
from torch import Tensor

from otolith.core.errors import DataError
from otolith.signals._arrays import sort_last

AXES = ("acc_x", "acc_y", "acc_z", "gyro_x", "gyro_y", "gyro_z")
PERCENTS = (5, 25, 50, 75, 95)
QUARTERS = 4
_FLOOR = 1e-2


def _names() -> tuple[str, ...]:
    kinds = ("mean", "log_std", *(f"p{q:02d}" for q in PERCENTS))
    kinds += (*(f"quarter_{k + 1}" for k in range(QUARTERS)), "change")
    return tuple(f"{axis}/{kind}" for kind in kinds for axis in AXES)


DEVICE_STATISTICS = _names()


@torch.no_grad()
def device_statistics(imu_BCT: Tensor) -> Tensor:
    """Describe motion windows of one length.

    Args:
        imu_BCT: Windows [B, 6, T] without missing values, `AXES` in m/s^2 and rad/s; 4 rows or more.

    Returns:
        Statistics [B, N], finite, in the order of `DEVICE_STATISTICS`.

    Raises:
        DataError: The windows have another shape or are too short.
    """
    if imu_BCT.ndim != 3 or imu_BCT.shape[1] != len(AXES) or imu_BCT.shape[2] < QUARTERS:
        raise DataError(
            f"Windows have shape {tuple(imu_BCT.shape)}.",
            f"Give them as [batch, {len(AXES)}, time] with at least {QUARTERS} rows.",
        )
    num = imu_BCT.shape[2]
    std_BC = imu_BCT.std(2, correction=0)
    bounds = [k * num // QUARTERS for k in range(QUARTERS + 1)]
    quarters = [imu_BCT[:, :, a:b].mean(2) for a, b in itertools.pairwise(bounds)]
    parts = [
        imu_BCT.mean(2),
        (std_BC + _FLOOR).log(),
        *_percentiles(imu_BCT).unbind(2),
        *quarters,
        quarters[-1] - quarters[0],
    ]
    return torch.cat(parts, dim=1)


def _percentiles(x_BCT: Tensor) -> Tensor:
    """Percentiles [B, C, Q] over time."""
    ordered = sort_last(x_BCT)
    position = np.array(PERCENTS) / 100 * (x_BCT.shape[2] - 1)
    low = np.floor(position).astype(np.int64)
    high = np.minimum(low + 1, x_BCT.shape[2] - 1)
    weight = torch.as_tensor(position - low).to(x_BCT)
    return torch.lerp(ordered[:, :, low], ordered[:, :, high], weight)
