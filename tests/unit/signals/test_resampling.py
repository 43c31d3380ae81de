import numpy as np
import pytest
import torch

from otolith.core.errors import DataError
from otolith.signals.resampling import interpolate_to_grid, resample

RATIOS = [
    (100.0, 20.0),
    (50.0, 20.0),
    (20.0, 100.0),
    (44.1, 48.0),
    (99.87, 20.0),
    (100, 100 / np.pi),
]


def sine(freq_hz, rate_hz, num):
    return np.sin(2 * np.pi * freq_hz * np.arange(num) / rate_hz + 0.3)[:, None]


@pytest.mark.parametrize(("rate", "new"), RATIOS)
def test_pass_band_is_kept_without_phase_shift(rate, new):
    for freq in np.linspace(0.05, 0.39, 5) * min(rate, new):
        y = resample(sine(freq, rate, 4000), rate, new)
        inner = slice(150, -150)
        assert np.abs(y - sine(freq, new, len(y)))[inner].max() < 2e-4


@pytest.mark.parametrize(("rate", "new"), [r for r in RATIOS if r[0] > r[1]])
def test_stop_band_is_more_than_60_db_down(rate, new):
    for freq in np.linspace(new / 2, rate / 2 * 0.99, 7):
        y = resample(sine(freq, rate, 4000), rate, new)
        assert np.abs(y[80:-80]).max() < 10 ** (-60 / 20)


@pytest.mark.parametrize(("rate", "new"), [*RATIOS, (100.0, 0.01), (1.0, 1000.0)])
def test_constants_stay_exact_up_to_the_ends(rate, new):
    y = resample(np.full((300, 2), 9.80665), rate, new)
    np.testing.assert_allclose(y, 9.80665, rtol=1e-13)
    assert len(y) == max(1, int(np.floor(300 * new / rate + 0.5)))


def test_length_keeps_duration():
    assert len(resample(np.zeros((250, 1)), 50, 20)) == 100
    assert len(resample(np.zeros((100, 1)), 20, 50)) == 250
    assert len(resample(np.zeros((0, 3)), 20, 50)) == 0


def test_same_rate_is_a_copy():
    x = np.random.default_rng(0).normal(size=(10, 2))
    y = resample(x, 50.0, 50.0)
    assert np.array_equal(x, y)
    y[0] = 0
    assert x[0, 0] != 0


def test_leading_dimensions_and_kind():
    x = np.random.default_rng(0).normal(size=(2, 3, 200, 4)).astype(np.float32)
    y = resample(x, 100, 40)
    assert y.dtype == np.float32
    assert y.shape == (2, 3, 80, 4)
    np.testing.assert_allclose(y[1, 2], resample(x[1, 2], 100, 40), atol=1e-6)
    t = resample(torch.from_numpy(x), 100, 40)
    assert isinstance(t, torch.Tensor)
    np.testing.assert_array_equal(t.numpy(), y)


def test_periodic_and_irregular_paths_agree():
    x = np.random.default_rng(0).normal(size=(2000, 2))
    near = resample(x, 100.0, 40.000001)
    np.testing.assert_allclose(near, resample(x, 100.0, 40.0), atol=2e-4)


def test_read_only_and_reversed_arrays():
    x = np.random.default_rng(0).normal(size=(100, 1))
    frozen = x.copy()
    frozen.flags.writeable = False
    np.testing.assert_array_equal(resample(frozen, 50, 20), resample(x, 50, 20))
    np.testing.assert_array_equal(resample(x[::-1], 50, 20), resample(x[::-1].copy(), 50, 20))


def test_missing_stays_missing_and_does_not_spread():
    x = np.ones((500, 2))
    x[200:260, 0] = np.nan
    y = resample(x, 100, 20)
    assert np.isnan(y[41:51, 0]).all()
    assert np.isfinite(y[:40, 0]).all()
    assert np.isfinite(y[53:, 0]).all()
    np.testing.assert_allclose(y[np.isfinite(y)], 1.0)
    assert np.isfinite(y[:, 1]).all()


def test_single_missing_samples_are_bridged_when_the_rate_falls():
    x = sine(1.0, 100, 500)
    x[100] = np.nan
    assert np.isfinite(resample(x, 100, 20)).all()


def test_missing_tail_equals_a_shorter_signal():
    x = np.random.default_rng(0).normal(size=(300, 2))
    padded = np.concatenate([x, np.full((60, 2), np.nan)])
    y = resample(padded, 60, 25)
    np.testing.assert_allclose(y[:125], resample(x, 60, 25), atol=1e-12)
    assert np.isnan(y[126:]).all()


def test_nothing_but_missing():
    assert np.isnan(resample(np.full((30, 1), np.nan), 50, 20)).all()


def test_gradient():
    x = torch.randn(30, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda v: resample(v, 50, 20), (x,))
    assert torch.autograd.gradcheck(lambda v: resample(v, 50, 20.00001), (x,))


@pytest.mark.parametrize(("rate", "new"), [(0, 20), (50, -1), (np.nan, 20), (50, np.inf)])
def test_bad_rates(rate, new):
    with pytest.raises(DataError, match="positive rate"):
        resample(np.zeros((5, 1)), rate, new)


def test_needs_a_time_axis():
    with pytest.raises(DataError, match="time, channels"):
        resample(np.zeros(5), 50, 20)


def test_grid_from_jittered_stamps():
    rng = np.random.default_rng(0)
    times = 5.0 + np.arange(1000) / 50 + rng.uniform(-0.004, 0.004, 1000)
    x = np.sin(2 * np.pi * 0.5 * times)[:, None].astype(np.float32)
    y, start = interpolate_to_grid(times, x, 50.0, 0.1)
    assert start == times[0]
    assert y.dtype == np.float32
    grid = start + np.arange(len(y)) / 50
    assert np.abs(y[:, 0] - np.sin(2 * np.pi * 0.5 * grid)).max() < 2e-3


def test_grid_gaps():
    times = np.r_[np.arange(0, 50), np.arange(100, 150)] / 50.0
    x = np.stack([times, times], axis=1)
    x[10:40, 1] = np.nan
    y, _ = interpolate_to_grid(times, x, 50.0, 0.5)
    assert len(y) == 150
    missing = np.isnan(y)
    assert missing[50:100, 0].all()
    assert missing[:, 0].sum() == 50
    assert missing[10:40, 1].all()
    assert missing[:, 1].sum() == 80
    np.testing.assert_allclose(y[~missing[:, 0], 0], np.r_[0:50, 100:150] / 50, atol=1e-9)


def test_grid_bridges_a_gap_of_exactly_the_limit():
    times = np.array([0.0, 0.1, 0.2, 0.3, 0.8])
    y, _ = interpolate_to_grid(times, times[:, None], 10.0, 0.5)
    np.testing.assert_allclose(y[:, 0], np.arange(9) / 10)


def test_grid_of_one_sample_and_of_an_empty_channel():
    y, start = interpolate_to_grid(np.array([3.0]), np.array([[1.0, np.nan]]), 50.0, 1.0)
    assert start == 3.0
    np.testing.assert_array_equal(y, [[1.0, np.nan]])


@pytest.mark.parametrize("times", [[0.0, 0.0, 1.0], [1.0, 0.5, 2.0], [0.0, np.nan, 1.0]])
def test_grid_refuses_bad_stamps(times):
    with pytest.raises(DataError, match="increase strictly"):
        interpolate_to_grid(np.array(times), np.zeros((3, 1)), 50.0, 1.0)


def test_grid_refuses_other_mistakes():
    with pytest.raises(DataError, match="stamp per row"):
        interpolate_to_grid(np.arange(3.0), np.zeros((4, 1)), 50.0, 1.0)
    with pytest.raises(DataError, match="positive"):
        interpolate_to_grid(np.arange(3.0), np.zeros((3, 1)), 0.0, 1.0)
