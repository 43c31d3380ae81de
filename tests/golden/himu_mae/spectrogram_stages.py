"""Every stage of the transform: resampled signal, power, resized, masked, decibels, normalised."""

import torch

from otolith.signals import spectrogram
from tests.golden.himu_mae._shared import resample_target, transform


def run(case):
    s, io = case.settings, case.io
    names = s["resample_targets_columns"]
    targets = [resample_target(dict(zip(names, row, strict=True))) for row in s["resample_targets"]]
    got = {"resample_target": torch.tensor(targets).long()}
    for variant in s["variants"]:
        got |= run_variant(variant, io)
    return got


def run_variant(variant, io):
    name = variant["name"]
    signal, rate = io[f"{name}.signal"], float(variant["sampling_rate"])
    config = transform(variant, variant["mean"], variant["std"])
    resampled = spectrogram.resample_sinc(signal, rate, config.rate_hz)
    sizes = spectrogram.transform_sizes(config)
    power = spectrogram.power_spectrogram(resampled, sizes)
    resized = spectrogram.power_map(signal, rate, config)
    draws = io.get(f"{name}.mask_draws") if variant["is_train"] else None
    masked = resized
    got = {}
    if draws is not None:
        rows, columns = spectrogram.band_masks(
            draws, resized.shape[-2:], variant["freqm"], variant["timem"]
        )
        masked = resized.masked_fill(rows[:, None] | columns[None, :], 0.0)
        got |= {
            f"{name}.masked_rows": rows.nonzero().squeeze(1),
            f"{name}.masked_columns": columns.nonzero().squeeze(1),
        }
    whole = spectrogram.spectrogram(
        signal, rate, config, band_draws=draws,
        band_rows=variant["freqm"], band_columns=variant["timem"],
    )  # fmt: skip
    return got | {
        f"{name}.resampled": resampled,
        f"{name}.power_shape": torch.tensor(power.shape),
        f"{name}.power_rows": power[:, variant["stored_power_rows"]],
        f"{name}.power_resized": resized,
        f"{name}.decibel": spectrogram.to_decibels(masked),
        f"{name}.spectrogram": whole,
    }
