"""Features of WEAR's feature files from the encoder, beside the video features."""

import numpy as np
import torch

from otolith.datasets._wear_rows import split_row
from otolith.systems.himu_mae import System


def run(case):
    s = case.settings
    p = s["spectrogram"]
    settings = {**s["constructor"], "mean": s["mean"], "std": s["std"], "spectrogram": p}
    system, _ = System.from_official(case.weights, settings)
    system.eval()
    num_samples = p["sampling_rate"] * p["window_size"]
    got = {}
    for name in case.io:
        person, kind = name.split(".")
        if kind != "features":
            continue
        motion, video = split_row(case.io[name].numpy(), num_samples)
        with torch.no_grad():
            found = system.embed_signals(
                torch.from_numpy(np.nan_to_num(motion)), p["sampling_rate"]
            )
        got |= {f"{person}.inertial": found, f"{person}.combined": np.c_[found.numpy(), video]}
    return got
