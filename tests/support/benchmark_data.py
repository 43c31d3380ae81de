"""Small data sets and contestants for the tests of benchmarks."""

from contextlib import contextmanager

import torch
from tests.support.tasks_data import SIX, make_part
from torch import nn

from otolith.benchmark._arena import Arena
from otolith.benchmark._data import load_data
from otolith.benchmark._runner import make_contestant
from otolith.benchmark._settings import Learning, Windows
from otolith.core.config import config
from otolith.encoders import ENCODERS, Grid, Tokens

QUICK = {"strengths": [1.0], "num_trees": 5, "epochs": 3, "batch_size": 16, "device": "cpu"}


def two_parts(folder, people=4, other=3):
    """Two data sets of different people and rates."""
    return (
        make_part(folder, people, name="toy_a"),
        make_part(folder, other, name="toy_b", rate_hz=25.0),
    )


def arena_of(*parts, model="statistics_lr:device", learning=None, limit=None, **windows):
    """One contestant among data sets."""
    data = load_data(parts, Windows(**windows), limit)
    settings = learning or Learning(strengths=(1.0,), epochs=3, batch_size=16, device="cpu")
    contestant = make_contestant(model, settings)
    return Arena(contestant, data)


@config
class TinyConfig:
    """Settings of the tiny encoder."""

    width: int = 8


class TinyEncoder(nn.Module):
    """A linear map of mean and deviation of the six channels."""

    def __init__(self, config):
        super().__init__()
        self.linear = nn.Linear(2 * len(SIX), config.width)

    def forward(self, batch):
        stream = batch.streams["imu"]
        mask = stream.mask_BT[..., None]
        count = mask.sum(1).clamp(min=1)
        mean = stream.values.sum(1) / count
        spread = (((stream.values - mean[:, None]) ** 2 * mask).sum(1) / count + 1e-6).sqrt()
        pooled = torch.relu(self.linear(torch.cat([mean, spread], dim=1)))
        return Tokens(
            features_BND=pooled[:, None],
            mask_BN=pooled.new_ones(len(pooled), 1, dtype=torch.bool),
            grid=Grid(axes=("window",), sizes=(1,)),
            pooled_BD=pooled,
        )


class Tiny:
    """A tiny encoder, registered while a test runs."""

    Config = TinyConfig
    Encoder = TinyEncoder


@contextmanager
def tiny_encoder(name="imu_tiny_test"):
    """Register the tiny encoder."""
    ENCODERS.register(name, Tiny)
    try:
        yield name
    finally:
        ENCODERS.unregister(name)
