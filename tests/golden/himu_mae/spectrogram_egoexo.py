"""Items of Ego-Exo4D: spectrogram, video feature, label."""

import torch

from otolith.signals import spectrogram
from tests.golden.himu_mae._shared import transform
from tests.golden.himu_mae.egoexo_window import window_of


def run(case):
    s, io, got = case.settings, case.io, {}
    p = s["spectrogram"]
    config = transform(p, s["mean"], s["std"])
    class_of = dict(zip(s["labels"]["verb_idx"], s["labels"]["act_idx"], strict=True))
    for item in s["items"]:
        name, window = item["name"], s["windows"][item["window"]]
        _, _, signal = window_of(case, window)
        draws = io.get(f"{name}.mask_draws") if item["is_train"] else None
        image = spectrogram.spectrogram(
            signal, float(p["sampling_rate"]), config, band_draws=draws,
            band_rows=p["freqm"], band_columns=p["timem"],
        )  # fmt: skip
        if draws is not None:
            rows, columns = spectrogram.band_masks(draws, image.shape[-2:], p["freqm"], p["timem"])
            got |= {
                f"{name}.masked_rows": rows.nonzero().squeeze(1),
                f"{name}.masked_columns": columns.nonzero().squeeze(1),
            }
        # The authors' items for pictures have lost the axis of their only channel.
        image = image[0] if item["visual"] else image
        stored = image if item["stored_channels"] is None else image[item["stored_channels"]]
        if item["stored_rows"] is not None:
            stored = stored[..., item["stored_rows"], :]
        got |= {
            f"{name}.shape": torch.tensor(image.shape),
            f"{name}.spectrogram": stored,
            f"{name}.label": class_of[window["label"]],
        }
        if item["task_name"] != "imu":
            got[f"{name}.video"] = io[f"{window['take']}.omnivore"][window["omnivore_idx"]]
    return got
