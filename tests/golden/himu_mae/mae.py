"""Pretraining forward: loss, prediction, masks, intermediate values, gradients."""

from otolith.systems import _himu_official
from otolith.systems.himu_mae import System
from tests.golden.himu_mae._shared import close_tables, masking_of, official_gradients


def run(case):
    s, got = case.settings, {}
    for variant in s["variants"]:
        got |= run_variant(case, variant)
    return got


def run_variant(case, variant):
    name = variant["name"]
    settings = {**case.settings["constructor"], **variant}
    system, report = System.from_official(case.weights, settings)
    assert not report.missing
    assert not report.unexpected
    close_tables(system, case.weights)
    system.eval()
    masking = masking_of(case, name, variant)
    assert masking.keep_BK.shape[1] == variant["kept_tokens"]
    video = case.io.get("video")
    patches = system.encoder.patches(case.io["imgs"])
    layers = []
    latent = system.encoder.encode(patches, masking)
    predicted = system.decoder(latent, masking, video, layer_outputs=layers)
    loss = system.compare(patches, masking, video).total
    got = {
        f"{name}.loss": loss,
        f"{name}.pred": predicted,
        f"{name}.mask": masking.hidden.float(),
        f"{name}.ids_restore": masking.restore,
    }
    if variant["intermediate"]:
        got |= {f"{name}.latent": latent, f"{name}.decoder_embed": layers[0]}
        for i, block in enumerate(system.decoder.blocks):
            got[f"{name}.decoder_block_{i}"] = layers[i + 1]
            if system.config.decoder.kind == "window":
                got[f"{name}.relative_bias_block_{i}"] = block.attention.position_bias()[None]
                if block.apart_WAA is not None:
                    got[f"{name}.attention_mask_block_{i}"] = block.apart_WAA
    if variant["gradients"]:
        loss.backward()
        found = official_gradients(system, _himu_official.pretrain_names)
        got |= {f"{name}.grad.{key}": value for key, value in found.items()}
    return got
