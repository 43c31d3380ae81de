"""Statistics of masked series in the time domain."""

# B batch, S series, T time, Q quantiles

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from otolith.signals._arrays import sort_last

PERCENTILES = (5, 25, 50, 75, 95)
_MIN_VARIANCE = 1e-12


@dataclass(frozen=True)
class Moments:
    """Mean, deviations and variance of every series, shared by several statistics.

    Args:
        count_BS: Number of real samples.
        mean_BS: Mean; 0 without samples.
        centred_BST: Deviation from the mean; 0 where masked.
        variance_BS: Mean square deviation.
    """

    count_BS: Tensor
    mean_BS: Tensor
    centred_BST: Tensor
    variance_BS: Tensor


def moments(series_BST: Tensor, mask_BST: Tensor) -> Moments:
    """Return count, mean, deviations and variance; `series_BST` is 0 where masked."""
    real = mask_BST.to(series_BST.dtype)
    count = real.sum(-1)
    safe = count.clamp(min=1.0)
    mean = series_BST.sum(-1) / safe
    centred = (series_BST - mean[..., None]) * real
    variance = centred.square().sum(-1) / safe
    return Moments(count, mean, centred, variance)


def time_statistics(
    series_BST: Tensor, mask_BST: Tensor, rate_hz_B: Tensor, shared: Moments
) -> dict[str, Tensor]:
    """Return statistic name -> [B, S]; values without any real sample are arbitrary."""
    ordered, last = _sorted(series_BST, mask_BST)
    quantiles = _quantiles(ordered, last, PERCENTILES)
    median = quantiles[..., PERCENTILES.index(50)]
    deviations, _ = _sorted((series_BST - median[..., None]).abs(), mask_BST)
    out = {
        "mean": shared.mean_BS,
        "std": shared.variance_BS.clamp(min=_MIN_VARIANCE).sqrt(),
        "min": ordered[..., 0],
        "max": ordered.gather(-1, last[..., None])[..., 0],
    }
    out |= {f"p{p:02d}": quantiles[..., i] for i, p in enumerate(PERCENTILES)}
    out["mad"] = _quantiles(deviations, last, (50,))[..., 0]
    out["energy"] = shared.variance_BS + shared.mean_BS.square()
    pairs = mask_BST[..., 1:] & mask_BST[..., :-1]
    seconds = pairs.sum(-1).clamp(min=1) / rate_hz_B[:, None]
    out["zero_crossings_hz"] = _crossings(series_BST, pairs) / seconds
    out["mean_crossings_hz"] = _crossings(shared.centred_BST, pairs) / seconds
    return {name: value.to(series_BST.dtype) for name, value in out.items()}


def correlation(a_BT: Tensor, b_BT: Tensor) -> Tensor:
    """Pearson correlation [B] of deviations from the mean; 0 where one of them is constant."""
    squares = a_BT.square().sum(-1) * b_BT.square().sum(-1)
    constant = squares < _MIN_VARIANCE
    product = (a_BT * b_BT).sum(-1)
    return torch.where(constant, 0.0, product * torch.where(constant, 1.0, squares).rsqrt())


def principal_deviations(a_BT: Tensor, b_BT: Tensor, count_B: Tensor) -> tuple[Tensor, Tensor]:
    """Standard deviations [B] along the principal axes of a plane, larger first."""
    safe = count_B.clamp(min=1.0)
    aa, bb = a_BT.square().sum(-1) / safe, b_BT.square().sum(-1) / safe
    ab = (a_BT * b_BT).sum(-1) / safe
    spread = ((aa - bb).square() + 4 * ab.square()).clamp(min=_MIN_VARIANCE**2).sqrt()
    major = ((aa + bb + spread) / 2).clamp(min=_MIN_VARIANCE).sqrt()
    minor = ((aa + bb - spread) / 2).clamp(min=_MIN_VARIANCE).sqrt()
    return major, minor


def _sorted(series_BST: Tensor, mask_BST: Tensor) -> tuple[Tensor, Tensor]:
    """Real values in ascending order (then infinities), and the index of the largest [B, S]."""
    filled = torch.where(mask_BST, series_BST, torch.inf)
    ordered = sort_last(filled)
    return ordered, (mask_BST.sum(-1) - 1).clamp(min=0)


def _quantiles(ordered_BST: Tensor, last_BS: Tensor, percents: tuple[int, ...]) -> Tensor:
    """Linearly interpolated percentiles [B, S, Q] of the first `last + 1` values of each row."""
    share = torch.tensor(percents, dtype=torch.float64, device=ordered_BST.device) / 100.0
    position = share * last_BS[..., None]
    low = position.floor().long()
    high = torch.minimum(low + 1, last_BS[..., None])
    weight = (position - low).to(ordered_BST.dtype)
    a, b = ordered_BST.gather(-1, low), ordered_BST.gather(-1, high)
    return a + (b - a) * weight


def _crossings(series_BST: Tensor, pairs_BST: Tensor) -> Tensor:
    """Number of sign changes between neighbours that are both real."""
    positive = series_BST >= 0
    return ((positive[..., 1:] != positive[..., :-1]) & pairs_BST).sum(-1)
