"""Pretraining step of EVI-MAE from ready maps and frames: masks, losses, backward; decoder's share."""

from __future__ import annotations

import json
import sys

import numpy as np
import torch
from _evi_plain import PlainEvi
from _measure import autocast, count_gflop, measure_s, parse_arguments, report

from otolith.core.config import parse
from otolith.core.randomness import sample_keys
from otolith.encoders._tubelets import to_tubelets
from otolith.encoders.fused_evi_mae import Inputs
from otolith.encoders.imu_evi_mae import ImuMaps
from otolith.systems import evi_mae
from otolith.windows.batch import Batch

SIZES = {
    "small": {
        "encoder": {
            "imu": {"depth": 2, "signals": {"num_frames": 160}},
            "video": {"depth": 4, "size_px": 112},
        },
    },
    "published": {},
    "debug": {"preset": "debug"},
}


def main() -> None:
    """Run the benchmark."""
    options = parse_arguments(__doc__ or "", batch_size=2)
    torch.manual_seed(0)
    settings = {**SIZES[options.size], "masking": {"video_kind": "unstructured"}}
    config = parse(evi_mae.Config, settings)
    system = evi_mae.System(config).train()
    optimizer = torch.optim.Adam(system.parameters(), lr=5e-5, fused=True)
    imu, video = config.encoder.imu, config.encoder.video
    size = options.batch_size
    maps = torch.randn(size, 12, imu.signals.num_frames, imu.signals.num_bins)
    frames = torch.randn(size, video.num_frames, video.size_px, video.size_px, 3)
    ids = np.arange(size)
    batch = Batch(streams={}, ids=torch.from_numpy(ids), keys_B=sample_keys(0, 0, ids))
    sensors = torch.ones(size, 4, dtype=torch.bool)
    encoder = system.encoder
    assert encoder.imu is not None
    embed_imu = encoder.imu

    def read() -> Inputs:
        return Inputs(
            imu_BNV=embed_imu.patches(ImuMaps(values_BCTF=maps, sensor_mask_BS=sensors)),
            sensor_mask_BS=sensors,
            video_BNV=to_tubelets(frames, video.tubelet),
        )

    def step() -> None:
        with autocast(options):
            inputs = read()
            loss = system.compare(inputs, system.draw_masks(batch, inputs)).total
        _update(loss, optimizer)

    plain = PlainEvi(config).train()
    plain_optimizer = torch.optim.Adam(plain.parameters(), lr=5e-5)
    clip = frames.permute(0, 4, 1, 2, 3).contiguous()

    def plain_step() -> None:
        with autocast(options):
            loss = plain.loss(maps, clip)
        _update(loss, plain_optimizer)

    with autocast(options):
        _report_decoder(system, batch, read())
    report("evi_step", options, step, size, plain_step if options.plain else None)


@torch.no_grad()
def _report_decoder(system: evi_mae.System, batch: Batch, inputs: Inputs) -> None:
    """Print the decoder's share of the forward pass in arithmetic and in time."""
    masks = system.draw_masks(batch, inputs)
    hidden = {name: mask.hidden_BM for name, mask in masks.tokens.items()}
    latents = system.encode_visible(inputs, masks)

    def decode() -> None:
        for name, tokens in system.decode(latents, masks, hidden).items():
            system.decoder.head[name](tokens)

    def whole() -> None:
        system.compare(inputs, masks)

    whole()
    line = {
        "workload": "evi_step/forward",
        "decoder_share_of_gflop": round(count_gflop(decode) / count_gflop(whole), 3),
        "decoder_share_of_time": round(measure_s(decode) / measure_s(whole), 3),
    }
    sys.stdout.write(json.dumps(line) + "\n")


def _update(loss: torch.Tensor, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()


if __name__ == "__main__":
    main()
