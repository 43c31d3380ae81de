"""Weights for three channels in a model for twelve, as the authors brought them there."""

import torch

from otolith.core.config import parse, to_plain
from otolith.encoders._mae_masks import random_masking
from otolith.systems import _himu_official
from otolith.systems.himu_mae import Config, System
from tests.golden.himu_mae._shared import official_groups

QUIRKS = (
    "prediction_rows_tiled_against_pixel_layout",
    "decoder_embedding_redrawn",
    "freeze_decoder_makes_position_tables_trainable",
)


def run(case):
    s, io = case.settings, case.io
    source, _ = System.from_official(case.weights, s["source"])
    target = build(source, s, freeze="none")
    weights = target.adapt_weights(source.state_dict())
    weights = {**weights, "decoder.embedding.weight": io["decoder_embed_draw"]}
    target.load_state_dict(weights)
    target.eval()
    official = target.to_official()
    masking = random_masking(io["noise"].double(), s["mask_ratio"])
    patches = target.encoder.patches(io["imgs"])
    visible = target.encoder.encode(patches, masking)
    frozen = build(source, s, freeze="decoder")
    groups = official_groups(frozen, _himu_official.pretrain_names)
    decay = {"no-decay": 0.0, "decay": s["weight_decay"]}
    return {
        **official,
        "loss": target.compare(patches, masking, io["video"]).total,
        "pred": target.decoder(visible, masking, io["video"]),
        "mask": masking.hidden.float(),
        "copied_unchanged": unchanged(case.weights, official),
        "trainable_without_freeze": trainable(target),
        "trainable_with_freeze_decoder": trainable(frozen),
        "weight_decay_groups_with_freeze_decoder": [
            {"weight_decay": decay[g["name"]], "params": g["params"]} for g in groups
        ],
    }


def build(source, s, *, freeze):
    """The target, from the source's settings with other channels and a context."""
    plain = to_plain(source.config)
    plain["encoder"]["processor"]["num_channels"] = s["target"]["in_chans"]
    plain["context"] = _himu_official.context_settings(s["video_dim"])
    plain |= {"is_target_normalised": s["norm_pix_loss"], "freeze": freeze}
    plain["upstream_quirks"] = QUIRKS
    return System(parse(Config, plain))


def in_order(names):
    """Top-level parameters first, the order of the authors' lists."""
    return sorted(names, key=lambda n: "." in n)


def trainable(system):
    keys = [k for k, p in system.named_parameters() if p.requires_grad]
    return in_order(n for k in keys for n in _himu_official.pretrain_names(k))


def unchanged(before, after):
    same = [k for k in after if k in before and torch.equal(before[k], after[k])]
    return in_order(k for k in same if not k.startswith("decoder_embed."))
