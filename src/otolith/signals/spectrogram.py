"""Spectrograms of short windows: resampling, short-time transform, resizing, decibels.

Everything up to the power is a product with small fixed matrices, which for frames of a few dozen
samples is faster than a fast Fourier transform of the padded frame, and serves a whole batch at
once. Lengths are seconds and frequencies Hz; `transform_sizes` says what they are in samples.
Resampling follows Smith, "Digital Audio Resampling" (a sinc under a Hann window), with the
definitions of torchaudio, so that published statistics of spectrograms stay valid.
"""

# C channels (any leading axes), T samples, F frequency bins, N frames, R rows, L columns

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
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

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_MAX_DENOMINATOR = 10_000
_DB_PER_NEPER = 10.0 / math.log(10.0)
_MAX_LAGS = 64  # longest frame, in samples, for which the way through lags is the faster one
_BLOCK = 16  # frames whose lags are computed by one matrix product
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


@dataclass(frozen=True, kw_only=True)
class TransformSizes:
    """A short-time transform in samples.

    Args:
        num_fft: Length of the padded frame.
        frame: Length of the frame.
        hop: Distance of neighbouring frames.
    """

    num_fft: int
    frame: int
    hop: int


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
    mean, std = statistics(x_CT[..., None], config)
    num_channels = x_CT.shape[-2]

    def finish(power_NRL: Tensor, first: int) -> Tensor:
        """Overwrite the power with what it becomes."""
        part = slice(first, first + len(power_NRL))
        if hidden is not None:
            power_NRL = power_NRL.masked_fill_(hidden[part], 0.0)
        found = power_NRL.clamp_(min=config.floor_power).log_()
        if mean is None or std is None:
            return found.mul_(_DB_PER_NEPER)
        channel = torch.arange(part.start, part.stop, device=found.device) % num_channels
        which = channel if len(mean) > 1 else torch.zeros_like(channel)
        return found.mul_((_DB_PER_NEPER / std)[which]).sub_((mean / std)[which])

    return _maps(x_CT, rate_hz, config, finish)


def map_size(num_samples: int, rate_hz: float, config: Config) -> tuple[int, int]:
    """Return rows and columns of the map of a window."""
    sizes = transform_sizes(config)
    length = math.ceil(num_samples * _ratio(rate_hz, config.rate_hz))
    rows = config.num_rows or sizes.num_fft // 2 + 1
    return rows, config.num_columns or length // sizes.hop + 1


def power_map(x_CT: Tensor, rate_hz: float, config: Config) -> Tensor:
    """Return the resized power [..., C, R, L] of signals [..., C, T]; see `spectrogram`."""
    return _maps(x_CT, rate_hz, config, lambda power_NRL, first: power_NRL)


def _maps(
    x_CT: Tensor, rate_hz: float, config: Config, finish: Callable[[Tensor, int], Tensor]
) -> Tensor:
    """Maps of all signals, a few at a time so that they stay in the cache.

    Args:
        x_CT: Signals [..., C, T].
        rate_hz: Their rate in Hz.
        config: Settings.
        finish: (power [N, R, L], number of its first signal) -> map.
    """
    if x_CT.shape[-1] == 0:
        raise DataError("A window without samples has no spectrogram.", "Leave it out.")
    sizes = transform_sizes(config)
    make = _map_of_lags if sizes.frame <= _MAX_LAGS else _map_of_frames
    with torch.autocast(x_CT.device.type, enabled=False):
        signal = resample_sinc(
            x_CT.to(_exact_type(x_CT)), rate_hz, config.rate_hz,
            filter_width=config.filter_width, rolloff=config.rolloff,
        ).flatten(0, -2)  # fmt: skip
        shape = map_size(x_CT.shape[-1], rate_hz, config)
        step = max(1, _CHUNK_VALUES // (shape[0] * shape[1]))
        if torch.is_grad_enabled() and x_CT.requires_grad:
            pieces = signal.split(step)
            parts = [finish(make(p, sizes, config).float(), i * step) for i, p in enumerate(pieces)]
            return torch.cat(parts).view(*x_CT.shape[:-1], *shape)
        # One buffer for all pieces, since fresh memory costs more than the arithmetic.
        found = torch.empty((len(signal), *shape), dtype=torch.float32, device=x_CT.device)
        buffer = signal.new_empty((min(step, len(signal)), *shape))
        with torch.no_grad():
            for first in range(0, len(signal), step):
                target = found[first : first + step]
                target.copy_(make(signal[first : first + step], sizes, config, buffer))
                finish(target, first)
    return found.view(*x_CT.shape[:-1], *shape)


def _exact_type(x: Tensor) -> torch.dtype:
    """float64, where the device knows it."""
    return torch.float32 if x.device.type == "mps" else torch.float64


def _map_of_frames(
    x_NT: Tensor, sizes: TransformSizes, config: Config, buffer: Tensor | None = None
) -> Tensor:
    """Power of every frame, resized, [N, R, L]; for long frames, without using the buffer."""
    del buffer
    return resize(power_spectrogram(x_NT.float(), sizes), config.num_rows, config.num_columns)


def _map_of_lags(
    x_NT: Tensor, sizes: TransformSizes, config: Config, buffer: Tensor | None = None
) -> Tensor:
    """The same through the autocorrelation of the frames, [N, R, L]; for short frames.

    The power is linear in the autocorrelation, of which a frame has only as many values as samples.
    So the columns are resized there, and the rows within the matrix that leads to the power. In
    float64 the cancellation in quiet rows stays far below the rounding of the usual way in float32.
    """
    num_frames = x_NT.shape[-1] // sizes.hop + 1
    first, last = _mirrored(x_NT.shape[-1], sizes)
    num_blocks = -(-num_frames // _BLOCK)
    span = (_BLOCK - 1) * sizes.hop + sizes.frame
    length = (num_blocks - 1) * _BLOCK * sizes.hop + span
    padded = F.pad(x_NT[:, None], (first, last), mode="reflect").squeeze(1)
    padded = F.pad(padded, (0, max(0, length + sizes.frame - padded.shape[1])))
    shifted = padded.unfold(1, length, 1)[:, : sizes.frame]
    products = (shifted * padded[:, None, :length]).transpose(0, 1).contiguous()
    blocks = products.unfold(2, span, _BLOCK * sizes.hop)
    weights = torch.from_numpy(_lag_weights(sizes.frame, sizes.hop)).to(x_NT)
    lags = torch.bmm(blocks.reshape(sizes.frame, -1, span), weights)
    lags = lags.view(sizes.frame, len(x_NT), -1)[..., :num_frames].transpose(0, 1)
    lags = resize(lags, None, config.num_columns)
    to_power = torch.from_numpy(_lags_to_power(sizes.num_fft, sizes.frame, config.num_rows))
    out = None if buffer is None else buffer[: len(x_NT)]
    return torch.matmul(to_power.to(x_NT), lags, out=out)


@lru_cache(maxsize=32)
def _lag_weights(frame: int, hop: int) -> np.ndarray:
    """Weights [lags, inputs, outputs] of a block: products of the window at two places."""
    window = _window(frame)
    weights = np.zeros((frame, (_BLOCK - 1) * hop + frame, _BLOCK))
    for lag in range(frame):
        pair = window[: frame - lag] * window[lag:]
        for output in range(_BLOCK):
            weights[lag, output * hop : output * hop + frame - lag, output] = pair
    return weights


@lru_cache(maxsize=32)
def _lags_to_power(num_fft: int, frame: int, num_rows: int | None) -> np.ndarray:
    """Matrix [R, lags]: cosines, resized along the frequencies."""
    angle = np.outer(np.arange(num_fft // 2 + 1), np.arange(frame)) % num_fft
    cosines = np.cos(2.0 * np.pi / num_fft * angle) * np.where(np.arange(frame) == 0, 1.0, 2.0)
    return resize(torch.from_numpy(cosines), num_rows, None).numpy()


def _mirrored(num_samples: int, sizes: TransformSizes) -> tuple[int, int]:
    """How many samples are mirrored before and behind a signal.

    Raises:
        DataError: The signal is too short for that.
    """
    num_frames = num_samples // sizes.hop + 1
    first = sizes.num_fft // 2 - (sizes.num_fft - sizes.frame) // 2  # inputs before the centre
    last = max(0, (num_frames - 1) * sizes.hop + sizes.frame - first - num_samples)
    if max(first, last) >= num_samples:
        raise DataError(
            f"A window of {num_samples} samples is too short for frames of {sizes.frame}.",
            "Use a longer window or a shorter frame.",
        )
    return first, last


def _window(frame: int) -> np.ndarray:
    """Periodic Hann window [frame]; a single sample is kept as it is."""
    if frame == 1:
        return np.ones(1)
    return 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(frame) / frame)


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
    first, last = _mirrored(num_samples, sizes)
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
    return np.concatenate([np.cos(angle), np.sin(angle)]) * _window(frame)


def resize(power_FN: Tensor, num_rows: int | None, num_columns: int | None) -> Tensor:
    """Scale maps [..., F, N] to [..., rows, columns], bilinear and without aliasing; None = keep."""
    size = (num_rows or power_FN.shape[-2], num_columns or power_FN.shape[-1])
    if size == tuple(power_FN.shape[-2:]):
        return power_FN
    flat = power_FN.reshape(-1, 1, *power_FN.shape[-2:])
    scaled = F.interpolate(flat, size, mode="bilinear", antialias=True, align_corners=False)
    return scaled.view(*power_FN.shape[:-2], *size)


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
    return power.clamp(min=floor_power).log_().mul_(_DB_PER_NEPER)


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
