"""Average of the weights."""

import pytest
import torch
from tests.support.training_toys import make_system

from otolith.training.config import EmaConfig
from otolith.training.ema import WeightAverage


def test_the_average_follows_the_formula():
    system = make_system()
    average = WeightAverage(system, EmaConfig(decay=0.75, is_warmed_up=False))
    start = system.scale.item()
    with torch.no_grad():
        system.scale.fill_(4.0)
    average.update()
    assert average.averages["scale"].item() == pytest.approx(0.75 * start + 0.25 * 4.0)


def test_the_first_update_of_a_warmed_up_average_forgets_most():
    system = make_system()
    average = WeightAverage(system, EmaConfig(decay=0.999))
    with torch.no_grad():
        system.scale.fill_(1.0)
    average.update()
    assert average.averages["scale"].item() == pytest.approx(0.9)


def test_applied_gives_the_averages_and_takes_them_back_exactly():
    system = make_system()
    average = WeightAverage(system, EmaConfig(decay=0.5))
    with torch.no_grad():
        system.head.weight.add_(1.0)
    raw, mean = system.head.weight.clone(), average.averages["head.weight"].clone()
    with average.applied():
        assert torch.equal(system.head.weight, mean)
    assert torch.equal(system.head.weight, raw)
    assert torch.equal(average.averages["head.weight"], mean)


def test_frozen_parameters_have_no_average():
    system = make_system()
    system.head.requires_grad_(False)
    assert set(WeightAverage(system, EmaConfig()).averages) == {
        "body.0.weight",
        "body.0.bias",
        "scale",
    }


def test_keep_is_for_good():
    system = make_system()
    average = WeightAverage(system, EmaConfig())
    with torch.no_grad():
        system.scale.fill_(7.0)
    average.keep()
    assert system.scale.item() == 0.0
