import numpy as np
import pytest
import torch

from otolith.core.config import parse, to_plain
from otolith.core.errors import TrainingError
from otolith.recordings.recording import Channel
from otolith.systems import SYSTEMS
from otolith.systems.statistics import Config, System
from otolith.windows.batch import Batch, StreamBatch


def make_batch():
    names = [f"{s}_{a}" for s in ("acc", "gyro") for a in "xyz"]
    x = np.random.default_rng(0).normal(size=(2, 80, 6)).astype(np.float32)
    imu = StreamBatch(
        values=torch.from_numpy(x),
        mask_BT=torch.ones(2, 80, dtype=torch.bool),
        rate_hz_B=torch.full((2,), 50.0, dtype=torch.float64),
        start_s_B=torch.zeros(2, dtype=torch.float64),
        channels=(tuple(Channel.from_name(n) for n in names),) * 2,
    )
    return Batch(streams={"imu": imu}, ids=torch.arange(2))


def test_embed():
    system = System(parse(Config, {"encoder": {"name": "imu_statistics", "frame": "gravity"}}))
    out = system.embed(make_batch())
    assert out.shape == (2, len(system.feature_names))
    assert out.dtype == torch.float32
    assert torch.isfinite(out).all()
    assert torch.equal(out, system.embed(make_batch()))


def test_nothing_to_train():
    system = System(Config())
    assert not system.trainable
    assert not system.has_text
    assert system.parameter_groups() == []
    assert system.state_dict() == {}
    with pytest.raises(TrainingError, match="nothing to train"):
        system.loss(make_batch())


def test_settings_round_trip():
    assert "statistics" in SYSTEMS.names()
    config = parse(Config, {"encoder": {"name": "imu_statistics", "triads": ["acc"]}})
    assert parse(Config, to_plain(config)) == config
    assert System(Config()).feature_names != System(config).feature_names
