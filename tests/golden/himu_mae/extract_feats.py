"""Features of the encoder with and without masks; the video vector has no influence."""

from otolith.systems.himu_mae import System
from tests.golden.himu_mae._shared import masking_of


def run(case):
    system, _ = System.from_official(case.weights, case.settings["constructor"])
    system.eval()
    got = {}
    for variant in case.settings["variants"]:
        name = variant["name"]
        masking = masking_of(case, name, variant)
        x = system.encoder.encode(system.encoder.patches(case.io["imgs"]), masking)
        tokens = system.encoder.tokens(x, masking)
        got |= {f"{name}.tokens": tokens.features_BND, f"{name}.features": tokens.pooled_BD}
    return got
