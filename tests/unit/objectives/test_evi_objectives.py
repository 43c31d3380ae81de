"""Objectives of EVI-MAE: reconstruction of tubelets, contrast of modalities, scaled cosine."""

import pytest
import torch

from otolith.core.config import parse
from otolith.core.errors import ConfigError
from otolith.objectives import modality_contrast, scaled_cosine, tubelet_reconstruction


def reconstruction(**settings):
    return tubelet_reconstruction.Objective(tubelet_reconstruction.Config(**settings))


def contrast(**settings):
    return modality_contrast.Objective(modality_contrast.Config(**settings))


def test_only_hidden_tokens_count():
    predicted, target = torch.randn(2, 5, 6), torch.randn(2, 5, 6)
    hidden = torch.tensor([[1, 0, 0, 1, 0], [0, 1, 0, 0, 1]], dtype=torch.bool)
    objective = reconstruction(is_target_normalised=False)
    loss = objective(predicted, target, hidden)
    expected = (predicted - target).square().mean(2)[hidden].mean()
    torch.testing.assert_close(loss.total, expected)
    torch.testing.assert_close(loss.per_sample_B.mean(), expected)
    predicted[0, 1] += 5.0
    torch.testing.assert_close(objective(predicted, target, hidden).total, expected)


def test_a_normalised_target_forgets_level_and_scale():
    predicted, target = torch.randn(2, 3, 50), torch.randn(2, 3, 50)
    objective = reconstruction()
    first = objective(predicted, target).total
    torch.testing.assert_close(
        objective(predicted, 7 * target + 3).total, first, atol=1e-4, rtol=1e-4
    )
    perfect = (target - target.mean(2, keepdim=True)) / target.std(2, keepdim=True)
    assert objective(perfect, target).total < 1e-6


def test_values_that_were_not_measured_change_nothing():
    predicted, target = torch.randn(2, 3, 8), torch.randn(2, 3, 8)
    mask = torch.tensor([[True] * 8, [True] * 5 + [False] * 3])
    noisy = torch.where(mask[:, None], target, 99.0)
    objective = reconstruction()
    first = objective(predicted, target, None, mask)
    torch.testing.assert_close(first.total, objective(predicted, noisy, None, mask).total)
    alone = objective(predicted[1:, :, :5], target[1:, :, :5]).total
    torch.testing.assert_close(first.per_sample_B[1], alone)


def test_the_right_pairs_give_a_small_contrast():
    vectors = torch.randn(6, 16)
    loss = contrast()(vectors, 3 * vectors)
    assert loss.total < 0.1
    assert loss.parts["contrast_accuracy"] == 1.0
    wrong = contrast()(vectors, vectors.roll(1, 0))
    assert wrong.total > 1.0
    assert wrong.parts["contrast_accuracy"] == 0.0


def test_one_direction_is_that_of_the_videos():
    imu, video = torch.randn(5, 8), torch.randn(5, 8)
    one, other = contrast()(imu, video).total, contrast()(video, imu).total
    assert (one - other).abs() > 1e-4
    both = contrast(both_directions=True)(imu, video).total
    torch.testing.assert_close(both, (one + other) / 2)


def test_temperature_has_to_be_positive():
    with pytest.raises(ConfigError, match="greater than 0"):
        parse(modality_contrast.Config, {"temperature": 0})


@pytest.mark.parametrize("alpha", [1.0, 2.0])
def test_scaled_cosine(alpha):
    objective = scaled_cosine.Objective(scaled_cosine.Config(alpha=alpha))
    rows = torch.randn(4, 7)
    assert objective(rows, 5 * rows).total == pytest.approx(0.0, abs=1e-6)
    assert objective(rows, -rows).total == pytest.approx(2.0**alpha, rel=1e-5)


def test_gradient_reaches_both_sides():
    first, second = (torch.randn(4, 7, requires_grad=True) for _ in range(2))
    scaled_cosine.Objective(scaled_cosine.Config())(first, second).total.backward()
    assert first.grad.abs().sum() > 0
    assert second.grad.abs().sum() > 0
