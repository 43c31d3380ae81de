"""What a phone in a trouser pocket would have measured, from a sensor at the pelvis or the chest.

The real motion of the trunk stays; what the thigh adds is made from textbook curves. Steps are found
in the vertical acceleration, a curve of thigh flexion is run over the strides with random amplitude,
offset and timing, and the rigid-body kinematics of a point at a distance r below the hip give its
specific force and angular rate. A random way of putting the phone into the pocket gives device axes.

What is not modelled: soft tissue and a loose phone, the lever arm of turns other than flexion, and
which way the trunk faces (the principal horizontal axis is taken as forward, with a random sign).
"""

# T time, S steps, K knots; six columns: specific force x, y, z in m/s^2, angular rate x, y, z in rad/s

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, field_validator

from otolith.core.config import config
from otolith.core.errors import DataError
from otolith.signals.units import STANDARD_GRAVITY_M_S2

Activity = Literal["walking", "stairs_up", "stairs_down", "running"]
Posture = Literal["standing", "sitting"]
Spread = tuple[float, Annotated[float, Field(ge=0)]]
NotNegative = Annotated[float, Field(ge=0)]


@dataclass(frozen=True, kw_only=True)
class Gait:
    """One way of walking.

    Args:
        stride_percent: Knots of the curve in % of the stride from the leg's own foot contact.
        flexion_deg: Thigh angle against the vertical at the knots in degrees; forward is positive.
        step_band_hz: Frequencies between which steps follow each other.
        min_step_s: Shortest time between two steps in s.
    """

    stride_percent: tuple[float, ...]
    flexion_deg: tuple[float, ...]
    step_band_hz: tuple[float, float]
    min_step_s: float


# Approximate curves, read from the figures and tables of the sources to a few degrees; the random
# amplitude, offset and knots of `ThighSimulation` are wider than their errors. Level walking:
# Perry & Burnfield, Gait Analysis (2nd ed., 2010), and Winter, Biomechanics and Motor Control of
# Human Movement (4th ed., 2009). Stairs: Riener, Rabuffetti & Frigo, Gait & Posture 15, 2002.
# Running: Novacheck, Gait & Posture 7, 1998.
GAITS: dict[Activity, Gait] = {
    "walking": Gait(
        stride_percent=(0, 10, 30, 50, 60, 75, 87),
        flexion_deg=(25, 21, 2, -13, -6, 21, 28),
        step_band_hz=(1.0, 2.6),
        min_step_s=0.33,
    ),
    "stairs_up": Gait(
        stride_percent=(0, 10, 30, 50, 60, 75, 88),
        flexion_deg=(52, 47, 25, 4, 6, 42, 60),
        step_band_hz=(1.0, 2.6),
        min_step_s=0.33,
    ),
    "stairs_down": Gait(
        stride_percent=(0, 15, 35, 50, 62, 75, 88),
        flexion_deg=(14, 14, 12, 16, 26, 36, 22),
        step_band_hz=(1.0, 2.6),
        min_step_s=0.33,
    ),
    "running": Gait(
        stride_percent=(0, 15, 35, 50, 65, 80, 92),
        flexion_deg=(35, 24, -8, 2, 28, 45, 42),
        step_band_hz=(1.8, 3.4),
        min_step_s=0.24,
    ),
}
_SHORTEST_ROWS = 32  # zero-phase filters need some rows to run in
_FLIPS = np.array([[1, 1, 1], [-1, -1, 1], [-1, 1, -1], [1, -1, -1]], np.float64)


def _same_lag() -> dict[Activity, Spread]:
    return dict.fromkeys(GAITS, (-0.06, 0.06))


@config
class ThighSimulation:
    """How widely simulated people and phones differ.

    A `Spread` is (mean, standard deviation) of a normal distribution.

    Args:
        amplitude_spread: Standard deviation of the logarithm of the swing's amplitude.
        offset_spread_deg: Standard deviation of the mean thigh angle in degrees.
        knot_spread_deg: Standard deviation of each knot in degrees.
        knot_timing_spread: Standard deviation of a knot's time as a share of the stride.
        drift_spread_deg: Standard deviation of a slow drift of the angle in degrees.
        drift_cutoff_hz: Frequency above which the drift fades, in Hz.
        smooth_hz: Low pass of the angle, so that knots give no jerks, in Hz.
        lag_steps: Activity -> foot contact minus peak of the band-passed vertical acceleration, in
            steps; activities that are not given keep their default.
        min_steps: Fewer steps than this give no simulation.
        radius_range_m: Smallest and largest distance of the phone from the hip joint in m.
        shock_gain: Logarithm of the factor on the vertical acceleration: the thigh is nearer to the
            ground than the trunk, so shocks are larger.
        forward_gain: Logarithm of the factor on the forward acceleration.
        lateral_gain: Logarithm of the factor on the lateral acceleration.
        turn_gain: Logarithm of the factor on the trunk's angular rates about the vertical and the
            forward axis.
        lateral_rate_share: Share of the trunk's rate about the lateral axis that adds to flexion.
        turn_range_deg: Largest turn of the phone about the thigh's long axis in degrees.
        tilt_spread_deg: Standard deviation of its two tilts against that axis in degrees.
        standing_deg: Thigh angle in standing.
        sitting_deg: Thigh angle in sitting.
        roll_spread_deg: Standard deviation of the thigh's turn to the side in postures, in degrees.
    """

    amplitude_spread: NotNegative = 0.15
    offset_spread_deg: NotNegative = 5.0
    knot_spread_deg: NotNegative = 2.5
    knot_timing_spread: Annotated[float, Field(ge=0, le=0.03)] = 0.012
    drift_spread_deg: NotNegative = 1.0
    drift_cutoff_hz: Annotated[float, Field(gt=0)] = 0.5
    smooth_hz: Annotated[float, Field(gt=0)] = 8.0
    lag_steps: dict[Activity, Spread] = field(default_factory=_same_lag)
    min_steps: Annotated[int, Field(ge=2)] = 4
    radius_range_m: tuple[NotNegative, NotNegative] = (0.08, 0.28)
    shock_gain: Spread = (0.15, 0.2)
    forward_gain: Spread = (0.0, 0.2)
    lateral_gain: Spread = (0.0, 0.2)
    turn_gain: Spread = (0.2, 0.3)
    lateral_rate_share: NotNegative = 0.3
    turn_range_deg: Annotated[float, Field(ge=0, le=180)] = 75.0
    tilt_spread_deg: NotNegative = 10.0
    standing_deg: Spread = (2.0, 7.0)
    sitting_deg: Spread = (80.0, 12.0)
    roll_spread_deg: NotNegative = 8.0

    @field_validator("lag_steps", mode="before")
    @classmethod
    def _others_stay(cls, value: Any) -> Any:
        return {**_same_lag(), **value} if isinstance(value, Mapping) else value


def simulate_gait(
    trunk_T6: np.ndarray,
    rate_hz: float,
    activity: Activity,
    settings: ThighSimulation,
    rng: np.random.Generator,
) -> np.ndarray | None:
    """Turn a bout of walking or running into that of a phone on the thigh.

    Args:
        trunk_T6: Specific force (with gravity) and angular rate at the waist or chest, no gaps.
        rate_hz: Sampling rate in Hz.
        activity: What the person does.
        settings: How widely people and phones differ.
        rng: Where all draws come from.

    Returns:
        Device axes float32 [T, 6]; None if fewer than `settings.min_steps` steps are found.

    Raises:
        DataError: The rate is too low for steps, or the signal has not six columns.
    """
    axes_33 = trunk_axes(trunk_T6, forward_sign=float(rng.choice([-1.0, 1.0])))
    trunk_T6 = mount(trunk_T6, axes_33)
    gait = GAITS[activity]
    steps_S = find_steps(trunk_T6[:, 1], rate_hz, gait)
    if len(steps_S) < settings.min_steps:
        return None
    lag_steps = float(rng.normal(*settings.lag_steps[activity]))
    phase_T = stride_phase(steps_S, len(trunk_T6), first_step=lag_steps + int(rng.integers(2)))
    angle_T = draw_flexion(phase_T, rate_hz, gait, settings, rng)
    radius_m = float(rng.uniform(*settings.radius_range_m))
    hip_T6 = _draw_hip(trunk_T6, settings, rng)
    thigh_T6 = thigh_motion(hip_T6, angle_T, rate_hz, radius_m)
    return mount(thigh_T6, draw_mounting(settings, rng)).astype(np.float32)


def simulate_posture(
    trunk_T6: np.ndarray, posture: Posture, settings: ThighSimulation, rng: np.random.Generator
) -> np.ndarray:
    """Turn a still bout into that of a phone on the thigh; its small motion is kept.

    Args:
        trunk_T6: Specific force (with gravity) and angular rate of somebody who stands or sits.
        posture: Decides how the thigh lies against gravity.
        settings: How widely people and phones differ.
        rng: Where all draws come from.

    Returns:
        Device axes float32 [T, 6]. The motion about the mean is turned by a random rotation,
        because how the trunk's sway reaches the thigh is not known.
    """
    _check_columns(trunk_T6)
    mean_deg, spread_deg = settings.standing_deg if posture == "standing" else settings.sitting_deg
    angle = np.radians(rng.normal(mean_deg, spread_deg))
    roll = np.radians(rng.normal(0.0, settings.roll_spread_deg))
    down_3 = [np.sin(roll) * np.cos(angle), np.cos(roll) * np.cos(angle), np.sin(angle)]
    moved_T6 = mount(trunk_T6 - trunk_T6.mean(0) * [1, 1, 1, 0, 0, 0], _any_rotation(rng))
    moved_T6[:, :3] += STANDARD_GRAVITY_M_S2 * np.asarray(down_3)
    return mount(moved_T6, draw_mounting(settings, rng)).astype(np.float32)


def trunk_axes(trunk_T6: np.ndarray, *, forward_sign: float = 1.0) -> np.ndarray:
    """Return the rotation from sensor axes to the trunk's: left, up, forward.

    Up is the direction of the mean specific force, forward the principal axis of what is
    horizontal; which of its two ends is the front cannot be known.

    Args:
        trunk_T6: Specific force with gravity and angular rate.
        forward_sign: 1 or -1, the end of the axis that is taken as the front.

    Returns:
        Rotation [3, 3]; its rows are the trunk's axes in the sensor's frame.
    """
    _check_columns(trunk_T6)
    force_T3 = np.asarray(trunk_T6[:, :3], np.float64)
    up = force_T3.mean(0)
    norm = np.linalg.norm(up)
    if norm < 0.1 * STANDARD_GRAVITY_M_S2:
        raise DataError("The mean acceleration is not gravity.", "Use signals with gravity.")
    up = up / norm
    level_T3 = force_T3 - np.outer(force_T3 @ up, up)
    spread = level_T3.T @ level_T3
    # Weight on the vertical keeps it the last choice, also where nothing is horizontal.
    _, vectors = np.linalg.eigh(spread - (np.trace(spread) + 1.0) * np.outer(up, up))
    forward = forward_sign * vectors[:, 2]
    return np.stack([np.cross(up, forward), up, forward])


def find_steps(vertical_T: np.ndarray, rate_hz: float, gait: Gait) -> np.ndarray:
    """Return the rows of the peaks of the band-passed vertical acceleration.

    Args:
        vertical_T: Vertical acceleration in m/s^2; a constant does not matter.
        rate_hz: Sampling rate in Hz.
        gait: Its band and shortest step.

    Returns:
        Rows int64 [S], one per step; none of a signal that is too short to be filtered.

    Raises:
        DataError: The rate is too low for the band.
    """
    from scipy.signal import butter, find_peaks, sosfiltfilt

    if rate_hz <= 2 * gait.step_band_hz[1]:
        raise DataError(
            f"Steps cannot be found at {rate_hz:g} Hz.",
            f"Use signals of more than {2 * gait.step_band_hz[1]:g} Hz.",
        )
    if len(vertical_T) < _SHORTEST_ROWS:
        return np.zeros(0, np.int64)
    sections = butter(2, gait.step_band_hz, "bandpass", fs=rate_hz, output="sos")
    smooth_T = sosfiltfilt(sections, np.asarray(vertical_T, np.float64))
    peaks, _ = find_peaks(smooth_T, distance=max(1, int(rate_hz * gait.min_step_s)))
    return peaks.astype(np.int64)


def stride_phase(steps_S: np.ndarray, num_rows: int, *, first_step: float = 0.0) -> np.ndarray:
    """Return the stride of every row: whole numbers are foot contacts of the same leg.

    Args:
        steps_S: Rows of at least two steps.
        num_rows: Number of rows T; before the first and behind the last step the median step goes on.
        first_step: Number of the first step; odd ones belong to the other leg.

    Returns:
        Strides float64 [T].
    """
    usual = float(np.median(np.diff(steps_S)))
    row_T, last = np.arange(num_rows), len(steps_S) - 1
    step_T = np.interp(row_T, steps_S, np.arange(last + 1.0))
    step_T = np.where(row_T < steps_S[0], (row_T - steps_S[0]) / usual, step_T)
    step_T = np.where(row_T > steps_S[-1], last + (row_T - steps_S[-1]) / usual, step_T)
    return (step_T + first_step) / 2.0


def draw_flexion(
    stride_T: np.ndarray,
    rate_hz: float,
    gait: Gait,
    settings: ThighSimulation,
    rng: np.random.Generator,
) -> np.ndarray:
    """Draw one person's thigh angle over the strides of a bout.

    Args:
        stride_T: Strides from `stride_phase`.
        rate_hz: Sampling rate in Hz.
        gait: The mean curve.
        settings: How widely people differ from it.
        rng: Where the draws come from.

    Returns:
        Thigh angle in rad, float64 [T]; forward is positive.
    """
    from scipy.interpolate import CubicSpline

    share_K = np.asarray(gait.stride_percent) / 100.0
    flexion_K = np.asarray(gait.flexion_deg, np.float64)
    swing_K = (flexion_K - flexion_K.mean()) * np.exp(rng.normal(0.0, settings.amplitude_spread))
    flexion_K = flexion_K.mean() + swing_K + rng.normal(0.0, settings.offset_spread_deg)
    flexion_K = flexion_K + rng.normal(0.0, settings.knot_spread_deg, len(flexion_K))
    moved_K = rng.normal(0.0, settings.knot_timing_spread, len(share_K) - 1)
    share_K = np.sort(share_K + np.r_[0.0, np.clip(moved_K, -0.045, 0.045)])
    curve = CubicSpline(
        np.r_[share_K, 1.0], np.radians(np.r_[flexion_K, flexion_K[0]]), bc_type="periodic"
    )
    angle_T = curve(stride_T % 1.0) + _drift(len(stride_T), rate_hz, settings, rng)
    return _low_pass(angle_T, rate_hz, settings.smooth_hz, order=2)


def thigh_motion(
    hip_T6: np.ndarray, angle_T: np.ndarray, rate_hz: float, radius_m: float
) -> np.ndarray:
    """Return specific force and angular rate of a point on the thigh, in the thigh's axes.

    The point moves on a circle of radius r about the hip, p = r (sin a forward - cos a up), so it
    has the hip's acceleration and p'' besides. Turning the thigh forward is a negative turn about
    the axis to the left.

    Args:
        hip_T6: Specific force and angular rate at the hip in the trunk's axes left, up, forward.
        angle_T: Thigh angle a in rad; forward is positive.
        rate_hz: Sampling rate in Hz.
        radius_m: Distance of the point from the hip in m.

    Returns:
        float64 [T, 6] in the thigh's axes: left, along the thigh to the hip, out of its front.
    """
    angle_T = np.asarray(angle_T, np.float64)
    rate_T = np.gradient(angle_T) * rate_hz
    growth_T = np.gradient(rate_T) * rate_hz
    sin_T, cos_T = np.sin(angle_T), np.cos(angle_T)
    force_T3 = np.array(hip_T6[:, :3], np.float64)
    force_T3[:, 1] += radius_m * (growth_T * sin_T + rate_T**2 * cos_T)
    force_T3[:, 2] += radius_m * (growth_T * cos_T - rate_T**2 * sin_T)
    turned = []
    for vector_T3 in (force_T3, np.asarray(hip_T6[:, 3:], np.float64)):
        left_T, up_T, forward_T = vector_T3.T
        turned += [left_T, up_T * cos_T - forward_T * sin_T, up_T * sin_T + forward_T * cos_T]
    turned[3] = turned[3] - rate_T
    return np.stack(turned, axis=1)


def draw_mounting(settings: ThighSimulation, rng: np.random.Generator) -> np.ndarray:
    """Draw how the phone lies in the pocket.

    Its portrait axis y points along the thigh, up or down, its screen in or out; it is turned about
    the thigh and slightly tilted.

    Returns:
        Rotation [3, 3] from the thigh's axes to the device's.
    """
    turn = np.radians(rng.uniform(-settings.turn_range_deg, settings.turn_range_deg))
    tilt_x, tilt_z = np.radians(rng.normal(0.0, settings.tilt_spread_deg, 2))
    flip_3 = _FLIPS[rng.integers(len(_FLIPS))]
    return flip_3[:, None] * (_about(2, tilt_z) @ _about(0, tilt_x) @ _about(1, turn))


def mount(samples_T6: np.ndarray, rotation_33: np.ndarray) -> np.ndarray:
    """Turn both sensors: y = R v for specific force and angular rate, float64 [T, 6]."""
    _check_columns(samples_T6)
    vectors_T23 = np.asarray(samples_T6, np.float64).reshape(-1, 2, 3)
    return (vectors_T23 @ rotation_33.T).reshape(-1, 6)


def _draw_hip(
    trunk_T6: np.ndarray, settings: ThighSimulation, rng: np.random.Generator
) -> np.ndarray:
    """Motion of the hip from that of the trunk, both in axes left, up, forward."""
    force_T3 = trunk_T6[:, :3] - trunk_T6[:, :3].mean(0) * [0, 1, 0]
    spreads = (settings.lateral_gain, settings.shock_gain, settings.forward_gain)
    gain_3 = np.exp([rng.normal(*spread) for spread in spreads])
    force_T3 = force_T3 * gain_3 + [0.0, STANDARD_GRAVITY_M_S2, 0.0]
    turn_2 = np.exp([rng.normal(*settings.turn_gain) for _ in range(2)])
    rate_T3 = trunk_T6[:, 3:] * [settings.lateral_rate_share, *turn_2]
    return np.concatenate([force_T3, rate_T3], axis=1)


def _drift(
    num: int, rate_hz: float, settings: ThighSimulation, rng: np.random.Generator
) -> np.ndarray:
    """Slow random angle in rad whose spread does not depend on the rate."""
    cutoff_hz = min(settings.drift_cutoff_hz, 0.45 * rate_hz)
    # The first-order filter, run both ways, passes noise of this share of the whole band.
    passed = np.sqrt(cutoff_hz * np.pi / 2.0 / rate_hz)
    white_T = rng.normal(0.0, np.radians(settings.drift_spread_deg) / passed, num)
    return _low_pass(white_T, rate_hz, cutoff_hz, order=1)


def _low_pass(values_T: np.ndarray, rate_hz: float, cutoff_hz: float, *, order: int) -> np.ndarray:
    from scipy.signal import butter, sosfiltfilt

    sections = butter(order, min(cutoff_hz, 0.45 * rate_hz), fs=rate_hz, output="sos")
    return sosfiltfilt(sections, values_T)


def _about(axis: int, angle: float) -> np.ndarray:
    """Rotation by an angle in rad about a coordinate axis."""
    a, b = [(1, 2), (2, 0), (0, 1)][axis]
    matrix = np.eye(3)
    matrix[a, a] = matrix[b, b] = np.cos(angle)
    matrix[b, a] = np.sin(angle)
    matrix[a, b] = -matrix[b, a]
    return matrix


def _any_rotation(rng: np.random.Generator) -> np.ndarray:
    from otolith.signals.rotations import rotation_from_gaussian

    return rotation_from_gaussian(rng.normal(size=(3, 3)))


def _check_columns(samples_T6: np.ndarray) -> None:
    if samples_T6.ndim != 2 or samples_T6.shape[1] != 6:
        raise DataError(
            f"The signal has shape {samples_T6.shape}.",
            "Give three columns of acceleration and three of angular rate.",
        )
