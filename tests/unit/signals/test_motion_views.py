import numpy as np
import pytest
import torch
from tests.support.motion_data import G, turned, walk

from otolith.core.errors import DataError
from otolith.signals.motion_views import CHANNELS, SIGNALS, motion_views


def slow_views(x_T6):
    """The definitions, one window at a time, with a three-dimensional principal axis."""
    acc, gyro = x_T6[:, :3] / G, x_T6[:, 3:]
    mean = acc.mean(0)
    up = mean / np.linalg.norm(mean)

    def split(a):
        along = a @ up
        rest = a - along[:, None] * up
        centred = rest - rest.mean(0)
        sizes, axes = np.linalg.eigh(centred.T @ centred)
        axis = axes[:, 2] * np.sign(((centred @ axes[:, 2]) ** 3).sum())
        return along, np.linalg.norm(rest, axis=1), rest @ axis, sizes[2] / sizes.sum()

    v, hm, ap, share = split(acc)
    wz, ghm, gp, gyro_share = split(gyro)
    half = len(acc) // 2
    a, b = acc[:half].mean(0), acc[half:].mean(0)
    tilt = np.arccos(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
    signals = {
        "vertical": v,
        "horizontal": hm,
        "norm": np.linalg.norm(acc, axis=1),
        "gyro_norm": np.linalg.norm(gyro, axis=1),
        "gyro_horizontal": ghm,
        "gyro_vertical": wz,
        "gyro_principal": gp,
        "horizontal_principal": ap,
    }
    return signals, np.abs(up), np.linalg.norm(mean), share, gyro_share, tilt


def test_views_are_their_definitions():
    x = turned(walk(), 3)
    views = motion_views(torch.from_numpy(x))
    for b in range(len(x)):
        signals, up, norm, share, gyro_share, tilt = slow_views(x[b])
        for name in SIGNALS:
            np.testing.assert_allclose(views.signal(name)[b], signals[name], atol=1e-9)
        np.testing.assert_allclose(views.orientation_B3[b], up, atol=1e-9)
        assert float(views.mean_norm_B[b]) == pytest.approx(norm)
        assert float(views.principal_share_B[b]) == pytest.approx(share)
        assert float(views.gyro_principal_share_B[b]) == pytest.approx(gyro_share)
        assert float(views.tilt_B[b]) == pytest.approx(tilt, abs=1e-7)
    assert views.has_gravity_B.all()
    assert views.has_gyro_B.all()


def test_arrays_and_tensors_give_the_same():
    x = walk()
    torch.testing.assert_close(
        motion_views(x).signals_BST, motion_views(torch.from_numpy(x)).signals_BST
    )


def test_principal_axes_point_to_where_the_signal_is_skewed():
    x = walk(num=16)
    for sign in (1, -1):
        views = motion_views(x * np.array([sign, sign, 1, sign, sign, 1.0]))
        for name in ("horizontal_principal", "gyro_principal"):
            s = views.signal(name)
            s = s - s.mean(1, keepdim=True)
            assert ((s**3).mean(1) >= 0).all()


def test_channels_are_free_of_gravity_and_scaled():
    views = motion_views(walk())
    channels = views.channels
    assert channels.shape == (4, len(CHANNELS), 100)
    torch.testing.assert_close(channels[:, 0], views.signal("vertical") - 1)
    torch.testing.assert_close(channels[:, 3], views.signal("gyro_vertical") * 0.3)
    assert channels[:, 0].mean(1).abs().max() < 0.2


def test_without_gyroscope_its_values_do_not_count():
    x = walk()
    has_gyro = torch.tensor([True, False, True, False])
    views = motion_views(x, has_gyro_B=has_gyro)
    gyro = [i for i, name in enumerate(SIGNALS) if "gyro" in name]
    assert views.signals_BST[1, gyro].abs().max() < 1e-9
    assert views.signals_BST[0, gyro].abs().max() > 0.1
    assert torch.equal(views.has_gyro_B, has_gyro)


def test_without_gravity_the_principal_axis_stands_for_the_vertical():
    x = walk(gravity=False) * np.array([1, 1, 4, 1, 1, 1.0])
    views = motion_views(x)
    assert not views.has_gravity_B.any()
    assert (views.orientation_B3 == 0).all()
    torch.testing.assert_close(views.mean_norm_B, torch.ones(4, dtype=torch.float64))
    vertical = views.signal("vertical") - 1
    acc = torch.from_numpy(x[..., :3]) / G
    centred = acc - acc.mean(1, keepdim=True)
    largest = torch.linalg.eigvalsh(centred.transpose(1, 2) @ centred)[:, 2]
    spread = (vertical - vertical.mean(1, keepdim=True)).square().sum(1)
    torch.testing.assert_close(spread, largest)
    assert ((vertical - vertical.mean(1, keepdim=True)) ** 3).sum(1).min() >= 0


def test_gravity_is_decided_per_window_and_by_the_threshold():
    x = np.concatenate([walk(2), walk(2, gravity=False)])
    mixed = motion_views(x)
    assert mixed.has_gravity_B.tolist() == [True, True, False, False]
    torch.testing.assert_close(mixed.signals_BST[:2], motion_views(x[:2]).signals_BST)
    torch.testing.assert_close(mixed.signals_BST[2:], motion_views(x[2:]).signals_BST)
    assert motion_views(x, min_gravity_g=0.0).has_gravity_B.all()
    assert not motion_views(x, min_gravity_g=5.0).has_gravity_B.any()


def test_gyroscope_alone_gives_the_vertical_where_acceleration_is_constant():
    x = walk(gravity=False)
    x[..., :3] = 0
    one, other = motion_views(x), motion_views(turned(x, 5))
    torch.testing.assert_close(one.signals_BST, other.signals_BST, atol=1e-8, rtol=1e-8)
    assert one.signal("gyro_vertical").std() > one.signal("gyro_principal").std() * 0.5


@pytest.mark.parametrize("value", [0.0, G])
def test_still_windows_are_finite_with_finite_gradients(value):
    x = torch.zeros(2, 40, 6)
    x[..., 2] = value
    x.requires_grad_()
    views = motion_views(x)
    assert torch.isfinite(views.signals_BST).all()
    views.channels.square().sum().backward()
    assert torch.isfinite(x.grad).all()
    assert float(views.tilt_B.max()) == 0
    assert float(views.principal_share_B.max()) == 0


def test_wrong_shapes():
    with pytest.raises(DataError, match="at least 8 rows"):
        motion_views(torch.zeros(2, 7, 6))
    with pytest.raises(DataError, match="time, 6"):
        motion_views(torch.zeros(2, 20, 3))


def test_gravity_that_is_known_to_be_removed():
    """A long mean is then a part of the motion: the main axis stands for the vertical."""
    x = walk(3, 100)
    removed = np.array([True, False, False])
    told, plain = motion_views(x, is_removed_B=removed), motion_views(x)
    assert told.has_gravity_B.tolist() == [False, True, True]
    assert not told.orientation_B3[0].any()
    assert told.mean_norm_B[0] == pytest.approx(1.0)
    np.testing.assert_allclose(told.signals_BST[1:], plain.signals_BST[1:])
    assert not np.allclose(told.signals_BST[0], plain.signals_BST[0])
