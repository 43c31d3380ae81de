"""Settings of the loop."""

import pytest

from otolith.core.config import parse, to_plain
from otolith.core.errors import ConfigError
from otolith.training.config import TrainingConfig


def test_settings_survive_plain_data():
    config = parse(
        TrainingConfig,
        {"ema": {"decay": 0.9}, "early_stop": {"patience": 3}, "schedule": {"warmup_steps": 5}},
    )
    assert parse(TrainingConfig, to_plain(config)) == config
    assert config.ema is not None
    assert config.ema.decay == 0.9


def test_all_mistakes_are_named_at_once():
    wrong = {"epochs": 0, "precision": "bf61", "optimizer": {"lr": -1}, "patience": 3}
    with pytest.raises(ConfigError) as error:
        parse(TrainingConfig, wrong)
    for word in ("epochs", "precision", "optimizer.lr", "patience"):
        assert word in str(error.value)


@pytest.mark.parametrize(
    "schedule",
    [{"warmup_steps": 1, "warmup_epochs": 1}, {"per": "epoch", "warmup_steps": 1}],
)
def test_warmups_that_contradict_are_refused(schedule):
    with pytest.raises(ConfigError, match="warmup"):
        parse(TrainingConfig, {"schedule": schedule})
