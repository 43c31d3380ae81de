"""Changes that other people, phones and pockets would make to acceleration and angular rate.

They know which columns are acceleration and which are angular rate, and keep the mean acceleration
(gravity) where it is no part of the change. Like those of `augment` they take the whole batch, never
loop over samples, return new tensors, and keep rows behind the length zero.
"""

# B batch, T time, N rows out, C channels, G accelerometers with three axes, F frequencies

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Tensor

from otolith.recordings.recording import Channel
from otolith.signals.gravity import estimate_gravity
from otolith.windows.augment import read_at, triads


@lru_cache(maxsize=4096)
def acc_triads(channels: tuple[Channel, ...]) -> Tensor:
    """Return the columns of the three-axis accelerometers, int64 [G, 3]."""
    columns, _ = triads(channels)
    own = [row for row in columns.tolist() if channels[row[0]].sensor == "acc"]
    return torch.tensor(own, dtype=torch.int64).reshape(-1, 3)


@lru_cache(maxsize=4096)
def sensor_mask(channels: tuple[Channel, ...], sensor: str, width: int) -> Tensor:
    """Return which of `width` columns belong to a kind of sensor, bool [C]."""
    own = [c.sensor == sensor for c in channels]
    return torch.tensor(own + [False] * (width - len(own)))


def window_mean(x_BTC: Tensor, mask_BT: Tensor) -> Tensor:
    """Return the mean over the real rows [B, 1, C]; 0 without rows."""
    count_B = mask_BT.sum(1).clamp(min=1).to(x_BTC.dtype)
    return (x_BTC.sum(1) / count_B[:, None])[:, None, :]


def amplify(x_BTC: Tensor, mask_BT: Tensor, gain_BC: Tensor, keeps_mean_BC: Tensor) -> Tensor:
    """Multiply the moving part of channels by a gain.

    Args:
        x_BTC: Signals, zero where not real.
        mask_BT: bool, True = real.
        gain_BC: Gain of each channel.
        keeps_mean_BC: bool, whether the mean stays (gravity), or is multiplied too.
    """
    mean_B1C = window_mean(x_BTC, mask_BT) * keeps_mean_BC[:, None, :]
    changed = torch.lerp(mean_B1C, x_BTC, gain_BC[:, None, :].to(x_BTC.dtype))
    return changed * mask_BT[:, :, None]


def balance(x_BTC: Tensor, mask_BT: Tensor, gain_BG: Tensor, columns_G3: Tensor) -> Tensor:
    """Multiply the horizontal part of acceleration, that across its mean, by a gain.

    Args:
        x_BTC: Signals of samples that have these channels, zero where not real.
        mask_BT: bool, True = real.
        gain_BG: Gain of each accelerometer; 1 = unchanged.
        columns_G3: Columns of the accelerometers.
    """
    acc_BTG3 = x_BTC[:, :, columns_G3]
    mean_B1G3 = window_mean(x_BTC, mask_BT)[:, :, columns_G3]
    up_B1G3 = torch.nn.functional.normalize(mean_B1G3, dim=-1)
    moving = acc_BTG3 - mean_B1G3
    vertical = (moving * up_B1G3).sum(-1, keepdim=True) * up_B1G3
    gain = gain_BG[:, None, :, None].to(x_BTC.dtype)
    changed = mean_B1G3 + vertical + (moving - vertical) * gain
    changed = torch.where(gain == 1, acc_BTG3, changed)  # to the last bit
    result = x_BTC.clone()
    result[:, :, columns_G3] = changed * mask_BT[:, :, None, None]
    return result


def spectral_tilt(
    x_BTC: Tensor,
    per_octave_B: Tensor,
    length_B: Tensor,
    rate_hz_B: Tensor,
    *,
    pivot_hz: float,
    lowest_hz: float,
) -> Tensor:
    """Make fast motion stronger and slow motion weaker, or the other way round; means stay.

    Args:
        x_BTC: Signals.
        per_octave_B: Logarithm of the gain per octave.
        length_B: Number of real rows, int64.
        rate_hz_B: Rates in Hz.
        pivot_hz: Frequency whose gain is 1, in Hz.
        lowest_hz: Below it the gain is that of this frequency, in Hz.
    """

    def gain(rows: Tensor, hz_bF: Tensor) -> Tensor:
        octaves = torch.log2(hz_bF.clamp(min=lowest_hz) / pivot_hz)
        tilted = torch.exp(octaves * per_octave_B[rows, None])
        tilted[:, 0] = 1.0
        return tilted

    return _filtered(x_BTC, length_B, rate_hz_B, gain)


def low_pass(x_BTC: Tensor, cutoff_hz_B: Tensor, length_B: Tensor, rate_hz_B: Tensor) -> Tensor:
    """Remove content above a cutoff; the gain falls from 1 to 0 within a quarter of it.

    Args:
        x_BTC: Signals.
        cutoff_hz_B: Frequency from which on nothing is left, in Hz; infinite = unchanged.
        length_B: Number of real rows, int64.
        rate_hz_B: Rates in Hz.
    """

    def gain(rows: Tensor, hz_bF: Tensor) -> Tensor:
        share = 4.0 * (1.0 - hz_bF / cutoff_hz_B[rows, None])
        return 0.5 - 0.5 * torch.cos(torch.pi * share.clamp(0.0, 1.0))

    return _filtered(x_BTC, length_B, rate_hz_B, gain)


def remove_gravity(
    x_BTC: Tensor, length_B: Tensor, rate_hz_B: Tensor, columns_G3: Tensor, cutoff_hz: float
) -> Tensor:
    """Take the slow part of acceleration away, as a phone's linear acceleration does.

    Args:
        x_BTC: Signals of samples that have these channels.
        length_B: Number of real rows, int64.
        rate_hz_B: Rates in Hz.
        columns_G3: Columns of the accelerometers.
        cutoff_hz: Cutoff of the low pass that estimates gravity, in Hz.
    """
    columns = columns_G3.flatten()
    result = x_BTC.clone()
    for rows, length in _by_length(length_B):
        own = x_BTC[rows][:, :length, columns]
        gravity = estimate_gravity(own, rate_hz_B[rows], cutoff_hz).to(own.dtype)
        result[rows[:, None, None], torch.arange(length)[None, :, None], columns] = own - gravity
    return result


def read_rows(
    x_BTC: Tensor, start_B: Tensor, step_B: Tensor, new_B: Tensor, old_B: Tensor
) -> Tensor:
    """Read `new_B` rows from row `start_B` on, `step_B` apart, linearly; rows behind are zero.

    Args:
        x_BTC: Signals.
        start_B: First place to read, in rows.
        step_B: Distance of the places in rows.
        new_B: Number of rows to read, int64.
        old_B: Number of real rows of the signals, int64.
    """
    row = torch.arange(x_BTC.shape[1])
    place_BT = start_B.double()[:, None] + row * step_B.double()[:, None]
    return read_at(x_BTC, place_BT, old_B) * (row < new_B[:, None])[:, :, None]


def _by_length(length_B: Tensor) -> list[tuple[Tensor, int]]:
    """(samples, length) for each length that occurs; few in a batch of windows."""
    lengths = [n for n in torch.unique(length_B).tolist() if n > 0]
    return [((length_B == n).nonzero().flatten(), n) for n in lengths]


def _filtered(
    x_BTC: Tensor,
    length_B: Tensor,
    rate_hz_B: Tensor,
    gain: Callable[[Tensor, Tensor], Tensor],
) -> Tensor:
    """Multiply spectra of the signals, mirrored at their end, by `gain(samples, hz)` [b, F]."""
    result = torch.zeros_like(x_BTC)
    for rows, length in _by_length(length_B):
        own = x_BTC[rows, :length]
        spectrum = torch.fft.rfft(torch.cat([own, own.flip(1)], dim=1), dim=1)
        hz_bF = torch.fft.rfftfreq(2 * length)[None, :] * rate_hz_B[rows, None].to(x_BTC.dtype)
        factor = gain(rows, hz_bF).to(x_BTC.dtype)
        back = torch.fft.irfft(spectrum * factor[:, :, None], n=2 * length, dim=1)
        result[rows, :length] = back[:, :length]
    return result
