"""Augmentations that know acceleration, angular rate and gravity."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.support.windows_data import SIX, imu, part_of, recording, toy_parts

from otolith.core.config import parse, to_plain
from otolith.core.errors import ConfigError
from otolith.recordings import Channel
from otolith.recordings.recording import Gravity
from otolith.signals.units import STANDARD_GRAVITY_M_S2 as G
from otolith.windows.batch import (
    GRAVITY_INCLUDED,
    GRAVITY_REMOVED,
    GRAVITY_UNKNOWN,
    Batch,
    StreamBatch,
)
from otolith.windows.dataset import WindowDataset
from otolith.windows.motion_steps import MOTION_STEPS, MotionAugment
from otolith.windows.table import WindowSpec
from otolith.windows.transforms import PRESETS, Augment, Augmenter, preset

RATE_HZ = 50.0
TIME_STEPS = {"speed", "crop", "decimate"}


def motion(num=16, rows=200, *, tone_hz=2.0, lengths=None, rate_hz=RATE_HZ, gravity=1):
    """Samples with gravity in x, a tone in y (horizontal), x (vertical) and all gyroscope axes."""
    t = torch.arange(rows, dtype=torch.float64) / rate_hz
    tone = torch.sin(2 * torch.pi * tone_hz * t)
    x = torch.stack([G + 2 * tone, 3 * tone, 0 * t, tone, 2 * tone, 0.5 + tone], 1)
    values = x.float().expand(num, rows, 6).clone()
    lengths = torch.full((num,), rows) if lengths is None else torch.as_tensor(lengths)
    mask = torch.arange(rows) < lengths[:, None]
    own = tuple(Channel.from_name(n) for n in SIX)
    stream = StreamBatch(
        values=values * mask[:, :, None],
        mask_BT=mask,
        rate_hz_B=torch.full((num,), rate_hz, dtype=torch.float64),
        start_s_B=torch.zeros(num, dtype=torch.float64),
        channel_mask_BC=torch.ones(num, 6, dtype=torch.bool),
        channels=(own,) * num,
        gravity_B=None if gravity is None else torch.full((num,), gravity, dtype=torch.int8),
    )
    keys = np.arange(num, dtype=np.uint64) * np.uint64(7919)
    return Batch(streams={"imu": stream}, ids=torch.arange(num), keys_B=keys)


def apply(batch, step, probability=1.0, **settings):
    wanted = parse(Augment, {"steps": {step: probability}, "motion": settings})
    return Augmenter(wanted)(batch).streams["imu"]


def strength(values, mask, hz, rate_hz=RATE_HZ):
    """Amplitude of a tone in each channel of one sample."""
    rows = values[mask].double()
    t = torch.arange(len(rows), dtype=torch.float64) / rate_hz
    wave = torch.exp(-2j * torch.pi * hz * t)
    return 2 * (wave[:, None] * (rows - rows.mean(0))).mean(0).abs()


@pytest.fixture(name="toy")
def _toy():
    dataset = WindowDataset(toy_parts(), WindowSpec(window_s=3.0))
    return dataset.batch(np.arange(len(dataset)), 0)


@pytest.mark.parametrize("step", MOTION_STEPS)
def test_padding_stays_zero_and_the_input_stays_as_it_is(toy, step):
    before = toy.streams["imu"]
    original = before.values.clone()
    after = apply(toy, step)
    real = after.mask_BT[:, :, None] & after.channel_mask_BC[:, None, :]
    assert (after.values[~real.expand_as(after.values)] == 0).all()
    assert torch.isfinite(after.values).all()
    assert after.values.dtype == torch.float32
    assert after.values.shape == before.values.shape
    assert torch.equal(before.values, original)
    assert after.mask_BT.any(1).all()
    assert (step in TIME_STEPS) or torch.equal(after.mask_BT, before.mask_BT)


@pytest.mark.parametrize("step", MOTION_STEPS)
def test_draws_depend_on_the_keys_alone(step):
    batch = motion(lengths=[200, 150] * 8)
    whole = apply(batch, step, 0.6)
    order = torch.randperm(16, generator=torch.Generator().manual_seed(0))
    stream = batch.streams["imu"]
    shuffled = replace(
        stream, values=stream.values[order], mask_BT=stream.mask_BT[order],
    )  # fmt: skip
    mixed = replace(batch, streams={"imu": shuffled}, keys_B=batch.keys_B[order.numpy()])
    again = apply(mixed, step, 0.6)
    torch.testing.assert_close(again.values, whole.values[order], atol=1e-5, rtol=1e-5)
    assert torch.equal(again.mask_BT, whole.mask_BT[order])


@pytest.mark.parametrize("step", MOTION_STEPS)
def test_samples_that_are_not_chosen_stay(step):
    batch = motion()
    before, some = batch.streams["imu"], apply(batch, step, 0.5)
    same = (some.values == before.values).flatten(1).all(1)
    assert 0 < same.sum() < 16
    assert apply(batch, step, 0.0).values is before.values


def test_nothing_is_on_by_default():
    assert Augment().steps == {}
    assert not set(MOTION_STEPS) & {s for n, p in PRESETS.items() if n != "motion" for s in p}
    assert set(preset("motion").steps) <= set(MOTION_STEPS)


def test_speed_moves_tones_and_scales_the_gyroscope():
    batch = motion()
    after = apply(batch, "speed", speed_range=(1.25, 1.25))
    mask = after.mask_BT[0]
    assert mask.sum() == 160
    amplitude = strength(after.values[0], mask, 2.5)
    torch.testing.assert_close(
        amplitude[[0, 1, 3, 4]], torch.tensor([2, 3, 1.25, 2.5]).double(), atol=0.05, rtol=0.03
    )
    assert after.values[0, mask, 5].mean() == pytest.approx(0.5 * 1.25, abs=0.03)
    slow = apply(batch, "speed", speed_range=(0.8, 0.8))
    assert slow.mask_BT.all()
    assert strength(slow.values[0], slow.mask_BT[0], 1.6)[1] == pytest.approx(3, rel=0.05)
    assert (slow.start_s_B >= 0).all()
    assert (slow.start_s_B > 0).any()
    assert slow.start_s_B.max() <= 0.2 * 199 / RATE_HZ


def test_crop_keeps_real_rows_and_says_where_they_were():
    batch = motion(64, lengths=[200, 120] * 32)
    after, before = apply(batch, "crop", crop_min_share=0.4), batch.streams["imu"]
    count, old = after.mask_BT.sum(1), before.mask_BT.sum(1)
    assert (count >= (0.4 * old).floor()).all()
    assert (count <= old).all()
    assert len(count.unique()) > 10
    start = (after.start_s_B * RATE_HZ).round().long()
    for i in range(64):
        kept = before.values[i, start[i] : start[i] + count[i]]
        torch.testing.assert_close(after.values[i, : count[i]], kept)
        assert start[i] + count[i] <= old[i]


def test_all_streams_of_a_sample_are_cropped_alike():
    found = recording("a", imu(1500), imu(750, 25.0, name="slow", seed=1), bouts=[(0, 30, "walk")])
    spec = WindowSpec(window_s=4.0, streams=("imu", "slow"))
    dataset = WindowDataset([part_of([found])], spec)
    batch = Augmenter(Augment(steps={"crop": 1.0}))(dataset.batch(np.arange(len(dataset)), 0))
    fast, slow = batch.streams["imu"], batch.streams["slow"]
    torch.testing.assert_close(
        fast.mask_BT.sum(1) / 50.0, slow.mask_BT.sum(1) / 25.0, atol=0.05, rtol=0
    )
    torch.testing.assert_close(fast.start_s_B, slow.start_s_B, atol=0.05, rtol=0)


def test_spectral_tilt_keeps_the_pivot_and_the_mean():
    for tone_hz in (1.0, 2.0, 8.0):
        batch = motion(64, 250, tone_hz=tone_hz)
        after = apply(batch, "spectral_tilt", tilt_per_octave=0.3)
        gain = torch.stack([strength(v, m, tone_hz)[1] for v, m in zip(after.values, after.mask_BT, strict=True)]) / 3  # fmt: skip
        octaves = abs(np.log2(tone_hz / 2.0))
        assert gain.log().abs().max() <= 0.33 * octaves + 0.03
        assert gain.log().std() == pytest.approx(0.3 * octaves / np.sqrt(3), rel=0.3, abs=0.01)
        torch.testing.assert_close(
            after.values.mean(1), batch.streams["imu"].values.mean(1), atol=1e-3, rtol=0
        )


def test_dynamic_gain_keeps_gravity_and_sensors_apart():
    batch = motion(256)
    before, after = batch.streams["imu"], apply(batch, "dynamic_gain", gain_spread=0.3)
    torch.testing.assert_close(after.values[:, :, :3].mean(1), before.values[:, :, :3].mean(1))
    acc = after.values[:, :, 1].std(1) / before.values[:, :, 1].std(1)
    gyro = after.values[:, :, 5] / before.values[:, :, 5]
    assert acc.log().std() == pytest.approx(0.3, rel=0.2)
    assert (gyro.log()[:, 0] - acc.log()).std() == pytest.approx(0.25, rel=0.2)
    assert gyro.std(1).max() < 1e-4


def test_dynamic_gain_takes_the_mean_of_real_rows():
    after = apply(motion(8, lengths=[100] * 8), "dynamic_gain", gain_spread=1.0)
    torch.testing.assert_close(after.values[:, :100, 0].mean(1), torch.full((8,), G))


def test_balance_changes_horizontal_motion_only():
    batch = motion(256)
    before, after = batch.streams["imu"], apply(batch, "balance", balance_spread=0.4)
    torch.testing.assert_close(after.values[:, :, [0, 3, 4, 5]], before.values[:, :, [0, 3, 4, 5]])
    gain = after.values[:, :, 1].std(1) / before.values[:, :, 1].std(1)
    assert gain.log().std() == pytest.approx(0.4, rel=0.2)


@pytest.mark.parametrize("gravity", [GRAVITY_REMOVED, None])
def test_balance_needs_gravity(gravity):
    batch = motion(gravity=gravity)
    stream = batch.streams["imu"]
    if gravity is None:
        stream = replace(stream, values=stream.values - torch.tensor([G, 0, 0, 0, 0, 0]))
    batch = replace(batch, streams={"imu": stream})
    assert torch.equal(apply(batch, "balance").values, stream.values)


def test_sensor_noise_has_the_asked_strength():
    batch = motion(512, 100)
    after = apply(batch, "sensor_noise", acc_bias_m_s2=0.3, gyro_noise_rad_s=0.4)
    error = after.values - batch.streams["imu"].values
    bias = error.mean(1)
    assert bias[:, :3].std() == pytest.approx(0.3, rel=0.1)
    assert bias[:, 3:].std() == pytest.approx(np.hypot(0.02, 0.4 / np.sqrt(300)), rel=0.15)
    level = (error - bias[:, None]).square().mean(1)
    assert level[:, 3:].mean().sqrt() == pytest.approx(0.4 / np.sqrt(3), rel=0.1)
    assert level[:, :3].mean().sqrt() == pytest.approx(0.15 / np.sqrt(3), rel=0.1)


def test_gyro_dropout_masks_the_gyroscope_but_never_all_there_is():
    batch = motion()
    after = apply(batch, "gyro_dropout")
    assert (after.channel_mask_BC == torch.tensor([True] * 3 + [False] * 3)).all()
    assert (after.values[:, :, 3:] == 0).all()
    assert torch.equal(after.values[:, :, :3], batch.streams["imu"].values[:, :, :3])
    stream = batch.streams["imu"]
    only = replace(stream, channel_mask_BC=stream.channel_mask_BC & ~after.channel_mask_BC)
    kept = apply(replace(batch, streams={"imu": only}), "gyro_dropout")
    assert torch.equal(kept.channel_mask_BC, only.channel_mask_BC)


@pytest.mark.parametrize("gravity", [GRAVITY_INCLUDED, GRAVITY_UNKNOWN, None])
def test_gravity_removal_takes_gravity_and_says_so(gravity):
    batch = motion(gravity=gravity, lengths=[200, 150] * 8)
    after = apply(batch, "gravity_removal")
    assert (after.gravity_B == GRAVITY_REMOVED).all()
    assert after.gravity_B.dtype == torch.int8
    mean = after.values.sum(1) / after.mask_BT.sum(1, keepdim=True)
    assert mean[:, :3].abs().max() < 0.2
    for i in (0, 1):
        amplitude = strength(after.values[i], after.mask_BT[i], 2.0)
        assert amplitude[1] == pytest.approx(3, rel=0.05)
    assert torch.equal(after.values[:, :, 3:], batch.streams["imu"].values[:, :, 3:])


def test_gravity_that_was_removed_is_not_removed_again():
    batch = motion(gravity=GRAVITY_REMOVED)
    after = apply(batch, "gravity_removal")
    assert torch.equal(after.values, batch.streams["imu"].values)
    half = apply(motion(), "gravity_removal", 0.5)
    removed = half.gravity_B == GRAVITY_REMOVED
    assert 0 < removed.sum() < 16
    assert torch.equal(removed, (half.values[:, :, 0].mean(1).abs() < 1))


def test_batches_say_whether_gravity_is_included():
    found = [
        recording("a", imu(300, gravity=Gravity.INCLUDED), bouts=[(0, 6, "walk")]),
        recording("b", imu(300, gravity=Gravity.REMOVED), bouts=[(0, 6, "walk")]),
        recording("c", imu(300), bouts=[(0, 6, "walk")]),
    ]
    dataset = WindowDataset([part_of(found)], WindowSpec(window_s=5.0))
    stream = dataset.batch(np.arange(3), 0).streams["imu"]
    assert stream.gravity_B.tolist() == [GRAVITY_INCLUDED, GRAVITY_REMOVED, GRAVITY_UNKNOWN]
    assert stream.gravity_B.dtype == torch.int8
    assert stream.to("cpu").gravity_B.tolist() == stream.gravity_B.tolist()


@pytest.mark.parametrize(("tone_hz", "share"), [(2.0, 1.0), (7.0, 1.0), (11.0, 0.0), (20.0, 0.0)])
def test_low_pass_keeps_what_a_slower_sensor_sees(tone_hz, share):
    batch = motion(rows=300, tone_hz=tone_hz)
    after = apply(batch, "low_pass", rate_range_hz=(20.0, 20.0))
    assert strength(after.values[0], after.mask_BT[0], tone_hz)[1] / 3 == pytest.approx(
        share, abs=0.05
    )
    assert after.values[:, :, 0].mean() == pytest.approx(G, abs=0.02)
    assert torch.equal(after.rate_hz_B, batch.streams["imu"].rate_hz_B)


def test_decimation_gives_the_rows_and_the_rate_of_a_slower_sensor():
    batch = motion(rows=300, lengths=[300, 250] * 8)
    after = apply(batch, "decimate", rate_range_hz=(20.0, 20.0))
    assert (after.rate_hz_B == 20.0).all()
    assert after.mask_BT.sum(1).tolist() == [120, 100] * 8
    assert strength(after.values[0], after.mask_BT[0], 2.0, 20.0)[1] == pytest.approx(3, rel=0.03)
    assert torch.equal(after.start_s_B, batch.streams["imu"].start_s_B)


@pytest.mark.parametrize("step", ["low_pass", "decimate"])
def test_a_sensor_that_is_slow_already_stays(step):
    batch = motion(rate_hz=10.0)
    after = apply(batch, step, rate_range_hz=(10.0, 25.0))
    assert torch.equal(after.values, batch.streams["imu"].values)
    assert torch.equal(after.rate_hz_B, batch.streams["imu"].rate_hz_B)


def test_samples_with_holes_in_time_are_not_moved():
    batch = motion()
    mask = batch.streams["imu"].mask_BT.clone()
    mask[:, 50] = False
    stream = replace(
        batch.streams["imu"], mask_BT=mask, values=batch.streams["imu"].values * mask[:, :, None]
    )
    batch = replace(batch, streams={"imu": stream})
    for step in ("speed", "crop", "decimate", "low_pass", "spectral_tilt", "gravity_removal"):
        assert torch.equal(apply(batch, step).values, stream.values), step


def test_every_step_has_a_name_in_the_settings():
    assert parse(Augment, {"steps": dict.fromkeys(MOTION_STEPS, 1.0)}).motion == MotionAugment()


def test_settings_round_trip_and_say_what_is_wrong():
    settings = parse(Augment, {"steps": {"speed": 0.5}, "motion": {"speed_range": [0.9, 1.1]}})
    assert parse(Augment, to_plain(settings)) == settings
    with pytest.raises(ConfigError, match="larger number"):
        parse(Augment, {"motion": {"rate_range_hz": [25, 10]}})
    with pytest.raises(ConfigError, match="spectral_tilt"):
        parse(Augment, {"steps": {"spectral_tlit": 1}})
