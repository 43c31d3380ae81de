"""Where is down: gravity in the sensor's frame, and signals turned so that it points along +z."""

# B batch, T time, C = 3 axes, N triads

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from otolith.signals._arrays import fill_missing, to_tensor
from otolith.signals.rotations import apply_rotation
from otolith.signals.units import STANDARD_GRAVITY_M_S2

_SPIKE_M_S2 = STANDARD_GRAVITY_M_S2  # farther from the centre than this, samples count less
_NUM_STEPS = 4
_MIN_NORM = 1e-6
_TINY = 1e-12


def estimate_gravity(acc_BTC: Any, rate_hz: Any, cutoff_hz: float = 0.3) -> Any:
    """Estimate gravity over time by a zero-phase low pass.

    The gain is 1 / (1 + (f / cutoff)^4), that of a second-order Butterworth filter applied
    forward and backward; the signal is mirrored at its ends. Gain 1 at 0 Hz, 1/2 at the cutoff.

    Args:
        acc_BTC: Acceleration [..., T, C] in m/s^2 (any unit works), NaN = missing.
        rate_hz: Rate in Hz, a number or one per leading index.
        cutoff_hz: Cutoff in Hz.

    Returns:
        Gravity [..., T, C] in the unit of the input; defined inside gaps as well, NaN only for
        a channel without any value.
    """
    acc, back = to_tensor(acc_BTC)
    num = acc.shape[-2]
    if num == 0:
        return back(acc.clone())
    filled, missing = fill_missing(acc)
    mirrored = torch.cat([filled, filled.flip(-2)], dim=-2)
    rate = torch.as_tensor(rate_hz, dtype=acc.dtype, device=acc.device)[..., None, None]
    share = torch.fft.rfftfreq(2 * num, device=acc.device, dtype=acc.dtype)[:, None]
    gain = 1.0 / (1.0 + (share * rate / cutoff_hz) ** 4)
    low = torch.fft.irfft(torch.fft.rfft(mirrored, dim=-2) * gain, n=2 * num, dim=-2)
    nothing = missing.all(dim=-2, keepdim=True)
    return back(torch.where(nothing, torch.nan, low[..., :num, :]))


def mean_gravity_direction(acc_BTC: Any, mask_BT: Any = None) -> Any:
    """Return the direction of the robust mean acceleration, which is that of gravity.

    Movement averages out over a window. Samples more than one g away from the mean (impacts)
    count less, in inverse proportion to that distance (Huber's location estimate).

    Args:
        acc_BTC: Acceleration with gravity [..., T, 3] in m/s^2; rows with NaN do not count.
        mask_BT: bool [..., T], True = real; None = all.

    Returns:
        Unit vectors [..., 3]; +z where there is no sample or the mean vanishes.
    """
    acc, back = to_tensor(acc_BTC)
    return back(_unit(robust_mean(acc, mask_BT)))


def robust_mean(acc: Tensor, mask_BT: Any = None) -> Tensor:
    """Return Huber's location estimate [..., 3] of vectors [..., T, 3]; 0 without samples."""
    values = acc.transpose(-1, -2).contiguous()  # [..., 3, T]: sums over time run along memory
    real = ~torch.isnan(values).any(dim=-2, keepdim=True)
    if mask_BT is not None:
        real = real & torch.as_tensor(mask_BT, device=acc.device).bool()[..., None, :]
    weight = real.to(acc.dtype)
    values = torch.where(real, values, 0.0)
    mean = values.sum(-1, keepdim=True) / weight.sum(-1, keepdim=True).clamp(min=1.0)
    for _ in range(_NUM_STEPS):
        square = (values - mean).square().sum(-2, keepdim=True)
        # rsqrt of the clamped square keeps the gradient finite at distance 0
        share = weight * square.clamp(min=_SPIKE_M_S2**2).rsqrt()
        mean = (values * share).sum(-1, keepdim=True) / share.sum(-1, keepdim=True).clamp(min=_TINY)
    return mean[..., 0]


def gravity_rotation(direction_B3: Any) -> Any:
    """Return the shortest rotation that turns a direction to +z.

    For the direction -z, where every half turn about a horizontal axis is shortest, it is the
    one about y. The result is a rotation everywhere, with finite gradients.

    Args:
        direction_B3: Directions [..., 3] of any length; a zero vector counts as +z.

    Returns:
        Rotations [..., 3, 3] with rotation @ direction along +z.
    """
    direction, back = to_tensor(direction_B3)
    x, y, z = _unit(direction).unbind(-1)
    square = x * x + y * y
    at_pole = square < 1e-24 if direction.dtype == torch.float64 else square < 1e-12
    safe = torch.where(at_pole, 1.0, square)
    below = z < 0
    # 1 / (1 + z) = (1 - z) / (x^2 + y^2): the second form is exact where z is near -1.
    factor = torch.where(below, (1 - z) / safe, 1 / torch.where(below, 1.0, 1 + z))
    xx, xy, yy = factor * x * x, factor * x * y, factor * y * y
    flipped = below & at_pole
    xx = torch.where(flipped, 2.0, xx)
    xy, yy = torch.where(flipped, 0.0, xy), torch.where(flipped, 0.0, yy)
    x, y = torch.where(flipped, 0.0, x), torch.where(flipped, 0.0, y)
    z = torch.where(flipped, -1.0, z)
    rows = [[1 - xx, -xy, -x], [-xy, 1 - yy, -y], [x, y, z]]
    return back(torch.stack([torch.stack(r, dim=-1) for r in rows], dim=-2))


def align_to_gravity(x_BTC3: Any, direction_B3: Any) -> Any:
    """Turn vectors so that gravity points along +z, by the shortest rotation.

    What is left open is the turn about the vertical; quantities that must not depend on how a
    sensor was worn use z and the length of (x, y).

    Args:
        x_BTC3: Vectors [B, ..., 3]: samples of one triad [B, T, 3] or several [B, T, N, 3].
        direction_B3: Direction of gravity in the same frame [B, 3].

    Returns:
        Vectors of the same shape.
    """
    x, back = to_tensor(x_BTC3)
    direction, _ = to_tensor(direction_B3)
    rotation = gravity_rotation(direction.to(x))
    between = x.ndim - direction.ndim
    return back(apply_rotation(x, rotation.reshape(*rotation.shape[:-2], *([1] * between), 3, 3)))


def _unit(vector: Tensor) -> Tensor:
    """Unit vectors; +z for a vector without length, with zero gradient there."""
    square = vector.square().sum(-1, keepdim=True)
    none = square < _MIN_NORM**2
    up = vector.new_tensor([0.0, 0.0, 1.0])
    return torch.where(none, up, vector * torch.where(none, 1.0, square).rsqrt())
