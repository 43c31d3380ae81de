"""Steps of an augmentation that know acceleration, angular rate and gravity; all are off by default.

They imitate what differs between people, phones, pockets and data sets: speed, gait, stiffness of the
mount, offsets, short recordings, phones without a gyroscope, acceleration without gravity, slower
sensors. Windows stay in SI units; normalisation belongs to the encoder.
"""

# B batch, T time, C channels, G accelerometers with three axes

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor

from otolith.core.config import config
from otolith.core.randomness import noise, normal, uniform
from otolith.signals.units import STANDARD_GRAVITY_M_S2
from otolith.windows import augment_motion as change
from otolith.windows.batch import GRAVITY_REMOVED, GRAVITY_UNKNOWN, StreamBatch
from otolith.windows.draws import Draws, by_layout, flat_noise, movable

MotionStep = Literal[
    "speed",
    "spectral_tilt",
    "dynamic_gain",
    "balance",
    "sensor_noise",
    "crop",
    "gyro_dropout",
    "gravity_removal",
    "low_pass",
    "decimate",
]
NotNegative = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
_MIN_ROWS = 10
_MIN_GRAVITY_M_S2 = (
    0.5 * STANDARD_GRAVITY_M_S2
)  # a smaller mean is no gravity, and has no direction


@config
class MotionAugment:
    """How strong the changes of acceleration and angular rate are.

    Args:
        speed_range: `speed`: smallest and largest factor of the pace. Angular rate grows with it. A
            faster sample has fewer rows; of a slower one a random part is kept.
        tilt_per_octave: `spectral_tilt`: largest logarithm of the gain per octave, up or down.
        tilt_pivot_hz: Frequency whose strength stays, in Hz.
        tilt_lowest_hz: Below this frequency the gain is that of this frequency, in Hz.
        gain_spread: `dynamic_gain`: standard deviation of the logarithm of the gain on moving
            acceleration and on angular rate; the mean acceleration (gravity) stays.
        gyro_gain_spread: The same for the further gain on angular rate alone.
        balance_spread: `balance`: standard deviation of the logarithm of the gain on horizontal
            motion; samples whose mean acceleration is no gravity stay.
        acc_bias_m_s2: `sensor_noise`: standard deviation of a constant error in m/s^2.
        acc_noise_m_s2: Largest standard deviation of white noise in m/s^2.
        gyro_bias_rad_s: Standard deviation of a constant error in rad/s.
        gyro_noise_rad_s: Largest standard deviation of white noise in rad/s.
        crop_min_share: `crop`: smallest share of a sample's rows that is kept; the rest is masked.
        crop_step_s: A cropped sample is a whole number of these long, in s, so that samples of a
            batch share lengths and encoders can handle them together; 0 = any length.
        gravity_cutoff_hz: `gravity_removal`: cutoff of the low pass that is subtracted, in Hz.
        rate_range_hz: `low_pass` and `decimate`: smallest and largest rate of the imitated slower
            sensor in Hz; `low_pass` keeps the rows, `decimate` the imitated sensor's rows and rate.
    """

    speed_range: tuple[Positive, Positive] = (0.835, 1.197)
    tilt_per_octave: NotNegative = 0.245
    tilt_pivot_hz: Positive = 2.0
    tilt_lowest_hz: Positive = 0.5
    gain_spread: NotNegative = 0.25
    gyro_gain_spread: NotNegative = 0.25
    balance_spread: NotNegative = 0.2
    acc_bias_m_s2: NotNegative = 0.05
    acc_noise_m_s2: NotNegative = 0.15
    gyro_bias_rad_s: NotNegative = 0.02
    gyro_noise_rad_s: NotNegative = 0.05
    crop_min_share: Annotated[float, Field(gt=0, le=1)] = 0.5
    crop_step_s: NotNegative = 0.0
    gravity_cutoff_hz: Positive = 0.3
    rate_range_hz: tuple[Positive, Positive] = (10.0, 25.0)

    @model_validator(mode="after")
    def _ordered(self) -> MotionAugment:
        for name in ("speed_range", "rate_range_hz"):
            low, high = getattr(self, name)
            if low > high:
                raise ValueError(f"{name} begins with the larger number")
        return self


def _between(draws: Draws, low: float, high: float) -> np.ndarray:
    """Log-uniform draws [B] that all streams of a sample share."""
    return low * (high / low) ** uniform(draws.keys_B, draws.common)


def _reread(
    stream: StreamBatch,
    movable_B: Tensor,
    start_B: Tensor,
    step_B: Tensor,
    new_B: Tensor,
    old_B: Tensor,
) -> StreamBatch:
    """A stream of which movable samples are read anew; their mask and start follow."""
    read = change.read_rows(stream.values, start_B, step_B, new_B, old_B)
    row = torch.arange(stream.mask_BT.shape[1])
    return replace(
        stream,
        values=torch.where(movable_B[:, None, None], read, stream.values),
        mask_BT=torch.where(movable_B[:, None], row < new_B[:, None], stream.mask_BT),
        start_s_B=stream.start_s_B + torch.where(movable_B, start_B / stream.rate_hz_B, 0.0),
    )


def _speed(stream: StreamBatch, draws: Draws, settings: MotionAugment) -> StreamBatch:
    length_B, movable_B = movable(stream, draws.chosen_B, _MIN_ROWS)
    factor_B = torch.from_numpy(_between(draws, *settings.speed_range))
    last_B = (length_B - 1).double()
    new_B = torch.minimum((last_B / factor_B + 1e-6).floor().long() + 1, length_B)
    movable_B &= new_B >= _MIN_ROWS
    spare_B = (last_B - (new_B - 1) * factor_B).clamp(min=0.0)
    start_B = spare_B * torch.from_numpy(uniform(draws.keys_B, f"{draws.common}/start"))
    moved = _reread(stream, movable_B, start_B, factor_B, new_B, length_B)
    gain_BC = torch.where(_columns(stream, "gyro") & movable_B[:, None], factor_B[:, None], 1.0)
    return replace(moved, values=moved.values * gain_BC[:, None, :].to(moved.values.dtype))


def _crop(stream: StreamBatch, draws: Draws, settings: MotionAugment) -> StreamBatch:
    length_B, movable_B = movable(stream, draws.chosen_B, _MIN_ROWS)
    u = torch.from_numpy(uniform(draws.keys_B, draws.common, (2,)))
    share_B = settings.crop_min_share + (1.0 - settings.crop_min_share) * u[:, 0]
    new_B = (length_B * share_B).round()
    if settings.crop_step_s:
        step_B = (settings.crop_step_s * stream.rate_hz_B).round().clamp(min=1)
        new_B = torch.maximum((new_B / step_B).floor(), torch.ones_like(new_B)) * step_B
    new_B = torch.minimum(new_B.long().clamp(min=_MIN_ROWS), length_B)
    start_B = ((length_B - new_B + 1) * u[:, 1]).floor()
    return _reread(stream, movable_B, start_B, torch.ones_like(share_B), new_B, length_B)


def _columns(stream: StreamBatch, sensor: str) -> Tensor:
    """Which columns of each sample are of a kind of sensor, bool [B, C]."""
    width = stream.values.shape[2]
    return torch.stack([change.sensor_mask(own, sensor, width) for own in stream.channels])


def _spectral_tilt(stream: StreamBatch, draws: Draws, settings: MotionAugment) -> StreamBatch:
    length_B, movable_B = movable(stream, draws.chosen_B, _MIN_ROWS)
    u = uniform(draws.keys_B, draws.own)
    tilt_B = torch.from_numpy(settings.tilt_per_octave * (2.0 * u - 1.0))
    rows = movable_B.nonzero().flatten()
    tilted = change.spectral_tilt(
        stream.values[rows], tilt_B[rows], length_B[rows], stream.rate_hz_B[rows],
        pivot_hz=settings.tilt_pivot_hz, lowest_hz=settings.tilt_lowest_hz,
    )  # fmt: skip
    wanted_BC = (_columns(stream, "acc") | _columns(stream, "gyro"))[rows]
    return _put(stream, rows, torch.where(wanted_BC[:, None, :], tilted, stream.values[rows]))


def _put(stream: StreamBatch, rows: Tensor, values: Tensor) -> StreamBatch:
    """A stream with new values of some samples."""
    changed = stream.values.clone()
    changed[rows] = values
    return replace(stream, values=changed)


def _dynamic_gain(stream: StreamBatch, draws: Draws, settings: MotionAugment) -> StreamBatch:
    spread = [settings.gain_spread, settings.gyro_gain_spread]
    log_B2 = draws.keep(normal(draws.keys_B, draws.own, (2,)) * spread, 0.0)
    gain_B = torch.from_numpy(np.exp(log_B2[:, 0]))[:, None]
    gyro_B = torch.from_numpy(np.exp(log_B2.sum(1)))[:, None]
    acc_BC, gyro_BC = _columns(stream, "acc"), _columns(stream, "gyro")
    gain_BC = torch.where(acc_BC, gain_B, torch.where(gyro_BC, gyro_B, 1.0))
    values = change.amplify(stream.values, stream.mask_BT, gain_BC, acc_BC)
    return _chosen(stream, draws.chosen_B, values)


def _chosen(stream: StreamBatch, chosen_B: np.ndarray, values: Tensor) -> StreamBatch:
    is_chosen = torch.from_numpy(chosen_B)[:, None, None]
    return replace(stream, values=torch.where(is_chosen, values, stream.values))


def _balance(stream: StreamBatch, draws: Draws, settings: MotionAugment) -> StreamBatch:
    gain_B = torch.from_numpy(np.exp(settings.balance_spread * normal(draws.keys_B, draws.own)))
    values = stream.values.clone()
    for own, rows in by_layout(stream, draws.chosen_B):
        columns = change.acc_triads(own)
        if not len(columns):
            continue
        has_down = _has_gravity(stream, rows, columns)
        gain_BG = torch.where(has_down, gain_B[rows, None], 1.0)
        values[rows] = change.balance(values[rows], stream.mask_BT[rows], gain_BG, columns)
    return replace(stream, values=values)


def _has_gravity(stream: StreamBatch, rows: Tensor, columns_G3: Tensor) -> Tensor:
    """Which accelerometers of some samples have a mean that can be gravity, bool [b, G]."""
    mean = change.window_mean(stream.values[rows], stream.mask_BT[rows])[:, 0, columns_G3]
    is_large = mean.norm(dim=-1) > _MIN_GRAVITY_M_S2
    if stream.gravity_B is None:
        return is_large
    return is_large & (stream.gravity_B[rows] != GRAVITY_REMOVED)[:, None]


def _sensor_noise(stream: StreamBatch, draws: Draws, settings: MotionAugment) -> StreamBatch:
    acc_BC, gyro_BC = _columns(stream, "acc"), _columns(stream, "gyro")
    u = torch.from_numpy(uniform(draws.keys_B, f"{draws.own}/level", (2,))).float()
    zero = torch.zeros(())
    noise_B2 = u * torch.tensor([settings.acc_noise_m_s2, settings.gyro_noise_rad_s])
    level_BC = torch.where(acc_BC, noise_B2[:, :1], torch.where(gyro_BC, noise_B2[:, 1:], zero))
    acc_bias, gyro_bias = settings.acc_bias_m_s2, settings.gyro_bias_rad_s
    bias_BC = acc_BC * acc_bias + gyro_BC * gyro_bias
    # `noise` gives a channel the same numbers however many padded columns stand behind it.
    gauss_BC = noise(draws.keys_B, f"{draws.own}/bias", stream.values.shape[2])
    bias_BC = bias_BC * torch.from_numpy(gauss_BC)
    error = flat_noise(stream, draws) * level_BC[:, None, :] + bias_BC[:, None, :]
    real = stream.mask_BT[:, :, None]
    if stream.channel_mask_BC is not None:
        real = real & stream.channel_mask_BC[:, None, :]
    return _chosen(stream, draws.chosen_B, stream.values + error * real)


def _gyro_dropout(stream: StreamBatch, draws: Draws, settings: MotionAugment) -> StreamBatch:
    assert stream.channel_mask_BC is not None  # noqa: S101  # motion streams have one
    gyro_BC = _columns(stream, "gyro") & torch.from_numpy(draws.chosen_B)[:, None]
    left_BC = stream.channel_mask_BC & ~gyro_BC
    keep_BC = torch.where(left_BC.any(1, keepdim=True), left_BC, stream.channel_mask_BC)
    return replace(stream, values=stream.values * keep_BC[:, None, :], channel_mask_BC=keep_BC)


def _gravity_removal(stream: StreamBatch, draws: Draws, settings: MotionAugment) -> StreamBatch:
    length_B, movable_B = movable(stream, draws.chosen_B, _MIN_ROWS)
    values = stream.values.clone()
    flag_B = stream.gravity_B
    if flag_B is None:
        flag_B = torch.full((len(values),), GRAVITY_UNKNOWN, dtype=torch.int8)
    flag_B = flag_B.clone()
    for own, rows in by_layout(stream, movable_B.numpy()):
        columns = change.acc_triads(own)
        if len(columns):
            rows = rows[_has_gravity(stream, rows, columns).all(1)]
            values[rows] = change.remove_gravity(
                values[rows], length_B[rows], stream.rate_hz_B[rows], columns,
                settings.gravity_cutoff_hz,
            )  # fmt: skip
            flag_B[rows] = GRAVITY_REMOVED
    return replace(stream, values=values, gravity_B=flag_B)


def _low_pass(stream: StreamBatch, draws: Draws, settings: MotionAugment) -> StreamBatch:
    new_hz_B = torch.from_numpy(_between(draws, *settings.rate_range_hz))
    return _below(stream, draws.chosen_B, new_hz_B)[0]


def _below(
    stream: StreamBatch, chosen_B: np.ndarray, new_hz_B: Tensor
) -> tuple[StreamBatch, Tensor, Tensor]:
    """Stream without what a slower sensor cannot see, lengths, and which samples were changed."""
    length_B, movable_B = movable(stream, chosen_B, _MIN_ROWS)
    movable_B &= new_hz_B < stream.rate_hz_B
    rows = movable_B.nonzero().flatten()
    passed = change.low_pass(
        stream.values[rows], 0.5 * new_hz_B[rows], length_B[rows], stream.rate_hz_B[rows]
    )
    return _put(stream, rows, passed), length_B, movable_B


def _decimate(stream: StreamBatch, draws: Draws, settings: MotionAugment) -> StreamBatch:
    new_hz_B = torch.from_numpy(_between(draws, *settings.rate_range_hz))
    passed, length_B, movable_B = _below(stream, draws.chosen_B, new_hz_B)
    step_B = stream.rate_hz_B / new_hz_B
    new_B = ((length_B - 1) / step_B + 1e-6).floor().long() + 1
    movable_B &= new_B >= _MIN_ROWS
    read = _reread(passed, movable_B, torch.zeros_like(step_B), step_B, new_B, length_B)
    return replace(read, rate_hz_B=torch.where(movable_B, new_hz_B, stream.rate_hz_B))


MOTION_STEPS: Mapping[str, Callable[[StreamBatch, Draws, MotionAugment], StreamBatch]] = {
    "speed": _speed,
    "spectral_tilt": _spectral_tilt,
    "dynamic_gain": _dynamic_gain,
    "balance": _balance,
    "sensor_noise": _sensor_noise,
    "crop": _crop,
    "gyro_dropout": _gyro_dropout,
    "gravity_removal": _gravity_removal,
    "low_pass": _low_pass,
    "decimate": _decimate,
}
