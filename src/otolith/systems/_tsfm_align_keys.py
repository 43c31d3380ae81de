"""Names of Stage-2 weights: the authors' and ours, module by module, in both directions.

A key is a prefix that says which part it belongs to and a rest whose segments are renamed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

Pairs = tuple[tuple[str, str], ...]

# (authors', ours); a longer segment stands before a shorter one that it contains
_SEGMENTS: Pairs = (
    ("cross_attn.in_proj_", "cross.project."),
    ("cross_attn.out_proj.", "cross.out."),
    ("self_attn.in_proj_", "own.project."),
    ("self_attn.out_proj.", "own.out."),
    ("out_proj.0.", "output.hidden."),
    ("out_proj.2.", "output.out."),
    ("linear1.", "expand."),
    ("linear2.", "reduce."),
)
_HEAD: Pairs = (
    ("cross_channel_fusion.input_proj.", "input."),
    ("cross_channel_fusion.attention.", "fusion."),
    ("temporal_attention.transformer.layers.", "blocks."),
    ("attention_pooling.attention.", "pooling."),
    ("projection_head.mlp.", "projection."),
)
_CHANNEL_FUSION: Pairs = (
    ("text_proj.", "text."),
    ("gate_sensor.", "gate_sensor."),
    ("gate_channel.", "gate_channel."),
    ("", "pooling."),
)
UNUSED_PER_PATCH = ("temporal_attention.", "attention_pooling.")


def _translate(key: str, prefixes: Iterable[tuple[str, str]], *, back: bool = False) -> str:
    """Rename one key; a key that no prefix fits is returned as it is."""
    for theirs, ours in prefixes:
        old, new = (ours, theirs) if back else (theirs, ours)
        if key.startswith(old):
            return new + _segments(key.removeprefix(old), back=back)
    return key


def _segments(rest: str, *, back: bool) -> str:
    for theirs, ours in _SEGMENTS:
        old, new = (ours, theirs) if back else (theirs, ours)
        if rest.startswith(old) or f".{old}" in rest:
            return rest.replace(old, new, 1)
    return rest


def head_name(key: str, *, back: bool = False) -> str:
    """Return our name of a key of the semantic head (`back`: the authors' name of ours)."""
    return _translate(key, _HEAD, back=back)


def channel_fusion_name(key: str, *, back: bool = False) -> str:
    """Return our name of a key of the channel-text fusion (`back`: the authors')."""
    return _translate(key, _CHANNEL_FUSION, back=back)


def label_bank_name(key: str) -> str:
    """Return our name of a key of the label bank, without the authors' `pooling.`."""
    key = re.sub(r"^out_projs\.(\d+)\.0\.", r"outputs.\1.hidden.", key)
    key = re.sub(r"^out_projs\.(\d+)\.2\.", r"outputs.\1.out.", key)
    return _segments(key, back=False).replace("output.", "outputs.0.")


def label_bank_official(key: str, num_prototypes: int) -> str:
    """Return the authors' name of a key of our label bank, without their `pooling.`."""
    parent = "out_proj." if num_prototypes == 1 else r"out_projs.\1."
    key = re.sub(r"^outputs\.(\d+)\.hidden\.", parent + "0.", key)
    key = re.sub(r"^outputs\.(\d+)\.out\.", parent + "2.", key)
    return _segments(key, back=True)


def split_gate(state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Bring the gate of channel-text fusion from one matrix (February 2026) to two.

    Args:
        state: Weights of the module, authors' names without prefix.

    Returns:
        The weights in the current layout, and for each changed key the key it came from.
    """
    new = dict(state)
    if "gate.0.weight" not in new:
        return new, {}
    weight, bias = new.pop("gate.0.weight"), new.pop("gate.0.bias")
    width = len(weight)
    new |= {
        "gate_sensor.weight": weight[:, :width].contiguous(),
        "gate_channel.weight": weight[:, width:].contiguous(),
        "gate_channel.bias": bias,
    }
    old = "gate.0.weight"
    return new, {
        "gate_sensor.weight": old,
        "gate_channel.weight": old,
        "gate_channel.bias": "gate.0.bias",
    }


def head_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights of the authors' semantic head under our names."""
    return {head_name(k): v for k, v in state.items()}


def channel_fusion_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights of the authors' channel-text fusion, either layout, under our names."""
    return {channel_fusion_name(k): v for k, v in split_gate(state)[0].items()}


def label_bank_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights of the authors' label bank (without `pooling.`) under our names."""
    named = {label_bank_name(k): v for k, v in state.items()}
    queries = named.get("queries")
    if queries is not None and queries.ndim == 2:
        named["queries"] = queries[None]
    return named


def label_bank_queries(queries_KQD: Tensor) -> Tensor:
    """Return the queries in the authors' layout: [Q, D] for one prototype."""
    return queries_KQD[0] if len(queries_KQD) == 1 else queries_KQD


def strip_wrappers(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Remove what compiling and distributed training put into key names."""
    return {k.replace("_orig_mod.", "").replace("module.", ""): v for k, v in state.items()}


def is_finite(state: Mapping[str, Tensor]) -> bool:
    """Return whether all floating-point weights are finite."""
    return all(bool(torch.isfinite(v).all()) for v in state.values() if v.is_floating_point())
