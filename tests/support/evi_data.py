"""Small batches of motion and video for the tests of EVI-MAE."""

import numpy as np
import torch

from otolith.core.randomness import sample_keys
from otolith.recordings.recording import Channel
from otolith.windows.batch import Batch, StreamBatch

RATE_HZ = 50.0
DEBUG = {
    "preset": "debug",
    "decoder": {"width": 16, "depth": 2, "num_heads": 2, "num_channels": 12},
}


def motion(size=2, num_rows=100, num_sensors=4, lengths=None, seed=0):
    """A stream of sensors of three channels, random walks in m/s^2."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(size, num_rows, 3 * num_sensors)).astype(np.float32).cumsum(1)
    mask = np.arange(num_rows) < np.asarray(lengths or [num_rows] * size)[:, None]
    channels = tuple(Channel.from_name(f"s{s}_acc_{a}") for s in range(num_sensors) for a in "xyz")
    return StreamBatch(
        values=torch.from_numpy(values * mask[:, :, None]),
        mask_BT=torch.from_numpy(mask),
        rate_hz_B=torch.full((size,), RATE_HZ, dtype=torch.float64),
        start_s_B=torch.zeros(size, dtype=torch.float64),
        channel_mask_BC=torch.ones(size, 3 * num_sensors, dtype=torch.bool),
        channels=(channels,) * size,
    )


def film(size=2, num_frames=16, height=32, width=32, seed=0, counts=None):
    """A video stream of random frames."""
    rng = np.random.default_rng(seed)
    frames = rng.integers(0, 256, (size, num_frames, height, width, 3), dtype=np.uint8)
    mask = np.arange(num_frames) < np.asarray(counts or [num_frames] * size)[:, None]
    return StreamBatch(
        values=torch.from_numpy(frames),
        mask_BT=torch.from_numpy(mask),
        rate_hz_B=torch.full((size,), 8.0, dtype=torch.float64),
        start_s_B=torch.zeros(size, dtype=torch.float64),
    )


def make_batch(size=2, *, epoch=0, seed=0, **streams):
    """A batch with motion and video; streams given by name replace the usual ones, None removes."""
    made = {"imu": motion(size, seed=seed), "camera": film(size, seed=seed)} | streams
    ids = np.arange(size)
    return Batch(
        streams={name: stream for name, stream in made.items() if stream is not None},
        ids=torch.from_numpy(ids),
        names=tuple(f"toy/{i}" for i in ids),
        datasets=("toy",) * size,
        keys_B=sample_keys(seed, epoch, ids),
    )
