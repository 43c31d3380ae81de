"""Key names and settings of the authors' Stage-2 (semantic alignment) checkpoints.

A state dict here is flat: keys carry the name of the file's section, `model_state_dict.`,
`label_bank_state_dict.`, `criterion_state_dict.` or `memory_bank_state_dict.`. Sizes follow from
the shapes of the weights; the settings give heads, mode and what cannot be seen in a shape.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from otolith.core.config import select
from otolith.core.errors import CheckpointError
from otolith.encoders import ENCODERS, imu_tsfm
from otolith.encoders._tsfm_positions import sinusoid
from otolith.heads import channel_text_fusion, label_bank, semantic_head
from otolith.objectives import semantic_alignment
from otolith.systems import KeyReport
from otolith.systems._official import (
    Names,
    convert_from_official,
    convert_to_official,
    require_all,
    strip_wrappers,
)
from otolith.systems._tsfm_align_settings import MPNET, Config
from otolith.systems._tsfm_official import (
    SINUSOID_KEY,
    check_sinusoid,
    encoder_config,
    encoder_names,
)

MODEL, BANK = "model_state_dict.", "label_bank_state_dict."
CRITERION, QUEUE = "criterion_state_dict.", "memory_bank_state_dict."
SECTIONS = (MODEL, BANK, CRITERION, QUEUE)
IGNORED = {
    re.escape(SINUSOID_KEY) + "$": "a fixed table, computed again",
    r"channel_encoding": "Stage 2 has no channel positions",
    re.escape(QUEUE) + "(queue_size|embedding_dim)$": "follows from the shape of the queue",
}
_POOLING = (
    (r"cross\.project\.", "cross_attn.in_proj_"),
    (r"cross\.out\.", "cross_attn.out_proj."),
    (r"own\.project\.", "self_attn.in_proj_"),
    (r"own\.out\.", "self_attn.out_proj."),
    (r"outputs?\.hidden\.", "out_proj.0."),
    (r"outputs?\.out\.", "out_proj.2."),
)
_HEAD = (
    (r"^input\.", "cross_channel_fusion.input_proj."),
    (r"^fusion\.", "cross_channel_fusion.attention."),
    (r"^blocks\.", "temporal_attention.transformer.layers."),
    (r"^pooling\.", "attention_pooling.attention."),
    (r"^projection\.", "projection_head.mlp."),
    (r"\.expand\.", ".linear1."),
    (r"\.reduce\.", ".linear2."),
    *_POOLING,
)
_FUSION = ((r"^text\.", "text_proj."), (r"^pooling\.", ""), *_POOLING)
_BANK = (
    (r"^outputs\.(\d+)\.hidden\.", r"out_projs.\1.0."),
    (r"^outputs\.(\d+)\.out\.", r"out_projs.\1.2."),
)

Rules = tuple[tuple[str, str], ...]
_LAYERS = "num_temporal_layers"
_SECTION_NAMES = {
    "token_level_text": {
        "num_heads": "channel_text_num_heads",
        "label_bank_num_heads": "label_bank_num_heads",
    },
    "channel_text_fusion": {"num_heads": "channel_text_num_heads"},
    "label_bank": {
        "num_heads": "label_bank_num_heads",
        "use_mean_pooling": "use_mean_pooling",
        "sentence_bert_model": "contrastive_text_model",
    },
    "ablation": {
        "channel_text_fusion": "use_channel_text_fusion",
        "learnable_label_bank": "learnable_label_bank",
    },
}


def head_names(key: str) -> tuple[str, ...]:
    """Return the authors' name of a weight of `heads.semantic_head`."""
    return (_apply(_HEAD, key),)


def fusion_names(key: str) -> tuple[str, ...]:
    """Return the authors' name of a weight of `heads.channel_text_fusion`."""
    return (_apply(_FUSION, key),)


def bank_names(num_prototypes: int) -> Names:
    """Return the function weight of `heads.label_bank` -> the authors' name (no `pooling.`)."""
    rules = (*_BANK, *_POOLING)
    if num_prototypes == 1:
        rules = ((r"^outputs\.0\.", "output."), *_POOLING)
    return lambda key: (_apply(rules, key),)


def system_names(encoder: imu_tsfm.Config, bank: label_bank.Config) -> Names:
    """Return the function weight of the system -> the authors' flat key."""
    parts: dict[str, tuple[str, Names]] = {
        "encoder": (f"{MODEL}encoder.", encoder_names(encoder)),
        "head": (f"{MODEL}semantic_head.", head_names),
        "channel_fusion": (f"{MODEL}channel_fusion.", fusion_names),
        "label_bank": (f"{BANK}pooling.", bank_names(bank.num_prototypes)),
        "objective": (f"{CRITERION}loss_fn.", lambda key: (key,)),
        "queue": (QUEUE, lambda key: ("ptr" if key == "position" else key,)),
    }

    def names(key: str) -> tuple[str, ...]:
        part, _, rest = key.partition(".")
        prefix, inner = parts[part]
        return tuple(prefix + name for name in inner(rest))

    return names


def current_layout(state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Bring a state dict of any age to today's layout.

    Args:
        state: Flat keys with sections; without any section all belongs to `model_state_dict`.

    Returns:
        The state dict, and for every key that is not in `state` the one it was made from.
    """
    new: dict[str, Tensor] = {}
    origin: dict[str, str] = {}
    has_sections = any(key.startswith(SECTIONS) for key in state)
    for key, value in state.items():
        name = key if has_sections else MODEL + key
        name = next(iter(strip_wrappers({name: value})))
        name = name.replace(f"{CRITERION}infonce.", f"{CRITERION}loss_fn.")
        for made, tensor in _split_gate(name, value).items():
            new[made] = tensor
            if made != key:
                origin[made] = key
    _complete_queue(new)
    return new, origin


def section(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return the part of a flat state dict below a prefix, without it."""
    return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}


def _complete_queue(state: dict[str, Tensor]) -> None:
    """Add write position and fullness of a memory bank where the file keeps only its tensors."""
    rows = state.get(f"{QUEUE}imu_queue")
    if rows is None:
        return
    held = int((rows.norm(dim=-1) > 0).sum())
    is_full = held == len(rows)
    position = state.get(f"{QUEUE}ptr", torch.tensor(0 if is_full else held))
    full = state.get(f"{QUEUE}is_full", torch.tensor(is_full))
    state[f"{QUEUE}ptr"], state[f"{QUEUE}is_full"] = position.reshape(()), full.reshape(())


def system_config(state: Mapping[str, Tensor], settings: Mapping[str, Any]) -> Config:
    """Find the settings of a Stage-2 checkpoint.

    Args:
        state: Flat state dict in today's layout.
        settings: The authors' settings, in their old or new form.

    Raises:
        CheckpointError: The weights are no Stage 2, or contradict the settings.
    """
    given = stage2_settings(settings)
    encoder = {
        k: v for k, v in section(state, f"{MODEL}encoder.").items() if "channel_encoding" not in k
    }
    if not encoder:
        raise CheckpointError(
            "The weights hold no TSFM encoder.", "Give a Stage-2 checkpoint of TSFM."
        )
    encoder_settings = encoder_config(encoder, settings)
    given.setdefault("num_heads", encoder_settings.num_heads)
    head = head_config(section(state, f"{MODEL}semantic_head."), given)
    fusion_state = section(state, f"{MODEL}channel_fusion.")
    has_fusion = bool(fusion_state) and given.get("use_channel_text_fusion", True) is not False
    fusion = channel_text_fusion.Config(width=head.width, text_width=head.out_width, num_heads=1)
    rows = state.get(f"{QUEUE}imu_queue")
    return Config(
        preset="",
        encoder=encoder_settings,
        head=head,
        channel_fusion=fusion_config(fusion_state, given) if has_fusion else fusion,
        label_bank=bank_config(section(state, f"{BANK}pooling."), given, head.out_width),
        objective=semantic_alignment.Config(
            kind="siglip" if f"{CRITERION}loss_fn.logit_bias" in state else "infonce",
            temperature=float(given.get("temperature", 0.07)),
            use_soft_targets=bool(given.get("use_soft_targets", True)),
            soft_target_temperature=float(given.get("soft_target_temperature", 0.5)),
            soft_target_weight=float(given.get("soft_target_weight", 1.0)),
        ),
        text=select(ENCODERS, _text_encoder(given)),
        has_channel_text=has_fusion,
        queue_size=0 if rows is None else len(rows),
    )


def load(
    system: torch.nn.Module,
    config: Config,
    state: Mapping[str, Tensor],
    origin: Mapping[str, str],
) -> KeyReport:
    """Give a system the weights of a checkpoint.

    Args:
        system: System of the settings `config`.
        config: Settings found by `system_config`.
        state: Flat state dict in today's layout.
        origin: Keys of `state` that had another name in the file -> that name.

    Returns:
        The report, in terms of the file's keys.

    Raises:
        CheckpointError: A weight is missing or has another shape.
    """
    check_sinusoid(state, f"{MODEL}encoder.")
    ignored = dict(IGNORED)
    if not config.has_channel_text:
        ignored[rf"^{MODEL}channel_fusion\."] = "the settings switch channel texts off"
    if config.label_bank.use_mean_pooling:
        ignored[rf"^{BANK}"] = "the settings replace the label bank by mean pooling"
    own = system.state_dict()
    found, report = convert_from_official(state, own, official_names(config), ignored)
    require_all(report, "tsfm_align", optional="objective.")
    system.load_state_dict(found, strict=False)
    back = {key: origin.get(key, key) for key in state}
    loaded = {back.get(key, key): ours for key, ours in report.loaded.items()}
    return replace(
        report,
        loaded=loaded,
        renamed={key: ours for key, ours in loaded.items() if key != ours},
        unexpected=tuple(dict.fromkeys(back[key] for key in report.unexpected)),
        ignored={back[key]: why for key, why in report.ignored.items()},
    )


def to_official(state: Mapping[str, Tensor], config: Config) -> dict[str, Tensor]:
    """Return our state dict under the authors' flat keys, the table of positions included."""
    official = convert_to_official(state, official_names(config))
    table = sinusoid(config.encoder.max_positions, config.encoder.width)
    return official | {f"{MODEL}encoder.{SINUSOID_KEY}": table}


def official_names(config: Config) -> Names:
    """Return the function weight of the system -> the authors' flat key."""
    return system_names(config.encoder, config.label_bank)


def head_config(state: Mapping[str, Tensor], given: Mapping[str, Any]) -> semantic_head.Config:
    """Find the settings of the semantic head.

    Args:
        state: The head's weights, authors' names without prefix.
        given: Settings by `stage2_settings`.
    """
    fused = int(_shape(state, "cross_channel_fusion.input_proj.weight")[0])
    has_layers = any(key.startswith("temporal_attention.") for key in state)
    first = state.get("temporal_attention.transformer.layers.0.linear1.weight")
    pool = state.get("attention_pooling.attention.queries")
    pattern = re.compile(r"temporal_attention\.transformer\.layers\.(\d+)\.")
    layers = {m[1] for key in state if (m := pattern.match(key))}
    per_patch = bool(given.get("per_patch_prediction", not has_layers))
    if not has_layers and not per_patch:
        raise CheckpointError(
            "The checkpoint's head has no layers over patches, but the settings ask for session "
            "embeddings.",
            "Set per_patch_prediction to true in the settings.",
        )
    return semantic_head.Config(
        width=int(_shape(state, "cross_channel_fusion.input_proj.weight")[1]),
        fused_width=fused,
        out_width=int(_shape(state, "projection_head.mlp.4.weight")[0]),
        num_layers=len(layers),
        num_heads=int(given["num_heads"]),
        feed_forward_width=4 * fused if first is None else int(first.shape[0]),
        num_fusion_queries=int(_shape(state, "cross_channel_fusion.attention.queries")[0]),
        num_pool_queries=4 if pool is None else int(pool.shape[0]),
        use_fusion_self_attention="cross_channel_fusion.attention.norm2.weight" in state,
        use_pool_self_attention=not has_layers
        or "attention_pooling.attention.norm2.weight" in state,
        per_patch=per_patch,
        keep_unused_layers=per_patch and has_layers,
        dropout=float(given.get("dropout", 0.1)),
    )


def fusion_config(
    state: Mapping[str, Tensor], given: Mapping[str, Any]
) -> channel_text_fusion.Config:
    """Find the settings of channel-text fusion; see `head_config`."""
    num_queries, width = _shape(state, "queries")
    text = state.get("text_proj.weight")
    return channel_text_fusion.Config(
        width=int(width),
        text_width=int(width if text is None else text.shape[1]),
        num_heads=int(given.get("channel_text_num_heads", 4)),
        num_queries=int(num_queries),
        dropout=float(given.get("dropout", 0.1)),
    )


def bank_config(
    state: Mapping[str, Tensor], given: Mapping[str, Any], width: int
) -> label_bank.Config:
    """Find the settings of the label bank; without weights (or if so set) it is mean pooling."""
    if not state or given.get("use_mean_pooling"):
        return label_bank.Config(width=width, num_heads=1, use_mean_pooling=True)
    shape = _shape(state, "queries")
    return label_bank.Config(
        width=int(shape[-1]),
        num_heads=int(given.get("label_bank_num_heads", 4)),
        num_queries=int(shape[-2]),
        num_prototypes=int(shape[0]) if len(shape) == 3 else 1,
    )


def stage2_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Bring the authors' settings, old form (sections) or new (a flat `config`), to flat names."""
    flat: dict[str, Any] = {}
    for name in ("encoder", "semantic", "semantic_head", "config"):
        part = settings.get(name)
        if isinstance(part, Mapping):
            # In the old form both the encoder and the head count their layers under this name.
            flat |= {k: v for k, v in part.items() if (name, k) != ("semantic_head", _LAYERS)}
    flat |= {k: v for k, v in settings.items() if not isinstance(v, Mapping)}
    for name, keys in _SECTION_NAMES.items():
        part = settings.get(name)
        if isinstance(part, Mapping):
            flat |= {new: part[old] for old, new in keys.items() if old in part}
    if flat.get("learnable_label_bank") is False:
        flat["use_mean_pooling"] = True
    return flat


def _apply(rules: Rules, key: str) -> str:
    for pattern, replacement in rules:
        key = re.sub(pattern, replacement, key)
    return key


def _split_gate(key: str, value: Tensor) -> dict[str, Tensor]:
    """The gate of February 2026 was one matrix over [sensor, channel]."""
    parent, _, last = key.rpartition("gate.0.")
    if last not in {"weight", "bias"}:
        return {key: value}
    if last == "bias":
        return {f"{parent}gate_channel.bias": value}
    width = value.shape[0]
    return {
        f"{parent}gate_sensor.weight": value[:, :width].contiguous(),
        f"{parent}gate_channel.weight": value[:, width:].contiguous(),
    }


def _text_encoder(given: Mapping[str, Any]) -> dict[str, Any]:
    """Our text encoder for the authors' name of one."""
    name = str(given.get("contrastive_text_model") or given.get("sentence_bert_model") or "")
    name = name.removeprefix("sentence-transformers/")
    if name in {"", "all-MiniLM-L6-v2"}:
        return {"name": "text_minilm"}
    return MPNET if name == "all-mpnet-base-v2" else {"name": "text_transformer", "source": name}


def _shape(state: Mapping[str, Tensor], key: str) -> torch.Size:
    if key not in state:
        raise CheckpointError(
            f"The checkpoint has no weight {key}.", "Give a Stage-2 checkpoint of TSFM."
        )
    return state[key].shape
