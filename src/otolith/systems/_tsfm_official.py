"""Key names and settings of the authors' TSFM encoder.

The settings of an encoder follow from the shapes of its weights, except the number of heads and
the dropout; `settings` that contradict the weights are refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor

from otolith.core.errors import CheckpointError
from otolith.encoders import _imu_patches
from otolith.encoders._tsfm_positions import sinusoid
from otolith.encoders.imu_tsfm import PRESETS, Config, Encoder
from otolith.systems import KeyReport
from otolith.systems._official import Names, convert_from_official, convert_to_official

SINUSOID_KEY = "positional_encoding.temporal_encoding.pe"
TRAINING_DATA = (
    "uci_har", "hhar", "mhealth", "pamap2", "wisdm2019", "unimib_shar", "dsads", "hapt", "kuhar",
    "recgym",
)  # fmt: skip
"""What the authors trained their published weights on."""
IGNORED = {
    re.escape(SINUSOID_KEY) + "$": "a fixed table, computed again",
}
_LAYERS = "transformer.transformer.layers"
_COMMON = [
    (r"^time_position\.", "positional_encoding.temporal_encoding."),
    (r"^channel_position\.padding_D$", "positional_encoding.channel_encoding.pad_channel_embedding"),
    (r"^channel_position\.input\.", "positional_encoding.channel_encoding.sbert_to_model."),
    (r"^channel_position\.hidden\.", "positional_encoding.channel_encoding.projection.0."),
    (r"^channel_position\.output\.", "positional_encoding.channel_encoding.projection.2."),
    (r"^channel_position\.", "positional_encoding.channel_encoding."),
    (r"^blocks\.", f"{_LAYERS}."),
    (r"\.channel_attention\.", ".cross_channel_attn."),
    (r"(_attn|_attention)\.out\.", r"\1.out_proj."),
    (r"\.time_norm\.", ".norm1."),
    (r"\.channel_norm\.", ".norm2."),
    (r"\.expand\.", ".feed_forward.fc1."),
    (r"\.contract\.", ".feed_forward.fc2."),
]  # fmt: skip
_CNN = [
    (r"^tokenizer\.stack\.layers\.(\d+)\.(\d+)\.conv\.", r"feature_extractor.cnn.layers.\1.branches.\2.0."),
    (r"^tokenizer\.stack\.layers\.(\d+)\.(\d+)\.norm\.", r"feature_extractor.cnn.layers.\1.branches.\2.1."),
    (r"^tokenizer\.projection\.", "feature_extractor.cnn.projection.0."),
]  # fmt: skip
_SPECTRAL = [
    (r"^tokenizer\.stack\.layers\.(\d+)\.(\d+)\.conv\.", r"feature_extractor.temporal_layers.\1.branches.\2.0."),
    (r"^tokenizer\.stack\.layers\.(\d+)\.(\d+)\.norm\.", r"feature_extractor.temporal_layers.\1.branches.\2.1."),
    (r"^tokenizer\.projection\.", "feature_extractor.temporal_proj."),
    (r"^tokenizer\.spectrum_in\.", "feature_extractor.spectral_mlp.0."),
    (r"^tokenizer\.spectrum_out\.", "feature_extractor.spectral_mlp.3."),
    (r"^tokenizer\.", "feature_extractor."),
]  # fmt: skip


def encoder_names(config: Config) -> Names:
    """Return the function our encoder key -> official encoder keys (without a prefix)."""
    if config.has_levels:
        raise CheckpointError(
            "The encoder has has_levels=true, which the authors' model lacks.",
            "Use the model folder itself.",
        )
    rules = [*_COMMON, *(_CNN if config.tokenizer == "cnn" else _SPECTRAL)]
    time_attention = ".temporal_attn." if config.has_channel_attention else ".self_attn."
    last_norm = ".norm3." if config.has_channel_attention else ".norm2."
    rules += [(r"\.time_attention\.", time_attention), (r"\.feedforward_norm\.", last_norm)]

    def names(key: str) -> tuple[str, ...]:
        for pattern, replacement in rules:
            key = re.sub(pattern, replacement, key)
        if ".qkv." in key:
            return tuple(key.replace(".qkv.", f".{part}_proj.") for part in "qkv")
        return (key,)

    return names


def encoder_config(state: Mapping[str, Tensor], settings: Mapping[str, Any]) -> Config:
    """Find the settings of an official encoder.

    Args:
        state: Official encoder weights, without a prefix.
        settings: The authors' settings: flat, or with the sections `config` or `encoder`.

    Raises:
        CheckpointError: The weights are no TSFM encoder, contradict the settings, or the number
            of heads cannot be known.
    """
    given = flat_settings(settings)
    tokenizer = tokenizer_of(state)
    layers = _numbers(state, rf"^{re.escape(_LAYERS)}\.(\d+)\.")
    prefix = "feature_extractor." + ("cnn.layers" if tokenizer == "cnn" else "temporal_layers")
    width = int(state["mask_token"].shape[-1])
    convs = [
        [state[f"{prefix}.{i}.branches.{j}.0.weight"].shape for j in _numbers(state, rf"^{re.escape(prefix)}\.{i}\.branches\.(\d+)\.")]
        for i in _numbers(state, rf"^{re.escape(prefix)}\.(\d+)\.")
    ]  # fmt: skip
    has_channels = f"{_LAYERS}.0.cross_channel_attn.q_proj.weight" in state
    patch_size = int(given.get("target_patch_size", 64))
    text_width = None
    if "positional_encoding.channel_encoding.scale" in state:
        projection = state.get("positional_encoding.channel_encoding.sbert_to_model.weight")
        text_width = width if projection is None else int(projection.shape[1])
    share = 0.25
    if tokenizer == "spectral_temporal":
        share = state["feature_extractor.spectral_norm.weight"].shape[0] / width
    config = Config(
        processor=_imu_patches.Config(patch_size=patch_size),
        width=width,
        num_heads=_num_heads(width, given),
        num_layers=len(layers),
        feedforward_width=int(state[f"{_LAYERS}.0.feed_forward.fc1.weight"].shape[0]),
        tokenizer=tokenizer,
        conv_filters=tuple(int(shapes[0][0]) for shapes in convs),
        kernel_sizes=tuple(int(shape[2]) for shape in convs[0]),
        spectral_share=share,
        dropout=float(given.get("dropout", 0.1)),
        has_channel_attention=has_channels,
        channel_text_width=text_width,
        max_positions=int(state[SINUSOID_KEY].shape[0]) if SINUSOID_KEY in state else 5000,
    )
    _check_settings(config, given)
    return config


def tokenizer_of(state: Mapping[str, Tensor]) -> Literal["cnn", "spectral_temporal"]:
    """Return which tokenizer official encoder weights belong to.

    Raises:
        CheckpointError: They are no TSFM encoder.
    """
    if any(key.startswith("feature_extractor.cnn.") for key in state):
        return "cnn"
    if any(key.startswith("feature_extractor.temporal_layers.") for key in state):
        return "spectral_temporal"
    raise CheckpointError(
        "The weights hold no TSFM tokenizer.", "Give a TSFM checkpoint, or its encoder section."
    )


def load_encoder(encoder: Encoder, state: Mapping[str, Tensor]) -> KeyReport:
    """Load official encoder weights into an encoder of the same settings.

    Args:
        encoder: The encoder to fill.
        state: Official encoder weights, without a prefix.

    Returns:
        The report; `missing` may hold channel positions, which not every checkpoint has.

    Raises:
        CheckpointError: The tokenizer differs, the position table is another one, or shapes differ.
    """
    tokenizer = tokenizer_of(state)
    if tokenizer != encoder.config.tokenizer:
        raise CheckpointError(
            f'The checkpoint has the tokenizer "{tokenizer}", '
            f'the model has "{encoder.config.tokenizer}".',
            f'Set encoder.tokenizer to "{tokenizer}".',
        )
    check_sinusoid(state)
    found, report = convert_from_official(
        state, encoder.state_dict(), encoder_names(encoder.config), IGNORED
    )
    encoder.load_state_dict(found, strict=False)
    return report


def encoder_to_official(encoder: Encoder) -> dict[str, Tensor]:
    """Return the encoder's weights under the authors' keys, position table included."""
    official = convert_to_official(encoder.state_dict(), encoder_names(encoder.config))
    official[SINUSOID_KEY] = sinusoid(encoder.config.max_positions, encoder.config.width)
    return official


def check_sinusoid(state: Mapping[str, Tensor], prefix: str = "") -> None:
    """Refuse a checkpoint whose position table is not the usual sinusoid.

    Raises:
        CheckpointError: The stored table differs.
    """
    table = state.get(prefix + SINUSOID_KEY)
    if table is None or table.is_meta:
        return
    if not torch.allclose(table.float(), sinusoid(*table.shape), atol=1e-3):
        raise CheckpointError(
            f"{prefix}{SINUSOID_KEY} is not the sinusoid table.", "Give a TSFM checkpoint."
        )


def flat_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Merge the sections `encoder` and `config` of the authors' settings into one mapping."""
    flat: dict[str, Any] = {}
    for part in (settings.get("encoder"), settings.get("config"), settings):
        if isinstance(part, Mapping):
            flat |= part
    return flat


def _numbers(state: Mapping[str, Tensor], pattern: str) -> list[int]:
    return sorted({int(m[1]) for key in state if (m := re.match(pattern, key))})


def _num_heads(width: int, given: Mapping[str, Any]) -> int:
    known = {size["width"]: size["num_heads"] for name, size in PRESETS.items() if name != "debug"}
    heads = given.get("num_heads", known.get(width))
    if heads is None:
        raise CheckpointError(
            f"The number of attention heads of a TSFM encoder of width {width} is not known.",
            "Give it in hyperparameters.json beside the file, or with --setting num_heads=N.",
        )
    return int(heads)


def _check_settings(config: Config, given: Mapping[str, Any]) -> None:
    """Refuse settings of the authors that contradict the weights."""
    pairs = {
        "d_model": config.width,
        "num_temporal_layers": config.num_layers,
        "dim_feedforward": config.feedforward_width,
        "feature_extractor_type": config.tokenizer,
        "use_cross_channel": config.has_channel_attention,
        "cnn_channels": list(config.conv_filters),
        "cnn_kernel_sizes": list(config.kernel_sizes),
    }
    for key, value in pairs.items():
        stated = given.get(key, value)
        stated = list(stated) if isinstance(stated, list | tuple) else stated
        if stated != value:
            raise CheckpointError(
                f"The settings say {key} = {stated}, the weights have {value}.",
                "Give the settings that belong to this checkpoint.",
            )
