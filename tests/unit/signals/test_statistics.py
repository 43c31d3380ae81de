import itertools
import time

import numpy as np
import pytest
import torch
from scipy import stats

from otolith.core.errors import DataError
from otolith.signals.statistics import BANDS_HZ, window_statistics

IMU = tuple(f"{s}_{a}" for s in ("acc", "gyro") for a in "xyz")
RATE = 50.0


def windows(num=4, length=250, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(num, length, 6))
    x[..., 2] += 9.8
    return x


def table(x, mask=None, rate=RATE, channels=IMU, frame="both", **kw):
    values, names = window_statistics(x, mask, rate, channels, frame, **kw)
    assert values.shape == (len(x), len(names))
    assert len(set(names)) == len(names)
    return dict(zip(names, np.asarray(values).T, strict=True))


def test_time_statistics_against_plain_numpy():
    x = windows()
    got = table(x)
    a = x[:, :, 4]
    np.testing.assert_allclose(got["gyro/y/mean"], a.mean(1), atol=1e-12)
    np.testing.assert_allclose(got["gyro/y/std"], a.std(1), rtol=1e-9)
    np.testing.assert_allclose(got["gyro/y/min"], a.min(1))
    np.testing.assert_allclose(got["gyro/y/max"], a.max(1))
    for p in (5, 25, 50, 75, 95):
        np.testing.assert_allclose(got[f"gyro/y/p{p:02d}"], np.percentile(a, p, axis=1), rtol=1e-9)
    np.testing.assert_allclose(got["gyro/y/mad"], stats.median_abs_deviation(a, axis=1), rtol=1e-9)
    np.testing.assert_allclose(got["gyro/y/energy"], (a**2).mean(1), rtol=1e-9)
    norm = np.linalg.norm(x[:, :, :3], axis=-1)
    np.testing.assert_allclose(got["acc/norm/mean"], norm.mean(1), rtol=1e-9)
    expected = [np.corrcoef(w[:, 0], w[:, 2])[0, 1] for w in x]
    np.testing.assert_allclose(got["acc/corr_xz"], expected, rtol=1e-9)


def test_crossings_are_per_second():
    t = np.arange(500) / RATE
    x = np.zeros((1, 500, 6))
    x[0, :, 0] = np.sin(2 * np.pi * 1.5 * t + 0.1)
    x[0, :, 1] = x[0, :, 0] + 5.0
    got = table(x)
    assert got["acc/x/zero_crossings_hz"][0] == pytest.approx(3.0, abs=0.11)
    assert got["acc/y/zero_crossings_hz"][0] == 0.0
    assert got["acc/y/mean_crossings_hz"][0] == pytest.approx(3.0, abs=0.11)


@pytest.mark.parametrize("rate", [20.0, 50.0, 99.87, 200.0])
@pytest.mark.parametrize("freq", [0.7, 1.9, 4.2])
def test_spectrum_of_a_sine(rate, freq):
    t = np.arange(int(10 * rate)) / rate
    x = np.zeros((1, len(t), 6))
    x[0, :, 0] = 3.0 * np.sin(2 * np.pi * freq * t) + 7.0
    got = table(x, rate=rate)
    assert got["acc/x/dominant_hz"][0] == pytest.approx(freq, abs=0.02)
    edges = itertools.pairwise(BANDS_HZ)
    powers = {(a, b): 10 ** got[f"acc/x/log_power_{a:g}_{b:g}hz"][0] for a, b in edges}
    assert sum(powers.values()) == pytest.approx(4.5, rel=0.02)
    band = next(k for k in powers if k[0] <= freq < k[1])
    assert powers[band] > 0.9 * 4.5
    assert got["acc/x/jerk"][0] == pytest.approx(3 / np.sqrt(2) * 2 * np.pi * freq, rel=0.05)
    assert 0 < got["acc/x/spectral_entropy"][0] < 0.4


def test_entropy_of_noise_is_high_and_of_silence_zero():
    x = np.random.default_rng(0).normal(size=(1, 3000, 6))
    x[0, :, 1] = 4.0
    got = table(x)
    assert got["acc/x/spectral_entropy"][0] > 0.9
    assert got["acc/y/spectral_entropy"][0] == 0.0
    assert got["acc/y/dominant_hz"][0] == 0.0
    assert got["acc/y/std"][0] == pytest.approx(0.0, abs=1e-5)
    assert got["acc/corr_xy"][0] == 0.0


def test_gravity_frame_of_a_tilted_sensor():
    t = np.arange(500) / RATE
    upright = np.zeros((1, 500, 6))
    upright[0, :, 0] = 2.0 * np.sin(2 * np.pi * 1.0 * t)
    upright[0, :, 2] = 9.8 + 1.0 * np.sin(2 * np.pi * 2.0 * t)
    upright[0, :, 5] = 0.5 * np.sin(2 * np.pi * 1.0 * t)
    c, s = np.cos(1.1), np.sin(1.1)
    turn = np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    tilted = np.concatenate([upright[..., :3] @ turn.T, upright[..., 3:] @ turn.T], axis=-1)
    got = table(tilted, frame="gravity")
    assert got["acc/vertical/mean"][0] == pytest.approx(9.8, abs=0.01)
    assert got["acc/vertical/dominant_hz"][0] == pytest.approx(2.0, abs=0.02)
    assert got["acc/horizontal/max"][0] == pytest.approx(2.0, abs=0.02)
    assert got["acc/horizontal_major_std"][0] == pytest.approx(np.sqrt(2), abs=0.02)
    assert got["acc/horizontal_minor_std"][0] == pytest.approx(0.0, abs=0.02)
    assert got["acc/gravity_norm"][0] == pytest.approx(9.8, abs=0.01)
    assert got["gyro/vertical/std"][0] == pytest.approx(0.5 / np.sqrt(2), abs=0.01)
    assert "acc/x/mean" not in got
    assert "gyro/gravity_norm" not in got


def test_frames_are_subsets_of_both():
    x = windows()
    both = table(x)
    for frame, count in (("device", 182), ("gravity", 139)):
        part = table(x, frame=frame)
        assert len(part) == count
        for name, value in part.items():
            np.testing.assert_array_equal(value, both[name])
    with pytest.raises(DataError, match="device, gravity, both"):
        table(x, frame="world")


def test_accelerometer_alone_and_several_sites():
    x = windows()
    alone = table(x[..., :3], channels=IMU[:3])
    both = table(x)
    assert {n for n in both if n.startswith("acc/")} == set(alone)
    np.testing.assert_allclose(alone["acc/vertical/std"], both["acc/vertical/std"], rtol=1e-12)
    names = ["wrist_acc_x", "wrist_acc_y", "wrist_acc_z", "hip_gyro_x", "hip_gyro_y", "hip_gyro_z"]
    sites = table(x, channels=names)
    assert "wrist_acc/vertical/mean" in sites
    assert "hip_gyro/vertical/mean" not in sites
    assert "hip_gyro/norm/mean" in sites


def test_numbered_accelerometers_say_where_down_is_for_their_site():
    names = [f"hand_{s}_{a}" for s in ("acc16", "gyro") for a in "xyz"]
    assert "hand_gyro/vertical/mean" in table(windows(), channels=names)


def test_other_channels_give_one_series():
    names = [*IMU[:3], "pressure", "acc_norm", "ori_w"]
    got = table(windows(), channels=names)
    assert "pressure/value/mean" in got
    assert "acc_norm/value/std" in got
    np.testing.assert_allclose(got["pressure/value/mean"], windows()[..., 3].mean(1))


def test_padding_and_chunks_have_no_influence():
    x = windows(5, 200)
    plain, names = window_statistics(x, None, RATE, IMU)
    padded = np.concatenate([x, np.full((5, 300, 6), 1e3)], axis=1)
    mask = np.zeros((5, 500), bool)
    mask[:, :200] = True
    got, _ = window_statistics(padded, mask, RATE, IMU)
    np.testing.assert_allclose(got, plain, atol=1e-9)
    one, _ = window_statistics(padded[3:4], mask[3:4], RATE, IMU)
    np.testing.assert_allclose(one, got[3:4], atol=1e-12)
    many, _ = window_statistics(np.tile(x, (200, 1, 1)), None, RATE, IMU)
    np.testing.assert_allclose(many[-5:], plain, atol=1e-12)
    assert len(names) == plain.shape[1]


def test_mixed_rates_and_lengths_in_one_batch():
    x = windows(3, 400)
    mask = np.ones((3, 400), bool)
    mask[1, 250:] = False
    rates = np.array([50.0, 20.0, 50.0])
    got, _ = window_statistics(x, mask, rates, IMU)
    for i in range(3):
        alone, _ = window_statistics(x[i : i + 1, : mask[i].sum()], None, rates[i], IMU)
        np.testing.assert_allclose(got[i], alone[0], atol=1e-9)


def test_missing_values_and_missing_triads():
    x = windows(2, 100)
    x[0, 10:20, 1] = np.nan
    x[1, :, 3:] = np.nan
    got = table(x)
    kept = np.delete(x[0, :, 0], np.arange(10, 20))
    assert got["acc/x/mean"][0] == pytest.approx(kept.mean())
    assert np.isfinite(got["gyro/x/mean"][0])
    for name, value in got.items():
        assert np.isnan(value[1]) == name.startswith("gyro/"), name
    empty = table(x[:1], mask=np.zeros((1, 100), bool))
    assert all(np.isnan(v).all() for v in empty.values())


def test_gyroscope_without_acceleration_has_no_gravity_frame():
    x = windows(1, 100)
    x[..., :3] = np.nan
    got = table(x)
    assert np.isfinite(got["gyro/norm/mean"]).all()
    assert np.isnan(got["gyro/vertical/mean"]).all()
    assert np.isnan(got["gyro/horizontal_major_std"]).all()


def test_a_single_sample_is_finite():
    got = table(windows(2, 1))
    assert all(np.isfinite(v).all() for v in got.values())


def test_kinds_and_gradients():
    x = torch.randn(2, 40, 6, dtype=torch.float64)
    x[..., 2] += 9.8
    values, _ = window_statistics(x, None, RATE, IMU)
    assert isinstance(values, torch.Tensor)
    np.testing.assert_allclose(values, window_statistics(x.numpy(), None, RATE, IMU)[0])
    half, _ = window_statistics(x.half(), None, RATE, IMU)
    assert half.dtype == torch.float32
    short = x[:1, :12].clone().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda v: window_statistics(v, None, 20.0, IMU)[0], (short,), atol=1e-4, eps=1e-6
    )
    still = torch.zeros(1, 20, 6, requires_grad=True)
    window_statistics(still, None, RATE, IMU)[0].sum().backward()
    assert torch.isfinite(still.grad).all()


def test_empty_batch():
    values, names = window_statistics(np.zeros((0, 50, 6), np.float32), None, 50.0, IMU)
    assert values.shape == (0, len(names))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"channels": IMU[:5]}, "5 channels"),
        ({"channels": (*IMU[:5], "acc_x")}, "named twice"),
        ({"rate": 0.0}, "positive"),
        ({"rate": np.nan}, "positive"),
        ({"mask": np.ones((4, 3), bool)}, "mask has shape"),
        ({"bands_hz": (1.0, 0.5)}, "ascend"),
        ({"bands_hz": (1.0,)}, "ascend"),
    ],
)
def test_mistakes(change, text):
    with pytest.raises(DataError, match=text):
        table(windows(), **change)


def test_speed():
    x = windows(2500, 128).astype(np.float32)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        window_statistics(x[:10], None, RATE, IMU)
        times = []
        for _ in range(3):
            start = time.process_time()
            window_statistics(x, None, RATE, IMU)
            times.append(time.process_time() - start)
    finally:
        torch.set_num_threads(threads)
    # 10 000 windows take less than one second on one core; a quarter of them with room for noise.
    assert min(times) < 0.6
