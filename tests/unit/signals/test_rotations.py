import numpy as np
import pytest
import torch
from tests.golden.harness import GOLDEN, find_cases, read_case

from otolith.core.errors import DataError
from otolith.core.randomness import sample_keys
from otolith.signals.rotations import (
    apply_rotation,
    body_site,
    mirror_left_right,
    random_rotations,
    rotation_from_gaussian,
)


def test_rotations_are_proper():
    rotation = random_rotations(sample_keys(0, 0, range(500)), "turn", 3)
    assert rotation.shape == (500, 3, 3, 3)
    np.testing.assert_allclose(
        rotation @ rotation.swapaxes(-1, -2), np.broadcast_to(np.eye(3), rotation.shape), atol=1e-12
    )
    np.testing.assert_allclose(np.linalg.det(rotation), 1.0)


def test_rotations_are_uniform():
    rotation = random_rotations(sample_keys(1, 0, range(40_000)), "turn", 1)[:, 0]
    np.testing.assert_allclose(rotation.mean(0), np.zeros((3, 3)), atol=0.01)
    np.testing.assert_allclose((rotation**2).mean(0), np.full((3, 3), 1 / 3), atol=0.01)
    angle = np.arccos(np.clip((np.trace(rotation, axis1=1, axis2=2) - 1) / 2, -1, 1))
    # Density of the angle of a uniform rotation is (1 - cos a) / pi; its mean is pi/2 + 2/pi.
    assert angle.mean() == pytest.approx(np.pi / 2 + 2 / np.pi, abs=0.01)


def test_rotations_are_a_function_of_key_and_purpose():
    keys = sample_keys(0, 0, [5, 9])
    a = random_rotations(keys, "turn", 1)
    np.testing.assert_array_equal(a[1:], random_rotations(keys[1:], "turn", 1))
    assert np.abs(a - random_rotations(keys, "other", 1)).max() > 0.1


def test_column_rule():
    gauss = np.random.default_rng(0).normal(size=(50, 3, 3))
    rotation = rotation_from_gaussian(gauss)
    q, r = np.linalg.qr(gauss)
    q = q * np.sign(np.diagonal(r, axis1=1, axis2=2))[:, None, :]
    q[np.linalg.det(q) < 0, :, 0] *= -1
    np.testing.assert_allclose(rotation, q, atol=1e-12)


@pytest.mark.skipif(not GOLDEN.is_dir(), reason="no golden numbers on this machine")
def test_golden_rotations_and_sites():
    for folder in find_cases("tsfm"):
        case = read_case(folder)
        for entry in case.settings.get("rotation", []) if case.config["kind"] == "augment" else []:
            for group in entry["groups"]:
                assert body_site(group["group"]) == group["location"]
            for name in entry["channels"]:
                group = next(g for g in entry["groups"] if name.startswith(g["group"] + "_"))
                assert body_site(name) == group["location"]
            rotation = rotation_from_gaussian(case.io[f"{entry['name']}.gauss"])
            torch.testing.assert_close(rotation, case.io[f"{entry['name']}.R"], atol=1e-6, rtol=0)


def test_application_and_gradient():
    keys = sample_keys(0, 0, [1, 2])
    rotation = random_rotations(keys, "turn", 1)
    x = np.random.default_rng(0).normal(size=(2, 7, 3)).astype(np.float32)
    y = apply_rotation(x, rotation)
    assert y.dtype == np.float32
    np.testing.assert_allclose(y[1, 3], rotation[1, 0] @ x[1, 3], atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(y, axis=-1), np.linalg.norm(x, axis=-1), rtol=1e-5)
    v = torch.randn(2, 4, 3, dtype=torch.float64, requires_grad=True)
    g = torch.randn(2, 1, 3, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda a, b: apply_rotation(a, rotation_from_gaussian(b)), (v, g)
    )


NAMES = [f"{s}_{a}" for s in ("acc", "gyro", "mag") for a in "xyz"] + [
    "ori_w",
    "ori_x",
    "ori_y",
    "ori_z",
    "pressure",
]


def test_mirror_signs():
    signs = mirror_left_right(np.ones((1, len(NAMES))), NAMES, lateral_axis="y")[0]
    expected = [1, -1, 1, -1, 1, -1, 1, -1, 1, 1, -1, 1, -1, 1]
    np.testing.assert_array_equal(signs, expected)


def test_mirror_twice_is_identity_and_keeps_kinematics():
    x = np.random.default_rng(0).normal(size=(5, len(NAMES)))
    once = mirror_left_right(x, NAMES)
    np.testing.assert_array_equal(mirror_left_right(once, NAMES), x)
    # A cross product of angular rate and a lever arm is a velocity, so it must reflect like one.
    flip = np.array([1.0, -1.0, 1.0])
    before = np.cross(x[:, 3:6], x[:, 0:3])
    after = np.cross(once[:, 3:6], once[:, 0:3])
    np.testing.assert_allclose(after, before * flip, atol=1e-12)


def test_mirror_mistakes():
    with pytest.raises(DataError, match="x, y or z"):
        mirror_left_right(np.ones((1, 3)), NAMES[:3], lateral_axis="left")
    with pytest.raises(DataError, match="quaternion"):
        mirror_left_right(np.ones((1, 3)), ["ori_x", "ori_y", "ori_z"])
