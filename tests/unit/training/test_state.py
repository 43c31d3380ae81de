"""State of loop and optimizer."""

import json

import pytest
import torch
from tests.support.training_toys import make_system

from otolith.core.errors import CheckpointError
from otolith.training.config import OptimizerConfig
from otolith.training.optimizers import build_optimizer
from otolith.training.state import LoopState, load_optimizer, optimizer_to_plain
from otolith.training.sums import LossSums


def stepped(name="adamw", num=3):
    system = make_system()
    optimizer = build_optimizer(system, OptimizerConfig(name=name, lr=0.01, momentum=0.9))
    for i in range(num):
        for p in system.parameters():
            p.grad = torch.full_like(p, 0.1 * (i + 1))
        optimizer.step()
    return system, optimizer


def through_json(plain):
    return json.loads(json.dumps(plain))


@pytest.mark.parametrize("name", ["adamw", "adam", "sgd"])
def test_an_optimizer_goes_on_with_the_same_bits(name):
    system, optimizer = stepped(name)
    tensors, plain = optimizer_to_plain(optimizer, system)
    other, fresh = stepped(name, num=0)
    other.load_state_dict(system.state_dict())
    load_optimizer(fresh, other, {k: v.clone() for k, v in tensors.items()}, through_json(plain))
    for model, opt in ((system, optimizer), (other, fresh)):
        for p in model.parameters():
            p.grad = torch.full_like(p, -0.3)
        opt.step()
    for a, b in zip(system.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)


def test_tensors_are_named_after_parameters():
    system, optimizer = stepped()
    tensors, plain = optimizer_to_plain(optimizer, system)
    assert "head.weight/exp_avg" in tensors
    assert plain["groups"][1]["params"] == ["scale"]
    assert plain["groups"][1]["clip"] == "scale"


def test_other_groups_are_refused():
    system, optimizer = stepped()
    tensors, plain = optimizer_to_plain(optimizer, system)
    plain["groups"][0]["params"].reverse()
    with pytest.raises(CheckpointError, match="parameter groups differ"):
        load_optimizer(optimizer, system, tensors, plain)


def test_the_loop_state_survives_json_exactly():
    state = LoopState(
        epoch=3, batch=7, step=99, best_value=0.1 + 0.2, epoch_sums=LossSums({"loss": (1 / 3, 7)})
    )
    back = LoopState.from_plain(through_json(state.to_plain()))
    assert back.to_plain() == state.to_plain()
    assert back.epoch_sums.values == {"loss": (1 / 3, 7.0)}


def test_a_state_with_an_unknown_entry_is_an_error():
    with pytest.raises(TypeError):
        LoopState.from_plain({**LoopState().to_plain(), "moon": 1})
