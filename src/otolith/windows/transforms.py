"""Transforms of batches: augmentations with their probabilities, and how they are joined.

All draws come from `batch.keys_B`, so a sample is changed in the same way whatever batch, process
or worker it lands in. Changes of time are the same in all streams of a sample.
"""

# B batch, T time, C channels, K knots, L body locations

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from otolith.core.config import config
from otolith.core.randomness import noise, normal, uniform
from otolith.signals.rotations import random_rotations
from otolith.windows import augment, channels
from otolith.windows.batch import Batch, StreamBatch
from otolith.windows.draws import Draws, by_layout, flat_noise, movable
from otolith.windows.motion_steps import MOTION_STEPS, MotionAugment, MotionStep

Transform = Callable[[Batch], Batch]
Step = Literal[
    "jitter",
    "scale",
    "time_shift",
    "channel_shuffle",
    "rotation_3d",
    "time_warp",
    "magnitude_warp",
    "resample",
    "channel_dropout",
    "mirror",
]
AnyStep = Step | MotionStep
Probability = Annotated[float, Field(ge=0, le=1)]
Pair = tuple[float, float]
_MIN_WARP_ROWS = 10


@config
class Augment:
    """Which changes are made, how often and how strongly; the order of `steps` is kept.

    Args:
        steps: Change -> probability with which a sample undergoes it.
        jitter_sigma: Standard deviation of the noise, in the unit of the signal.
        scale_range: Smallest and largest factor of a channel.
        time_shift_share: Largest shift as a share of the sample's length.
        warp_knots: Knots of the warping curves.
        time_warp_strength: Standard deviation of a knot as a share of the length.
        magnitude_warp_strength: Standard deviation of the factor at a knot.
        magnitude_warp_range: Smallest and largest factor at a knot.
        resample_range: Smallest and largest ratio of new to old length.
        channel_dropout_share: Probability that one sensor is left out where the step is applied.
        mirror_axis: Sensor axis that points to the side of the body, for left-right mirroring.
        motion: Strength of the steps that know acceleration and angular rate (`speed`, ...).
    """

    steps: dict[AnyStep, Probability] = field(default_factory=dict)
    jitter_sigma: Annotated[float, Field(ge=0)] = 0.05
    scale_range: Pair = (0.9, 1.1)
    time_shift_share: Annotated[float, Field(ge=0, lt=1)] = 0.05
    warp_knots: Annotated[int, Field(ge=2)] = 4
    time_warp_strength: Annotated[float, Field(ge=0)] = 0.2
    magnitude_warp_strength: Annotated[float, Field(ge=0)] = 0.3
    magnitude_warp_range: Pair = (0.5, 1.5)
    resample_range: Pair = (0.95, 1.05)
    channel_dropout_share: Probability = 0.2
    mirror_axis: Literal["x", "y", "z"] = "y"
    motion: MotionAugment = field(default_factory=MotionAugment)


PRESETS: dict[str, dict[AnyStep, float]] = {
    "none": {},
    "weak": {"jitter": 0.8, "scale": 0.8, "time_shift": 0.8},
    "strong": {"time_warp": 0.6, "magnitude_warp": 0.6, "resample": 0.6},
    "mixed": {
        "jitter": 0.7,
        "scale": 0.7,
        "time_warp": 0.7,
        "magnitude_warp": 0.7,
        "rotation_3d": 0.7,
    },
    "motion": dict.fromkeys(
        ("speed", "spectral_tilt", "dynamic_gain", "balance", "sensor_noise"), 1.0
    ),
}


def preset(name: Literal["none", "weak", "strong", "mixed", "motion"]) -> Augment:
    """Return a preset: `weak` (that of stage 1), `strong` and `mixed` are published by TSFM.

    `motion` imitates other people and other ways of wearing the same sensor.
    """
    return Augment(steps=PRESETS[name])


def compose(transforms: Sequence[Transform]) -> Transform:
    """Return a transform that applies several in order."""
    return _Composed(tuple(transforms))


@dataclass(frozen=True)
class _Composed:
    """Picklable chain of transforms, for loader workers."""

    transforms: tuple[Transform, ...]

    def __call__(self, batch: Batch) -> Batch:
        for transform in self.transforms:
            batch = transform(batch)
        return batch


@dataclass(frozen=True)
class Augmenter:
    """Applies an `Augment` to the motion streams of a batch.

    Args:
        settings: What to do.
        purpose: What the draws are for; two augmentations of one batch need two purposes, or
            they would draw the same noise.
    """

    settings: Augment
    purpose: str = "augment"

    def __call__(self, batch: Batch) -> Batch:
        """Return the changed batch; other streams and targets are the same objects."""
        streams = {
            name: self._changed(stream, name, batch.keys_B) if stream.channels else stream
            for name, stream in batch.streams.items()
        }
        return replace(batch, streams=streams)

    def _changed(self, stream: StreamBatch, name: str, keys_B: np.ndarray) -> StreamBatch:
        for step, probability in self.settings.steps.items():
            chosen = uniform(keys_B, f"{self.purpose}/{step}/apply") < probability
            if chosen.any():
                draws = Draws(keys_B, self.purpose, step, name, chosen)
                if step in MOTION_STEPS:
                    stream = MOTION_STEPS[step](stream, draws, self.settings.motion)
                else:
                    stream = _STEPS[step](stream, draws, self.settings)
        return stream


def _masked(stream: StreamBatch, values: Tensor) -> StreamBatch:
    return replace(stream, values=values)


def _where(movable_B: Tensor, changed: Tensor, stream: StreamBatch) -> StreamBatch:
    return _masked(stream, torch.where(movable_B[:, None, None], changed, stream.values))


def _jitter(stream: StreamBatch, draws: Draws, settings: Augment) -> StreamBatch:
    assert stream.channel_mask_BC is not None  # noqa: S101  # motion streams have one
    wanted_BC = stream.channel_mask_BC & torch.from_numpy(draws.chosen_B)[:, None]
    mask = stream.mask_BT[:, :, None] * wanted_BC.to(stream.values.dtype)[:, None, :]
    noise_BTC = flat_noise(stream, draws)
    return _masked(stream, augment.jitter(stream.values, noise_BTC, settings.jitter_sigma, mask))


def _scale(stream: StreamBatch, draws: Draws, settings: Augment) -> StreamBatch:
    low, high = settings.scale_range
    u = uniform(draws.keys_B, draws.own, (stream.values.shape[2],))
    factor = draws.keep(low + (high - low) * u, 1.0)
    return _masked(stream, augment.scale(stream.values, torch.from_numpy(factor)))


def _time_shift(stream: StreamBatch, draws: Draws, settings: Augment) -> StreamBatch:
    length_B, movable_B = movable(stream, draws.chosen_B, 1)
    # One draw for all streams: the same share of the sample, whatever the rate.
    limit_B = np.floor(length_B.numpy() * settings.time_shift_share)
    u = uniform(draws.keys_B, draws.common)
    shift_B = torch.from_numpy((np.floor(u * (2 * limit_B + 1)) - limit_B).astype(np.int64))
    shift_B = torch.where(movable_B, shift_B, 0)
    return _masked(stream, augment.time_shift(stream.values, shift_B, length_B))


def _channel_shuffle(stream: StreamBatch, draws: Draws, settings: Augment) -> StreamBatch:
    width = stream.values.shape[2]
    real_BC = np.arange(width) < np.asarray([len(own) for own in stream.channels])[:, None]
    rank = uniform(draws.keys_B, draws.own, (width,))
    # Padded columns stay behind the real ones; samples that are not chosen keep their order.
    rank = np.where(real_BC & draws.chosen_B[:, None], rank, 0.0) + ~real_BC
    order = np.argsort(rank, axis=1, kind="stable")
    own = tuple(
        tuple(names[i] for i in places[: len(names)])
        for names, places in zip(stream.channels, order.tolist(), strict=True)
    )
    order_BC = torch.from_numpy(order)
    mask = stream.channel_mask_BC
    return replace(
        stream,
        values=augment.shuffle_channels(stream.values, order_BC),
        channels=own,
        channel_mask_BC=None if mask is None else torch.gather(mask, 1, order_BC),
    )


def _rotation(stream: StreamBatch, draws: Draws, settings: Augment) -> StreamBatch:
    values = stream.values.clone()
    for own, rows in by_layout(stream, draws.chosen_B):
        num = len(augment.locations(own))
        rotation = random_rotations(draws.keys_B[rows.numpy()], draws.own, num)
        values[rows] = augment.rotate(values[rows], torch.from_numpy(rotation), own)
    return _masked(stream, values)


def _time_warp(stream: StreamBatch, draws: Draws, settings: Augment) -> StreamBatch:
    length_B, movable_B = movable(stream, draws.chosen_B, _MIN_WARP_ROWS)
    gauss = torch.from_numpy(normal(draws.keys_B, draws.common, (settings.warp_knots,)))
    warped = augment.time_warp(stream.values, gauss, settings.time_warp_strength, length_B)
    return _where(movable_B, warped, stream)


def _magnitude_warp(stream: StreamBatch, draws: Draws, settings: Augment) -> StreamBatch:
    length_B, _ = movable(stream, draws.chosen_B, 1)
    shape = (stream.values.shape[2], settings.warp_knots)
    # `noise` gives a channel the same numbers however many padded columns stand behind it.
    flat = noise(draws.keys_B, draws.own, shape[0] * shape[1])
    gauss = torch.from_numpy(flat.reshape(-1, *shape))
    warped = augment.magnitude_warp(
        stream.values,
        gauss,
        settings.magnitude_warp_strength,
        settings.magnitude_warp_range,
        length_B,
    )
    return _where(torch.from_numpy(draws.chosen_B), warped, stream)


def _resample(stream: StreamBatch, draws: Draws, settings: Augment) -> StreamBatch:
    length_B, movable_B = movable(stream, draws.chosen_B, _MIN_WARP_ROWS)
    low, high = settings.resample_range
    factor = torch.from_numpy(low + (high - low) * uniform(draws.keys_B, draws.common))
    return _where(movable_B, augment.resample(stream.values, factor, length_B), stream)


def _channel_dropout(stream: StreamBatch, draws: Draws, settings: Augment) -> StreamBatch:
    assert stream.channel_mask_BC is not None  # noqa: S101  # motion streams have one
    keep_BC = stream.channel_mask_BC.clone()
    for own, rows in by_layout(stream, draws.chosen_B):
        sensor_C, num = channels.sensors(own)
        u = uniform(draws.keys_B[rows.numpy()], draws.own, (num,))
        is_kept = u >= settings.channel_dropout_share
        is_kept[np.arange(len(u)), u.argmax(1)] = True
        keep_BC[rows, : len(own)] &= torch.from_numpy(is_kept[:, sensor_C])
    return replace(stream, values=stream.values * keep_BC[:, None, :], channel_mask_BC=keep_BC)


def _mirror(stream: StreamBatch, draws: Draws, settings: Augment) -> StreamBatch:
    sign_BC = torch.ones(stream.values.shape[0], stream.values.shape[2])
    named = list(stream.channels)
    for own, rows in by_layout(stream, draws.chosen_B):
        signs, mirrored = channels.mirrored(own, settings.mirror_axis)
        sign_BC[rows, : len(own)] = torch.from_numpy(signs)
        for i in rows.tolist():
            named[i] = mirrored
    values = augment.scale(stream.values, sign_BC)
    return replace(stream, values=values, channels=tuple(named))


_STEPS: Mapping[str, Callable[[StreamBatch, Draws, Augment], StreamBatch]] = {
    "jitter": _jitter,
    "scale": _scale,
    "time_shift": _time_shift,
    "channel_shuffle": _channel_shuffle,
    "rotation_3d": _rotation,
    "time_warp": _time_warp,
    "magnitude_warp": _magnitude_warp,
    "resample": _resample,
    "channel_dropout": _channel_dropout,
    "mirror": _mirror,
}
