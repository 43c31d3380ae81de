"""Key names of the authors' EVI-MAE: pretraining and fine-tuning checkpoints, adapted VideoMAE."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from otolith.core.errors import CheckpointError
from otolith.encoders._sensor_graph import Net
from otolith.systems import KeyReport
from otolith.systems._official import (
    Names,
    convert_from_official,
    convert_to_official,
    require_all,
    strip_wrappers,
)

WRAPPER = "module."
_BLOCK = [
    (r"\.attention_norm\.joint\.", ".norm1."),
    (r"\.attention_norm\.imu\.", ".norm1_a."),
    (r"\.attention_norm\.video\.", ".norm1_v."),
    (r"\.mlp_norm\.joint\.", ".norm2."),
    (r"\.mlp_norm\.imu\.", ".norm2_a."),
    (r"\.mlp_norm\.video\.", ".norm2_v."),
    (r"\.attention\.qkv\.", ".attn.qkv."),
    (r"\.attention\.query_bias$", ".attn.q_bias"),
    (r"\.attention\.value_bias$", ".attn.v_bias"),
    (r"\.attention\.out\.", ".attn.proj."),
    (r"\.expand\.", ".mlp.fc1."),
    (r"\.contract\.", ".mlp.fc2."),
]
_PARTS = [
    (r"^encoder\.imu\.embed\.", "patch_embed_a.proj."),
    (r"^encoder\.imu\.modality_11D$", "modality_a"),
    (r"^encoder\.imu\.blocks\.", "blocks_a."),
    (r"^encoder\.video\.embed\.", "patch_embed_video.proj."),
    (r"^encoder\.video\.modality_11D$", "modality_video"),
    (r"^encoder\.video\.blocks\.", "blocks_video."),
    (r"^encoder\.unified\.", "blocks_u."),
    (r"^encoder\.norm\.joint\.", "norm."),
    (r"^encoder\.norm\.imu\.", "norm_a."),
    (r"^encoder\.norm\.video\.", "norm_video."),
    (r"^decoder\.embed\.", "decoder_embed."),
    (r"^decoder\.mask_token_11D$", "mask_token"),
    (r"^decoder\.modality_11D\.imu$", "decoder_modality_a"),
    (r"^decoder\.modality_11D\.video$", "decoder_modality_video"),
    (r"^decoder\.blocks\.", "decoder_blocks."),
    (r"^decoder\.norm\.", "decoder_norm."),
    (r"^decoder\.head\.imu\.", "decoder_pred_a."),
    (r"^decoder\.head\.video\.", "decoder_pred_video."),
    (r"^graph_masking\.mask_token_1D$", "graph_enc_mask_token"),
    (r"^graph_masking\.bridge\.", "graph_encoder_to_decoder."),
    (r"^head\.(\d)\.", r"mlp_head.\1."),
    (r"^graph_head\.(\d)\.", r"another_mlp_head.\1."),
]
_VIDEOMAE = [
    (r"^(?:encoder\.)?patch_embed\.proj\.", "patch_embed_video.proj."),
    (r"^(?:encoder\.)?blocks\.", "blocks_video."),
]
_VIDEOMAE_KEY = re.compile(r"^(?:encoder\.)?blocks\.0\.attn\.q_bias$")
_GIN_ENCODER = [
    (r"\.hidden_norm\.", ".apply_func.mlp.norms.0."),
    (r"\.hidden_act\.", ".apply_func.mlp.activations.0."),
    (r"\.expand\.", ".apply_func.mlp.linears.0."),
    (r"\.contract\.", ".apply_func.mlp.linears.1."),
    (r"\.norm\.", ".apply_func.norm."),
    (r"\.act\.", ".apply_func.act."),
]
_GIN_DECODER = [
    (r"\.hidden_norm\.", ".apply_func.norms.0."),
    (r"\.hidden_act\.", ".apply_func.activations.0."),
    (r"\.expand\.", ".apply_func.linears.0."),
    (r"\.contract\.", ".apply_func.linears.1."),
]
_ATTENTION = [
    (r"^layers\.", "gat_layers."),
    (r"\.linear\.", ".fc."),
    (r"\.from_weight$", ".attn_l"),
    (r"\.to_weight$", ".attn_r"),
    (r"\.act\.", ".activation."),
]
_GRAPH: dict[str, list[tuple[str, str]]] = {
    "gcn": [(r"^layers\.", "gcn_layers."), (r"\.linear\.", ".fc."), (r"\.act\.", "._activation.")],
    "gat": _ATTENTION,
    "dotgat": _ATTENTION,
}
_GRAPH_ENCODER, _GRAPH_DECODER = "encoder.graph.", "graph_masking.decoder."
_PARTS_OFTEN_LACKING = {
    r"^(patch_embed_a|modality_a|blocks_a|norm_a)\b": "of motion, which is not encoded",
    r"^(patch_embed_video|modality_video|blocks_video|norm_video)\b": "of video, which is not encoded",
    r"^(decoder_modality_a|decoder_pred_a)\b": "of motion, which is not decoded",
    r"^(decoder_modality_video|decoder_pred_video)\b": "of video, which is not decoded",
    r"^norm\.": "norm of both modalities together, which is not run",
    r"^blocks_u\.\d+\.norm[12]\.": "norms of both modalities together, which are not run",
    r"^blocks_u\.\d+\.norm[12]_a\.": "norms of motion, which is not encoded",
    r"^blocks_u\.\d+\.norm[12]_v\.": "norms of video, which is not encoded",
    r"^graph_": "of the sensor graph, which is off",
}


def graph_names(net: Net, *, is_decoder: bool) -> Names:
    """Return the function key of our `SensorGraph` -> key of the authors' network."""
    rules = _GRAPH.get(net) or (_GIN_DECODER if is_decoder else _GIN_ENCODER)

    def names(key: str) -> tuple[str, ...]:
        return (_renamed(key, rules),)

    return names


def official_names(net: Net | None) -> Names:
    """Return the function our key -> official key, of pretraining and of fine-tuning."""
    graph = {
        _GRAPH_ENCODER: ("graph_encoder.", graph_names(net or "gin", is_decoder=False)),
        _GRAPH_DECODER: ("graph_decoder.", graph_names(net or "gin", is_decoder=True)),
    }

    def names(key: str) -> tuple[str, ...]:
        for own, (official, inner) in graph.items():
            if key.startswith(own):
                return tuple(official + part for part in inner(key.removeprefix(own)))
        if key.endswith("statistics_3"):
            return ()
        is_block = re.search(r"(blocks|unified)\.\d+\.", key) is not None
        return (_renamed(_renamed(key, _PARTS), _BLOCK if is_block else ()),)

    return names


def _renamed(key: str, rules: Sequence[tuple[str, str]]) -> str:
    for pattern, replacement in rules:
        key = re.sub(pattern, replacement, key)
    return key


def unwrapped(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return weights without the prefix that data parallelism adds."""
    return strip_wrappers(state)


def wrapped(system: nn.Module, net: Net | None) -> dict[str, Tensor]:
    """Return the weights of a system under the authors' keys, with their prefix."""
    official = convert_to_official(system.state_dict(), official_names(net))
    return {WRAPPER + key: value for key, value in official.items()}


def load(
    system: nn.Module, state: Mapping[str, Tensor], *, net: Net | None, what: str
) -> KeyReport:
    """Load official weights into a system of the same sizes.

    Args:
        system: The system to fill.
        state: Official weights without prefix.
        net: Kind of the sensor graph.
        what: Name of the system, for messages.

    Returns:
        What happened to every key; keys of parts that the system lacks are ignored with a reason.

    Raises:
        CheckpointError: Weights are missing or of other shapes.
    """
    own = system.state_dict()
    names = official_names(net)
    taken = {part for key in own for part in names(key)}
    ignored = {
        pattern: reason
        for pattern, reason in _PARTS_OFTEN_LACKING.items()
        if not any(re.search(pattern, key) for key in taken)
    }
    found, report = convert_from_official(state, own, names, ignored)
    require_all(report, what)
    system.load_state_dict(found, strict=False, assign=any(v.is_meta for v in own.values()))
    return report


def is_videomae(state: Mapping[str, Tensor]) -> bool:
    """Return whether these are weights of VideoMAE under its own names."""
    return any(_VIDEOMAE_KEY.match(key) for key in state)


def load_partly(system: nn.Module, state: Mapping[str, Tensor], net: Net | None) -> KeyReport:
    """Load what fits of a file that holds parts of a system, such as an adapted VideoMAE encoder.

    Args:
        system: The system to fill; weights that are not there stay as they are.
        state: Weights under the authors' names, or under those of VideoMAE.
        net: Kind of the sensor graph.

    Raises:
        CheckpointError: Nothing fits.
    """
    rules = _VIDEOMAE if is_videomae(state) else []
    renamed = {key: _renamed(key, rules) for key in state}
    names, own = official_names(net), system.state_dict()
    like = {part: value for key, value in own.items() for part in names(key)}
    ignored = {}
    for key, value in state.items():
        wanted = like.get(renamed[key])
        if wanted is None:
            ignored[key] = "of a part that the system lacks"
        elif wanted.shape != value.shape:
            ignored[key] = f"has shape {tuple(value.shape)}, the system {tuple(wanted.shape)}"
    fitting = {renamed[k]: v for k, v in state.items() if k not in ignored}
    if not fitting:
        raise CheckpointError(
            "No weight of the file fits the system.", "Give another file, or its preset."
        )
    found, report = convert_from_official(fitting, own, names)
    system.load_state_dict(found, strict=False)
    before = {new: old for old, new in renamed.items()}
    return KeyReport(
        loaded={before[key]: name for key, name in report.loaded.items()},
        renamed={before[key]: name for key, name in report.loaded.items()},
        missing=report.missing,
        unexpected=(),
        ignored=ignored,
    )
