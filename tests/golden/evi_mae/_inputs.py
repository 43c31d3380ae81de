"""Inputs and masks of a case as the systems take them."""

import torch

from otolith.encoders._tubelets import to_tubelets
from otolith.encoders.fused_evi_mae import Inputs
from otolith.encoders.imu_evi_mae import ImuMaps
from otolith.systems._evi_masks import Masks, from_noise


def inputs_of(encoder, io, channels=None):
    """Spectrograms [B, C, T, F] and clips [B, 3, T, H, W] of the case."""
    imu = sensors = video = None
    if encoder.imu is not None:
        values = io["imu"] if channels is None else io["imu"][:, channels]
        count = values.shape[1] // encoder.config.imu.channels_per_sensor
        sensors = torch.ones(len(values), count, dtype=torch.bool)
        imu = encoder.imu.patches(ImuMaps(values_BCTF=values, sensor_mask_BS=sensors))
    if encoder.video is not None:
        video = to_tubelets(io["video"].permute(0, 2, 3, 4, 1), encoder.config.video.tubelet)
    return Inputs(imu_BNV=imu, sensor_mask_BS=sensors, video_BNV=video)


def masks_of(system, io):
    """The masks that the case's draws give."""
    settings = system.config.masking
    ratios = {"imu": settings.imu_ratio, "video": settings.video_ratio}
    tokens = {
        name: from_noise(io[f"noise_{name}"], ratio)
        for name, ratio in ratios.items()
        if f"noise_{name}" in io
    }
    nodes = None
    if "perm_nodes" in io:
        order = io["perm_nodes"]
        hidden = torch.zeros(len(order), dtype=torch.bool)
        hidden[order[: int(settings.node_ratio * len(order))]] = True
        nodes = hidden.view(len(io["imu"]), -1)
    return Masks(tokens=tokens, nodes_BS=nodes)
