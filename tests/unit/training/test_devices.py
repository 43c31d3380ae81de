"""Devices and precision on one process; several are tested end to end."""

import numpy as np
import pytest
import torch
from tests.support.training_toys import ToyLoader, make_config, make_system

from otolith.core.errors import ConfigError
from otolith.training.devices import Devices
from otolith.training.sums import LossSums


def test_one_process_is_main_and_sums_are_its_own():
    devices = Devices(make_config())
    assert devices.is_main
    assert devices.world_size == 1
    assert devices.sum_numbers(np.array([2.0]))[0] == 2.0
    assert devices.gather_objects("x") == ["x"]
    sums = LossSums({"loss": (6.0, 3.0)})
    assert devices.sum_losses(sums, (), is_global=False, flags=(1.0,)) == (sums, (1.0,))


def test_a_global_loss_counts_its_value_once_per_sample():
    devices = Devices(make_config())
    sums, _ = devices.sum_losses(LossSums({"loss": (2.0, 3.0)}), (), is_global=True)
    assert sums.means() == {"loss": 2.0}
    assert sums.num_samples == 3.0


def test_runs_of_different_precision_follow_each_other():
    batch = next(ToyLoader().batches(0))
    kinds = []
    for precision in ("bf16", "float32", "bf16"):
        devices = Devices(make_config(precision=precision))
        devices.wrap(make_system())
        devices.loss(batch)
        with devices.autocast():
            kinds.append((torch.zeros(2, 2) @ torch.zeros(2, 2)).dtype)
    assert kinds == [torch.bfloat16, torch.float32, torch.bfloat16]


@pytest.mark.parametrize(
    "changes",
    [{"device": "mps"}, {"device": "cuda"}, {"precision": "fp16", "device": "cpu"}],
)
def test_what_this_machine_cannot_do_is_refused_with_a_remedy(changes):
    name = str(changes["device"])
    if (name == "cuda" and torch.cuda.is_available()) or (
        name == "mps" and torch.backends.mps.is_available()
    ):
        pytest.skip("this machine can")
    with pytest.raises(ConfigError, match=r"Choose"):
        Devices(make_config(**changes))


def test_what_the_main_process_cannot_write_is_raised():
    devices = Devices(make_config())
    with pytest.raises(ZeroDivisionError), devices.main_writes("divide") as is_main:
        assert is_main
        raise ZeroDivisionError
