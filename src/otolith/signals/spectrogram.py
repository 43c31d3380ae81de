"""Spectrograms of short windows: resampling, short-time transform, resizing, decibels.

Frames of a few dozen samples go through products with small fixed matrices (`_short_frames`), which
is several times as fast as a fast Fourier transform of padded frames, and exact; longer ones through
one product per frame. Lengths are seconds and frequencies Hz; `transform_sizes` says what they are in
samples. Resampling follows Smith, "Digital Audio Resampling" (a sinc under a Hann window), with the
definitions of torchaudio, so that published statistics of spectrograms stay valid.
"""

# C channels (any leading axes), T samples, F frequency bins, N frames, R rows, L columns

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from typing import Annotated

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from otolith.core.config import config
from otolith.core.errors import DataError
from otolith.signals import _short_frames
from otolith.signals._frames import TransformSizes, empty_maps, hann_window, log2_, mirrored, resize

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_MAX_DENOMINATOR = 10_000
_DB_PER_OCTAVE = 10.0 * math.log10(2.0)
_MAX_SHORT = 64  # longest frame, in samples, for which the way of short frames is the faster one
_CHUNK_VALUES = 1 << 17  # spectrum values held at a time, so that they stay in the cache


@config
class Config:
    """Settings of a spectrogram.

    Args:
        rate_hz: Rate at which the signal is analysed, in Hz; it is resampled to it.
        frame_s: Length of a frame (periodic Hann window) in s.
        hop_s: Distance of neighbouring frames in s.
        bin_hz: Distance of neighbouring frequency bins in Hz; the frame is padded with zeros.
        num_rows: Height of the map, 0 Hz first; None = one row per bin.
        num_columns: Width of the map; None = one column per frame.
        floor_power: Smallest power before decibels.
        mean_db: Mean of the decibels per channel (or one for all), subtracted; empty = none.
        std_db: Deviation of the decibels per channel (or one for all), divided by; empty = none.
        filter_width: Zero crossings of the resampling filter on either side.
        rolloff: Cut-off of the resampling filter as a share of half of the lower rate.
    """

    rate_hz: Positive = 160.0
    frame_s: Positive = 0.15
    hop_s: Positive = 0.00625
    bin_hz: Positive = 0.625
    num_rows: Annotated[int, Field(gt=0)] | None = 128
    num_columns: Annotated[int, Field(gt=0)] | None = 320
    floor_power: Positive = 1e-10
    mean_db: tuple[float, ...] = ()
    std_db: tuple[Positive, ...] = ()
    filter_width: Annotated[int, Field(gt=0)] = 6
    rolloff: Annotated[float, Field(gt=0, le=1)] = 0.99

    def __post_init__(self) -> None:
        """Check that the lengths fit together."""
        sizes = transform_sizes(self)
        if sizes.frame > sizes.num_fft:
            raise ValueError(
                f"a frame_s of {self.frame_s} is longer than 1 / bin_hz = {1 / self.bin_hz}"
            )
        if len(self.mean_db) != len(self.std_db):
            raise ValueError("mean_db and std_db need the same number of values")


def transform_sizes(config: Config) -> TransformSizes:
    """Return the lengths of a transform in samples at its rate."""
    return TransformSizes(
        num_fft=max(1, round(config.rate_hz / config.bin_hz)),
        frame=max(1, round(config.frame_s * config.rate_hz)),
        hop=max(1, round(config.hop_s * config.rate_hz)),
    )


def spectrogram(
    x_CT: Tensor, rate_hz: float, config: Config, *, band_draws: Tensor | None = None,
    band_rows: int = 0, band_columns: int = 0,
) -> Tensor:  # fmt: skip
    """Turn signals into maps of decibels, normalised if the settings hold statistics.

    Args:
        x_CT: Signals [..., C, T] in any unit, without NaN.
        rate_hz: Their rate in Hz.
        config: Settings.
        band_draws: Uniform draws [..., 4] for one band of rows and one of columns per sample that
            are silenced (see `band_masks`); None = nothing is.
        band_rows: Widest band of rows.
        band_columns: Widest band of columns.

    Returns:
        Maps [..., C, R, L], float32: rows are frequencies from 0 Hz on, columns are frames.

    Raises:
        DataError: There is no sample, or the statistics are of another number of channels.
    """
    hidden = None
    if band_draws is not None:
        size = map_size(x_CT.shape[-1], rate_hz, config)
        rows, columns = band_masks(band_draws, size, band_rows, band_columns)
        bands = rows[..., :, None] | columns[..., None, :]
        hidden = bands[..., None, :, :].expand(*x_CT.shape[:-1], *size).flatten(0, -3)
    decibels = _Decibels(config, *statistics(x_CT[..., None], config), x_CT.shape, hidden)
    return _maps(x_CT, rate_hz, config, decibels)


class _Decibels:
    """Power -> what the settings want, in the same memory."""

    def __init__(
        self, config: Config, mean: Tensor | None, std: Tensor | None, shape: Sequence[int],
        hidden_NRL: Tensor | None,
    ) -> None:  # fmt: skip
        self.floor = config.floor_power
        self.hidden_NRL = hidden_NRL
        self.num_channels = shape[-2]
        one = torch.full((1, 1, 1), _DB_PER_OCTAVE)
        is_plain = mean is None or std is None
        self.scale_C11 = one if is_plain else _DB_PER_OCTAVE / std
        self.shift_C11 = torch.zeros_like(one) if is_plain else -mean / std
        self.scales = self.scale_C11.flatten().tolist()
        self.shifts = list(self.shift_C11.flatten())

    def many(self, power_NRL: Tensor, first: int) -> Tensor:
        """Overwrite the power of maps, of which the first has this number."""
        part = torch.arange(first, first + len(power_NRL), device=power_NRL.device)
        if self.hidden_NRL is not None:
            power_NRL = power_NRL.masked_fill_(self.hidden_NRL[part], 0.0)
        channel = part % self.num_channels % len(self.scale_C11)
        found = log2_(power_NRL.clamp_(min=self.floor))
        scale, shift = (v.to(found)[channel] for v in (self.scale_C11, self.shift_C11))
        return found.mul_(scale).add_(shift)

    def one(self, power_RL: Tensor, number: int) -> None:
        """Overwrite the power of one map."""
        if self.hidden_NRL is not None:
            power_RL.masked_fill_(self.hidden_NRL[number], 0.0)
        found = log2_(power_RL.clamp_(min=self.floor))
        channel = number % self.num_channels % len(self.scales)
        torch.add(self.shifts[channel], found, alpha=self.scales[channel], out=found)


def map_size(num_samples: int, rate_hz: float, config: Config) -> tuple[int, int]:
    """Return rows and columns of the map of a window."""
    sizes = transform_sizes(config)
    length = math.ceil(num_samples * _ratio(rate_hz, config.rate_hz))
    rows = config.num_rows or sizes.num_fft // 2 + 1
    return rows, config.num_columns or length // sizes.hop + 1


def power_map(x_CT: Tensor, rate_hz: float, config: Config) -> Tensor:
    """Return the resized power [..., C, R, L] of signals [..., C, T]; see `spectrogram`."""
    return _maps(x_CT, rate_hz, config, None)


def _maps(x_CT: Tensor, rate_hz: float, config: Config, decibels: _Decibels | None) -> Tensor:
    """Maps of all signals, a few at a time so that they stay in the cache; None = their power."""
    if x_CT.shape[-1] == 0:
        raise DataError("A window without samples has no spectrogram.", "Leave it out.")
    sizes = transform_sizes(config)
    with torch.autocast(x_CT.device.type, enabled=False):
        signal = resample_sinc(
            x_CT.to(_exact_type(x_CT)), rate_hz, config.rate_hz,
            filter_width=config.filter_width, rolloff=config.rolloff,
        ).flatten(0, -2)  # fmt: skip
        shape = map_size(x_CT.shape[-1], rate_hz, config)
        is_short = sizes.frame <= _MAX_SHORT and signal.dtype == torch.float64
        is_differentiated = torch.is_grad_enabled() and x_CT.requires_grad
        if is_short and signal.device.type == "cpu" and not is_differentiated:
            found = empty_maps((len(signal), *shape))
            with torch.no_grad():
                _short_frames.fill_maps(
                    found, signal.detach(), sizes, decibels.one if decibels else None
                )
            return found.view(*x_CT.shape[:-1], *shape)
        step = max(1, _CHUNK_VALUES // (shape[0] * shape[1]))
        make = _short_frames.power_map if is_short else _map_of_frames
        parts = []
        for first in range(0, len(signal), step):
            part = signal[first : first + step]
            power = make(part, sizes, config.num_rows, config.num_columns).float()
            parts.append(decibels.many(power, first) if decibels else power)
        return torch.cat(parts).view(*x_CT.shape[:-1], *shape)


def _exact_type(x: Tensor) -> torch.dtype:
    """float64, where the device knows it."""
    return torch.float32 if x.device.type == "mps" else torch.float64


def _map_of_frames(
    x_NT: Tensor, sizes: TransformSizes, num_rows: int | None, num_columns: int | None
) -> Tensor:
    """Power of every frame, resized, [N, R, L]; for long frames."""
    return resize(power_spectrogram(x_NT.float(), sizes), num_rows, num_columns)


def resample_sinc(
    x_CT: Tensor,
    rate_hz: float,
    new_rate_hz: float,
    *,
    filter_width: int = 6,
    rolloff: float = 0.99,
) -> Tensor:
    """Resample with a sinc under a Hann window; beyond its ends the signal is zero.

    `otolith.signals.resampling.resample` is the better filter; this one is what published
    spectrograms were made with.

    Args:
        x_CT: Signals [..., T].
        rate_hz: Their rate in Hz.
        new_rate_hz: Wanted rate in Hz.
        filter_width: Zero crossings on either side.
        rolloff: Cut-off as a share of half of the lower rate.

    Returns:
        Signals [..., ceil(T * new_rate_hz / rate_hz)].

    Raises:
        DataError: A rate is not positive and finite, or there is no sample.
    """
    for rate in (rate_hz, new_rate_hz):
        if not (math.isfinite(rate) and rate > 0):
            raise DataError(f"A rate is {rate} Hz.", "Give a positive rate.")
    num_samples = x_CT.shape[-1]
    if num_samples == 0:
        raise DataError("A window without samples cannot be resampled.", "Leave it out.")
    ratio = _ratio(rate_hz, new_rate_hz)
    if ratio == 1:
        return x_CT
    up, down = ratio.numerator, ratio.denominator
    num_out = math.ceil(num_samples * ratio)
    num_blocks = math.ceil(num_out / up)
    # the kernel of an odd ratio is huge, but of a single block only the part on the signal is used
    num_inputs = num_samples if num_blocks == 1 else down
    kernel, half = _sinc_kernel(
        up, down, filter_width, rolloff, min(num_inputs, down), min(num_out, up)
    )
    needed = (num_blocks - 1) * down + kernel.shape[0]
    padded = F.pad(x_CT, (half, max(0, needed - half - num_samples)))
    frames = padded.unfold(-1, kernel.shape[0], down)[..., :num_blocks, :]
    with torch.autocast(x_CT.device.type, enabled=False):  # half precision would drown quiet bands
        y = frames @ torch.from_numpy(kernel).to(x_CT)
    return y.flatten(-2)[..., :num_out]


def _ratio(rate_hz: float, new_rate_hz: float) -> Fraction:
    """The change of the rate as a fraction."""
    return Fraction(new_rate_hz / rate_hz).limit_denominator(_MAX_DENOMINATOR)


@lru_cache(maxsize=64)
def _sinc_kernel(
    up: int, down: int, filter_width: int, rolloff: float, num_inputs: int, num_outputs: int
) -> tuple[np.ndarray, int]:
    """Weights [K, outputs] of K inputs, and how many of these lie before the first output."""
    low = min(up, down) * rolloff
    half = math.ceil(filter_width * down / low)
    inputs = np.arange(-half, half + num_inputs, dtype=np.float64)[:, None] / down
    outputs = np.arange(num_outputs, dtype=np.float64)[None, :] / up
    t = np.clip((inputs - outputs) * low, -filter_width, filter_width)
    window = np.cos(t * np.pi / filter_width / 2) ** 2
    return np.ascontiguousarray(np.sinc(t) * window * (low / down)), half


def power_spectrogram(x_CT: Tensor, sizes: TransformSizes) -> Tensor:
    """Return the power of a short-time transform.

    Frame i is centred on sample i * hop; beyond its ends the signal is mirrored.

    Args:
        x_CT: Signals [..., T].
        sizes: Lengths in samples.

    Returns:
        Power [..., num_fft // 2 + 1, T // hop + 1].

    Raises:
        DataError: The signal is shorter than half of a frame, so that it cannot be mirrored.
    """
    num_samples = x_CT.shape[-1]
    num_frames = num_samples // sizes.hop + 1
    first, last = mirrored(num_samples, sizes)
    flat = x_CT.reshape(-1, 1, num_samples)
    padded = F.pad(flat, (first, last), mode="reflect").squeeze(1)
    frames = padded.unfold(-1, sizes.frame, sizes.hop)[:, :num_frames].transpose(-1, -2)
    basis = _fourier_basis(sizes.num_fft, sizes.frame)
    parts = torch.from_numpy(basis).to(x_CT) @ frames
    num_bins = sizes.num_fft // 2 + 1
    power = parts[:, :num_bins].square().addcmul(parts[:, num_bins:], parts[:, num_bins:])
    return power.view(*x_CT.shape[:-1], num_bins, num_frames)


@lru_cache(maxsize=32)
def _fourier_basis(num_fft: int, frame: int) -> np.ndarray:
    """Windowed cosines and sines [2 * bins, frame], float64."""
    time = np.arange(frame)
    angle = 2.0 * np.pi / num_fft * (np.outer(np.arange(num_fft // 2 + 1), time) % num_fft)
    return np.concatenate([np.cos(angle), np.sin(angle)]) * hann_window(frame)


def band_masks(
    draws: Tensor, shape: Sequence[int], widest_rows: int, widest_columns: int
) -> tuple[Tensor, Tensor]:
    """Return which rows and columns are silenced (SpecAugment, Park et al. 2019).

    Args:
        draws: Uniform draws [..., 4]: length and start of the rows, then of the columns.
        shape: Rows and columns of the map.
        widest_rows: Upper end of the number of rows.
        widest_columns: Upper end of the number of columns.

    Returns:
        bool [..., R] and [..., L], True = silenced.
    """
    found = []
    for i, (size, widest) in enumerate(zip(shape, (widest_rows, widest_columns), strict=True)):
        length = draws[..., 2 * i] * widest
        start = (draws[..., 2 * i + 1] * (size - length)).floor()
        cells = torch.arange(size, device=draws.device)
        end = start + length.floor()
        found.append((cells >= start[..., None]) & (cells < end[..., None]))
    return found[0], found[1]


def to_decibels(power: Tensor, floor_power: float = 1e-10) -> Tensor:
    """Return 10 log10 of the power, at least that of `floor_power`."""
    return log2_(power.clamp(min=floor_power)).mul_(_DB_PER_OCTAVE)


def normalise(decibels_CRL: Tensor, config: Config) -> Tensor:
    """Subtract the mean and divide by the deviation of every channel [..., C, R, L].

    Raises:
        DataError: The settings hold statistics of another number of channels.
    """
    mean, std = statistics(decibels_CRL, config)
    return decibels_CRL if mean is None or std is None else (decibels_CRL - mean) / std


def denormalise(map_CRL: Tensor, config: Config) -> Tensor:
    """Undo `normalise`."""
    mean, std = statistics(map_CRL, config)
    return map_CRL if mean is None or std is None else map_CRL * std + mean


def statistics(map_CRL: Tensor, config: Config) -> tuple[Tensor | None, Tensor | None]:
    """Mean and deviation of the settings as [C, 1, 1] on the device of a map [..., C, R, L]."""
    if not config.mean_db:
        return None, None
    if len(config.mean_db) not in (1, map_CRL.shape[-3]):
        raise DataError(
            f"There are statistics of {len(config.mean_db)} channels for maps of "
            f"{map_CRL.shape[-3]} channels.",
            "Give mean_db and std_db per channel, or one value for all.",
        )
    mean, std = (map_CRL.new_tensor(v)[:, None, None] for v in (config.mean_db, config.std_db))
    return mean, std


def measure_decibels(decibels_NCRL: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and deviation per channel over all maps and cells, for `mean_db` and `std_db`.

    Args:
        decibels_NCRL: Maps of settings without statistics; from people who are not tested.
    """
    std, mean = torch.std_mean(decibels_NCRL.double(), dim=(0, 2, 3), correction=0)
    return tuple(mean.tolist()), tuple(std.tolist())
