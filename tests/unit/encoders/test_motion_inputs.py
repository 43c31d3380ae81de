from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.support.motion_data import walk

from otolith.core.errors import DataError
from otolith.encoders._motion_inputs import motion_inputs
from otolith.recordings.recording import Channel
from otolith.signals.motion_statistics import STATISTICS, is_gyro_statistic, motion_statistics
from otolith.signals.motion_views import motion_views
from otolith.signals.resampling import resample
from otolith.windows.batch import (
    GRAVITY_INCLUDED,
    GRAVITY_REMOVED,
    GRAVITY_UNKNOWN,
    StreamBatch,
)

IMU = tuple(f"{s}_{a}" for s in ("acc", "gyro") for a in "xyz")
CLOSE = {"atol": 1e-4, "rtol": 1e-4}


def named(*names, placement=""):
    return tuple(Channel.from_name(n, placement=placement) for n in names)


def stream(values, channels=None, rate=50.0, mask=None, channel_mask=None):
    values = torch.as_tensor(values, dtype=torch.float32)
    b, t, _ = values.shape
    return StreamBatch(
        values=values,
        mask_BT=torch.ones(b, t, dtype=torch.bool) if mask is None else torch.as_tensor(mask),
        rate_hz_B=torch.as_tensor(rate, dtype=torch.float64).expand(b),
        start_s_B=torch.zeros(b, dtype=torch.float64),
        channel_mask_BC=channel_mask,
        channels=channels or (named(*IMU),) * b,
    )


def inputs_of(*args, rate_hz=20.0, **kwargs):
    return motion_inputs(stream(*args, **kwargs), rate_hz, 0.3, "imu")


def test_it_is_resampling_views_and_statistics():
    x = walk(3, 250, 50.0).astype(np.float32)
    got = inputs_of(x)
    views = motion_views(resample(torch.from_numpy(x), 50.0, 20.0))
    torch.testing.assert_close(got.signals_BCT, views.channels)
    torch.testing.assert_close(got.statistics_BS, motion_statistics(views, 20.0)[0])
    torch.testing.assert_close(got.orientation_BO, views.orientation_B3)
    assert got.mask_BT.shape == (3, 100)
    assert got.mask_BT.all()
    assert got.flags.tolist() == [[1.0, 1.0, 1.0]] * 3


def test_rates_and_lengths_can_be_mixed_and_no_padding_matters():
    lengths, rates = (250, 90, 200, 250, 31), (50.0, 20.0, 100.0, 50.0, 12.5)
    x = torch.full((5, 250, 6), 1e4)
    mask = torch.zeros(5, 250, dtype=torch.bool)
    for b, (length, rate) in enumerate(zip(lengths, rates, strict=True)):
        x[b, :length] = torch.as_tensor(walk(1, length, rate, seed=b)[0])
        mask[b, :length] = True
    together = inputs_of(x, rate=torch.tensor(rates), mask=mask)
    for b, (length, rate) in enumerate(zip(lengths, rates, strict=True)):
        alone = inputs_of(x[b : b + 1, :length], rate=rate)
        num = alone.mask_BT.shape[1]
        assert together.mask_BT[b].sum() == num
        torch.testing.assert_close(together.statistics_BS[b], alone.statistics_BS[0], **CLOSE)
        torch.testing.assert_close(together.signals_BCT[b, :, :num], alone.signals_BCT[0], **CLOSE)
        assert (together.signals_BCT[b, :, num:] == 0).all()


@pytest.mark.parametrize("rate", [10.0, 31.25, 87.3, 200.0])
def test_any_rate_gives_the_same_movement(rate):
    t = np.arange(int(5 * rate)) / rate
    x = np.zeros((1, len(t), 6))
    x[0, :, 2] = 9.80665 + 2 * np.cos(2 * np.pi * 1.9 * t)
    x[0, :, 4] = np.cos(2 * np.pi * 0.95 * t)
    got = inputs_of(x, rate=rate)
    assert got.mask_BT.shape[1] == pytest.approx(100, abs=1)
    step = STATISTICS.index("gait/step_hz")
    level = STATISTICS.index("vertical/log_std")
    assert float(got.statistics_BS[0, step]) == pytest.approx(1.9, abs=0.05)
    assert float(got.statistics_BS[0, level]) == pytest.approx(np.log(0.144), abs=0.05)


def test_without_gyroscope():
    x = walk(2, 250, 50.0)
    plain = inputs_of(x)
    got = inputs_of(x[..., :3], (named(*IMU[:3]),) * 2)
    gyro = torch.as_tensor(is_gyro_statistic(STATISTICS))
    assert got.flags.tolist() == [[0.0, 1.0, 1.0]] * 2
    assert (got.statistics_BS[:, gyro] == 0).all()
    torch.testing.assert_close(got.statistics_BS[:, ~gyro], plain.statistics_BS[:, ~gyro], **CLOSE)
    assert got.signals_BCT[:, 3:].abs().max() < 1e-9
    partly = inputs_of(x[..., :5], (named(*IMU[:5]),) * 2)
    torch.testing.assert_close(partly.statistics_BS, got.statistics_BS)


def test_without_gravity():
    got = inputs_of(walk(2, 250, 50.0, gravity=False))
    assert got.flags.tolist() == [[1.0, 0.0, 0.0]] * 2
    assert (got.orientation_BO == 0).all()
    assert torch.isfinite(got.statistics_BS).all()


def test_a_missing_axis_is_zero_and_flagged():
    x = walk(2, 250, 50.0).astype(np.float32)
    mask = torch.ones(2, 6, dtype=torch.bool)
    mask[0, 0] = False
    x[0, :, 0] = 123.0
    got = inputs_of(x, channel_mask=mask)
    zero = x.copy()
    zero[0, :, 0] = 0
    torch.testing.assert_close(got.statistics_BS, inputs_of(zero).statistics_BS)
    assert got.flags.tolist() == [[1.0, 1.0, 0.0], [1.0, 1.0, 1.0]]
    assert (got.orientation_BO[0] == 0).all()


def test_missing_rows_are_bridged():
    x = walk(2, 250, 50.0).astype(np.float32)
    x[0, 60] = np.nan
    mask = np.ones((2, 250), bool)
    mask[0, [100, 101]] = False
    got, plain = inputs_of(x, mask=mask), inputs_of(walk(2, 250, 50.0))
    assert got.mask_BT.all()
    assert torch.isfinite(got.statistics_BS).all()
    torch.testing.assert_close(got.statistics_BS[1], plain.statistics_BS[1], **CLOSE)
    level = STATISTICS.index("vertical/log_std")
    difference = got.statistics_BS[0, level] - plain.statistics_BS[0, level]
    assert abs(float(difference)) < 0.05


def test_masked_rows_in_front_are_cut_off():
    x = walk(2, 250, 50.0)
    front = torch.zeros(2, 300, 6)
    front[:, 50:] = torch.as_tensor(x)
    mask = torch.arange(300).expand(2, 300) >= 50
    torch.testing.assert_close(
        inputs_of(front, mask=mask).statistics_BS, inputs_of(x).statistics_BS
    )


def test_a_sample_without_stream_is_zero():
    x = walk(2, 250, 50.0)
    mask = torch.ones(2, 250, dtype=torch.bool)
    mask[1] = False
    got = inputs_of(x, (named(*IMU), ()), mask=mask)
    assert not got.mask_BT[1].any()
    assert (got.statistics_BS[1] == 0).all()
    assert got.flags[1].tolist() == [0.0, 0.0, 0.0]
    torch.testing.assert_close(got.statistics_BS[:1], inputs_of(x[:1]).statistics_BS, **CLOSE)
    assert got.placements == ("", "")


def test_channels_are_found_by_name_not_by_place():
    x = walk(1, 250, 50.0)
    order = [4, 2, 0, 5, 1, 3]
    got = inputs_of(x[..., order], (named(*(IMU[i] for i in order)),))
    torch.testing.assert_close(got.statistics_BS, inputs_of(x).statistics_BS)


def test_of_several_devices_the_first_accelerometer_and_its_gyroscope_are_taken():
    x = walk(1, 250, 50.0)
    other = walk(1, 250, 50.0, seed=9)
    wrist = named(*(f"wrist_{n}" for n in IMU), placement="wrist")
    hip = named(*(f"hip_{n}" for n in IMU), placement="hip")
    both = np.concatenate([other[..., 3:], x, other[..., :3]], -1)
    got = inputs_of(both, (wrist[3:] + hip + wrist[:3],))
    torch.testing.assert_close(got.statistics_BS, inputs_of(x).statistics_BS)
    assert got.placements == ("hip",)
    lone = inputs_of(both[..., :6], (wrist[3:] + hip[:3],))
    assert lone.flags[0, 0] == 0


def test_a_gyroscope_of_another_name_at_the_same_placement_belongs():
    x = walk(1, 250, 50.0)
    names = [f"phone_acc_{a}" for a in "xyz"] + [f"gyro_{a}" for a in "xyz"]
    worn = inputs_of(x, (named(*names, placement="pocket"),))
    assert worn.flags[0, 0] == 1
    unknown = inputs_of(x, (named(*names),))
    assert unknown.flags[0, 0] == 0


def test_a_whole_accelerometer_goes_before_one_that_lacks_an_axis():
    x = walk(1, 250, 50.0)
    names = ("wrist_acc_x", *(f"hip_acc_{a}" for a in "xyz"))
    got = inputs_of(np.concatenate([x[..., 5:], x[..., :3]], -1), (named(*names),))
    gyro = torch.as_tensor(is_gyro_statistic(STATISTICS))
    torch.testing.assert_close(
        got.statistics_BS[:, ~gyro], inputs_of(x).statistics_BS[:, ~gyro], **CLOSE
    )


def test_very_short_windows_are_held():
    got = inputs_of(walk(2, 3, 50.0))
    assert got.mask_BT.shape == (2, 8)
    assert torch.isfinite(got.statistics_BS).all()


def test_mistakes():
    with pytest.raises(DataError, match="no accelerometer.*mag_x"):
        inputs_of(np.zeros((1, 50, 3)), (named("mag_x", "mag_y", "mag_z"),))
    flat = stream(np.zeros((1, 50, 6)))
    frames = StreamBatch(
        values=torch.zeros(1, 50, 4, 4),
        mask_BT=flat.mask_BT,
        rate_hz_B=flat.rate_hz_B,
        start_s_B=flat.start_s_B,
        channels=flat.channels,
    )
    with pytest.raises(DataError, match="motion stream"):
        motion_inputs(frames, 20.0, 0.3, "clip")


@pytest.mark.parametrize(
    ("said", "gravity", "expected"),
    [
        (GRAVITY_REMOVED, True, False),  # a mean that only looks like gravity
        (GRAVITY_REMOVED, False, False),
        (GRAVITY_INCLUDED, True, True),
        (GRAVITY_INCLUDED, False, False),  # free fall
        (GRAVITY_UNKNOWN, True, True),
        (GRAVITY_UNKNOWN, False, False),
    ],
)
def test_what_the_stream_says_about_gravity(said, gravity, expected):
    plain = stream(walk(2, 250, 50.0, gravity=gravity))
    told = replace(plain, gravity_B=torch.tensor([said, GRAVITY_UNKNOWN], dtype=torch.int8))
    got, unsaid = (motion_inputs(s, 20.0, 0.3, "imu") for s in (told, plain))
    assert got.has_gravity_B.tolist() == [expected, gravity]
    assert got.has_orientation_B.tolist() == [expected, gravity]
    assert bool(got.orientation_BO[0].any()) == expected
    torch.testing.assert_close(got.statistics_BS[1], unsaid.statistics_BS[1])
    assert torch.isfinite(got.statistics_BS).all()
