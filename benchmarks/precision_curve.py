"""Train EVI-MAE and HIMU-MAE from equal starts in float32 and bfloat16 and compare the last losses.

Data are smooth synthetic maps and moving patterns, so that hidden patches can be guessed from visible
ones. The difference between the precisions is printed beside the spread over seeds.
"""

# B batch, C channels, H rows, W columns, T frames

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from otolith.core.config import parse
from otolith.core.randomness import sample_keys
from otolith.encoders._mae_masks import draw_masking
from otolith.encoders.fused_evi_mae import Inputs
from otolith.encoders.imu_evi_mae import ImuMaps
from otolith.systems import System, evi_mae, himu_mae
from otolith.windows.batch import Batch

Loss = Callable[[int], Tensor]
POOL = 64  # samples of which batches are drawn
TAIL = 10  # steps whose mean loss is the last loss


def main() -> None:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--lr", type=float, default=3e-3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    for name, make in {"evi_mae": make_evi, "himu_mae": make_himu}.items():
        found = {
            dtype: [last_loss(make, seed, dtype, options) for seed in range(options.seeds)]
            for dtype in (torch.float32, torch.bfloat16)
        }
        plain, half = found.values()
        line = {
            "system": name,
            "steps": options.steps,
            "float32": [round(loss, 4) for loss in plain],
            "bfloat16": [round(loss, 4) for loss in half],
            "spread_over_seeds": round(statistics.stdev(plain), 4),
            "mean_difference": round(statistics.mean(half) - statistics.mean(plain), 4),
        }
        sys.stdout.write(json.dumps(line) + "\n")


def last_loss(
    make: Callable[[int, int], tuple[System, Loss]],
    seed: int,
    dtype: torch.dtype,
    options: argparse.Namespace,
) -> float:
    """Return the mean loss of the last steps of a run."""
    torch.manual_seed(seed)
    system, loss_of = make(seed, options.batch_size)
    system.train()
    optimizer = torch.optim.AdamW(system.parameters(), lr=options.lr, fused=True)
    losses = []
    for step in range(options.steps):
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
            loss = loss_of(step)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return statistics.mean(losses[-TAIL:])


def make_evi(seed: int, batch_size: int) -> tuple[System, Loss]:
    """Return the system at its debug size and its loss of a step."""
    settings = {"preset": "debug", "masking": {"video_kind": "unstructured"}}
    system = evi_mae.System(parse(evi_mae.Config, settings))
    encoder, imu = system.encoder, system.encoder.imu
    assert imu is not None
    assert encoder.video is not None
    signals, video = imu.config.signals, encoder.video
    size_px, num_frames = video.config.size_px, video.config.num_frames
    maps = waves(0, 12, signals.num_frames, signals.num_bins)
    rows = waves(1, 3 * num_frames, size_px, size_px).view(POOL, num_frames, 3, size_px, -1)
    frames = rows.sigmoid().movedim(2, -1)
    sensors = torch.ones(batch_size, 4, dtype=torch.bool)

    def loss_of(step: int) -> Tensor:
        ids = batch_ids(step, batch_size)
        inputs = Inputs(
            imu_BNV=imu.patches(ImuMaps(values_BCTF=maps[ids], sensor_mask_BS=sensors)),
            sensor_mask_BS=sensors,
            video_BNV=video.tubelets(frames[ids]),
        )
        batch = Batch(streams={}, ids=torch.from_numpy(ids), keys_B=sample_keys(seed, step, ids))
        return system.compare(inputs, system.draw_masks(batch, inputs)).total

    return system, loss_of


def make_himu(seed: int, batch_size: int) -> tuple[System, Loss]:
    """Return the system at its debug size and its loss of a step."""
    settings = {
        "encoder": {"preset": "debug"},
        "decoder": {"width": 32, "num_heads": 4, "num_layers": 2},
        "masking": {"share": 0.75},
    }
    system = himu_mae.System(parse(himu_mae.Config, settings))
    config = system.encoder.config
    images = waves(0, config.processor.num_channels, *config.processor.image_size)

    def loss_of(step: int) -> Tensor:
        ids = batch_ids(step, batch_size)
        masking = draw_masking(sample_keys(seed, step, ids), config.grid, system.config.masking)
        return system.compare(system.encoder.patches(images[ids]), masking).total

    return system, loss_of


def waves(seed: int, num_channels: int, height: int, width: int, num_waves: int = 4) -> Tensor:
    """Return sums of a few plane waves per sample, shifted from channel to channel, [POOL, C, H, W]."""
    rng = np.random.default_rng(seed)
    slopes = rng.uniform(-0.15, 0.15, (2, POOL, 1, num_waves, 1, 1))
    phases = rng.uniform(0, 2 * np.pi, (POOL, 1, num_waves, 1, 1))
    phases = phases + 0.3 * np.arange(num_channels)[:, None, None, None]
    row, column = np.arange(height)[:, None], np.arange(width)
    made = np.sin(slopes[0] * row + slopes[1] * column + phases).sum(2)
    return torch.from_numpy(made.astype(np.float32))


def batch_ids(step: int, batch_size: int) -> np.ndarray:
    """Return the samples of a step, in turn."""
    return (step * batch_size + np.arange(batch_size)) % POOL


if __name__ == "__main__":
    main()
