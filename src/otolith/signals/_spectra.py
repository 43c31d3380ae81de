"""Statistics of masked series in the frequency domain, defined in Hz and so independent of rate.

Power spectral density of the deviations from the mean under a Hann window over the real span
(one-sided periodogram, zero-padded to a length that depends on the sample alone).
"""

# B batch, S series, T time, F frequencies, M measures

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

CELL_HZ = 0.5
MIN_DOMINANT_HZ = 0.25
POWER_FLOOR = 1e-6
_MAX_STEP_HZ = 0.25
_SILENCE = 1e-9  # total power in unit^2 below which there is no frequency to speak of


def spectral_statistics(
    centred_BST: Tensor, mask_BST: Tensor, rate_hz_B: Tensor, bands_hz: Sequence[float]
) -> dict[str, Tensor]:
    """Return statistic name -> [B, S].

    Args:
        centred_BST: Deviations from the mean, 0 where masked.
        mask_BST: bool, True = real.
        rate_hz_B: Rates in Hz.
        bands_hz: Ascending edges of the bands in Hz.
    """
    num = mask_BST.shape[-1]
    rows = torch.arange(num, device=mask_BST.device)
    end = torch.where(mask_BST, rows + 1, 0).amax(-1)
    start = torch.where(mask_BST, rows, num).amin(-1)
    span = (end - start).clamp(min=1)
    phase = (rows - start[..., None] + 0.5) / span[..., None].to(centred_BST.dtype)
    window = torch.sin(math.pi * phase).square() * mask_BST
    scale = window.square().sum(-1).clamp(min=1e-6)
    weighted = centred_BST * window
    lengths = _lengths(end.amax(-1), rate_hz_B)
    names = _names(bands_hz)
    out = centred_BST.new_zeros(*centred_BST.shape[:2], len(names))
    groups, inverse = torch.stack([rate_hz_B, lengths]).unique(dim=1, return_inverse=True)
    whole = groups.shape[1] == 1
    for index, (rate, length) in enumerate(groups.T.tolist()):
        rows_G = (inverse == index).nonzero()[:, 0]
        part = (weighted, scale) if whole else (weighted[rows_G], scale[rows_G])
        values = _measure(*part, rate, int(length), tuple(bands_hz))
        out = values if whole else out.index_copy(0, rows_G, values)
    return dict(zip(names, out.unbind(-1), strict=True))


def power_of(spectrum: Tensor) -> Tensor:
    """Return the squared magnitude of complex numbers."""
    return spectrum.real.square() + spectrum.imag.square()


def _names(bands_hz: Sequence[float]) -> list[str]:
    bands = [f"log_power_{a:g}_{b:g}hz" for a, b in itertools.pairwise(bands_hz)]
    return ["jerk", "spectral_entropy", "dominant_hz", *bands]


def _lengths(end_B: Tensor, rate_hz_B: Tensor) -> Tensor:
    """Length of the transform: a power of two, at least twice the samples and fine enough."""
    wanted = torch.maximum(2.0 * end_B.double(), rate_hz_B.double() / _MAX_STEP_HZ)
    return torch.exp2(torch.ceil(torch.log2(wanted.clamp(min=8.0)))).to(rate_hz_B)


def _measure(
    weighted_BST: Tensor, scale_BS: Tensor, rate_hz: float, length: int, bands_hz: tuple[float, ...]
) -> Tensor:
    """All measures [B, S, M] of samples that share rate and length of the transform."""
    table = _table(rate_hz, length, bands_hz)
    spectrum = torch.fft.rfft(weighted_BST[..., : min(length, weighted_BST.shape[-1])], n=length)
    power = power_of(spectrum[..., : len(table)]) / scale_BS[..., None]
    sums = power @ torch.as_tensor(table).to(power)
    num_bands = len(bands_hz) - 1
    bands, cells, squared_jerk = sums.split([num_bands, table.shape[1] - num_bands - 1, 1], dim=-1)
    total = cells.sum(-1)
    silent = total < _SILENCE
    share = cells / torch.where(silent, 1.0, total)[..., None]
    entropy = -torch.special.xlogy(share, share.clamp(min=1e-12)).sum(-1)
    entropy = torch.where(silent, 0.0, entropy / math.log(cells.shape[-1]))
    dominant = torch.where(silent, 0.0, _peak_hz(power, rate_hz / length, bands_hz[-1]))
    jerk = squared_jerk[..., 0].clamp(min=1e-12).sqrt()
    logs = torch.log10(bands + POWER_FLOOR)
    return torch.cat([torch.stack([jerk, entropy, dominant], dim=-1), logs], dim=-1)


def _peak_hz(power_BSF: Tensor, step_hz: float, max_hz: float) -> Tensor:
    """Frequency of the highest peak, refined by a parabola through the logarithms."""
    first = max(1, math.ceil(MIN_DOMINANT_HZ / step_hz - 1e-9))
    end = min(power_BSF.shape[-1] - 1, math.floor(max_hz / step_hz + 1e-9) + 1)
    if end <= first:
        return power_BSF.new_zeros(power_BSF.shape[:-1])
    peak = power_BSF[..., first:end].argmax(-1, keepdim=True) + first
    around = [power_BSF.gather(-1, peak + k).clamp(min=1e-12).log()[..., 0] for k in (-1, 0, 1)]
    bend = 2 * around[1] - around[0] - around[2]
    flat = bend < 1e-6
    shift = (around[2] - around[0]) / (2 * torch.where(flat, 1.0, bend))
    return (peak[..., 0] + torch.where(flat, 0.0, shift.clamp(-0.5, 0.5))) * step_hz


@lru_cache(maxsize=64)
def _table(rate_hz: float, length: int, bands_hz: tuple[float, ...]) -> np.ndarray:
    """Columns that turn |X|^2 / sum(w^2) into band powers, cell powers and squared jerk.

    Bin k stands for [(k - 1/2), (k + 1/2)] * rate / length; a band takes the share of each bin
    that overlaps it, so that bands do not depend on where the bins fall.
    """
    step = rate_hz / length
    top = bands_hz[-1]
    num = min(length // 2 + 1, math.floor(top / step + 0.5) + 2)
    center = np.arange(num) * step
    low = np.clip(center - step / 2, 0.0, rate_hz / 2)
    high = np.clip(center + step / 2, 0.0, rate_hz / 2)
    density = 2.0 / rate_hz  # one-sided; the outermost bins are half as wide

    def overlap(a: float, b: float) -> np.ndarray:
        return np.clip(np.minimum(high, b) - np.maximum(low, a), 0.0, None) * density

    num_cells = max(2, math.ceil((top - bands_hz[0]) / CELL_HZ - 1e-9))
    edges = np.linspace(bands_hz[0], top, num_cells + 1)
    bands = [overlap(a, b) for a, b in itertools.pairwise(bands_hz)]
    cells = [overlap(a, b) for a, b in itertools.pairwise(edges)]
    jerk = overlap(bands_hz[0], top) * (2 * np.pi * center) ** 2
    return np.stack([*bands, *cells, jerk], axis=1)
