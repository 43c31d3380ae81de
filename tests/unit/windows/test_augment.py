"""Each change does what its name says, and leaves padding alone."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.windows_data import SIX

from otolith.recordings import Channel
from otolith.windows import augment

CHANNELS = tuple(Channel.from_name(name) for name in SIX)


def signals(lengths=(40, 25), time=40, width=6, seed=0):
    x = torch.from_numpy(np.random.default_rng(seed).normal(size=(len(lengths), time, width)))
    length_B = torch.as_tensor(lengths)
    x = x.float() * (torch.arange(time)[None, :] < length_B[:, None])[:, :, None]
    return x, length_B


def padding(x, length_B):
    return x[(torch.arange(x.shape[1])[None, :] >= length_B[:, None])]


def test_jitter_changes_only_what_the_mask_admits():
    x, _ = signals()
    mask = torch.zeros_like(x, dtype=torch.bool)
    mask[0, 5, 2] = True
    y = augment.jitter(x, torch.ones_like(x), 0.25, mask)
    assert y[0, 5, 2] == x[0, 5, 2] + 0.25
    assert ((y != x).sum()) == 1


def test_scale_and_shuffle():
    x, _ = signals()
    factor = torch.arange(12.0).reshape(2, 6)
    assert torch.equal(augment.scale(x, factor)[1, 3], x[1, 3] * factor[1])
    order = torch.as_tensor([[5, 4, 3, 2, 1, 0], [0, 1, 2, 3, 4, 5]])
    shuffled = augment.shuffle_channels(x, order)
    assert torch.equal(shuffled[0], x[0].flip(1))
    assert torch.equal(shuffled[1], x[1])


@settings(deadline=None)
@given(st.integers(-12, 12), st.integers(-12, 12))
def test_time_shift_moves_and_fills_with_a_mean(first, second):
    x, length_B = signals()
    y = augment.time_shift(x, torch.as_tensor([first, second]), length_B)
    for i, s in enumerate((first, second)):
        own, n = x[i, : length_B[i]], int(length_B[i])
        if s >= 0:
            expected = torch.cat([own[:s].mean(0).expand(s, -1), own[: n - s]])
        else:
            expected = torch.cat([own[-s:], own[s:].mean(0).expand(-s, -1)])
        torch.testing.assert_close(y[i, :n], expected)
    assert (padding(y, length_B) == 0).all()


def test_time_warp_without_strength_is_the_identity():
    x, length_B = signals()
    y = augment.time_warp(x, torch.randn(2, 4), 0.0, length_B)
    torch.testing.assert_close(y, x, atol=1e-5, rtol=1e-5)


def test_time_warp_keeps_ends_and_range():
    x, length_B = signals(lengths=(40, 25, 12), seed=2)
    y = augment.time_warp(
        x, torch.randn(3, 4, generator=torch.Generator().manual_seed(1)), 0.3, length_B
    )
    for i, n in enumerate(length_B.tolist()):
        torch.testing.assert_close(y[i, 0], x[i, 0], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(y[i, n - 1], x[i, n - 1], atol=1e-5, rtol=1e-5)
        assert (y[i, :n].amax(0) <= x[i, :n].amax(0) + 1e-5).all()
    assert (padding(y, length_B) == 0).all()
    assert not torch.allclose(y, x)


def test_a_warped_ramp_moves_forward_through_time():
    ramp = torch.arange(50.0)[None, :, None].expand(1, 50, 3)
    gauss = torch.as_tensor([[0.0, 0.5, 0.5, 0.0]])
    y = augment.time_warp(ramp.contiguous(), gauss, 0.2, torch.as_tensor([50]))
    expected = 49 * (1 / 3 + 0.1)
    position = 49 / 3
    got = np.interp(position, np.arange(50), y[0, :, 0].numpy())
    assert got == pytest.approx(expected, abs=0.3)


def test_magnitude_warp_is_smooth_and_limited_at_the_knots():
    x = torch.ones(1, 61, 2)
    gauss = torch.as_tensor([[[0.0, 9.0, -9.0, 0.0], [0.0, 0.0, 0.0, 0.0]]])
    y = augment.magnitude_warp(x, gauss, 0.3, (0.5, 1.5), torch.as_tensor([61]))
    assert y[0, [0, 20, 40, 60], 0].tolist() == pytest.approx([1.0, 1.5, 0.5, 1.0], abs=1e-5)
    torch.testing.assert_close(y[0, :, 1], torch.ones(61))
    assert y.diff(dim=1).abs().max() < 0.12


@pytest.mark.parametrize("factor", [0.8, 1.0, 1.3])
def test_resample_plays_faster_or_slower(factor):
    x, length_B = signals()
    y = augment.resample(x, torch.full((2,), factor, dtype=torch.float64), length_B)
    for i, n in enumerate(length_B.tolist()):
        new = int(n * factor)
        places = np.linspace(0, n - 1, new)
        for c in range(6):
            whole = np.interp(places, np.arange(n), x[i, :n, c].numpy())
            expected = whole[:n] if new >= n else np.r_[whole, np.full(n - new, whole[-1])]
            np.testing.assert_allclose(y[i, :n, c], expected, atol=1e-5)
    assert (padding(y, length_B) == 0).all()


def test_rotation_keeps_lengths_and_turns_sensors_of_a_location_alike():
    x, _ = signals()
    x[:, :, 3:] = x[:, :, :3]
    turn = torch.linalg.qr(torch.randn(2, 1, 3, 3, generator=torch.Generator().manual_seed(0)))[0]
    y = augment.rotate(x, turn, CHANNELS)
    torch.testing.assert_close(y[:, :, :3].norm(dim=2), x[:, :, :3].norm(dim=2))
    torch.testing.assert_close(y[:, :, :3], y[:, :, 3:])
    torch.testing.assert_close(y[1, 7, :3], turn[1, 0] @ x[1, 7, :3])


def test_locations_come_from_placement_or_name():
    named = [Channel.from_name(f"{p}_acc_{a}") for p in ("ankle", "wrist") for a in "xyz"]
    assert augment.locations(named) == ("ankle", "wrist")
    assert augment.locations(CHANNELS) == ("",)
    worn = [
        Channel.from_name(f"{p}_acc_{a}", placement="waist")
        for p in ("body", "total")
        for a in "xyz"
    ]
    assert augment.locations(worn) == ("waist",)


def test_quaternions_and_further_columns_are_not_rotated():
    channels = tuple(
        Channel.from_name(n) for n in [*(f"ori_{i}" for i in "1234"), "acc_x", "acc_y", "acc_z"]
    )
    x, _ = signals(width=9)
    y = augment.rotate(x, torch.eye(3).flip(0).expand(2, 1, 3, 3), channels)
    assert torch.equal(y[:, :, :4], x[:, :, :4])
    assert torch.equal(y[:, :, 7:], x[:, :, 7:])
    assert torch.equal(y[:, :, 4:7], x[:, :, 4:7].flip(2))
    only = tuple(Channel.from_name(f"ori_{i}") for i in "1234")
    assert augment.rotate(x, torch.zeros(2, 0, 3, 3), only) is x
