import dataclasses

import numpy as np
import pytest
import torch
from tests.support.motion_data import G, walk
from tests.support.tsfm_data import make_batch

from otolith.core.config import parse
from otolith.core.errors import ConfigError, DataError
from otolith.core.randomness import sample_keys
from otolith.encoders.imu_device_motion import Config, Encoder, join, slot_means
from otolith.signals.device_statistics import DEVICE_STATISTICS, device_statistics
from otolith.signals.motion_statistics import STATISTICS


def batch_of(x, rate_hz=20.0, num_channels=6, lengths=None):
    x = torch.as_tensor(x, dtype=torch.float32)[..., :num_channels]
    lengths = lengths or (x.shape[1],) * len(x)
    batch = make_batch(lengths, (num_channels,) * len(x), rate_hz)
    stream = batch.streams["imu"]
    values = x * stream.mask_BT[:, :, None]
    return dataclasses.replace(batch, streams={"imu": dataclasses.replace(stream, values=values)})


def build(**settings):
    torch.manual_seed(0)
    return Encoder(Config(conv_width=4, slots=5, signal_width=8, **settings)).eval()


def test_shapes_and_grid():
    encoder = build()
    tokens = encoder(batch_of(walk(3, 150, 50.0), 50.0))
    assert tokens.features_BND.shape == (3, 15, 8)
    assert tokens.grid.seconds_per_step == pytest.approx(0.2)
    assert tokens.pooled_BD.shape == (3, encoder.width)
    assert encoder.width == len(STATISTICS) + len(DEVICE_STATISTICS) + 8


def test_signals_are_in_g_and_scaled_rates_in_the_sensors_axes():
    x = walk(2, 60)
    views = build(gyro_scale=0.25).views(batch_of(x))
    expected = torch.as_tensor(x, dtype=torch.float32).transpose(1, 2)
    torch.testing.assert_close(views.signals_BCT[:, :3], expected[:, :3] / G)
    torch.testing.assert_close(views.signals_BCT[:, 3:], expected[:, 3:] * 0.25)
    torch.testing.assert_close(
        views.statistics_BS[:, len(STATISTICS) :], device_statistics(expected)
    )


def test_statistics_of_a_shorter_window_are_its_own():
    x = walk(3, 60)
    together = build().views(batch_of(x, lengths=(60, 40, 60)))
    alone = build().views(batch_of(x[1:2, :40]))
    torch.testing.assert_close(together.statistics_BS[1], alone.statistics_BS[0])
    assert together.mask_BT.sum(1).tolist() == [60, 40, 60]


def test_without_gyroscope_nothing_of_it_is_left():
    encoder = build().train()
    batch = batch_of(walk(2, 60), num_channels=3)
    views = encoder.views(batch)
    names = (*STATISTICS, *DEVICE_STATISTICS)
    of_gyro = torch.tensor(["gyro" in name for name in names])
    assert not views.has_gyro_B.any()
    assert (views.statistics_BS[:, of_gyro] == 0).all()
    assert (encoder.standardised(views)[:, of_gyro] == 0).all()
    assert (encoder.jittered(views, batch.keys_B).signals_BCT[:, 3:] == 0).all()


def test_scaling_is_that_of_the_training_windows_and_is_saved():
    encoder, batch = build(), batch_of(walk(40, 60))
    assert not encoder.is_fitted
    encoder.fit_input([batch])
    z = encoder.standardised(encoder.views(batch))
    assert encoder.is_fitted
    assert z.abs().max() <= 5
    assert z.mean(0).abs().median() < 1e-4
    other = build()
    other.load_state_dict(encoder.state_dict())
    assert other.is_fitted
    assert torch.equal(other.standardised(other.views(batch)), z)


def test_no_window_is_refused():
    encoder = build()
    views = encoder.views(batch_of(walk(2, 60)))
    with pytest.raises(DataError, match="no window to scale"):
        encoder.fit_scaling(views.select(np.zeros(0, np.int64)))


def test_jitter_turns_by_the_wanted_angle_and_depends_on_keys_alone():
    encoder = build(turn_rad=0.1, offset=0.0, noise=0.0)
    batch = batch_of(np.tile([0.0, 0.0, G, 0.0, 0.0, 0.0], (400, 60, 1)))
    views = encoder.views(batch)
    keys = sample_keys(3, 0, np.arange(400))
    turned = encoder.jittered(views, keys).signals_BCT[:, :3, 0]
    assert turned[:, 0].std().item() == pytest.approx(0.1, abs=0.02)
    assert turned[:, 1].std().item() == pytest.approx(0.1, abs=0.02)
    torch.testing.assert_close(turned[:, 2], torch.ones(400))
    again = encoder.jittered(views.select([5, 2]), keys[[5, 2]]).signals_BCT[:, :3, 0]
    assert torch.equal(again, turned[[5, 2]])
    other = encoder.jittered(views, sample_keys(3, 1, np.arange(400))).signals_BCT
    assert not torch.equal(other[:, :3, 0], turned)


def test_jitter_leaves_masked_rows_zero():
    encoder = build(offset=1.0)
    batch = batch_of(walk(2, 60), lengths=(60, 40))
    changed = encoder.jittered(encoder.views(batch), batch.keys_B)
    assert (changed.signals_BCT[1, :, 40:] == 0).all()
    assert (changed.signals_BCT[1, :, :40] != 0).all()


def test_training_changes_signals_and_evaluation_does_not():
    encoder, batch = build(), batch_of(walk(2, 60))
    plain = encoder.views(batch).signals_BCT
    assert torch.equal(encoder.prepared(batch).signals_BCT, plain)
    assert not torch.equal(encoder.train().prepared(batch).signals_BCT, plain)


def test_slots_are_means_of_equal_parts():
    x = torch.arange(6.0)[None, :, None].repeat(2, 1, 1)
    mask = torch.ones(2, 6, dtype=torch.bool)
    mask[1, 3:] = False
    x = x * mask[..., None]
    torch.testing.assert_close(slot_means(x, mask, 6)[0], x[0])
    assert slot_means(x, mask, 3)[0, :, 0].tolist() == pytest.approx([0.5, 2.5, 4.5])
    assert slot_means(x, mask, 2)[1, :, 0].tolist() == pytest.approx([1 / 3, 5 / 3])
    assert slot_means(x, mask, 6)[1, :, 0].tolist() == pytest.approx([0, 0, 1, 1, 2, 2])
    assert (slot_means(x, torch.zeros_like(mask), 4) == 0).all()


def test_joined_samples_keep_what_they_were():
    encoder = build()
    a, b = (encoder.views(batch_of(walk(2, rows, seed=rows))) for rows in (60, 40))
    both = join([a, b])
    assert len(both) == 4
    assert torch.equal(both.statistics_BS, torch.cat([a.statistics_BS, b.statistics_BS]))
    vector = encoder.encode(both).pooled_BD
    torch.testing.assert_close(vector[2:], encoder.encode(b).pooled_BD, atol=1e-5, rtol=1e-5)


def test_an_even_kernel_is_refused():
    with pytest.raises(ConfigError, match="must be odd"):
        parse(Config, {"conv_kernel": 4})
