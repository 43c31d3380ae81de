"""What several kinds share: masks from stored noise, gradients by official name, transforms."""

import torch

from otolith.encoders._mae_masks import grid_masking, random_masking
from otolith.signals import spectrogram


def masking_of(case, name, variant, *, order="raster"):
    """The masks of a variant, from the noise that is stored under its name."""
    io = case.io
    if f"{name}.noise_rows" in io:
        return grid_masking(
            io[f"{name}.noise_rows"].double(), io[f"{name}.noise_columns"].double(),
            variant["mask_t_prob"], variant["mask_f_prob"], order=order,
        )  # fmt: skip
    if f"{name}.noise" in io:
        share = variant["mask_ratio"] if "mask_ratio" in variant else variant["mask_t_prob"]
        return random_masking(io[f"{name}.noise"].double(), share)
    return None


def official_gradients(system, names):
    """Gradients by the authors' parameter names."""
    found = {}
    for key, parameter in system.named_parameters():
        for official in names(key):
            if parameter.grad is not None:
                found[official] = parameter.grad
    return found


def official_groups(system, names):
    """Optimizer groups with the authors' parameter names, top-level parameters first."""
    known = {id(p): names(k)[0] for k, p in system.named_parameters()}
    groups = []
    for group in system.parameter_groups():
        params = [known[id(p)] for p in group["params"]]
        groups.append({**group, "params": sorted(params, key=lambda n: "." in n)})
    return groups


def transform(settings, mean=None, std=None):
    """Settings of the transform from the authors' parameters."""
    rate = resample_target(settings)
    return spectrogram.Config(
        rate_hz=rate,
        frame_s=settings["win_length"] / rate,
        hop_s=settings["hop_length"] / rate,
        bin_hz=rate / settings["n_fft"],
        num_rows=settings["resizes"][0],
        num_columns=settings["resizes"][1],
        mean_db=tuple(mean or ()),
        std_db=tuple(std or ()),
    )


def resample_target(settings):
    """The rate after resampling, which the authors truncate."""
    rate, seconds = settings["sampling_rate"], settings["window_size"]
    return float(int(rate * (settings["temporal_points"] * seconds / (seconds * rate))))


def close_tables(system, state):
    """Fixed position tables are those of the file."""
    for key in ("pos_embed", "decoder_pos_embed"):
        if key in state:
            own = system.to_official()[key]
            torch.testing.assert_close(own, state[key], atol=1e-6, rtol=0)
