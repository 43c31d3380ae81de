"""Key names, sizes and origins of the authors' LIMU-BERT weights."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from otolith.core.errors import CheckpointError, suggest
from otolith.encoders.imu_limu_bert import Config

POSITION_KEY = "transformer.embed.pos_embed.weight"
IGNORED = {
    r"^fc\.": "the authors' model never uses this layer",
    r"^(gru\d|lin\d)\.": "part of the system limu_bert_gru",
}
COURIERS = "limu_bert_x_couriers"
"""Stands for the recordings of couriers that LIMU-BERT-X was trained on; they are not public."""
DATASETS: dict[str, tuple[str, ...]] = {
    "uci": ("uci_har",),
    "hhar": ("hhar",),
    "motion": ("motion_sense",),
    "shoaib": ("shoaib",),
    "x": (COURIERS,),
}
"""What each of the published encoders was trained on."""
LABELS: dict[str, tuple[str, ...]] = {
    "uci": ("walking", "walking_upstairs", "walking_downstairs", "sitting", "standing", "laying"),
    "hhar": ("cycling", "sitting", "walking_downstairs", "walking_upstairs", "standing", "walking"),
    "motion": (
        "walking_downstairs", "walking_upstairs", "sitting", "standing", "walking", "jogging",
    ),
    "shoaib": (
        "walking", "sitting", "standing", "jogging", "cycling", "walking_upstairs",
        "walking_downstairs",
    ),
}  # fmt: skip
"""Classes of the published GRU heads, in their order."""
_X_STEPS = 20
_RULES = [
    (r"^encoder\.embed\.", "transformer.embed.lin."),
    (r"^encoder\.position$", POSITION_KEY),
    (r"^encoder\.embed_norm\.", "transformer.embed.norm."),
    (r"^encoder\.block\.query_key_value\.", "transformer.attn.proj_."),
    (r"^encoder\.block\.mix\.", "transformer.proj."),
    (r"^encoder\.block\.mix_norm\.", "transformer.norm1."),
    (r"^encoder\.block\.expand\.", "transformer.pwff.fc1."),
    (r"^encoder\.block\.contract\.", "transformer.pwff.fc2."),
    (r"^encoder\.block\.out_norm\.", "transformer.norm2."),
    (r"^hidden\.", "linear."),
    (r"^output\.", "decoder."),
    (r"(^|\.)(norm\d?)\.weight$", r"\1\2.gamma"),
    (r"(^|\.)(norm\d?)\.bias$", r"\1\2.beta"),
]


def names(key: str) -> tuple[str, ...]:
    """Return the official keys of one of ours."""
    for pattern, replacement in _RULES:
        key = re.sub(pattern, replacement, key)
    if ".proj_." in key:
        return tuple(key.replace(".proj_.", f".proj_{part}.") for part in "qkv")
    return (key,)


def encoder_config(state: Mapping[str, Tensor], settings: Mapping[str, Any]) -> Config:
    """Find the settings of an encoder from the shapes of its weights.

    Args:
        state: Official weights.
        settings: `n_heads` and `n_layers` of the authors, 4 and 4 if not given: no shape tells them.

    Raises:
        CheckpointError: The weights are no LIMU-BERT, or read other sensors.
    """
    needed = (POSITION_KEY, "transformer.embed.lin.weight", "transformer.pwff.fc1.weight")
    for key in needed:
        if key not in state:
            raise CheckpointError(
                f"The weights have no {key}, so they are no LIMU-BERT encoder.",
                "Give an encoder of the authors; a GRU head alone belongs to limu_bert_gru.",
            )
    window_steps, width = state[POSITION_KEY].shape
    num_channels = state[needed[1]].shape[1]
    if num_channels not in (3, 6):
        raise CheckpointError(
            f"The encoder reads {num_channels} channels.",
            "Encoders for an accelerometer, or an accelerometer and a gyroscope, can be converted.",
        )
    return Config(
        triads=("acc", "gyro")[: num_channels // 3],
        window_steps=int(window_steps),
        width=int(width),
        num_heads=int(settings.get("n_heads", 4)),
        num_layers=int(settings.get("n_layers", 4)),
        feedforward_width=int(state[needed[2]].shape[0]),
    )


def origin(settings: Mapping[str, Any]) -> str:
    """Return which published weights these are, as the setting `trained_on` says; "" = unsaid.

    Raises:
        CheckpointError: There are none of that name.
    """
    given = str(settings.get("trained_on", ""))
    if given and given not in DATASETS:
        raise CheckpointError(
            f'There are no published LIMU-BERT weights "{given}".', suggest(given, DATASETS)
        )
    return given


def training_data(window_steps: int, settings: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the data sets that published weights were trained on.

    Without `trained_on`, 20 positions mean LIMU-BERT-X, and others may have seen any of the four
    data sets of LIMU-BERT.
    """
    given = origin(settings) or ("x" if window_steps == _X_STEPS else "")
    if given:
        return DATASETS[given]
    return tuple(name for key, some in DATASETS.items() if key != "x" for name in some)
