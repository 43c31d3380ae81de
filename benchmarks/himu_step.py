"""HIMU-MAE pretraining step from ready maps: masks, loss, backward, AdamW; and the decoder's share."""

from __future__ import annotations

import json
import sys

import numpy as np
import torch
from _mae_plain import plain_loss
from _measure import autocast, count_gflop, measure_s, parse_arguments, report

from otolith.core.config import parse
from otolith.core.randomness import sample_keys, uniform
from otolith.encoders._mae_masks import draw_masking
from otolith.systems.himu_mae import Config, System

SHARES = {"imu": 0.9, "omnivore": 0.9, "imu_mask_0.6": 0.6}


def main() -> None:
    """Run the benchmark; `--size` is imu, omnivore or imu_mask_0.6."""
    options = parse_arguments(__doc__ or "", size="imu", batch_size=8)
    torch.manual_seed(0)
    context = {"width": 1536} if options.size == "omnivore" else None
    plain_settings = {"context": context, "masking": {"share": SHARES[options.size]}}
    system = System(parse(Config, plain_settings)).train()
    optimizer = torch.optim.AdamW(system.parameters(), lr=1e-4, fused=True)
    image = torch.randn(options.batch_size, 3, 128, 320)
    video = torch.randn(options.batch_size, 1536) if context else None
    keys_B = sample_keys(0, 0, np.arange(options.batch_size))
    grid = system.encoder.config.grid

    def step() -> None:
        with autocast(options):
            masking = draw_masking(keys_B, grid, system.config.masking)
            loss = system.compare(system.encoder.patches(image), masking, video).total
        _update(loss, system, optimizer)

    noise = torch.from_numpy(uniform(keys_B, "mae_mask", (grid[0] * grid[1],)))

    def plain_step() -> None:
        with autocast(options):
            loss = plain_loss(system, image, noise, system.config.masking.share)
        _update(loss, system, optimizer)

    _report_decoder(system, image, video)
    plain = plain_step if options.plain and context is None else None
    report("himu_step", options, step, options.batch_size, plain)


@torch.no_grad()
def _report_decoder(system: System, image: torch.Tensor, video: torch.Tensor | None) -> None:
    """Print the decoder's share of the forward pass in arithmetic and in time."""
    masking = draw_masking(
        sample_keys(0, 0, np.arange(len(image))), system.encoder.config.grid, system.config.masking
    )
    patches = system.encoder.patches(image)
    visible = system.encoder.encode(patches, masking)
    parts = {
        "encoder": lambda: system.encoder.encode(patches, masking),
        "decoder": lambda: system.decoder(visible, masking, video, only_hidden=True),
    }
    gflop = {name: count_gflop(part) for name, part in parts.items()}
    seconds = {}
    for name, part in parts.items():
        seconds[name] = measure_s(part)
    line = {
        "workload": "himu_step/forward",
        "decoder_share_of_gflop": round(gflop["decoder"] / sum(gflop.values()), 3),
        "decoder_share_of_time": round(seconds["decoder"] / sum(seconds.values()), 3),
    }
    sys.stdout.write(json.dumps(line) + "\n")


def _update(loss: torch.Tensor, model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()


if __name__ == "__main__":
    main()
