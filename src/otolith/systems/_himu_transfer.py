"""Weights of a masked autoencoder for some channels -> one for more channels (more sensors).

A patch kernel is repeated over the channels and divided by the number of repetitions, so that a
signal that is equal on all sensors gives the old tokens. The prediction is repeated per pixel,
since its values lie in the order row, column, channel. Measured statistics of maps are
repeated over the channels like a patch kernel.
"""

# P pixels of a patch, C channels there, R repetitions, E decoder width

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor

from otolith.core.errors import CheckpointError

TransferQuirk = Literal["prediction_rows_tiled_against_pixel_layout", "decoder_embedding_redrawn"]
_KERNEL = "encoder.patch_embedding.weight"
_EMBEDDING = "decoder.embedding."
_PREDICTION = "decoder.prediction."
STATISTICS = "encoder.processor.statistics_3C"


def adapt_channels(
    weights: Mapping[str, Tensor], own: Mapping[str, Tensor], quirks: Sequence[str] = ()
) -> dict[str, Tensor]:
    """Return weights in the shapes of a model for more channels or with another context.

    The part of the decoder's first layer that reads the encoder is kept; the part that reads a
    context of another width is new.

    Args:
        weights: Weights by our keys.
        own: Freshly drawn weights of the target.
        quirks: `prediction_rows_tiled_against_pixel_layout` repeats the prediction as a block, as the
            authors do, which mixes pixels and channels; `decoder_embedding_redrawn` keeps nothing of
            the decoder's first layer.

    Raises:
        CheckpointError: The number of channels is no multiple of that of the weights.
    """
    adapted = dict(weights)
    if _KERNEL in weights and _KERNEL in own:
        repeats = _repetitions(weights[_KERNEL], own[_KERNEL])
        if repeats > 1:
            adapted[_KERNEL] = weights[_KERNEL].repeat(1, repeats, 1, 1) / repeats
            channels = weights[_KERNEL].shape[1]
            as_block = "prediction_rows_tiled_against_pixel_layout" in quirks
            for part in ("weight", "bias"):
                key = _PREDICTION + part
                if key in weights:
                    adapted[key] = _repeat_values(weights[key], channels, repeats, as_block)
    key = f"{_EMBEDDING}weight"
    if key in weights and key in own:
        if "decoder_embedding_redrawn" in quirks:
            adapted |= {k: v for k, v in own.items() if k.startswith(_EMBEDDING)}
        elif weights[key].shape != own[key].shape:
            adapted[key] = _keep_encoder_part(weights, own, key)
    return adapted | adapt_statistics(weights, own)


def adapt_statistics(weights: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the measured statistics of the maps for a model that starts from weights.

    Those of the weights stay in force, repeated over the channels of a model for more; weights
    with fixed statistics bring none, and the model measures its own.

    Args:
        weights: Weights by our keys.
        own: Freshly drawn weights of the target.

    Returns:
        The statistics by key; empty if the target has fixed ones, too.

    Raises:
        CheckpointError: The weights were trained with measured statistics and the target has fixed
            ones, or the number of channels is no multiple of that of the weights.
    """
    if STATISTICS not in own:
        if STATISTICS in weights:
            raise CheckpointError(
                "The weights were trained on maps with measured statistics, "
                "and the model normalises them by fixed ones.",
                "Set system.encoder.processor.statistics to measured.",
            )
        return {}
    if STATISTICS not in weights:
        return {STATISTICS: own[STATISTICS]}
    there = weights[STATISTICS]
    return {STATISTICS: there.repeat(1, _repetitions(there, own[STATISTICS]))}


def _repetitions(there: Tensor, here: Tensor) -> int:
    """How often the channels of the weights fit into those of the target."""
    repeats, rest = divmod(here.shape[1], there.shape[1])
    if rest or not repeats:
        raise CheckpointError(
            f"The weights are for {there.shape[1]} channels and the model has {here.shape[1]}.",
            "Take a number of channels that is a multiple of that of the weights.",
        )
    return repeats


def _repeat_values(value: Tensor, channels: int, repeats: int, as_block: bool) -> Tensor:
    """Repeat rows [P * C, ...] over channels to [P * C * R, ...]."""
    if as_block:
        return value.repeat(repeats, *([1] * (value.ndim - 1)))
    pixels = value.unflatten(0, (-1, channels))
    return pixels.repeat(1, repeats, *([1] * (value.ndim - 1))).flatten(0, 1)


def _keep_encoder_part(
    weights: Mapping[str, Tensor], own: Mapping[str, Tensor], key: str
) -> Tensor:
    """The decoder's first layer: columns of the encoder from there, columns of the context from here."""
    width = weights[_KERNEL].shape[0]
    if weights[key].shape[0] != own[key].shape[0] or own[_KERNEL].shape[0] != width:
        return weights[key]  # other sizes; refused with all other keys that do not fit
    return torch.cat([weights[key][:, :width], own[key][:, width:]], dim=1)
