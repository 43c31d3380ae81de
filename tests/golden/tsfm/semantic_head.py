"""Head from tokens to session and patch embeddings."""

from dataclasses import replace

from otolith.heads import semantic_head
from otolith.systems._tsfm_align_official import head_names
from tests.golden.tsfm._convert import fill


def run(case):
    s = case.settings
    assert (s["temporal_norm"], s["activation"], s["projection_layers"]) == ("pre", "gelu", 3)
    config = semantic_head.Config(
        width=s["d_model"],
        fused_width=s["d_model_fused"],
        out_width=s["output_dim"],
        num_layers=s["num_temporal_layers"],
        num_heads=s["num_heads"],
        feed_forward_width=s["dim_feedforward"],
        num_fusion_queries=s["num_fusion_queries"],
        num_pool_queries=s["num_pool_queries"],
        use_fusion_self_attention=s["use_fusion_self_attention"],
        use_pool_self_attention=s["use_pool_self_attention"],
        keep_unused_layers=True,
        dropout=s["dropout"],
    )
    session, patch = (
        fill(semantic_head.Head(replace(config, per_patch=flag)), case.weights, head_names)
        for flag in (False, True)
    )
    tokens, patches, channels = (
        case.io[k] for k in ("encoder_output", "patch_mask", "channel_mask")
    )
    per_patch = patch(tokens, patches, channels)
    return {
        "fused": session.fuse(tokens, channels),
        "fused_nomask": session.fuse(tokens),
        "fusion_attn_weights": session.channel_weights(tokens, channels),
        "temporal": session.mix(case.io["fused"], patches),
        "pooled": session.pool(case.io["temporal"], patches),
        "session_embedding": session(tokens, patches, channels),
        "session_embedding_unnorm": session(tokens, patches, channels, normalize=False),
        "session_embedding_nomask": session(tokens),
        "per_patch_embedding": per_patch,
        "per_patch_meanpool_session": semantic_head.session_mean(per_patch, patches),
    }
