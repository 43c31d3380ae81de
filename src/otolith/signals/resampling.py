"""Change of sampling rate without aliasing, and regular grids from jittered time stamps.

The filter is a Kaiser-windowed sinc (Oppenheim & Schafer, Discrete-Time Signal Processing,
section 7.5) that is symmetric about every output instant (no phase shift). Its taps are divided
by their sum, so that a constant stays exactly constant. Its stop band begins at half of the
lower of the two rates.
"""

# T time in, N time out, C channels, K taps, P outputs of one block, L inputs of one block

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from otolith.core.errors import DataError
from otolith.signals._arrays import fill_missing, to_tensor

_BLOCK = 64  # outputs computed by one matrix product
_MAX_INPUTS = 8192  # inputs that a block may span, for very low output rates
_MAX_PERIOD = 1024  # filter phases up to which all blocks share one matrix
_NUM_PHASES = 1024  # table size otherwise; linear interpolation then errs by less than -110 dB
_CHUNK = 8192  # outputs gathered at a time
_MAX_DENOMINATOR = 1_000_000


def resample(
    x_TC: Any,
    rate_hz: float,
    new_rate_hz: float,
    *,
    pass_share: float = 0.8,
    stop_band_db: float = 80.0,
) -> Any:
    """Resample to another rate; any ratio, symmetric filter, constants stay exact.

    Output i stands at time i / new_rate_hz, input i at i / rate_hz. Beyond its ends the signal
    holds its first and last value. Missing values are bridged linearly for filtering; an output
    is missing again where at least half of what it stands for was missing. A trailing part
    of NaN therefore gives the same result as a shorter signal.

    Args:
        x_TC: Signal [..., T, C] in any unit, NaN = missing.
        rate_hz: Rate of the signal in Hz.
        new_rate_hz: Wanted rate in Hz. The ratio is approximated by a fraction with a
            denominator of at most one million.
        pass_share: End of the pass band as a share of half of the lower rate, 0..1 (exclusive).
        stop_band_db: Attenuation of what would alias, in dB; above 21.

    Returns:
        Signal [..., round(T * new_rate_hz / rate_hz), C], at least one sample unless T = 0.

    Raises:
        DataError: A rate is not positive and finite, or the signal has no time axis.
    """
    for word, value in (("rate_hz", rate_hz), ("new_rate_hz", new_rate_hz)):
        if not (math.isfinite(value) and value > 0):
            raise DataError(f"{word} is {value} Hz.", "Give a positive rate.")
    x, back = to_tensor(x_TC)
    if x.ndim < 2:
        raise DataError(f"The signal has shape {tuple(x.shape)}.", "Give it as [time, channels].")
    ratio = Fraction(new_rate_hz / rate_hz).limit_denominator(_MAX_DENOMINATOR)
    if ratio == 0:
        ratio = Fraction(1, round(rate_hz / new_rate_hz))
    if ratio == 1 or x.shape[-2] == 0:
        return back(x.clone())
    filled, missing = fill_missing(x)
    num_out = max(1, math.floor(x.shape[-2] * ratio + Fraction(1, 2)))
    y = _filter(filled, num_out, ratio, pass_share, stop_band_db)
    if bool(missing.any()):
        y = torch.where(_missing_share(missing, num_out, ratio) >= 0.5, math.nan, y)
    return back(y)


def _filter(
    x: Tensor, num_out: int, ratio: Fraction, pass_share: float, stop_band_db: float
) -> Tensor:
    """Evaluate the filter at every output instant; `x` has no missing values."""
    up, down = ratio.numerator, ratio.denominator
    kernel = _Kernel(min(1.0, up / down), pass_share, stop_band_db)
    lead = x[..., :1, :].expand(*x.shape[:-2], kernel.half, x.shape[-1])
    block = _block_size(up, down)
    num_rows = (num_out + block) * down // up + 2 * kernel.half + 2
    num_tail = max(0, num_rows - kernel.half - x.shape[-2])
    tail = x[..., -1:, :].expand(*x.shape[:-2], num_tail, x.shape[-1])
    padded_CT = torch.cat([lead, x, tail], dim=-2).transpose(-1, -2)  # row i is input i - half
    if up <= _MAX_PERIOD:
        y = _periodic(padded_CT, num_out, up, down, block, kernel)
    else:
        y = _irregular(padded_CT, num_out, up, down, kernel)
    return y.transpose(-1, -2).contiguous()


@dataclass(frozen=True)
class _Kernel:
    """Windowed sinc; `low_share` is the lower rate over the input rate."""

    low_share: float
    pass_share: float
    stop_band_db: float

    @property
    def half(self) -> int:
        """Inputs on either side of an output that the filter sees (Kaiser's formula)."""
        width = 2.285 * math.pi * (1.0 - self.pass_share) * self.low_share
        return math.ceil((self.stop_band_db - 7.95) / width / 2) + 1

    def taps(self, fraction_N: np.ndarray) -> np.ndarray:
        """Weights [N, K] of inputs floor(t) - half ... floor(t) + half + 1; rows sum to 1."""
        offsets = np.arange(-self.half, self.half + 2)
        distance = offsets[None, :] - fraction_N[:, None]
        db = self.stop_band_db
        beta = 0.1102 * (db - 8.7) if db > 50 else 0.07886 * (db - 21.0) + 0.5842 * (db - 21) ** 0.4
        inside = np.clip(1.0 - (distance / self.half) ** 2, 0.0, None)
        window = np.where(np.abs(distance) <= self.half, np.i0(beta * np.sqrt(inside)), 0.0)
        cutoff = self.low_share * (1.0 + self.pass_share) / 2.0
        weights = np.sinc(cutoff * distance) * window
        return weights / weights.sum(axis=1, keepdims=True)


def _block_size(up: int, down: int) -> int:
    """Outputs per block: whole periods, about `_BLOCK`, fewer where they span many inputs."""
    wanted = max(1, min(_BLOCK, _MAX_INPUTS * up // down))
    return up * math.ceil(wanted / up)


def _periodic(
    padded_CT: Tensor, num_out: int, up: int, down: int, block: int, kernel: _Kernel
) -> Tensor:
    """One matrix serves all blocks, since the phases repeat after `up` outputs."""
    matrix = torch.as_tensor(_block_matrix(up, down, block, kernel)).to(padded_CT)
    num_blocks = math.ceil(num_out / block)
    step, length = block * down // up, matrix.shape[1]
    used = padded_CT[..., : (num_blocks - 1) * step + length]
    return (used.unfold(-1, length, step) @ matrix.T).flatten(-2)[..., :num_out]


@lru_cache(maxsize=32)
def _block_matrix(up: int, down: int, block: int, kernel: _Kernel) -> np.ndarray:
    """Weights [P, L] of one block of outputs, float64."""
    ticks = np.arange(block, dtype=np.int64) * down  # in 1 / up of an input step
    base = ticks // up
    taps = kernel.taps((ticks % up) / up)
    matrix = np.zeros((block, int(base[-1]) + taps.shape[1]))
    np.put_along_axis(matrix, base[:, None] + np.arange(taps.shape[1])[None, :], taps, axis=1)
    return matrix


def _irregular(padded_CT: Tensor, num_out: int, up: int, down: int, kernel: _Kernel) -> Tensor:
    """Phases do not repeat soon: interpolate linearly in a table of `_NUM_PHASES` phases."""
    table = torch.as_tensor(kernel.taps(np.arange(_NUM_PHASES + 1) / _NUM_PHASES)).to(padded_CT)
    columns = torch.arange(table.shape[1], device=padded_CT.device)
    parts = []
    for first in range(0, num_out, _CHUNK):
        ticks = np.arange(first, min(first + _CHUNK, num_out), dtype=np.int64) * down
        phase = (ticks % up) / up * _NUM_PHASES
        low = torch.as_tensor(phase.astype(np.int64), device=padded_CT.device)
        share = torch.as_tensor(phase % 1.0).to(padded_CT)[:, None]
        taps = torch.lerp(table[low], table[low + 1], share)
        rows = torch.as_tensor(ticks // up, device=padded_CT.device)[:, None] + columns
        parts.append(torch.einsum("...nk,nk->...n", padded_CT[..., rows], taps))
    return torch.cat(parts, dim=-1)


def _missing_share(missing: Tensor, num_out: int, ratio: Fraction) -> Tensor:
    """Share of the time around each output that is missing, [..., N, C]."""
    num_in = missing.shape[-2]
    zero = missing.new_zeros((*missing.shape[:-2], 1, missing.shape[-1]), dtype=torch.float64)
    total = torch.cat([zero, missing.double().cumsum(-2)], dim=-2)  # at sample edges i - 1/2
    width = max(1.0, 1.0 / float(ratio))
    center = torch.arange(num_out, dtype=torch.float64, device=missing.device) / float(ratio) + 0.5

    def at(edge: Tensor) -> Tensor:
        low = edge.floor().long().clamp(0, num_in - 1)
        share = (edge - low)[:, None]
        return total[..., low, :] * (1 - share) + total[..., low + 1, :] * share

    start = (center - width / 2).clamp(0, num_in - 1e-6)
    end = (center + width / 2).clamp(1e-6, num_in)
    return (at(end) - at(start)) / (end - start).clamp(min=1e-6)[:, None] + 1e-9


def interpolate_to_grid(
    times_s: np.ndarray, x_TC: np.ndarray, rate_hz: float, max_gap_s: float
) -> tuple[np.ndarray, float]:
    """Put samples with jittered time stamps on a regular grid by linear interpolation.

    The grid starts at the first stamp. Choose the nominal rate of the sensor and use `resample`
    to go to another rate, since interpolation alone does not prevent aliasing.

    Args:
        times_s: Strictly increasing stamps [T] in s, float64.
        x_TC: Samples [T, C] in any unit; NaN = missing, bridged like a missing row.
        rate_hz: Rate of the grid in Hz.
        max_gap_s: Longest distance in s between two present neighbours that is bridged.

    Returns:
        Samples [N, C] of the input's float type with NaN inside longer gaps, and the time of
        the first sample in s.

    Raises:
        DataError: Stamps are not strictly increasing and finite, or shapes or rates do not fit.
    """
    times = np.asarray(times_s, dtype=np.float64)
    values = np.asarray(x_TC)
    if values.ndim != 2 or times.shape != values.shape[:1] or not len(times):
        raise DataError(
            f"There are {times.shape} time stamps for samples of shape {values.shape}.",
            "Give one stamp per row of [time, channels].",
        )
    if not (np.isfinite(times).all() and (np.diff(times) > 0).all()):
        raise DataError("Time stamps do not increase strictly.", "Sort or repair them first.")
    if not (math.isfinite(rate_hz) and rate_hz > 0 and max_gap_s > 0):
        raise DataError(
            f"rate_hz is {rate_hz} and max_gap_s is {max_gap_s}.", "Give positive numbers."
        )
    num = math.floor((times[-1] - times[0]) * rate_hz + 1e-6) + 1
    grid = times[0] + np.arange(num) / rate_hz
    kind = values.dtype if values.dtype in (np.float32, np.float64) else np.float64
    out = np.full((num, values.shape[1]), np.nan, dtype=kind)
    for column in range(values.shape[1]):
        present = np.isfinite(values[:, column])
        if present.any():
            out[:, column] = _bridge(
                grid, times[present], values[present, column], max_gap_s, 1e-6 / rate_hz
            )
    return out, float(times[0])


def _bridge(
    grid: np.ndarray, times: np.ndarray, values: np.ndarray, max_gap_s: float, tolerance_s: float
) -> np.ndarray:
    """Interpolate one channel; NaN outside of it and inside gaps, but not on a stamp."""
    y = np.interp(grid, times, values)
    right = np.searchsorted(times, grid, side="left").clip(0, len(times) - 1)
    left = np.maximum(right - 1, 0)
    to_left, to_right = np.abs(grid - times[left]), np.abs(times[right] - grid)
    on_stamp = np.minimum(to_left, to_right) <= tolerance_s
    outside = (grid < times[0]) | (grid > times[-1])
    # A gap of exactly max_gap_s is bridged, also when its ends are rounded.
    in_gap = times[right] - times[left] > max_gap_s + tolerance_s
    return np.where((outside | in_gap) & ~on_stamp, np.nan, y)
