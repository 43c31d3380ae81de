import itertools
import math

import numpy as np
import pytest
import torch
from tests.support.motion_data import G, turned, walk

from otolith.signals.motion_statistics import (
    EDGES_HZ,
    STATISTICS,
    is_gyro_statistic,
    motion_statistics,
)
from otolith.signals.motion_views import SIGNALS, motion_views

RATE_HZ = 20.0


def statistics_of(x, rate_hz=RATE_HZ, **kwargs):
    views = motion_views(x, **kwargs)
    values, names = motion_statistics(views, rate_hz)
    return views, dict(zip(names, values.unbind(1), strict=True))


def deviation_z(s):
    c = s - s.mean()
    return c / max(c.std(), 1e-3)


@pytest.fixture(scope="module")
def described():
    return statistics_of(turned(walk(num=3), 1))


@pytest.mark.parametrize("name", SIGNALS)
def test_moments_are_their_definitions(described, name):
    views, found = described
    for b, s in enumerate(views.signal(name).numpy()):
        z, d = deviation_z(s), np.diff(s)
        log_std = math.log(s.std() + 1e-3)
        assert float(found[f"{name}/log_std"][b]) == pytest.approx(log_std)
        assert float(found[f"{name}/log_kurtosis"][b]) == pytest.approx(math.log((z**4).mean() + 1))
        jerk = math.log(d.std() + 1e-3) - log_std
        assert float(found[f"{name}/log_jerk"][b]) == pytest.approx(jerk)
        skew = ((d / d.std()) ** 3).mean()
        assert float(found[f"{name}/jerk_skewness"][b]) == pytest.approx(skew)
        if name in SIGNALS[:5]:
            assert float(found[f"{name}/skewness"][b]) == pytest.approx((z**3).mean())
            for q in (5, 25, 50, 75, 95):
                assert float(found[f"{name}/p{q:02d}"][b]) == pytest.approx(np.percentile(z, q))


@pytest.mark.parametrize("name", SIGNALS)
def test_bands_are_their_definition(described, name):
    views, found = described
    for b, s in enumerate(views.signal(name).numpy()):
        freq = np.fft.rfftfreq(len(s), 1 / RATE_HZ)
        power = np.abs(np.fft.rfft((s - s.mean()) * np.hanning(len(s)))) ** 2
        total = power[1:].sum()
        for low, high in itertools.pairwise(EDGES_HZ):
            share = power[(freq >= low) & (freq < high)].sum() / total
            got = float(found[f"{name}/log_share_{low:g}_{high:g}hz"][b])
            assert got == pytest.approx(math.log(share + 1e-3), abs=1e-6)


def test_steps_are_the_autocorrelation(described):
    views, found = described
    for b, v in enumerate(views.signal("vertical").numpy()):
        c, num = v - v.mean(), len(v)
        auto = np.array([(c[: num - k] * c[k:]).sum() for k in range(num)]) / (c @ c)
        auto *= np.minimum(num / (num - np.arange(num)), 3)
        lag = 5 + int(auto[5:17].argmax())
        assert float(found["step/lag_s"][b]) == pytest.approx(lag / RATE_HZ)
        assert float(found["step/regularity"][b]) == pytest.approx(auto[lag])
        assert float(found["stride/regularity"][b]) == pytest.approx(auto[2 * lag])


def test_relations_are_their_definitions(described):
    views, found = described
    for b in range(3):
        v = views.signal("vertical")[b].numpy()
        gp = views.signal("gyro_principal")[b].numpy()
        expected = abs(np.corrcoef(v, gp)[0, 1])
        got = float(found["corr_vertical_gyro_principal_abs"][b])
        assert got == pytest.approx(expected)
        ratio = math.log(v[:50].std() + 1e-3) - math.log(v[50:].std() + 1e-3)
        assert float(found["log_std_ratio"][b]) == pytest.approx(ratio)
        mean = views.signal("horizontal")[b].numpy().mean()
        assert float(found["horizontal/log_mean"][b]) == pytest.approx(math.log(mean + 1e-3))
        assert float(found["mean_norm"][b]) == float(views.mean_norm_B[b])


def test_names_are_unique_and_as_many_as_documented():
    assert len(set(STATISTICS)) == len(STATISTICS) == 157 + 57
    needs = is_gyro_statistic(STATISTICS)
    assert needs[STATISTICS.index("gait/gyro_norm/lead_cos")]
    assert not needs[STATISTICS.index("corr_vertical_horizontal")]


def test_gyro_statistics_are_zero_without_a_gyroscope_and_the_others_stay():
    x = walk()
    both, _ = motion_statistics(motion_views(x), RATE_HZ)
    without, _ = motion_statistics(
        motion_views(x, has_gyro_B=torch.tensor([True, False, False, True])), RATE_HZ
    )
    needs = torch.as_tensor(is_gyro_statistic(STATISTICS))
    assert (without[1:3][:, needs] == 0).all()
    torch.testing.assert_close(without[:, ~needs], both[:, ~needs])
    torch.testing.assert_close(without[0], both[0])


@pytest.mark.parametrize("rows", [8, 9, 20, 33, 100, 1500])
@pytest.mark.parametrize("kind", ["zero", "still", "walk", "spike"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_all_windows_give_finite_numbers(rows, kind, dtype):
    x = torch.zeros(2, rows, 6, dtype=dtype)
    if kind == "still":
        x[..., :3] = torch.tensor([0.3, -5.0, 8.1])
    if kind == "walk":
        x = torch.from_numpy(walk(2, rows)).to(dtype)
    if kind == "spike":
        x[:, rows // 2] = 1e4
    values, names = motion_statistics(motion_views(x), RATE_HZ)
    assert values.dtype == dtype
    assert values.shape == (2, len(names))
    assert torch.isfinite(values).all()


def test_stillness_has_no_steps_and_no_phase():
    x = torch.zeros(3, 100, 6)
    x[:, :, :3] = torch.tensor([[[0.0, 0.0, G]], [[1.7, 5.0, 8.0]], [[-9.1, 0.1, 3.3]]])
    _, found = statistics_of(x)
    for name, value in found.items():
        if name not in ("mean_norm", "step/lag_s"):
            assert torch.allclose(value, value[:1].expand(3), atol=2e-2), name
    assert (found["step/regularity"].abs() < 1e-3).all()
    assert (found["gait/vertical/phase_cos"].abs() < 1e-2).all()


def test_other_windows_have_no_influence():
    x = walk(6)
    values, _ = motion_statistics(motion_views(x), RATE_HZ)
    for b in range(6):
        alone, _ = motion_statistics(motion_views(x[b : b + 1]), RATE_HZ)
        torch.testing.assert_close(alone[0], values[b], atol=1e-9, rtol=1e-9)


def test_gravity_free_windows_are_described_much_like_the_whole():
    x = walk(8)
    x[..., :3] = x[..., :3] * np.array([0.1, 0.1, 1]) + np.array([0, 0, G * 0.9])
    level = x.copy()
    level[..., 2] -= x[..., 2].mean(1, keepdims=True)
    one, two = (statistics_of(a)[1] for a in (x, level))
    for name in ("vertical/log_std", "gait/step_hz", "step/lag_s"):
        assert (one[name] - two[name]).abs().median() < 0.15, name
