"""A random batch of the shape that a recipe of EVI-MAE or HIMU-MAE cuts."""

# B batch, T time, C channels, K classes

from __future__ import annotations

import numpy as np
import torch

from otolith.core.randomness import sample_keys
from otolith.datasets import DATASETS
from otolith.recordings.recording import Channel
from otolith.training.recipe import Recipe
from otolith.windows.batch import Batch, Ragged, StreamBatch

FEATURE_RATE_HZ = 1.0
NUM_WORN = 3
"""Channels of a sensor where a recipe names one stream per sensor."""


def random_batch(recipe: Recipe, size: int) -> Batch:
    """Return a batch of random motion, frames and features with the recipe's targets.

    Args:
        recipe: Its windows, data set and system say which streams there are and how long.
        size: Windows B.
    """
    generator = torch.Generator().manual_seed(0)
    widths = _motion_widths(recipe)
    context = getattr(recipe.system.config, "context", None)
    streams = {}
    for name in recipe.data.window.streams or tuple(widths):
        if name == "camera":
            streams[name] = _frames(recipe, size, generator)
        elif context is not None and name == context.stream:
            width = getattr(context, "stream_width", None) or context.width
            values = torch.randn(size, max(1, _rows(recipe, FEATURE_RATE_HZ)), width)
            streams[name] = _stream(values, FEATURE_RATE_HZ)
        else:
            streams[name] = _motion(recipe, size, widths[name], generator)
    ids = np.arange(size)
    return Batch(
        streams=streams,
        ids=torch.from_numpy(ids),
        names=tuple(f"random/{i}" for i in ids),
        datasets=("random",) * size,
        keys_B=sample_keys(0, 0, ids),
        targets=_targets(recipe, size),
    )


def _motion_widths(recipe: Recipe) -> dict[str, int]:
    """Motion stream -> number of channels."""
    encoder = recipe.system.config.encoder
    if hasattr(encoder, "processor"):
        return {encoder.processor.stream: encoder.processor.num_channels}
    names = encoder.imu.streams
    if len(names) > 1:
        return dict.fromkeys(names, NUM_WORN)
    decoder = getattr(recipe.system.config, "decoder", None)
    return {names[0]: decoder.num_channels if decoder else 4 * NUM_WORN}


def _rows(recipe: Recipe, rate_hz: float) -> int:
    return round(recipe.data.window.window_s * rate_hz)


def _motion(recipe: Recipe, size: int, width: int, generator: torch.Generator) -> StreamBatch:
    rate_hz = DATASETS.get(recipe.data.datasets[0].name).CARD.rate_hz[0]
    values = torch.randn(size, _rows(recipe, rate_hz), width, generator=generator)
    names = tuple(f"s{c // NUM_WORN}_acc_{'xyz'[c % NUM_WORN]}" for c in range(width))
    channels = tuple(Channel.from_name(name) for name in names)
    return _stream(values, rate_hz, channels)


def _frames(recipe: Recipe, size: int, generator: torch.Generator) -> StreamBatch:
    window = recipe.data.window
    shape = (size, _rows(recipe, window.video_fps), *window.video_size_px, 3)
    values = torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)
    return _stream(values, window.video_fps)


def _stream(
    values: torch.Tensor, rate_hz: float, channels: tuple[Channel, ...] = ()
) -> StreamBatch:
    size = len(values)
    return StreamBatch(
        values=values,
        mask_BT=torch.ones(values.shape[:2], dtype=torch.bool),
        rate_hz_B=torch.full((size,), rate_hz, dtype=torch.float64),
        start_s_B=torch.zeros(size, dtype=torch.float64),
        channel_mask_BC=torch.ones(size, len(channels), dtype=torch.bool) if channels else None,
        channels=(channels,) * size if channels else (),
    )


def _targets(recipe: Recipe, size: int) -> dict[str, torch.Tensor | Ragged]:
    labels = getattr(recipe.system.config, "labels", ())
    if not labels:
        return {}
    label_B = torch.arange(size) % len(labels)
    if "multi_label" not in recipe.data.window.targets:
        return {"label": label_B}
    return {"multi_label": torch.nn.functional.one_hot(label_B, len(labels))}
