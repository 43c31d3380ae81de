import numpy as np
import pytest
import torch

from otolith.signals.gravity import (
    align_to_gravity,
    estimate_gravity,
    gravity_rotation,
    mean_gravity_direction,
)

G = 9.80665


def walking(num=1000, rate=50.0):
    t = np.arange(num) / rate
    acc = np.stack([np.sin(2 * np.pi * 2 * t), 0.5 * np.cos(2 * np.pi * 1 * t), np.zeros(num)], -1)
    return acc + np.array([0.0, 0.0, G])


def test_low_pass_gain():
    rate, num = 50.0, 6000
    t = np.arange(num) / rate
    for freq, gain in ((0.03, 0.9999), (0.3, 0.5), (3.0, 1e-4)):
        low = estimate_gravity(np.cos(2 * np.pi * freq * t)[:, None], rate)
        middle = slice(2000, 4000)
        assert np.abs(low[middle]).max() == pytest.approx(gain, abs=2e-3)


def test_gravity_of_walking_is_constant_and_has_no_phase_shift():
    low = estimate_gravity(walking(), 50.0)
    np.testing.assert_allclose(low, np.broadcast_to([0, 0, G], low.shape), atol=0.15)
    x = np.random.default_rng(0).normal(size=(400, 1))
    np.testing.assert_allclose(
        estimate_gravity(x, 50.0)[::-1], estimate_gravity(x[::-1], 50.0), atol=1e-12
    )


def test_gravity_per_sample_rate_and_missing_values():
    x = walking().astype(np.float32)
    pair = estimate_gravity(np.stack([x, x]), np.array([50.0, 25.0]))
    np.testing.assert_allclose(pair[1], estimate_gravity(x, 25.0), atol=1e-5)
    assert pair.dtype == np.float32
    x[300:320, 2] = np.nan
    low = estimate_gravity(x, 50.0)
    assert np.isfinite(low).all()
    x[:, 0] = np.nan
    low = estimate_gravity(x, 50.0)
    assert np.isnan(low[:, 0]).all()
    assert np.isfinite(low[:, 1:]).all()
    assert estimate_gravity(np.zeros((0, 3)), 50.0).shape == (0, 3)


def test_mean_direction_is_robust_against_impacts():
    acc = np.tile([0.0, 0.0, G], (100, 1))
    acc[40:45] = [150.0, 0.0, 0.0]
    plain = acc.mean(0) / np.linalg.norm(acc.mean(0))
    robust = mean_gravity_direction(acc, np.ones(100, bool))
    assert plain[2] < 0.85
    assert robust[2] > 0.99
    assert np.linalg.norm(robust) == pytest.approx(1.0)


def test_mean_direction_respects_mask_and_nan():
    acc = np.random.default_rng(0).normal((3.0, -4.0, 5.0), size=(2, 60, 3))
    mask = np.ones((2, 60), bool)
    mask[:, 40:] = False
    dirty = acc.copy()
    dirty[:, 40:] = 1e6
    dirty[0, 5] = np.nan
    clean = np.delete(acc[0, :40], 5, axis=0)
    got = mean_gravity_direction(dirty, mask)
    np.testing.assert_allclose(got[0], mean_gravity_direction(clean, None), atol=1e-12)
    np.testing.assert_allclose(got[1], mean_gravity_direction(acc[1, :40]), atol=1e-12)


def test_direction_without_information_is_up():
    up = [[0.0, 0.0, 1.0]]
    np.testing.assert_array_equal(mean_gravity_direction(np.zeros((1, 5, 3))), up)
    np.testing.assert_array_equal(mean_gravity_direction(np.full((1, 5, 3), np.nan)), up)
    np.testing.assert_array_equal(
        mean_gravity_direction(np.ones((1, 5, 3)), np.zeros((1, 5), bool)), up
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("tilt", [0.0, 1e-9, 1e-5, 1e-3, 1e-1])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_rotation_is_proper_near_the_poles(dtype, tilt, sign):
    direction = np.array([tilt, -2 * tilt, sign * (1 - tilt**2)], dtype)
    rotation = gravity_rotation(direction)
    tolerance = 1e-6 if dtype == np.float32 else 1e-11
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=4 * tolerance)
    assert np.linalg.det(rotation.astype(np.float64)) == pytest.approx(1.0, abs=1e-5)
    unit = direction / np.linalg.norm(direction)
    np.testing.assert_allclose(rotation @ unit, [0, 0, 1], atol=4 * tolerance)


def test_rotation_is_the_shortest():
    direction = np.random.default_rng(0).normal(size=(200, 3))
    rotation = gravity_rotation(direction)
    unit = direction / np.linalg.norm(direction, axis=-1, keepdims=True)
    cos_turn = (np.trace(rotation, axis1=-2, axis2=-1) - 1) / 2
    np.testing.assert_allclose(cos_turn, unit[:, 2], atol=1e-10)


@pytest.mark.parametrize("start", [[0, 0, 1.0], [0, 0, -1.0], [0, 0, 0.0], [1e-9, 0, -1.0]])
def test_gradient_is_finite_at_the_poles(start):
    direction = torch.tensor(start, dtype=torch.float64, requires_grad=True)
    (gravity_rotation(direction) * torch.randn(3, 3, dtype=torch.float64)).sum().backward()
    assert torch.isfinite(direction.grad).all()


def test_gradcheck():
    x = torch.randn(2, 6, 3, dtype=torch.float64, requires_grad=True)
    d = torch.tensor([[0.3, 0.2, 0.9], [0.5, -0.4, -0.7]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(align_to_gravity, (x, d))
    assert torch.autograd.gradcheck(lambda v: estimate_gravity(v, 10.0), (x,))
    big = (20 * x.detach()).requires_grad_()
    assert torch.autograd.gradcheck(lambda v: mean_gravity_direction(v, None), (big,))


def test_alignment_puts_gravity_on_z_for_one_and_several_triads():
    acc = walking(200).astype(np.float32)[None] @ np.linalg.qr(
        np.random.default_rng(1).normal(size=(3, 3))
    )[0].astype(np.float32)
    direction = mean_gravity_direction(acc)
    aligned = align_to_gravity(acc, direction)
    assert aligned.dtype == np.float32
    np.testing.assert_allclose(aligned.mean(1)[0], [0, 0, G], atol=0.05)
    several = align_to_gravity(np.stack([acc, acc], axis=2), direction)
    np.testing.assert_allclose(several[:, :, 1], aligned, atol=1e-5)
