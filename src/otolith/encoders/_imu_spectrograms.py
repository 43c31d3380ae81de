"""Windows of motion signals -> maps of the same size, for encoders that read images.

A window is resampled to a fixed rate, cut or filled to a fixed length and turned into one map per
channel. Windows of different rates may lie in one batch.
"""

# B batch, T samples, C channels, H rows and W columns of the map

from __future__ import annotations

import dataclasses
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from otolith.core import randomness
from otolith.core.config import config
from otolith.core.errors import DataError, suggest
from otolith.signals.spectrogram import Config as SpectrogramConfig
from otolith.signals.spectrogram import resample_sinc, spectrogram, transform_sizes
from otolith.windows.batch import Batch, StreamBatch

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


@config
class BandMaskConfig:
    """Silent bands of maps while training (SpecAugment).

    Args:
        rows: Widest band of frequencies in rows.
        columns: Widest band of times in columns.
    """

    rows: Annotated[int, Field(ge=0)] = 48
    columns: Annotated[int, Field(ge=0)] = 60


@config
class Config:
    """How a motion stream becomes a map.

    Args:
        stream: Name of the stream.
        more_streams: Further streams, such as those of a second sensor, whose channels follow in this
            order; their rates may differ.
        num_channels: Channels of the map; windows need exactly as many, present or not.
        window_s: Length of a window in s; shorter ones are filled with zeros at the end, longer ones
            are cut at the end.
        rate_hz: Rate to which a window is resampled before it is cut or filled, in Hz.
        lowest_rate_hz: Lowest rate of a stream that is taken, in Hz; None = half of `rate_hz`, below
            which most of the map would be invented.
        spectrogram: The transform.
        statistics: `fixed`: maps are normalised by `spectrogram.mean_db` and `spectrogram.std_db`;
            `measured`: by mean and deviation per channel of the maps of the first training batches,
            which are part of the weights; until they are measured, by those of the settings.
        band_masks: Silent bands while training; None = none.
    """

    stream: str = "imu"
    more_streams: tuple[str, ...] = ()
    num_channels: Annotated[int, Field(gt=0)] = 3
    window_s: Positive = 2.0
    rate_hz: Positive = 50.0
    lowest_rate_hz: Positive | None = None
    spectrogram: SpectrogramConfig = Field(default_factory=SpectrogramConfig)
    statistics: Literal["fixed", "measured"] = "fixed"
    band_masks: BandMaskConfig | None = None

    def __post_init__(self) -> None:
        """Check that the statistics fit."""
        if len(self.spectrogram.mean_db) not in (0, 1, self.num_channels):
            raise ValueError(
                f"spectrogram.mean_db has {len(self.spectrogram.mean_db)} values for "
                f"{self.num_channels} channels"
            )

    @property
    def num_samples(self) -> int:
        """Samples of a window at `rate_hz`."""
        return int(self.rate_hz * self.window_s)

    @property
    def image_size(self) -> tuple[int, int]:
        """Rows and columns of a map."""
        settings = self.spectrogram
        sizes = transform_sizes(settings)
        length = -(-self.num_samples * settings.rate_hz // self.rate_hz)
        rows = settings.num_rows or sizes.num_fft // 2 + 1
        return rows, settings.num_columns or int(length) // sizes.hop + 1


class SpectrogramProcessor(nn.Module):
    """Turns the motion stream of a batch into maps.

    Args:
        config: Settings.
    """

    statistics_3C: Tensor | None

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.register_buffer(
            "statistics_3C", _unmeasured(config) if config.statistics == "measured" else None
        )

    @property
    def spectrogram(self) -> SpectrogramConfig:
        """The transform with the statistics that are in force, measured or of the settings."""
        settings, measured = self.config.spectrogram, self.statistics_3C
        if measured is None or not (bool((measured[0] > 0).any()) or settings.mean_db):
            return settings
        _, mean, std = measured.tolist()
        return dataclasses.replace(settings, mean_db=tuple(mean), std_db=tuple(std))

    def moments(self, batch: Batch) -> Tensor:
        """Return number, sum and sum of squares of the decibels per channel, float64 [3, C].

        The maps are those before statistics and without silent bands; missing channels do not count.
        """
        plain = dataclasses.replace(self.config.spectrogram, mean_db=(), std_db=())
        maps = spectrogram(self._windows(batch), self.config.rate_hz, plain)
        # variance and mean of every map first: sums of squares over millions of values lose digits
        variance, mean = (v.double() for v in torch.var_mean(maps, dim=(2, 3), correction=0))
        one = torch.ones_like(mean)
        sums = torch.stack([one, mean, variance + mean**2]) * (maps.shape[2] * maps.shape[3])
        real_BC = self.real_channels(batch)
        return (sums if real_BC is None else torch.where(real_BC, sums, 0.0)).sum(1)

    def forward(self, batch: Batch, *, is_training: bool = False) -> Tensor:
        """Return maps [B, C, H, W], float32; a missing channel is zero everywhere.

        Args:
            batch: Batch with the stream.
            is_training: Whether to draw silent bands, from the samples' keys.

        Raises:
            DataError: The stream is missing or has another number of channels.
        """
        signals = self._windows(batch)
        bands, settings = self.config.band_masks, self.spectrogram
        if bands is None or not is_training:
            maps = spectrogram(signals, self.config.rate_hz, settings)
        else:
            draws = torch.from_numpy(randomness.uniform(batch.keys_B, "spectrogram_bands", (4,)))
            maps = spectrogram(
                signals, self.config.rate_hz, settings, band_draws=draws.to(signals),
                band_rows=bands.rows, band_columns=bands.columns,
            )  # fmt: skip
        real_BC = self.real_channels(batch)
        return maps if real_BC is None else torch.where(real_BC[:, :, None, None], maps, 0.0)

    def real_channels(self, batch: Batch) -> Tensor | None:
        """Return which channels hold values, bool [B, C]; None = all."""
        masks = [(s.channel_mask_BC, s.values.shape[2]) for s in self._streams(batch)]
        if all(mask is None for mask, _ in masks):
            return None
        ones = batch.ids.new_ones
        full = [ones((len(batch), n), dtype=torch.bool) if m is None else m for m, n in masks]
        return torch.cat(full, dim=1)

    def signals(self, batch: Batch) -> Tensor:
        """Return the windows of a batch at the rate of the spectrogram, [B, C, T], float32."""
        settings = self.config.spectrogram
        return resample_sinc(
            self._windows(batch), self.config.rate_hz, settings.rate_hz,
            filter_width=settings.filter_width, rolloff=settings.rolloff,
        )  # fmt: skip

    def images(self, signals_BCT: Tensor, rate_hz: float) -> Tensor:
        """Return maps [B, C, H, W] of windows [B, C, T] of one rate."""
        fitted = self._window(signals_BCT.float(), rate_hz)
        return spectrogram(fitted, self.config.rate_hz, self.spectrogram)

    def _streams(self, batch: Batch) -> list[StreamBatch]:
        """The streams whose channels make the map; together they have as many as the model."""
        names = (self.config.stream, *self.config.more_streams)
        for name in names:
            if name not in batch.streams:
                raise DataError(
                    f'The batch has no stream "{name}".', suggest(name, sorted(batch.streams))
                )
        streams = [batch.streams[name] for name in names]
        is_motion = all(stream.values.ndim == 3 for stream in streams)
        found = sum(stream.values.shape[2] for stream in streams) if is_motion else "no"
        if found != self.config.num_channels:
            raise DataError(
                f'Windows of the stream "{" + ".join(names)}" have {found} channels, '
                f"the model needs {self.config.num_channels}.",
                "Choose channels with data.window.channels, or a model for these sensors.",
            )
        return streams

    def _windows(self, batch: Batch) -> Tensor:
        """Signals [B, C, T] at the processor's rate and length."""
        return torch.cat([self._fitted(stream) for stream in self._streams(batch)], dim=1)

    def _fitted(self, stream: StreamBatch) -> Tensor:
        """Signals [B, C, T] of one stream at the processor's rate and length."""
        values = stream.values.float() * stream.mask_BT[..., None]
        rates = stream.rate_hz_B.tolist()
        if len(set(rates)) <= 1:
            return self._window(values.transpose(1, 2), rates[0] if rates else self.config.rate_hz)
        signals = values.new_zeros((len(values), values.shape[2], self.config.num_samples))
        for rate in sorted(set(rates)):
            rows = torch.tensor([i for i, r in enumerate(rates) if r == rate], device=values.device)
            signals[rows] = self._window(values[rows].transpose(1, 2), rate)
        return signals

    def _window(self, signal: Tensor, rate_hz: float) -> Tensor:
        """Resample and cut or fill windows [B, C, T] of one rate."""
        settings, lowest_hz = self.config.spectrogram, self.config.lowest_rate_hz
        lowest_hz = self.config.rate_hz / 2 if lowest_hz is None else lowest_hz
        if rate_hz < lowest_hz:
            raise DataError(
                f'The stream "{self.config.stream}" has {rate_hz:g} Hz, '
                f"the model needs at least {lowest_hz:g} Hz.",
                "Use data of a higher rate, or set encoder.processor.lowest_rate_hz.",
            )
        if rate_hz != self.config.rate_hz:
            signal = resample_sinc(
                signal, rate_hz, self.config.rate_hz,
                filter_width=settings.filter_width, rolloff=settings.rolloff,
            )  # fmt: skip
        wanted = self.config.num_samples
        return F.pad(signal[..., :wanted], (0, max(0, wanted - signal.shape[-1])))


def _unmeasured(config: Config) -> Tensor:
    """Statistics [3, C] of no value yet, with those of the settings."""
    settings, ones = config.spectrogram, torch.ones(config.num_channels)
    mean = torch.tensor(settings.mean_db or (0.0,)) * ones
    std = torch.tensor(settings.std_db or (1.0,)) * ones
    return torch.stack([0.0 * ones, mean, std])
