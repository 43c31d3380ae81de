"""Augmentations of signals from given draws."""

import torch

from otolith.recordings import Channel
from otolith.signals.rotations import rotation_from_gaussian
from otolith.windows import augment


def run(case):
    io, settings = case.io, case.settings
    got = {}
    for entry in settings["rotation"]:
        name = entry["name"]
        channels = tuple(Channel.from_name(c) for c in entry["channels"])
        rotation = rotation_from_gaussian(io[f"{name}.gauss"])
        order = [entry["location_order"].index(place) for place in augment.locations(channels)]
        x = io[f"{name}.x"]
        per_sample = rotation[order][None].expand(len(x), -1, 3, 3)
        got[f"{name}.R"] = rotation
        got[f"{name}.y"] = augment.rotate(x, per_sample, channels)
    x = io["x"]
    num, time, width = x.shape
    length = torch.full((num,), time)
    got["jitter.y"] = augment.jitter(
        x, io["jitter.noise_unit"], settings["jitter"]["sigma"], torch.ones_like(x)
    )
    knots = io["time_warp.gauss"].expand(num, -1)
    got["time_warp.y"] = augment.time_warp(x, knots, settings["time_warp"]["strength"], length)
    warp = settings["magnitude_warp"]
    got["magnitude_warp.y"] = augment.magnitude_warp(
        x,
        io["magnitude_warp.gauss"].reshape(num, width, warp["knots"]),
        warp["strength"],
        tuple(warp["clip"]),
        length,
    )
    for name in [k.removesuffix(".factor") for k in io if k.endswith(".factor")]:
        factor = io[f"{name}.factor"].expand(num)
        got[f"{name}.y"] = augment.resample(x, factor, length)
    for shift in settings["time_shift"]["shifts"]:
        moved = augment.time_shift(x, torch.full((num,), shift), length)
        got[f"time_shift_{shift}.y"] = moved
    return got
