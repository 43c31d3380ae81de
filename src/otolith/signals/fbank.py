"""Filter bank of short motion signals: short-time Fourier powers in decibels, as matrix products.

The front end of EVI-MAE (Zhang et al., ECCV 2024): a segment of any length is stretched to a fixed
number of samples by windowed-sinc resampling, so its frequency axis is relative to the length of the
segment; or, with `rate_hz`, it is resampled to a physical rate and the axis is in Hz. Resampling is
one product with a matrix that depends on the length alone; a window is far shorter than the
transform, so framing, windowing and the transform are one product of [frames, window] with
[window, 2 * bins], which needs fewer operations than padded transforms and gives the same powers.
"""

# N signals, L samples of a segment, M resampled samples, T frames, W samples of a window, F bins

from __future__ import annotations

import math
from functools import lru_cache
from typing import Annotated

import pydantic
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from otolith.core.config import config
from otolith.core.errors import DataError
from otolith.signals._frames import empty_maps, log2_

Count = Annotated[int, Field(gt=0)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
# signals whose spectra are made at once, so that they stay in the cache
_BLOCK = 3


@config
class Config:
    """Settings of the filter bank.

    Args:
        num_frames: Frames T of the map; longer maps are cut, shorter ones padded at the end.
        num_bins: Frequency bins F that are kept, from the constant one up.
        fft_size: Length of the transform, which sets the distance of the bins.
        window_samples: Length W of the periodic Hann window in resampled samples.
        hop_samples: Distance of neighbouring frames in resampled samples.
        rate_hz: Rate that signals are resampled to; None = stretch every segment to `num_frames`
            samples, whatever its rate.
        window_s: Length of the window in s, instead of `window_samples`; needs `rate_hz`.
        hop_s: Distance of frames in s, instead of `hop_samples`; needs `rate_hz`.
        unit_m_s2: What one unit of the map's signals is in the signals' unit, such as 9.80665 for
            maps of acceleration in g.
        subtract_mean: Whether the mean of a segment is taken away.
        power: 2 = powers, 1 = amplitudes.
        db_per_decade: Decibels per factor of ten of the power (or amplitude).
        floor: Smallest power (or amplitude), which bounds the decibels from below.
        range_db: Largest distance from a map's maximum in dB; None = no bound.
        padding_db: Value of frames behind the end; None = the floor, which is silence.
        lowpass_zeros: Zero crossings of the resampling filter on each side.
        rolloff: Cut-off of the resampling filter as a share of the lower Nyquist frequency.
        stretch_base: Stretching multiplies the rate by floor(base * num_frames / L) / base.
        mean_db: What is subtracted from the map.
        std_db: What the map is divided by.
    """

    num_frames: Count = 320
    num_bins: Count = 128
    fft_size: Count = 256
    window_samples: Count = 24
    hop_samples: Count = 1
    rate_hz: Positive | None = None
    window_s: Positive | None = None
    hop_s: Positive | None = None
    unit_m_s2: Positive = 1.0
    subtract_mean: bool = True
    power: Annotated[int, Field(ge=1, le=2)] = 2
    db_per_decade: Positive = 10.0
    floor: Positive = 1e-10
    range_db: Positive | None = None
    padding_db: float | None = None
    lowpass_zeros: Count = 6
    rolloff: Annotated[float, Field(gt=0, le=1)] = 0.99
    stretch_base: Count = 100
    mean_db: float = 0.0
    std_db: Positive = 1.0

    @pydantic.model_validator(mode="after")
    def _fits(self) -> Config:
        if self.rate_hz is None and (self.window_s or self.hop_s):
            raise ValueError("window_s and hop_s need rate_hz")
        if self.window_length > self.fft_size:
            raise ValueError("the window must not be longer than fft_size")
        if self.num_bins > self.fft_size // 2 + 1:
            raise ValueError(
                f"fft_size gives {self.fft_size // 2 + 1} bins, num_bins asks for more"
            )
        return self

    @property
    def window_length(self) -> int:
        """Length of the window in resampled samples."""
        if self.window_s is None or self.rate_hz is None:
            return self.window_samples
        return max(1, round(self.window_s * self.rate_hz))

    @property
    def hop_length(self) -> int:
        """Distance of frames in resampled samples."""
        if self.hop_s is None or self.rate_hz is None:
            return self.hop_samples
        return max(1, round(self.hop_s * self.rate_hz))

    def frequencies_hz(self, duration_s: float) -> Tensor:
        """Return the frequency of every bin [F] in Hz for segments of a duration in s."""
        rate_hz = self.rate_hz or self.num_frames / duration_s
        return torch.arange(self.num_bins) * rate_hz / self.fft_size


def fbank(signals_NL: Tensor, settings: Config, rate_hz: float | None = None) -> Tensor:
    """Return the maps of signals of one length.

    Args:
        signals_NL: Signals [N, L] without missing values, in any unit.
        settings: See `Config`.
        rate_hz: Rate of the signals; needed if `settings.rate_hz` is set.

    Returns:
        Maps [N, T, F] in dB, (x - mean_db) / std_db.

    Raises:
        DataError: A segment is too short for one window, or the rate is not given.
    """
    if signals_NL.shape[1] < settings.lowpass_zeros:
        raise DataError(
            f"A segment of {signals_NL.shape[1]} samples is too short for a map; "
            f"{settings.lowpass_zeros} are needed.",
            "Choose longer windows.",
        )
    x_NL = signals_NL / settings.unit_m_s2 if settings.unit_m_s2 != 1.0 else signals_NL
    if settings.subtract_mean:
        x_NL = x_NL - x_NL.mean(1, keepdim=True)
    x_NM = stretch(x_NL, settings, rate_hz)
    if len(x_NM) <= _BLOCK or x_NM.requires_grad:
        levels = _decibels(x_NM, settings)
    else:
        shape = (len(x_NM), settings.num_frames, settings.num_bins)
        is_plain = x_NM.device.type == "cpu" and x_NM.dtype == torch.float32
        levels = empty_maps(shape) if is_plain else x_NM.new_empty(shape)
        for block, target in zip(x_NM.split(_BLOCK), levels.split(_BLOCK), strict=True):
            target.copy_(_decibels(block, settings))
    if (settings.mean_db, settings.std_db) == (0.0, 1.0):
        return levels
    return levels.sub_(settings.mean_db).div_(settings.std_db)


def stretch(signals_NL: Tensor, settings: Config, rate_hz: float | None = None) -> Tensor:
    """Return signals [N, L] resampled to the map's length or rate, [N, M].

    Raises:
        DataError: The settings name a rate, but the rate of the signals is not given.
    """
    length = signals_NL.shape[1]
    base = settings.stretch_base
    old: float = base
    new: float = int(base * (settings.num_frames / max(length, 1)))
    if settings.rate_hz is not None:
        if rate_hz is None:
            raise DataError("The rate of the signals is not given.", "Give rate_hz.")
        old, new = rate_hz, settings.rate_hz
    if old == new:
        return signals_NL
    if new < 1:
        raise DataError(
            f"A segment of {length} samples cannot be shrunk to {settings.num_frames}.",
            "Cut shorter windows or set signals.rate_hz.",
        )
    matrix_LM = _resampling(length, old, new, settings.lowpass_zeros, settings.rolloff)
    return signals_NL @ matrix_LM.to(signals_NL)


def _decibels(x_NM: Tensor, settings: Config) -> Tensor:
    """Decibel maps [N, T, F], cut and padded in time."""
    window, hop = settings.window_length, settings.hop_length
    before, after = window // 2, window - window // 2
    if x_NM.shape[1] <= after:
        raise DataError(
            f"A segment of {x_NM.shape[1]} samples is shorter than half a window of {window}.",
            "Cut longer windows, or set a shorter window_samples.",
        )
    # an even and an odd number of padding zeros around the window place it alike in the transform
    padded = F.pad(x_NM[:, None], (before, after), mode="reflect")[:, 0]
    frames_NTW = padded.unfold(1, window, hop)[:, : settings.num_frames]
    num_kept = (x_NM.shape[1]) // hop + 1
    frames_NTW = frames_NTW[:, :num_kept]
    basis_WK = _basis(window, settings.fft_size, settings.num_bins).to(x_NM)
    parts_NTK = frames_NTW @ basis_WK
    # in place, because fresh memory costs more than the arithmetic
    real, imaginary = parts_NTK.chunk(2, dim=2)
    power = real.square().addcmul_(imaginary, imaginary)
    if settings.power == 1:
        power = power.clamp_(min=settings.floor**2).sqrt()
    scale = settings.db_per_decade * math.log10(2.0)
    levels = log2_(power.clamp_(min=settings.floor)).mul_(scale)
    if settings.range_db is not None:
        levels = levels.maximum(levels.amax((1, 2), keepdim=True) - settings.range_db)
    missing = settings.num_frames - levels.shape[1]
    if missing <= 0:
        return levels
    silence = settings.padding_db
    if silence is None:
        silence = settings.db_per_decade * math.log10(settings.floor)
    return F.pad(levels, (0, 0, 0, missing), value=silence)


@lru_cache(maxsize=256)
def _resampling(length: int, old: float, new: float, zeros: int, rolloff: float) -> Tensor:
    """Matrix [L, M] of windowed-sinc interpolation from rate `old` to rate `new`, float32."""
    base = min(old, new) * rolloff
    num = math.ceil(new * length / old - 1e-9)
    at_L = torch.arange(length, dtype=torch.float64) / old
    at_M = torch.arange(num, dtype=torch.float64) / new
    t_LM = ((at_L[:, None] - at_M) * base).clamp(-zeros, zeros)
    taper_LM = torch.cos(t_LM * (math.pi / zeros / 2)).square()
    return (torch.sinc(t_LM) * taper_LM * (base / old)).float()


@lru_cache(maxsize=32)
def _basis(window: int, fft_size: int, num_bins: int) -> Tensor:
    """Hann window times cosines and sines, [W, 2 F], float32."""
    taper_W = torch.hann_window(window, periodic=True, dtype=torch.float64)
    at_W = torch.arange(window, dtype=torch.float64)
    angle_WF = at_W[:, None] * torch.arange(num_bins) * (2 * math.pi / fft_size)
    return (taper_W[:, None] * torch.cat([angle_WF.cos(), angle_WF.sin()], 1)).float()
