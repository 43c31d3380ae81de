"""Changes of test windows: how a sensor may differ from those that were learned from.

Draws are functions of a seed and of the recording, so that all windows of one recording see the
same mounting and lack the same sensor, as in life.
"""

# B batch, T time, C channels

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch

from otolith.core.randomness import noise, sample_keys, uniform
from otolith.recordings.recording import Channel
from otolith.signals.resampling import resample
from otolith.signals.rotations import random_rotations
from otolith.windows import augment
from otolith.windows.batch import Batch, StreamBatch
from otolith.windows.channels import mirrored, sensors

StreamChange = Callable[[StreamBatch, np.ndarray, np.ndarray], StreamBatch]


@dataclass(frozen=True)
class OnStreams:
    """Applies a change to every motion stream of a batch.

    Args:
        change: (stream, keys of the recordings [B], keys of the windows [B]) -> stream.
        seed: Seed of the draws.
    """

    change: StreamChange
    seed: int = 0

    def __call__(self, batch: Batch) -> Batch:
        """Return the changed batch; other streams and targets are the same objects."""
        recording_B = recording_keys(batch.names, self.seed)
        window_B = sample_keys(self.seed, 0, batch.ids.numpy())
        streams = {
            name: self.change(stream, recording_B, window_B) if stream.channels else stream
            for name, stream in batch.streams.items()
        }
        return replace(batch, streams=streams)


def recording_keys(names: tuple[str, ...], seed: int) -> np.ndarray:
    """Return one key per window that is the same for all windows of a recording, uint64 [B]."""
    recordings = [name.rpartition("@")[0] for name in names]
    number = {
        name: int.from_bytes(hashlib.sha256(name.encode()).digest()[:7], "little")
        for name in set(recordings)
    }
    return sample_keys(seed, 0, np.array([number[name] for name in recordings], np.int64))


def turn(stream: StreamBatch, recording_B: np.ndarray, window_B: np.ndarray) -> StreamBatch:
    """Rotate every body location by a random rotation that belongs to the recording."""
    values = stream.values.clone()
    for own, rows in _layouts(stream):
        count = len(augment.locations(own))
        rotation = random_rotations(recording_B[rows], "mounting", count)
        at = torch.from_numpy(rows)
        values[at] = augment.rotate(values[at], torch.from_numpy(rotation), own)
    return replace(stream, values=values)


@dataclass(frozen=True)
class AtRate:
    """Resamples to another rate, without aliasing.

    Args:
        rate_hz: The new rate in Hz.
    """

    rate_hz: float

    def __call__(
        self, stream: StreamBatch, recording_B: np.ndarray, window_B: np.ndarray
    ) -> StreamBatch:
        """Return the stream at the new rate."""
        old_B = stream.rate_hz_B.numpy()
        rates, index = np.unique(old_B, return_inverse=True)
        missing = torch.where(stream.mask_BT[:, :, None], stream.values, torch.nan)
        parts = [
            (torch.from_numpy(np.flatnonzero(index == i)), float(rate))
            for i, rate in enumerate(rates)
        ]
        made = [(at, resample(missing[at], rate, self.rate_hz)) for at, rate in parts]
        length = max(values.shape[1] for _, values in made)
        num, _, width = stream.values.shape
        values_BTC = torch.full((num, length, width), torch.nan, dtype=stream.values.dtype)
        for at, values in made:
            values_BTC[at, : values.shape[1]] = values
        mask_BT = ~torch.isnan(values_BTC).all(2)
        return replace(
            stream,
            values=torch.nan_to_num(values_BTC),
            mask_BT=mask_BT,
            rate_hz_B=torch.full_like(stream.rate_hz_B, self.rate_hz),
        )


def without_gyroscope(
    stream: StreamBatch, recording_B: np.ndarray, window_B: np.ndarray
) -> StreamBatch:
    """Leave the gyroscope out."""
    return _without(stream, lambda own, rows: np.array([[c.sensor == "gyro" for c in own]]))


@dataclass(frozen=True)
class WithoutSome:
    """Leaves out some channels of every recording.

    Args:
        share: Probability of each; at least one is always kept.
        unit: Whether single `axis` columns or whole three-axis `sensor`s are missing.
    """

    share: float
    unit: Literal["axis", "sensor"]

    def __call__(
        self, stream: StreamBatch, recording_B: np.ndarray, window_B: np.ndarray
    ) -> StreamBatch:
        """Return the stream without them."""

        def missing(own: tuple[Channel, ...], rows: np.ndarray) -> np.ndarray:
            unit_C, count = sensors(own)
            if self.unit == "axis":
                unit_C, count = np.arange(len(own)), len(own)
            draws = uniform(recording_B[rows], f"missing {self.unit}", (count,))
            is_out = draws < self.share
            is_out[np.arange(len(rows)), draws.argmax(1)] = False
            return is_out[:, unit_C]

        return _without(stream, missing)


@dataclass(frozen=True)
class WithNoise:
    """Adds white noise.

    Args:
        acc_m_s2: Standard deviation on acceleration in m/s^2.
        gyro_rad_s: Standard deviation on angular rate in rad/s.
    """

    acc_m_s2: float
    gyro_rad_s: float

    def __call__(
        self, stream: StreamBatch, recording_B: np.ndarray, window_B: np.ndarray
    ) -> StreamBatch:
        """Return the noisy stream."""
        num, time, width = stream.values.shape
        sigma_BC = torch.zeros(num, width)
        known = {"acc": self.acc_m_s2, "gyro": self.gyro_rad_s}
        for own, rows in _layouts(stream):
            sigma_C = torch.tensor([known.get(channel.sensor, 0.0) for channel in own])
            sigma_BC[torch.from_numpy(rows), : len(own)] = sigma_C
        drawn = torch.from_numpy(noise(window_B, "noise", time * width).reshape(num, time, width))
        real = stream.mask_BT[:, :, None] & _channel_mask(stream)[:, None]
        added = drawn * sigma_BC[:, None] * real
        return replace(stream, values=stream.values + added.to(stream.values.dtype))


@dataclass(frozen=True)
class Mirrored:
    """Exchanges left and right.

    Args:
        lateral_axis: Sensor axis that points to the side of the body.
    """

    lateral_axis: Literal["x", "y", "z"]

    def __call__(
        self, stream: StreamBatch, recording_B: np.ndarray, window_B: np.ndarray
    ) -> StreamBatch:
        """Return the mirrored stream, with left and right exchanged in its words."""
        values = stream.values.clone()
        named = list(stream.channels)
        for own, rows in _layouts(stream):
            signs_C, words = mirrored(own, self.lateral_axis)
            values[torch.from_numpy(rows), :, : len(own)] *= torch.from_numpy(signs_C)
            for row in rows.tolist():
                named[row] = words
        return replace(stream, values=values, channels=tuple(named))


def _without(
    stream: StreamBatch, missing: Callable[[tuple[Channel, ...], np.ndarray], np.ndarray]
) -> StreamBatch:
    """Mask channels: `missing(channels, rows)` says which, bool [rows or 1, C]."""
    keep_BC = _channel_mask(stream).clone()
    for own, rows in _layouts(stream):
        is_out = torch.from_numpy(missing(own, rows))
        keep_BC[torch.from_numpy(rows), : len(own)] &= ~is_out
    return replace(stream, values=stream.values * keep_BC[:, None, :], channel_mask_BC=keep_BC)


def _channel_mask(stream: StreamBatch) -> torch.Tensor:
    if stream.channel_mask_BC is not None:
        return stream.channel_mask_BC
    return torch.ones(stream.values.shape[0], stream.values.shape[2], dtype=torch.bool)


def _layouts(stream: StreamBatch) -> list[tuple[tuple[Channel, ...], np.ndarray]]:
    """Distinct lists of channels with the samples that have them."""
    groups: dict[tuple[Channel, ...], list[int]] = {}
    for row, own in enumerate(stream.channels):
        groups.setdefault(own, []).append(row)
    return [(own, np.asarray(rows)) for own, rows in groups.items() if own]
