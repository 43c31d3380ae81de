"""Changes of motion signals, as pure functions of the signal and the draws (TSFM, section 4.6).

Every function takes the whole batch, never loops over samples and returns new tensors. Rows lie
at the front: row t of sample b is real for t < length_B[b], and rows behind are zero and stay so.
"""

# B batch, T time, C channels, G groups of three channels, L body locations, K knots

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from otolith.recordings.recording import Channel
from otolith.signals.rotations import apply_rotation
from otolith.signals.triads import body_site, find_triads


def jitter(x_BTC: Tensor, noise_BTC: Tensor, sigma: float, mask_BTC: Tensor) -> Tensor:
    """Add noise to the real values.

    Args:
        x_BTC: Signals in any unit.
        noise_BTC: Standard normal numbers.
        sigma: Standard deviation of the noise in the unit of the signals.
        mask_BTC: 1 (or True) where noise is wanted, 0 where values are not real.
    """
    return torch.addcmul(x_BTC, noise_BTC, mask_BTC.to(x_BTC.dtype), value=sigma)


def scale(x_BTC: Tensor, factor_BC: Tensor) -> Tensor:
    """Multiply every channel of every sample by its factor."""
    return x_BTC * factor_BC[:, None, :].to(x_BTC.dtype)


def shuffle_channels(x_BTC: Tensor, order_BC: Tensor) -> Tensor:
    """Put channel order_BC[b, c] of sample b into column c."""
    return torch.gather(x_BTC, 2, order_BC[:, None, :].expand(x_BTC.shape))


def time_shift(x_BTC: Tensor, shift_B: Tensor, length_B: Tensor) -> Tensor:
    """Shift all channels of a sample together.

    Args:
        x_BTC: Signals.
        shift_B: Samples to shift by, int64; positive = later.
        length_B: Number of real rows, int64.

    Returns:
        Shifted signals; the gap of s rows holds the mean of the first s rows (positive shift) or
        of the last s rows (negative shift) before the shift.
    """
    time = torch.arange(x_BTC.shape[1])[None, :]
    shift, length = shift_B[:, None], length_B[:, None]
    source = time - shift
    is_real = time < length
    is_gap = is_real & ((source < 0) | (source >= length))
    source = torch.where(is_real, source.clamp(min=0), time).clamp(max=x_BTC.shape[1] - 1)
    moved = _take_rows(x_BTC, source)
    # The rows whose mean fills the gap are those of the gap itself, before the shift.
    weight_BT = is_gap.to(x_BTC.dtype) / shift.abs().clamp(min=1)
    fill_BC = torch.bmm(weight_BT[:, None, :], x_BTC)[:, 0]
    # Few rows are gaps: writing them is faster than a choice over all values.
    gaps = is_gap.flatten().nonzero().flatten()
    moved.view(-1, x_BTC.shape[2])[gaps] = fill_BC[gaps // x_BTC.shape[1]]
    return moved


def time_warp(x_BTC: Tensor, gauss_BK: Tensor, strength: float, length_B: Tensor) -> Tensor:
    """Stretch and squeeze time along a smooth curve.

    Args:
        x_BTC: Signals.
        gauss_BK: Standard normal numbers per knot.
        strength: Standard deviation of a knot, as a share of the length.
        length_B: Number of real rows, int64.

    Returns:
        Signals read at the warped times: equally spaced knots moved by the draws, clipped to the
        window, both ends fixed, sorted, joined by a cubic curve.
    """
    knots = torch.linspace(0, 1, gauss_BK.shape[1], dtype=torch.float64)
    moved = (knots + strength * gauss_BK.double()).clamp(0, 1)
    moved[:, 0], moved[:, -1] = 0, 1
    moved = moved.sort(1).values
    curve_BT = torch.einsum("btk,bk->bt", _cubic(length_B, gauss_BK.shape[1], x_BTC), moved)
    return read_at(x_BTC, curve_BT.clamp(0, 1) * (length_B[:, None] - 1), length_B)


def magnitude_warp(
    x_BTC: Tensor,
    gauss_BCK: Tensor,
    strength: float,
    limits: tuple[float, float],
    length_B: Tensor,
) -> Tensor:
    """Multiply every channel by a smooth curve of its own around 1.

    Args:
        x_BTC: Signals.
        gauss_BCK: Standard normal numbers per channel and knot.
        strength: Standard deviation of the factor at a knot.
        limits: Smallest and largest factor at a knot.
        length_B: Number of real rows, int64.
    """
    factor_BCK = (1 + strength * gauss_BCK.double()).clamp(*limits)
    basis_BTK = _cubic(length_B, gauss_BCK.shape[2], x_BTC)
    return x_BTC * torch.einsum("btk,bck->btc", basis_BTK, factor_BCK).to(x_BTC.dtype)


def resample(x_BTC: Tensor, factor_B: Tensor, length_B: Tensor) -> Tensor:
    """Play a sample slower (factor above 1) or faster, keeping its number of rows.

    Args:
        x_BTC: Signals.
        factor_B: New length by old length, float64; the new length is cut to 10 .. 2 * old.
        length_B: Number of real rows, int64.

    Returns:
        The linearly resampled signals, cut at the end or with their last value repeated.
    """
    new_B = (length_B * factor_B.double()).floor()
    new_B = torch.minimum(new_B.clamp(min=10), 2.0 * length_B)
    step_B = (length_B - 1) / (new_B - 1).clamp(min=1)
    time = torch.arange(x_BTC.shape[1], dtype=torch.float64)
    place_BT = torch.minimum(time * step_B[:, None], (length_B - 1)[:, None].double())
    return read_at(x_BTC, place_BT, length_B)


def rotate(x_BTC: Tensor, rotation_BL33: Tensor, channels: Sequence[Channel]) -> Tensor:
    """Rotate every three-axis sensor by the matrix of its body location.

    Args:
        x_BTC: Signals of samples that all have these channels; further columns are left alone.
        rotation_BL33: One rotation per location, in the order of `locations(channels)`.
        channels: What the columns are.
    """
    columns, location = triads(tuple(channels))
    if not len(columns):
        return x_BTC
    rotated = x_BTC.clone()
    vectors_BTG3 = x_BTC[:, :, torch.from_numpy(columns)]
    matrix_BG33 = rotation_BL33[:, torch.from_numpy(location)].to(x_BTC.dtype)
    rotated[:, :, torch.from_numpy(columns)] = apply_rotation(vectors_BTG3, matrix_BG33[:, None])
    return rotated


def location_of(channel: Channel) -> str:
    """Body location of a channel: where it is worn if that is known, else by its name."""
    return channel.placement or body_site(channel.name)


def locations(channels: Sequence[Channel]) -> tuple[str, ...]:
    """Distinct body locations in order of first appearance."""
    return tuple(dict.fromkeys(location_of(channel) for channel in channels))


@lru_cache(maxsize=4096)
def triads(channels: tuple[Channel, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return the three-axis sensors: columns int64 [G, 3] and the number of their location [G]."""
    found = find_triads([channel.name for channel in channels])
    places = locations(channels)
    columns = np.asarray(list(found.values()), np.int64).reshape(-1, 3)
    location = [places.index(location_of(channels[x])) for x, _, _ in found.values()]
    return columns, np.asarray(location, np.int64)


def _take_rows(x_BTC: Tensor, index_BT: Tensor) -> Tensor:
    """Rows index_BT[b, t] of sample b; several times faster than a gather of single values."""
    first_B1 = torch.arange(len(x_BTC))[:, None] * x_BTC.shape[1]
    rows = (index_BT + first_B1).reshape(-1)
    return x_BTC.reshape(-1, x_BTC.shape[2]).index_select(0, rows).reshape(x_BTC.shape)


def read_at(x_BTC: Tensor, place_BT: Tensor, length_B: Tensor) -> Tensor:
    """Read signals at places between rows, linearly; rows behind the length stay zero."""
    last = (length_B[:, None] - 1).clamp(min=0)
    low = place_BT.floor().long().clamp(min=0)
    low = torch.minimum(low, last)
    high = torch.minimum(low + 1, last)
    share = (place_BT - low).to(x_BTC.dtype)[:, :, None]
    before, after = _take_rows(x_BTC, low), _take_rows(x_BTC, high)
    is_real = torch.arange(x_BTC.shape[1])[None, :] < length_B[:, None]
    return torch.lerp(before, after, share) * is_real[:, :, None]


def _cubic(length_B: Tensor, num_knots: int, like_BTC: Tensor) -> Tensor:
    """Matrices [B, T, K] from values at equally spaced knots to a cubic curve over the rows."""
    lengths, inverse = torch.unique(length_B, return_inverse=True)
    basis = [_cubic_basis(n, num_knots, like_BTC.shape[1]) for n in lengths.tolist()]
    return torch.stack(basis)[inverse]


@lru_cache(maxsize=256)
def _cubic_basis(length: int, num_knots: int, time: int) -> Tensor:
    """One matrix [T, K]; rows behind the length repeat the last one."""
    from scipy.interpolate import make_interp_spline

    knots = np.linspace(0.0, 1.0, num_knots)
    rows = np.minimum(np.arange(time) / max(length - 1, 1), 1.0)
    spline = make_interp_spline(knots, np.eye(num_knots), k=min(3, num_knots - 1))
    return torch.from_numpy(np.asarray(spline(rows), np.float64))
