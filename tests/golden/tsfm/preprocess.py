"""Patches of one signal: cut, resized, normalised; the batch path must agree with the steps."""

import torch

from otolith.signals.patches import (
    cut_patches,
    normalise_patches,
    resize_patches,
    sample_patches,
    samples_of,
)


def run(case):
    got = {}
    for c in case.settings["cases"]:
        name, size = c["name"], c["target_patch_size"]
        raw, rate_hz = case.io[f"{name}.raw"], c["sampling_rate_hz"]
        patches = cut_patches(raw, rate_hz, c["patch_size_sec"], c["stride_sec"])
        linear = resize_patches(patches, size)
        zscore, minmax = normalise_patches(linear), normalise_patches(linear, "minmax")
        stride = samples_of(c["stride_sec"] or c["patch_size_sec"], rate_hz)
        at_once = sample_patches(
            raw[None],
            torch.arange(len(patches))[None] * stride,
            samples_of(c["patch_size_sec"], rate_hz)[None],
            size,
        )[0]
        torch.testing.assert_close(at_once, linear, rtol=0, atol=1e-6)
        got |= {
            f"{name}.patches": patches,
            f"{name}.interp": linear,
            f"{name}.nearest": resize_patches(patches, size, "nearest"),
            f"{name}.zscore": zscore.values,
            f"{name}.mean": zscore.offset,
            f"{name}.std": zscore.scale,
            f"{name}.minmax": minmax.values,
            f"{name}.min": minmax.offset,
            f"{name}.range": minmax.scale,
        }
    return got
