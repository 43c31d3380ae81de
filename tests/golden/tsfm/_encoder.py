"""Shared by the encoder kinds: build the encoder from the settings, run every listed pass."""

import dataclasses

import torch

from otolith.core.config import to_plain
from otolith.encoders._imu_patches import Patches
from otolith.encoders._tsfm_positions import ChannelTexts
from otolith.encoders.imu_tsfm import Config, Encoder
from otolith.systems._tsfm_official import (
    encoder_config,
    encoder_to_official,
    load_encoder,
)


def build(case, **changes) -> Encoder:
    """The encoder of a case with the official weights, through the converter, both ways."""
    config = encoder_config(case.weights, case.settings)
    encoder = Encoder(Config(**(to_plain(config) | changes))).eval()
    report = load_encoder(encoder, case.weights)
    assert not report.missing
    assert not report.unexpected
    back = encoder_to_official(encoder)
    assert set(back) == set(case.weights)
    for key, value in case.weights.items():
        torch.testing.assert_close(back[key], value)
    return encoder


def patches_of(values: torch.Tensor, mask_BP: torch.Tensor, mask_BC: torch.Tensor) -> Patches:
    """Patches with the given masks."""
    seconds = torch.ones(len(values), dtype=torch.float64)
    return Patches(
        values_BPNC=values,
        mask_BP=mask_BP,
        channel_mask_BC=mask_BC,
        patch_s_B=seconds,
        stride_s_B=seconds,
    )


@torch.no_grad()
def run(case):
    io, settings = case.io, case.settings
    encoder = build(case)
    patches = patches_of(io["patches"], io["patch_mask"], io["channel_mask"])
    batch, num_patches, _, channels = io["patches"].shape
    texts, texts_open = _texts(case, encoder)
    hidden = {"masked_BP": io["mae_mask"], "dropped_BC": io["channel_dropout_mask"]}
    everything = patches_of(
        io["patches"],
        torch.ones(batch, num_patches, dtype=torch.bool),
        torch.ones(batch, channels, dtype=torch.bool),
    )
    entered = encoder.embed_patches(patches, texts=texts, **hidden)
    layers = []
    masks = {"mask_BP": io["patch_mask"], "mask_BC": io["channel_mask"]}
    encoder.transform(entered, **masks, layer_outputs=layers)
    if not settings["use_cross_channel"]:
        layers = [x.transpose(1, 2).flatten(0, 1) for x in layers]
    signals = io["patches"].transpose(2, 3).flatten(0, 2)
    got = {
        "cnn_features": encoder.tokenizer(signals).view(batch, num_patches, channels, -1),
        "transformer_in": entered,
        **{f"layer{i}_out": x for i, x in enumerate(layers)},
        "out_masked": encoder.encode(patches, texts=texts, **hidden),
        "out_pad_only": encoder.encode(patches, texts=texts),
        "out_nomask": encoder.encode(everything, texts=texts_open),
        "out_causal": encoder.transform(
            entered,
            mask_BC=io["channel_mask"],
            temporal_mask_PP=io["temporal_mask_causal"],
        ),
    }
    old = build(case, upstream_quirks=("attend_to_padded_patches",))
    got["out_masked_no_temporal_keymask"] = old.encode(patches, texts=texts, **hidden)
    if settings["patch_chunk_size"]:
        chunked = build(case, patch_chunk_size=settings["patch_chunk_size"])
        out = chunked.encode(patches, texts=texts, **hidden)
        names = [c["output"] for c in case.config["checks"]]
        got |= dict.fromkeys([n for n in names if n.startswith("out_masked_chunk")], out)
    if encoder.channel_position is not None:
        vectors = encoder.channel_position.encode(io["sbert_embedding"])
        got |= {"channel_pe_valid": vectors[:-1], "channel_pe_pad": vectors[-1:]}
    _check_views_together(encoder, patches, texts, hidden, got)
    return got


def _texts(case, encoder):
    """Channel texts with padded channels marked, and the same for the pass without masks."""
    if encoder.channel_position is None:
        return None, None
    mask = case.io["channel_mask"]
    columns = torch.arange(mask.shape[1]).expand(mask.shape)
    embeddings = case.io["sbert_embedding"]
    texts = ChannelTexts(embeddings_UE=embeddings, index_BC=torch.where(mask, columns, -1))
    return texts, dataclasses.replace(texts)


def _check_views_together(encoder, patches, texts, hidden, got):
    """Two views as one batch give what two passes give."""
    both = patches.joined(patches.values_BPNC)
    together = encoder.encode(
        both,
        texts=None if texts is None else texts.repeated(2),
        masked_BP=torch.cat([hidden["masked_BP"], torch.zeros_like(hidden["masked_BP"])]),
        dropped_BC=torch.cat([hidden["dropped_BC"], torch.zeros_like(hidden["dropped_BC"])]),
    )
    expected = torch.cat([got["out_masked"], got["out_pad_only"]])
    torch.testing.assert_close(together, expected, rtol=1e-5, atol=1e-5)
