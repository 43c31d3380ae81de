"""Gated channel-text fusion, in the current and in the older gate layout."""

import torch

from otolith.heads import channel_text_fusion
from otolith.systems._tsfm_align_official import MODEL, current_layout, fusion_names, section
from tests.golden.tsfm._convert import fill


def run(case):
    s = case.settings
    assert s["legacy_gate_column_order"] == ["sensor", "channel"]
    got = {}
    for variant in s["variants"]:
        config = channel_text_fusion.Config(
            width=s["d_model"],
            text_width=variant["text_dim"],
            num_heads=s["num_heads"],
            num_queries=variant["num_queries"],
        )
        io = {k: case.io[variant["io_prefix"] + k] for k in ("sensor", "text", "text_mask")}
        weights = case.section(variant["weight_prefix"])
        legacy = {k: v for k, v in weights.items() if not k.startswith("gate_")}
        legacy |= case.section(variant["legacy_gate_prefix"])
        outs = []
        for state in (weights, legacy):
            head = channel_text_fusion.Head(config)
            assert (head.text is not None) == variant["has_text_projection"]
            whole, _ = current_layout({f"channel_fusion.{k}": v for k, v in state.items()})
            fill(head, section(whole, f"{MODEL}channel_fusion."), fusion_names)
            batch, channels = io["text"].shape[:2]
            index = torch.arange(batch * channels).reshape(batch, channels)
            text, mask = io["text"].flatten(0, 1), io["text_mask"].flatten(0, 1)
            outs.append(head(io["sensor"], text, mask, index))
        torch.testing.assert_close(outs[0], outs[1], atol=0, rtol=0)
        got[variant["io_prefix"] + "out"] = outs[0]
    return got
