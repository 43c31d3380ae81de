import numpy as np
import pytest
import torch

from otolith.core.errors import DataError
from otolith.signals.device_statistics import AXES, DEVICE_STATISTICS, device_statistics


def windows(rows=61, num=3, seed=0):
    torch.manual_seed(seed)
    return torch.randn(num, 6, rows) * torch.arange(1, 7)[:, None] + 2.0


def column(found, name):
    return found[:, DEVICE_STATISTICS.index(name)].numpy()


def test_names_are_distinct_and_fit():
    assert len(set(DEVICE_STATISTICS)) == len(DEVICE_STATISTICS) == 72
    assert device_statistics(windows()).shape == (3, 72)


@pytest.mark.parametrize("axis", ["acc_x", "gyro_y"])
@pytest.mark.parametrize("rows", [4, 60, 61])
def test_definitions(axis, rows):
    x = windows(rows)
    own = x[:, AXES.index(axis)].numpy()
    found = device_statistics(x)
    close = {"rtol": 1e-4, "atol": 1e-5}
    np.testing.assert_allclose(column(found, f"{axis}/mean"), own.mean(1), **close)
    np.testing.assert_allclose(column(found, f"{axis}/log_std"), np.log(own.std(1) + 0.01), **close)
    for q in (5, 50, 95):
        np.testing.assert_allclose(
            column(found, f"{axis}/p{q:02d}"), np.percentile(own, q, axis=1), **close
        )
    quarters = [own[:, k * rows // 4 : (k + 1) * rows // 4].mean(1) for k in range(4)]
    for k in range(4):
        np.testing.assert_allclose(column(found, f"{axis}/quarter_{k + 1}"), quarters[k], **close)
    np.testing.assert_allclose(column(found, f"{axis}/change"), quarters[3] - quarters[0], **close)


def test_a_change_of_posture_has_a_sign():
    x = torch.zeros(2, 6, 60)
    x[0, 2, 30:] = 5.0
    x[1, 2, :30] = 5.0
    assert column(device_statistics(x), "acc_z/change").tolist() == [5.0, -5.0]


def test_still_windows_are_finite():
    assert torch.isfinite(device_statistics(torch.zeros(2, 6, 20))).all()


@pytest.mark.parametrize("shape", [(2, 6, 3), (2, 3, 60), (6, 60)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(DataError, match="shape"):
        device_statistics(torch.zeros(shape))
