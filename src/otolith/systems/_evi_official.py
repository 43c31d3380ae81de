"""Key names of the authors' EVI-MAE: pretraining and fine-tuning checkpoints, adapted VideoMAE."""

from __future__ import annotations

import re
from collections.abc import Sequence

from otolith.encoders._sensor_graph import Net
from otolith.systems._official import Names

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
GRAPH_KEYS = r"^graph_"


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
        if key.startswith("class_weights"):
            return ()
        is_block = re.search(r"(blocks|unified)\.\d+\.", key) is not None
        return (_renamed(_renamed(key, _PARTS), _BLOCK if is_block else ()),)

    return names


def _renamed(key: str, rules: Sequence[tuple[str, str]]) -> str:
    for pattern, replacement in rules:
        key = re.sub(pattern, replacement, key)
    return key
