"""Where the power of a movement lies relative to its step frequency, and in what phase.

The step frequency is that multiple of a fundamental which explains the vertical's spectrum best
(sum of the amplitudes at the frequency, its double and its half). Walking, climbing and running
differ in how power is spread over the multiples, whatever the pace.
"""

# B batch, T time, S signals, F frequencies, M multiples

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from otolith.signals._spectra import power_of
from otolith.signals.motion_views import SIGNALS

STEP_HZ = (1.2, 3.44, 0.02)
"""Lowest and highest step frequency that is searched, and the distance of the trials, in Hz."""
MULTIPLES = (0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0)
_SCORES = ((1.0, 1.0), (2.0, 0.6), (0.5, 0.3))  # multiple, weight
_SIGNALS = tuple(name for name in SIGNALS if name != "norm")
_PHASED = ("horizontal", "gyro_norm")  # against the vertical, at the step frequency
_CELLS_PER_HZ = 51.2  # 1024 frequencies at 20 Hz
_HALF_WIDTH_HZ = 6 / _CELLS_PER_HZ
_LOWEST_HZ = 8 / _CELLS_PER_HZ
_FLOOR_SCORE, _FLOOR_SHARE = 1e-3, 3e-3
_MIN_AMPLITUDE = 1e-3  # of the windowed transform: some 0.00004 g; weaker waves have no phase
_SILENCE = 1e-6

GAIT_NAMES = (
    "gait/step_hz",
    "gait/confidence",
    *(f"gait/{name}/log_share_x{m:g}" for name in _SIGNALS for m in MULTIPLES),
    "gait/vertical/phase_cos",
    "gait/vertical/phase_sin",
    *(f"gait/{name}/lead_{part}" for name in _PHASED for part in ("cos", "sin")),
)


def gait_statistics(centred_BST: Tensor, rate_hz: float) -> Tensor:
    """Describe signals relative to the step frequency.

    Args:
        centred_BST: Deviations from the mean, one row per entry of `SIGNALS`.
        rate_hz: Rate in Hz.

    Returns:
        One column per entry of `GAIT_NAMES`: step frequency in Hz, logarithm of its score,
        logarithms of the shares of power around its multiples, cosine and sine of the phase of
        the second against the first harmonic of the vertical, and of the vertical against two
        other signals. Phases shrink to 0 where there is no movement.
    """
    num = centred_BST.shape[2]
    length = 2 ** math.ceil(math.log2(max(num, _CELLS_PER_HZ * rate_hz)))
    window = torch.as_tensor(np.hanning(num)).to(centred_BST)
    rows = [SIGNALS.index(name) for name in _SIGNALS]
    spectrum = torch.fft.rfft(centred_BST[:, rows] * window, n=length)
    power = power_of(spectrum)
    grid = _Grid(rate_hz / length, rate_hz / 2)
    step_hz, score = _step_frequency(power[:, 0], grid)
    return torch.cat(
        [
            step_hz[:, None],
            (score + _FLOOR_SCORE).log()[:, None],
            _log_shares(power, step_hz, grid).flatten(1),
            _phases(spectrum, step_hz, grid),
        ],
        dim=1,
    )


class _Grid:
    """Frequencies of a transform: `cell_hz` apart, up to `top_hz`."""

    def __init__(self, cell_hz: float, top_hz: float) -> None:
        self.cell_hz, self.top_hz = cell_hz, top_hz
        self.last = round(top_hz / cell_hz)

    def cell(self, hz: Tensor, share: float = 0.99) -> Tensor:
        """Index of the nearest frequency, at most `share` of the highest."""
        return (hz.clamp(max=share * self.top_hz) / self.cell_hz).round().long()


def _step_frequency(power_BF: Tensor, grid: _Grid) -> tuple[Tensor, Tensor]:
    """Frequency [B] of the best trial in Hz, and its score; the lowest trial for silence."""
    low, high, distance = STEP_HZ
    trials = torch.arange(round((high - low) / distance) + 1, device=power_BF.device)
    hz = low + distance * trials.to(power_BF.dtype)
    total = power_BF.sum(1, keepdim=True)
    amplitude = (power_BF / total.clamp(min=_SILENCE)).sqrt()
    amplitude = torch.where(total < _SILENCE, 0.0, amplitude)
    scores = [w * amplitude[:, grid.cell(m * hz)] for m, w in _SCORES]
    best = torch.stack(scores).sum(0).max(dim=1)
    return hz[best.indices], best.values


def _log_shares(power_BSF: Tensor, step_hz_B: Tensor, grid: _Grid) -> Tensor:
    """Logarithms [B, S, M] of the shares of power around multiples of the step frequency."""
    width = max(1, round(_HALF_WIDTH_HZ / grid.cell_hz))
    first = round(_LOWEST_HZ / grid.cell_hz)
    total = power_BSF[:, :, first:].sum(2, keepdim=True) + 1e-9
    below = torch.nn.functional.pad(power_BSF.cumsum(2), (1, 0))
    multiples = torch.tensor(MULTIPLES, device=step_hz_B.device, dtype=step_hz_B.dtype)
    center_BM = grid.cell(step_hz_B[:, None] * multiples, 0.98)
    start = (center_BM - width).clamp(0, grid.last)
    end = (center_BM + width).clamp(1, grid.last)
    shape = (-1, power_BSF.shape[1], -1)
    inside = below.gather(2, end[:, None].expand(shape)) - below.gather(
        2, start[:, None].expand(shape)
    )
    return (inside.clamp(min=0) / total + _FLOOR_SHARE).log()


def _phases(spectrum_BSF: Tensor, step_hz_B: Tensor, grid: _Grid) -> Tensor:
    """Cosines and sines [B, 6] of phases that do not depend on where the window starts."""
    one, two = (grid.cell(m * step_hz_B)[:, None] for m in (1, 2))
    rows = [_SIGNALS.index(name) for name in _PHASED]
    vertical = spectrum_BSF[:, 0]
    first, second = _phasor(vertical.gather(1, one)), _phasor(vertical.gather(1, two))
    at_step = spectrum_BSF[:, rows].gather(2, one[:, None].expand(-1, len(rows), -1))[..., 0]
    shape = first.square() * second.conj()
    lead = first * _phasor(at_step).conj()
    return torch.view_as_real(torch.cat([shape, lead], dim=1)).flatten(1)


def _phasor(values: Tensor) -> Tensor:
    """Complex numbers of length 1, shorter for those near 0."""
    return values / values.abs().clamp(min=_MIN_AMPLITUDE)
