"""Classifiers: features, logits, loss, gradients, statistics of the normalisation."""

import torch.nn.functional as F

from otolith.systems.himu_mae_classifier import System
from tests.golden.himu_mae._shared import masking_of, official_gradients


def run(case):
    got = {}
    for variant in case.settings["variants"]:
        got |= run_variant(case, variant)
    return got


def build(case, *, is_training):
    settings = {**case.settings["constructor"]}
    if is_training:
        assert settings["drop_path_rate"] == 0.0
    system, report = System.from_official(case.weights, settings)
    assert not report.missing
    assert not report.unexpected
    return system.train(is_training)


def run_variant(case, variant):
    s, io, name = case.settings, case.io, variant["name"]
    system = build(case, is_training=variant["train_mode"])
    assert system.config.pooling == ("mean" if s["constructor"]["global_pool"] else "cls")
    # Without two-dimensional masks the authors ignore the share of the columns, and so does `share`.
    feature = system.feature(io["imgs"], masking_of(case, name, variant, order="noise"))
    logits = system.head(feature, io.get("video"))
    loss = F.cross_entropy(logits, io["targets"])
    got = {f"{name}.features": feature, f"{name}.logits": logits, f"{name}.loss": loss}
    if variant["gradients"]:
        loss.backward()
        found = official_gradients(system, system.official_names())
        got |= {f"{name}.grad.{key}": value for key, value in found.items()}
    if variant["train_mode"]:
        for key, value in system.head.named_buffers():
            got[f"{name}.{key.rpartition('.')[2]}"] = value.clone()
    return got
