"""A small system and a small loader, for tests of the loop."""

# B batch, T time, C channels

import math
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from otolith.core.config import config, parse
from otolith.core.randomness import permutation, sample_keys, uniform
from otolith.objectives import LossOutput
from otolith.systems import SYSTEMS, System
from otolith.training.config import TrainingConfig
from otolith.training.loop import RunResult, fit
from otolith.windows.batch import Batch, StreamBatch

NAME = "toy_classifier"


@config
class ToyConfig:
    """Settings of the toy."""

    width: int = 8
    dropout: float = 0.1
    nan_at_id: int = -1


class ToySystem(System):
    """A classifier with dropout, key-driven noise and a buffer that follows the steps."""

    def __init__(self, config: ToyConfig) -> None:
        super().__init__()
        self.config = config
        self.body = nn.Sequential(nn.Linear(3, config.width), nn.GELU(), nn.Dropout(config.dropout))
        self.head = nn.Linear(config.width, 2)
        self.scale = nn.Parameter(torch.zeros(()))
        self.register_buffer("num_steps", torch.zeros((), dtype=torch.int64))

    def embed(self, batch: Batch) -> torch.Tensor:
        return self.body(batch.streams["imu"].values.mean(1))

    def loss(self, batch: Batch) -> LossOutput:
        noise_B3 = torch.from_numpy(uniform(batch.keys_B, "noise", (3,))).float()
        features = self.body(batch.streams["imu"].values.mean(1) + 0.1 * noise_B3)
        logits = self.head(features) * self.scale.exp()
        losses_B = nn.functional.cross_entropy(logits, batch.targets["label"], reduction="none")
        losses_B = torch.where(batch.ids == self.config.nan_at_id, math.nan, losses_B)
        return LossOutput(
            total=losses_B.mean(),
            parts={"ce": losses_B.mean().detach()},
            per_sample_B=losses_B.detach(),
        )

    def parameter_groups(self):
        linear = [*self.body.parameters(), *self.head.parameters()]
        return [
            {"name": "linear", "params": linear},
            {"name": "scale", "params": [self.scale], "weight_decay": 0.0, "clip": "scale"},
        ]

    def after_step(self, batch: Batch) -> None:
        self.num_steps += 1


def register() -> None:
    """Make the toy known as `toy_classifier`."""
    if NAME not in SYSTEMS.names():
        SYSTEMS.register(NAME, SimpleNamespace(Config=ToyConfig, System=ToySystem))


class _Rows(Dataset):
    """Batches by (epoch, ids); everything is a function of them."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def __getitem__(self, request: tuple[int, np.ndarray]) -> Batch:
        epoch, ids = request
        values = np.stack([np.random.default_rng(i).normal(size=(4, 3)) for i in ids])
        labels = (values.mean((1, 2)) > 0).astype(np.int64)
        mask = torch.ones(len(ids), 4, dtype=torch.bool)
        stream = StreamBatch(
            values=torch.from_numpy(values).float(),
            mask_BT=mask,
            rate_hz_B=torch.full((len(ids),), 50.0, dtype=torch.float64),
            start_s_B=torch.zeros(len(ids), dtype=torch.float64),
        )
        return Batch(
            streams={"imu": stream},
            targets={"label": torch.from_numpy(labels)},
            ids=torch.from_numpy(ids),
            names=tuple(f"toy/r{i}@0" for i in ids),
            datasets=tuple(("even", "odd")[i % 2] for i in ids),
            keys_B=sample_keys(self.seed, epoch, ids),
        )


class ToyLoader:
    """A loader over `num_samples` made-up samples, with the interface of the loop."""

    def __init__(
        self, num_samples=26, batch_size=4, *, seed=0, rank=0, world_size=1, num_workers=0
    ) -> None:
        self.datasets = ("even", "odd")
        self.num_samples, self.batch_size, self.seed = num_samples, batch_size, seed
        self.rank, self.world_size, self.num_workers = rank, world_size, num_workers

    def __len__(self) -> int:
        return -(-self.num_samples // self.batch_size)

    def batches(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        order = permutation(self.seed, epoch, self.num_samples)
        requests = [
            (
                epoch,
                order[b * self.batch_size : (b + 1) * self.batch_size][
                    self.rank :: self.world_size
                ],
            )
            for b in range(start, len(self))
        ]
        return iter(
            DataLoader(
                _Rows(self.seed), batch_size=None, sampler=requests, num_workers=self.num_workers
            )
        )


def make_config(**changes) -> TrainingConfig:
    """Settings of a tiny run on the CPU."""
    plain = {
        "epochs": 2,
        "batch_size": 4,
        "device": "cpu",
        "log_every_steps": 1,
        "optimizer": {"lr": 0.01},
        "num_threads": 1,
    }
    return parse(TrainingConfig, plain | changes)


def make_system(**changes) -> ToySystem:
    """A toy with the same weights every time."""
    register()
    torch.manual_seed(0)
    return ToySystem(ToyConfig(**changes))


def train(
    folder: Path,
    system=None,
    loader=None,
    validation=None,
    *,
    resume_from="",
    callbacks=(),
    extra=None,
    **changes,
) -> RunResult:
    """Train the toy in `folder`."""
    return fit(
        system if system is not None else make_system(),
        loader if loader is not None else ToyLoader(),
        validation,
        make_config(**changes),
        folder=folder,
        system_name=NAME,
        callbacks=callbacks,
        extra_metrics=extra,
        checkpoint=resume_from,
    )
