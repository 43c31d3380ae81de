"""Transforms of batches: probabilities, draws, masks, presets."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.support.windows_data import features, imu, part_of, recording, toy_parts

from otolith.core.config import parse, to_plain
from otolith.core.errors import ConfigError
from otolith.recordings import Channel
from otolith.windows.channels import mirrored, sensors
from otolith.windows.dataset import WindowDataset
from otolith.windows.table import WindowSpec
from otolith.windows.transforms import PRESETS, Augment, Augmenter, compose, preset

ALL = (
    "jitter",
    "scale",
    "time_shift",
    "channel_shuffle",
    "rotation_3d",
    "time_warp",
    "magnitude_warp",
    "resample",
    "channel_dropout",
    "mirror",
)


@pytest.fixture(name="batch")
def _batch():
    dataset = WindowDataset(toy_parts(), WindowSpec(window_s=3.0))
    return dataset.batch(np.arange(len(dataset)), 0)


def only(step, probability=1.0, **settings):
    return Augmenter(Augment(steps={step: probability}, **settings))


@pytest.mark.parametrize("step", ALL)
def test_a_step_changes_samples_and_never_padding(batch, step):
    before, after = batch.streams["imu"], only(step)(batch).streams["imu"]
    original = before.values.clone()
    real = after.mask_BT[:, :, None] & after.channel_mask_BC[:, None, :]
    assert (after.values[~real] == 0).all()
    changed = (after.values != before.values).flatten(1).any(1)
    assert changed.float().mean() > 0.2
    assert after.values.dtype == torch.float32
    assert torch.isfinite(after.values).all()
    assert torch.equal(after.mask_BT, before.mask_BT)
    assert torch.equal(before.values, original)


@pytest.mark.parametrize("step", ALL)
def test_never_means_the_same_batch(batch, step):
    after = only(step, 0.0)(batch).streams["imu"]
    assert after.values is batch.streams["imu"].values


@pytest.mark.parametrize("step", ALL)
def test_the_probability_is_that_of_a_sample(batch, step):
    settings = {"channel_dropout_share": 1.0} if step == "channel_dropout" else {}
    after = only(step, 0.5, **settings)(batch).streams["imu"]
    always = only(step, 1.0, **settings)(batch).streams["imu"]
    original = batch.streams["imu"].values
    same = (after.values == original).flatten(1).all(1)
    full = (after.values == always.values).flatten(1).all(1)
    assert (same | full).all()
    assert 0.2 < same.float().mean() < 0.8


@pytest.mark.parametrize("step", ALL)
def test_draws_depend_on_the_keys_alone(batch, step):
    again = only(step)(replace(batch, keys_B=batch.keys_B.copy())).streams["imu"]
    other = only(step)(replace(batch, keys_B=batch.keys_B + np.uint64(1))).streams["imu"]
    first = only(step)(batch).streams["imu"]
    assert torch.equal(first.values, again.values)
    assert step == "mirror" or not torch.equal(first.values, other.values)


def test_noise_has_the_asked_strength(batch):
    after = only("jitter", jitter_sigma=0.3)(batch).streams["imu"]
    real = after.mask_BT[:, :, None] & after.channel_mask_BC[:, None, :]
    difference = (after.values - batch.streams["imu"].values)[real]
    assert difference.std() == pytest.approx(0.3, rel=0.02)
    assert abs(difference.mean()) < 0.01


def test_factors_stay_in_range(batch):
    before, after = (
        batch.streams["imu"],
        only("scale", scale_range=(2.0, 3.0))(batch).streams["imu"],
    )
    real = before.values != 0
    ratio = after.values[real] / before.values[real]
    assert ratio.min() >= 2 - 1e-5
    assert ratio.max() <= 3 + 1e-5


def test_shuffled_channels_take_their_description_along(batch):
    before, after = batch.streams["imu"], only("channel_shuffle")(batch).streams["imu"]
    for i in (0, len(batch) - 1):
        for column, channel in enumerate(after.channels[i]):
            source = before.channels[i].index(channel)
            assert torch.equal(after.values[i, :, column], before.values[i, :, source])
    assert after.channels != before.channels


def test_dropout_leaves_out_whole_sensors_but_never_all(batch):
    after = only("channel_dropout", channel_dropout_share=1.0)(batch).streams["imu"]
    kept = after.channel_mask_BC[:, :6].reshape(len(batch), 2, 3)
    assert (kept.all(2) | ~kept.any(2)).all()
    assert (kept.any(2).sum(1) == 1).all()
    assert (after.values[~after.channel_mask_BC[:, None, :].expand_as(after.values)] == 0).all()


def test_mirroring_twice_gives_the_original_back(batch):
    twice = compose([only("mirror"), only("mirror")])(batch).streams["imu"]
    assert torch.equal(twice.values, batch.streams["imu"].values)
    once = only("mirror", mirror_axis="x")(batch).streams["imu"].values[0]
    original = batch.streams["imu"].values[0]
    signs = torch.as_tensor([-1.0, 1, 1, 1, -1, -1])
    torch.testing.assert_close(once, original * signs)


def test_mirroring_exchanges_left_and_right_in_words():
    channels = tuple(
        Channel.from_name(f"left_wrist_acc_{a}", placement="Left wrist") for a in "xyz"
    )
    _, words = mirrored(channels, "y")
    assert words[0].name == "right_wrist_acc_x"
    assert words[0].placement == "Right wrist"
    assert "at the Right wrist" in words[0].description
    assert mirrored(words, "y")[1] == channels


def test_sensors_are_numbered_by_their_triad():
    names = ["acc_x", "acc_y", "gyro_x", "acc_z"]
    numbers, count = sensors(tuple(Channel.from_name(n) for n in names))
    assert numbers.tolist() == [0, 0, 1, 0]
    assert count == 2


def test_streams_of_a_sample_move_together_in_time():
    ramp = np.repeat(np.arange(200, dtype=np.float32)[:, None], 6, 1)
    fast = replace(imu(200, 50.0, name="fast"), samples_TC=ramp)
    slow = replace(imu(100, 25.0, name="slow"), samples_TC=ramp[::2].copy())
    spec = WindowSpec(window_s=4.0, label_rule="none")
    part = part_of([recording(f"r{i}", fast, slow) for i in range(20)])
    batch = WindowDataset([part], spec).batch(np.arange(20), 0)
    moved = only("time_shift", time_shift_share=0.2)(batch).streams
    first = moved["fast"].values[:, 100, 0]
    second = moved["slow"].values[:, 50, 0]
    assert first.std() > 1
    assert (first - second).abs().max() <= 2.0


def test_samples_with_holes_or_few_rows_are_not_moved_in_time(batch):
    stream = batch.streams["imu"]
    mask = stream.mask_BT.clone()
    mask[0, 5] = False
    mask[1, 6:] = False
    values = stream.values * mask[:, :, None]
    holed = replace(batch, streams={"imu": replace(stream, values=values, mask_BT=mask)})
    for step in ("time_warp", "resample"):
        after = only(step)(holed).streams["imu"]
        assert torch.equal(after.values[:2], values[:2])
        assert not torch.equal(after.values[2], values[2])


def test_streams_that_are_no_motion_stay():
    part = part_of([recording("a", imu(400), features(12))])
    spec = WindowSpec(window_s=4.0, label_rule="none", streams=("imu", "clip"))
    batch = WindowDataset([part], spec).batch(np.arange(1), 0)
    after = Augmenter(preset("mixed"))(batch)
    assert after.streams["clip"] is batch.streams["clip"]


def test_two_purposes_draw_apart(batch):
    settings = Augment(steps={"jitter": 1.0})
    once = Augmenter(settings)(batch).streams["imu"].values
    other = Augmenter(settings, purpose="view")(batch).streams["imu"].values
    assert torch.equal(once, Augmenter(settings)(batch).streams["imu"].values)
    assert not torch.equal(once, other)


def test_presets_are_those_of_the_paper_and_read_back():
    assert PRESETS["weak"] == {"jitter": 0.8, "scale": 0.8, "time_shift": 0.8}
    assert set(PRESETS["strong"].values()) == {0.6}
    assert set(PRESETS["mixed"].values()) == {0.7}
    for name in PRESETS:
        assert parse(Augment, to_plain(preset(name))) == preset(name)
    with pytest.raises(ConfigError, match="steps"):
        parse(Augment, {"steps": {"jiter": 0.5}})
    with pytest.raises(ConfigError, match="less than or equal to 1"):
        parse(Augment, {"steps": {"jitter": 1.5}})


def test_transforms_can_travel_to_workers(batch):
    chain = compose([Augmenter(preset("weak")), Augmenter(preset("strong"))])
    again = pickle.loads(pickle.dumps(chain))  # noqa: S301
    assert torch.equal(chain(batch).streams["imu"].values, again(batch).streams["imu"].values)
