"""Physics of the simulated thigh pocket: limits that are known without any simulation."""

import numpy as np
import pytest

from otolith.core.config import parse, to_plain
from otolith.core.errors import ConfigError, DataError
from otolith.signals.thigh_simulation import (
    GAITS,
    ThighSimulation,
    draw_flexion,
    draw_mounting,
    find_steps,
    mount,
    simulate_gait,
    simulate_posture,
    stride_phase,
    thigh_motion,
    trunk_axes,
)
from otolith.signals.units import STANDARD_GRAVITY_M_S2 as G

RATE_HZ = 50.0
PLAIN = ThighSimulation(
    amplitude_spread=0, offset_spread_deg=0, knot_spread_deg=0, knot_timing_spread=0,
    drift_spread_deg=0, smooth_hz=100.0,
)  # fmt: skip


def rest(num=400):
    """A trunk at rest in axes left, up, forward."""
    return np.tile([0.0, G, 0.0, 0.0, 0.0, 0.0], (num, 1))


def walk(step_hz=1.8, seconds=12.0, rate_hz=RATE_HZ, seed=0):
    """A trunk that walks, in sensor axes that are turned anyhow."""
    t = np.arange(0, seconds, 1 / rate_hz)
    rng = np.random.default_rng(seed)
    signal = rng.normal(0, 0.05, (len(t), 6))
    signal[:, 1] += G + 2.0 * np.cos(2 * np.pi * step_hz * t)
    signal[:, 2] += 1.5 * np.sin(2 * np.pi * step_hz * t)
    return mount(signal, draw_mounting(ThighSimulation(), rng)), t


def test_a_still_thigh_without_lever_gives_the_trunks_signal():
    trunk = np.random.default_rng(0).normal(size=(200, 6))
    np.testing.assert_allclose(thigh_motion(trunk, np.zeros(200), RATE_HZ, 0.0), trunk, atol=1e-12)


def test_a_still_thigh_gives_the_trunks_signal_whatever_the_lever():
    trunk = np.random.default_rng(1).normal(size=(200, 6))
    angle = np.full(200, 0.7)
    at_hip, below = (thigh_motion(trunk, angle, RATE_HZ, r) for r in (0.0, 0.3))
    np.testing.assert_allclose(below, at_hip, atol=1e-12)
    for part in (slice(0, 3), slice(3, 6)):
        np.testing.assert_allclose(
            np.linalg.norm(below[:, part], axis=1), np.linalg.norm(trunk[:, part], axis=1)
        )


@pytest.mark.parametrize("rate_rad_s", [3.0, -5.0])
@pytest.mark.parametrize("radius_m", [0.1, 0.25])
def test_constant_rotation_gives_its_rate_and_the_centripetal_force(rate_rad_s, radius_m):
    angle = rate_rad_s * np.arange(400) / RATE_HZ
    inner = thigh_motion(rest(), angle, RATE_HZ, radius_m)[2:-2]
    np.testing.assert_allclose(inner[:, 3], -rate_rad_s, rtol=1e-9)
    np.testing.assert_allclose(inner[:, 4:], 0, atol=1e-12)
    expected = G * np.cos(angle[2:-2]) + radius_m * rate_rad_s**2
    np.testing.assert_allclose(inner[:, 1], expected, atol=1e-6)
    np.testing.assert_allclose(inner[:, 2], G * np.sin(angle[2:-2]), atol=1e-6)


def test_angular_acceleration_gives_the_tangential_force():
    growth, radius_m = 4.0, 0.2
    t = np.arange(400) / RATE_HZ - 4.0
    inner = thigh_motion(rest(), 0.5 * growth * t**2, RATE_HZ, radius_m)[3:-3]
    level = inner[:, 2] - G * np.sin(0.5 * growth * t[3:-3] ** 2)
    np.testing.assert_allclose(level, radius_m * growth, atol=1e-6)


def test_a_thigh_at_rest_feels_one_g():
    for angle in (-0.4, 0.0, 1.4):
        still = thigh_motion(rest(), np.full(400, angle), RATE_HZ, 0.2)
        np.testing.assert_allclose(np.linalg.norm(still[:, :3], axis=1), G)


def test_the_gyroscope_integrates_to_the_thigh_angle():
    t = np.arange(500) / RATE_HZ
    angle = 0.4 * np.sin(2 * np.pi * 0.9 * t)
    rate = thigh_motion(rest(500), angle, RATE_HZ, 0.2)[:, 3]
    steps = 0.5 * (rate[1:] + rate[:-1]) / RATE_HZ
    np.testing.assert_allclose(-np.r_[0, np.cumsum(steps)], angle - angle[0], atol=0.01)


def test_gravity_turns_as_the_gyroscope_says():
    """dg/dt = -w x g in the sensor's frame, for thigh and device axes alike."""
    t = np.arange(2000) / 200.0
    thigh = thigh_motion(rest(2000), 0.5 * np.sin(2 * np.pi * t), 200.0, 0.0)
    for signal in (thigh, mount(thigh, draw_mounting(ThighSimulation(), np.random.default_rng(3)))):
        change = np.gradient(signal[:, :3], axis=0) * 200.0
        turned = -np.cross(signal[:, 3:], signal[:, :3])
        np.testing.assert_allclose(change[5:-5], turned[5:-5], atol=0.1)


@pytest.mark.parametrize("seed", range(20))
def test_mounting_is_a_rotation_along_the_thigh(seed):
    rotation = draw_mounting(ThighSimulation(), np.random.default_rng(seed))
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(rotation) == pytest.approx(1.0)
    assert abs(rotation[1, 1]) > np.cos(np.radians(50))
    signal = np.random.default_rng(seed).normal(size=(50, 6))
    for part in (slice(0, 3), slice(3, 6)):
        np.testing.assert_allclose(
            np.linalg.norm(mount(signal, rotation)[:, part], axis=1),
            np.linalg.norm(signal[:, part], axis=1),
        )


def test_mountings_show_all_four_ways_round():
    rng = np.random.default_rng(0)
    settings = ThighSimulation(turn_range_deg=0, tilt_spread_deg=0)
    seen = {tuple(np.diag(draw_mounting(settings, rng)).round()) for _ in range(80)}
    assert seen == {(1, 1, 1), (-1, -1, 1), (-1, 1, -1), (1, -1, -1)}


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_trunk_axes_are_right_handed_and_find_up_and_forward(sign):
    signal, _ = walk()
    axes = trunk_axes(signal, forward_sign=sign)
    assert np.linalg.det(axes) == pytest.approx(1.0)
    turned = mount(signal, axes)
    np.testing.assert_allclose(turned[:, :3].mean(0)[[0, 2]], 0, atol=1e-6)
    assert turned[:, 1].mean() == pytest.approx(G, abs=0.1)
    assert turned[:, 2].std() > 5 * turned[:, 0].std()


@pytest.mark.parametrize("step_hz", [1.4, 1.8, 2.2])
def test_steps_are_counted(step_hz):
    signal, t = walk(step_hz)
    vertical = mount(signal, trunk_axes(signal))[:, 1]
    rows = find_steps(vertical, RATE_HZ, GAITS["walking"])
    assert abs(len(rows) - step_hz * t[-1]) <= 1.5
    np.testing.assert_allclose(np.diff(rows)[1:-1], RATE_HZ / step_hz, atol=2)


def test_strides_grow_by_half_a_stride_per_step():
    stride = stride_phase(np.array([10, 35, 60, 85]), 120, first_step=1.0)
    np.testing.assert_allclose(stride[[10, 35, 60, 85]], [0.5, 1.0, 1.5, 2.0])
    np.testing.assert_allclose(np.diff(stride), 0.02)


@pytest.mark.parametrize("activity", GAITS)
def test_without_spread_the_angle_is_the_textbook_curve(activity):
    gait = GAITS[activity]
    angle = draw_flexion(np.arange(1000) / 200, 200.0, gait, PLAIN, np.random.default_rng(0))
    rows = 400 + (np.asarray(gait.stride_percent) * 2).astype(int)
    np.testing.assert_allclose(np.degrees(angle[rows]), gait.flexion_deg, atol=1.0)


def test_the_drift_has_the_asked_spread_at_any_rate():
    settings = ThighSimulation(**{**to_plain(PLAIN), "drift_spread_deg": 3.0})
    for rate_hz in (20.0, 100.0):
        stride = np.zeros(int(2000 * rate_hz))
        rng = np.random.default_rng(0)
        angle = draw_flexion(stride, rate_hz, GAITS["walking"], settings, rng)
        assert np.degrees(angle.std()) == pytest.approx(3.0, rel=0.15)


def test_a_walk_gives_a_thigh_that_swings_once_per_stride():
    signal, _ = walk(1.8)
    made = simulate_gait(signal, RATE_HZ, "walking", ThighSimulation(), np.random.default_rng(5))
    assert made.shape == signal.shape
    assert made.dtype == np.float32
    assert np.isfinite(made).all()
    assert np.linalg.norm(made[:, :3], axis=1).mean() == pytest.approx(G, rel=0.15)
    power = np.abs(np.fft.rfft(made[:, 3:] - made[:, 3:].mean(0), axis=0)) ** 2
    peak_hz = np.fft.rfftfreq(len(made), 1 / RATE_HZ)[power.sum(1).argmax()]
    assert peak_hz == pytest.approx(0.9, abs=0.1)
    assert 1.0 < np.linalg.norm(made[:, 3:], axis=1).max() < 8.0


def test_draws_depend_on_the_generator_alone():
    signal, _ = walk()
    made = [
        simulate_gait(signal, RATE_HZ, "walking", ThighSimulation(), np.random.default_rng(s))
        for s in (1, 1, 2)
    ]
    assert np.array_equal(made[0], made[1])
    assert not np.array_equal(made[0], made[2])


def test_too_few_steps_give_nothing():
    settings, rng = ThighSimulation(), np.random.default_rng(0)
    signal, _ = walk(seconds=1.5)
    assert simulate_gait(signal, RATE_HZ, "walking", settings, rng) is None
    assert simulate_gait(signal[:10], RATE_HZ, "walking", settings, rng) is None


def test_what_cannot_be_simulated_is_refused():
    settings, rng = ThighSimulation(), np.random.default_rng(0)
    with pytest.raises(DataError, match="Hz"):
        simulate_gait(walk(rate_hz=5.0)[0], 5.0, "walking", settings, rng)
    with pytest.raises(DataError, match="gravity"):
        simulate_gait(np.zeros((400, 6)), RATE_HZ, "walking", settings, rng)
    with pytest.raises(DataError, match="three columns"):
        simulate_posture(np.zeros((400, 3)), "sitting", settings, rng)


@pytest.mark.parametrize(("posture", "mean_deg"), [("standing", 2.0), ("sitting", 80.0)])
def test_postures_keep_small_motion_and_place_gravity(posture, mean_deg):
    rng = np.random.default_rng(0)
    signal = np.array([1.0, G, 2.0, 0, 0, 0]) + rng.normal(0, 0.1, (300, 6))
    settings = ThighSimulation(turn_range_deg=0, tilt_spread_deg=0, roll_spread_deg=0)
    angles = []
    for _ in range(60):
        made = simulate_posture(signal, posture, settings, rng).astype(np.float64)
        mean = made[:, :3].mean(0)
        assert np.linalg.norm(mean) == pytest.approx(G, abs=1e-4)
        angles.append(np.degrees(np.arctan2(abs(mean[2]), abs(mean[1]))))
        moving, before = made[:, :3] - mean, signal[:, :3] - signal[:, :3].mean(0)
        np.testing.assert_allclose((moving**2).sum(), (before**2).sum(), rtol=1e-3)
        np.testing.assert_allclose((made[:, 3:] ** 2).sum(), (signal[:, 3:] ** 2).sum(), rtol=1e-3)
    assert np.median(angles) == pytest.approx(mean_deg, abs=6)


def test_settings_round_trip_and_refuse_nonsense():
    settings = ThighSimulation(radius_range_m=(0.1, 0.2))
    assert parse(ThighSimulation, to_plain(settings)) == settings
    lags = parse(ThighSimulation, {"lag_steps": {"running": [0.3, 0.1]}}).lag_steps
    assert lags["running"] == (0.3, 0.1)
    assert lags["walking"] == (-0.06, 0.06)
    with pytest.raises(ConfigError, match="amplitude_spread"):
        parse(ThighSimulation, {"amplitude_spread": -1})
