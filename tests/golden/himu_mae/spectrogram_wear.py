"""Items of WEAR for pretraining: order, spectrogram, video feature."""

import torch

from otolith.datasets._wear_rows import split_row, subjects_of
from otolith.signals import spectrogram
from tests.golden.himu_mae._shared import transform


def run(case):
    s, io = case.settings, case.io
    people = subjects_of(case.json("annotations.json"), "Training")
    items = [(p, i) for p in people for i in range(len(io[f"{p}.features"]))]
    got = {"items": items}
    p = s["spectrogram"]
    config = transform(p, s["mean"], s["std"])
    for item in s["items"]:
        name = item["name"]
        person, row = items[item["index"]]
        rows = io[f"{person}.features"].numpy()
        motion, video = split_row(rows[row : row + 1], p["sampling_rate"] * p["window_size"])
        draws = io.get(f"{name}.mask_draws") if item["is_train"] else None
        image = spectrogram.spectrogram(
            torch.from_numpy(motion[0].copy()), float(p["sampling_rate"]), config,
            band_draws=draws, band_rows=p["freqm"], band_columns=p["timem"],
        )  # fmt: skip
        has_nan = image.isnan().flatten(1).any(1)
        stored = image[item["stored_channels"]]
        if item["stored_rows"] is not None:
            stored = stored[:, item["stored_rows"]]
        got |= {
            f"{name}.shape": torch.tensor(image.shape),
            f"{name}.channel_has_nan": has_nan,
            f"{name}.spectrogram": stored,
            f"{name}.channel_mean": image[~has_nan].mean((1, 2)),
        }
        if item["i3d"]:
            got[f"{name}.video"] = video[0, :1024] if item["rgb"] else video[0]
    return got
