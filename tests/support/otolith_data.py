"""Batches and small models for the tests of otolith_imu."""

import numpy as np
import torch
from tests.support.motion_data import walk

from otolith.core.config import parse
from otolith.core.randomness import sample_keys
from otolith.recordings.recording import Channel
from otolith.systems import otolith_imu
from otolith.windows.batch import Batch, StreamBatch

IMU = tuple(f"{s}_{a}" for s in ("acc", "gyro") for a in "xyz")
LABELS = ("walking", "stairs", "sitting", "jogging", "typing")


def batch_of(values, targets=None, *, names=IMU, rate_hz=50.0, gravity=None):
    """A batch of one motion stream; `values` [B, T, C]."""
    values = torch.as_tensor(np.asarray(values), dtype=torch.float32)
    num, rows, _ = values.shape
    stream = StreamBatch(
        values=values,
        mask_BT=torch.ones(num, rows, dtype=torch.bool),
        rate_hz_B=torch.full((num,), rate_hz, dtype=torch.float64),
        start_s_B=torch.zeros(num, dtype=torch.float64),
        channels=(tuple(Channel.from_name(n) for n in names),) * num,
        gravity_B=None if gravity is None else torch.full((num,), gravity, dtype=torch.int8),
    )
    found = {} if targets is None else {"label": torch.as_tensor(targets, dtype=torch.int64)}
    keys = sample_keys(0, 0, np.arange(num))
    return Batch(streams={"imu": stream}, targets=found, ids=torch.arange(num), keys_B=keys)


def walks(num=4, targets=None, seed=0, **fields):
    """A batch of people who walk."""
    return batch_of(walk(num, 250, 50.0, seed=seed), targets, **fields)


def stills(num=4, targets=None):
    """A batch of sensors that lie on a table."""
    x = np.random.default_rng(3).normal(size=(num, 250, 6)) * 0.01
    x[..., 2] += 9.81
    return batch_of(x, targets)


def small(labels=LABELS, seed=0, **settings):
    """A small untrained system in evaluation mode, scaled to walking."""
    torch.manual_seed(seed)
    given = {
        "labels": list(labels),
        "encoder": {"name": "imu_motion", "conv_width": 8},
        "members": 2,
        "hidden_width": 8,
        **settings,
    }
    system = otolith_imu.System(parse(otolith_imu.Config, given))
    system.warm_up(iter([walks(32, seed=9), stills(8)]))
    return system.eval()
