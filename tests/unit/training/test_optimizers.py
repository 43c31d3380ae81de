"""Parameter groups, rates and clipping."""

import pytest
import torch
from tests.support.training_toys import make_system

from otolith.core.config import parse
from otolith.core.errors import ConfigError, TrainingError
from otolith.training.config import OptimizerConfig, ScheduleConfig
from otolith.training.optimizers import (
    build_optimizer,
    clip_gradients,
    scale_gradients,
    schedule_factor,
    set_lr,
)


def with_gradients(system, value):
    for parameter in system.parameters():
        parameter.grad = torch.full_like(parameter, value)
    return system


def test_groups_keep_their_own_decay_and_rate_scale():
    system = make_system()
    system.parameter_groups = lambda: [
        {"params": system.body.parameters(), "lr_scale": 0.1},
        {"params": [*system.head.parameters(), system.scale], "weight_decay": 0.0},
    ]
    optimizer = build_optimizer(system, OptimizerConfig(lr=1.0, weight_decay=0.3))
    set_lr(optimizer, 0.5)
    assert [g["lr"] for g in optimizer.param_groups] == [0.05, 0.5]
    assert [g["weight_decay"] for g in optimizer.param_groups] == [0.3, 0.0]


@pytest.mark.parametrize("name", ["adamw", "adam", "sgd"])
def test_every_algorithm_moves_the_weights(name):
    system = with_gradients(make_system(), 1.0)
    before = system.head.weight.detach().clone()
    build_optimizer(system, OptimizerConfig(name=name, lr=0.1, momentum=0.9)).step()
    assert not torch.equal(before, system.head.weight)


def test_a_forgotten_parameter_is_named():
    system = make_system()
    system.parameter_groups = lambda: [{"params": system.body.parameters()}]
    with pytest.raises(TrainingError, match=r"scale|head"):
        build_optimizer(system, OptimizerConfig())


def test_a_parameter_in_two_groups_is_refused():
    system = make_system()
    everything = list(system.parameters())
    system.parameter_groups = lambda: [{"params": everything + everything[:1]}]
    with pytest.raises((TrainingError, ValueError), match="twice"):
        build_optimizer(system, OptimizerConfig())


def test_a_frozen_system_is_refused():
    system = make_system().requires_grad_(False)
    with pytest.raises(TrainingError, match="no trainable"):
        build_optimizer(system, OptimizerConfig())


def test_clip_sets_are_clipped_apart():
    system = with_gradients(make_system(), 3.0)
    optimizer = build_optimizer(system, OptimizerConfig())
    count = sum(p.numel() for p in system.parameters())
    norm = clip_gradients(optimizer, 1.0)
    assert norm.item() == pytest.approx(3.0 * count**0.5, rel=1e-5)
    assert system.scale.grad.item() == pytest.approx(1.0, rel=1e-4)
    rest = torch.cat(
        [p.grad.flatten() for p in system.body.parameters()]
        + [p.grad.flatten() for p in system.head.parameters()]
    )
    assert rest.norm().item() == pytest.approx(1.0, rel=1e-4)


def test_without_a_limit_gradients_are_only_measured():
    system = with_gradients(make_system(), 3.0)
    clip_gradients(build_optimizer(system, OptimizerConfig()), None)
    assert system.scale.grad.item() == 3.0


def test_scaling_reaches_all_gradients_and_skips_missing_ones():
    system = with_gradients(make_system(), 2.0)
    system.scale.grad = None
    scale_gradients(build_optimizer(system, OptimizerConfig()), 0.5)
    assert system.head.weight.grad.unique().tolist() == [1.0]


@pytest.mark.parametrize(
    ("plain", "expected"),
    [
        ({"name": "linear", "warmup_epochs": 2}, 5 / 20),
        ({"name": "linear", "warmup_steps": 50}, 5 / 50),
        ({"name": "cosine", "per": "epoch", "warmup_epochs": 4}, 1 / 4),
        ({"name": "constant"}, 1.0),
    ],
)
def test_warmup_is_counted_in_the_unit_of_the_schedule(plain, expected):
    config = parse(ScheduleConfig, plain)
    factor = schedule_factor(config, step=5, epoch=0, steps_per_epoch=10, epochs=10)
    assert factor == pytest.approx(expected)


@pytest.mark.parametrize(("per", "step", "expected"), [("epoch", 0, 0.5), ("step", 25, 0.25)])
def test_milestones_are_epochs_in_either_unit(per, step, expected):
    plain = {"name": "steps", "per": per, "milestones": [1, 2], "factor": 0.5}
    config = parse(ScheduleConfig, plain)
    epoch = 1 if per == "epoch" else step // 10
    factor = schedule_factor(config, step=step, epoch=epoch, steps_per_epoch=10, epochs=10)
    assert factor == pytest.approx(expected)


def test_milestones_belong_to_steps():
    for plain in ({"name": "steps"}, {"name": "cosine", "milestones": [3]}):
        with pytest.raises(ConfigError, match="milestones belong to the schedule steps"):
            parse(ScheduleConfig, plain)
