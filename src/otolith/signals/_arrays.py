"""Let one torch implementation serve numpy arrays and torch tensors."""

# T time, C channels

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor


def to_tensor(values: Any) -> tuple[Tensor, Callable[[Tensor], Any]]:
    """Return a floating-point tensor and the way back to the kind that was given.

    Args:
        values: Array or tensor of any shape; integers become float64.

    Returns:
        The tensor, and a function that turns a result into what the caller gave.
    """
    if isinstance(values, Tensor):
        return (values if values.is_floating_point() else values.double()), lambda t: t
    array = np.asarray(values)
    if array.dtype not in (np.float32, np.float64):
        array = array.astype(np.float64)
    if not array.flags.writeable or any(s < 0 for s in array.strides):
        array = array.copy()  # torch warns about read-only memory maps and refuses negative strides
    return torch.from_numpy(array), lambda t: t.detach().numpy()


def fill_missing(x_TC: Tensor) -> tuple[Tensor, Tensor]:
    """Replace NaN by linear interpolation in time; ends hold the nearest value.

    Args:
        x_TC: Values [..., T, C], NaN = missing.

    Returns:
        Values without NaN (a channel without any value becomes 0) and the boolean mask
        [..., T, C] of missing values.
    """
    missing = torch.isnan(x_TC)
    if not bool(missing.any()):
        return x_TC, missing
    num = x_TC.shape[-2]
    rows = torch.arange(num, device=x_TC.device)[:, None].expand_as(x_TC)
    before = torch.where(missing, -1, rows).cummax(-2).values
    after = torch.where(missing, num, rows).flip(-2).cummin(-2).values.flip(-2)
    left = torch.where(before >= 0, before, after).clamp(max=num - 1)
    right = torch.where(after < num, after, before).clamp(min=0)
    safe = torch.nan_to_num(x_TC, nan=0.0)
    low, high = safe.gather(-2, left), safe.gather(-2, right)
    share = (rows - left) / (right - left).clamp(min=1)
    return torch.where(missing, low + (high - low) * share.to(x_TC.dtype), safe), missing


def sort_last(x: Tensor) -> Tensor:
    """Return the values in ascending order along the last axis."""
    if x.requires_grad or x.device.type != "cpu":
        return x.sort(dim=-1).values
    # numpy sorts short rows some twenty times faster than torch (measured)
    return torch.from_numpy(np.sort(x.contiguous().numpy(), axis=-1))
