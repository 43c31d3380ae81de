"""Errors of hidden patches."""

import pytest
import torch

from otolith.objectives.masked_pixels import Config, Objective


def test_loss_is_the_mean_over_samples_of_the_mean_over_values():
    predicted, target = torch.randn(3, 4, 6), torch.randn(3, 4, 6)
    found = Objective(Config(is_target_normalised=False))(predicted, target)
    assert float(found.total) == pytest.approx(float((predicted - target).square().mean()))
    torch.testing.assert_close(found.per_sample_B, (predicted - target).square().mean((1, 2)))


def test_normalised_target_has_unbiased_variance():
    target = torch.randn(1, 2, 9) * 5 + 3
    mean, std = target.mean(2, keepdim=True), target.var(2, keepdim=True)
    perfect = (target - mean) / (std + 1e-6).sqrt()
    assert float(Objective(Config())(perfect, target).total) == pytest.approx(0.0, abs=1e-10)


def test_a_constant_patch_is_no_trouble():
    target = torch.full((1, 1, 8), 4.0)
    found = Objective(Config())(torch.zeros(1, 1, 8), target).total
    assert float(found) == 0.0


@pytest.mark.parametrize("is_normalised", [False, True])
def test_missing_channels_do_not_count(is_normalised):
    objective = Objective(Config(is_target_normalised=is_normalised))
    predicted, target = torch.randn(2, 3, 8), torch.randn(2, 3, 8)
    real = torch.tensor([[True, False] * 4, [True] * 8])
    first = objective(predicted, target, real)
    noise = torch.where(real[:, None], 0.0, 50.0)
    second = objective(predicted + noise, target - noise, real)
    torch.testing.assert_close(first.per_sample_B, second.per_sample_B)
    alone = objective(predicted[:1, :, ::2], target[:1, :, ::2])
    assert float(first.per_sample_B[0]) == pytest.approx(float(alone.total), rel=1e-5)
