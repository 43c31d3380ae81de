"""Properties of motion statistics that hold for all movements."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.motion_data import turned, walk

from otolith.signals.motion_statistics import motion_statistics
from otolith.signals.motion_views import motion_views

SEEDS = st.integers(0, 2**31 - 1)
FEW = settings(max_examples=30, deadline=None)
CLOSE = {"atol": 1e-5, "rtol": 1e-5}


def described(x):
    views = motion_views(x)
    return views, motion_statistics(views, 20.0)[0]


@FEW
@given(SEEDS, SEEDS, st.booleans(), st.integers(8, 160))
def test_no_mounting_changes_anything_but_the_orientation(seed, turn, has_gravity, rows):
    x = walk(2, rows, seed=seed, gravity=has_gravity)
    one, first = described(x)
    two, second = described(turned(x, turn))
    torch.testing.assert_close(first, second, **CLOSE)
    torch.testing.assert_close(one.channels, two.channels, **CLOSE)
    if has_gravity:
        torch.testing.assert_close(
            two.orientation_B3.norm(dim=1), torch.ones(2, dtype=torch.float64)
        )


@FEW
@given(SEEDS, SEEDS)
def test_turning_about_the_vertical_by_half_a_turn_flips_no_sign(seed, turn):
    x = turned(walk(2, seed=seed), turn)
    up = x[..., :3].mean(1, keepdims=True)
    up /= np.linalg.norm(up, axis=-1, keepdims=True)
    half = x.copy()
    for k in (0, 3):
        v = x[..., k : k + 3]
        half[..., k : k + 3] = 2 * (v * up).sum(-1, keepdims=True) * up - v
    torch.testing.assert_close(motion_views(x).signals_BST, motion_views(half).signals_BST, **CLOSE)


@FEW
@given(SEEDS, st.floats(0.3, 3.0))
def test_shape_does_not_depend_on_strength(seed, gain):
    """Without floors (large signals) only levels change when a movement is stronger."""
    x = walk(2, seed=seed) * 10
    x[..., 2] -= x[..., 2].mean(1, keepdims=True)
    x[..., :2] -= x[..., :2].mean(1, keepdims=True)
    stronger = x * gain
    x[..., 2] += 9.80665
    stronger[..., 2] += 9.80665
    one, two = motion_views(x), motion_views(stronger)
    torch.testing.assert_close(one.channels[:, 0] * gain, two.channels[:, 0], **CLOSE)
    torch.testing.assert_close(one.principal_share_B, two.principal_share_B, **CLOSE)


@FEW
@given(st.lists(st.floats(-1e3, 1e3, width=32), min_size=6, max_size=6), st.integers(8, 120))
def test_constant_windows_are_finite(level, rows):
    x = torch.tensor(level, dtype=torch.float32).expand(1, rows, 6)
    views, values = described(x)
    assert torch.isfinite(values).all()
    assert torch.isfinite(views.channels).all()
