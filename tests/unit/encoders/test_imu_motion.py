import dataclasses

import pytest
import torch
from tests.support.motion_data import turned, walk
from tests.support.tsfm_data import make_batch

from otolith.core.config import parse, to_plain
from otolith.core.errors import ConfigError, DataError
from otolith.encoders.imu_motion import FLAGS, Config, Encoder
from otolith.signals.motion_statistics import STATISTICS


def batch_of(x, rate_hz=50.0, num_channels=6):
    x = torch.as_tensor(x, dtype=torch.float32)[..., :num_channels]
    batch = make_batch((x.shape[1],) * len(x), (num_channels,) * len(x), rate_hz)
    stream = dataclasses.replace(batch.streams["imu"], values=x)
    return dataclasses.replace(batch, streams={"imu": stream})


def build(**settings):
    torch.manual_seed(0)
    return Encoder(Config(**settings)).eval()


def part(encoder, tokens, name):
    return tokens.pooled_BD[:, encoder.names.index(name)]


def test_tokens_and_vector():
    encoder = build(conv_width=8)
    tokens = encoder(batch_of(walk(3, 250, 50.0)))
    assert tokens.features_BND.shape == (3, 25, 16)
    assert tokens.grid.seconds_per_step == pytest.approx(0.2)
    assert encoder.width == tokens.pooled_BD.shape[1] == 214 + 3 + 3 + 32
    features = tokens.features_BND
    torch.testing.assert_close(tokens.pooled_BD[:, -32:-16], features.mean(1))
    torch.testing.assert_close(tokens.pooled_BD[:, -16:], features.amax(1))


def test_without_network_there_is_one_token_and_nothing_to_train():
    encoder = build(has_conv=False)
    assert not list(encoder.parameters())
    tokens = encoder(batch_of(walk(3, 250, 50.0)))
    assert torch.equal(tokens.features_BND[:, 0], tokens.pooled_BD)
    assert encoder.names[-3:] == FLAGS
    assert encoder.width == 220


def test_scaling_is_that_of_the_training_windows():
    encoder, batch = build(has_conv=False), batch_of(walk(40, 250, 50.0))
    raw = encoder.views(batch).statistics_BS
    encoder.fit_scaling(raw)
    z = encoder.standardised(encoder.views(batch))
    inside = z.abs().amax(0) < 5
    varies = raw.std(0, correction=0) > 0.1
    assert inside.sum() > 150
    assert z[:, inside].mean(0).abs().max() < 1e-3
    torch.testing.assert_close(
        z[:, inside & varies].std(0, correction=0),
        torch.ones(int((inside & varies).sum())),
        atol=0.02,
        rtol=0,
    )
    assert z.abs().max() <= 5


def test_windows_without_gyroscope_neither_set_nor_feel_the_gyroscopes_scale():
    encoder = build(has_conv=False)
    whole = encoder.views(batch_of(walk(10, 250, 50.0)))
    bare = encoder.views(batch_of(walk(10, 250, 50.0), num_channels=3))
    encoder.fit_scaling(whole.statistics_BS)
    gyro = encoder.needs_gyro
    mean, scale = encoder.mean.clone(), encoder.scale.clone()
    has_gyro = torch.cat([whole.has_gyro_B, bare.has_gyro_B])
    encoder.fit_scaling(torch.cat([whole.statistics_BS, bare.statistics_BS]), has_gyro)
    torch.testing.assert_close(encoder.mean[gyro], mean[gyro])
    torch.testing.assert_close(encoder.scale[gyro], scale[gyro])
    assert (encoder.standardised(bare)[:, gyro] == 0).all()
    assert encoder.standardised(whole)[:, gyro].abs().max() > 0.5
    encoder.fit_scaling(bare.statistics_BS, bare.has_gyro_B)
    assert (encoder.mean[gyro] == 0).all()
    torch.testing.assert_close(encoder.scale[gyro], torch.full((int(gyro.sum()),), 1.001))


def test_scaling_is_saved_with_the_weights():
    encoder, other = build(), build()
    batch = batch_of(walk(8, 250, 50.0))
    encoder.fit_scaling(encoder.views(batch).statistics_BS)
    other.load_state_dict(encoder.state_dict())
    assert torch.equal(encoder(batch).pooled_BD, other(batch).pooled_BD)
    assert set(encoder.state_dict()) >= {"mean", "scale"}


def test_mounting_changes_the_orientation_alone():
    encoder = build()
    x = walk(4, 250, 50.0)
    one, two = encoder(batch_of(x)), encoder(batch_of(turned(x, 2)))
    same = torch.tensor([not name.startswith("orientation") for name in encoder.names])
    torch.testing.assert_close(one.pooled_BD[:, same], two.pooled_BD[:, same], atol=2e-3, rtol=2e-3)
    assert (one.pooled_BD - two.pooled_BD)[:, ~same].abs().max() > 0.1


def test_flags_are_features():
    encoder = build()
    bare = encoder(batch_of(walk(2, 250, 50.0), num_channels=3))
    assert part(encoder, bare, "has_gyro").tolist() == [0, 0]
    assert part(encoder, bare, "has_gravity").tolist() == [1, 1]
    removed = encoder(batch_of(walk(2, 250, 50.0, gravity=False)))
    assert part(encoder, removed, "has_gravity").tolist() == [0, 0]
    assert part(encoder, removed, "orientation_x").tolist() == [0, 0]


def test_a_sample_without_rows_is_finite():
    batch = batch_of(walk(2, 250, 50.0))
    batch.streams["imu"].mask_BT[1] = False
    tokens = build()(batch)
    assert torch.isfinite(tokens.pooled_BD).all()
    assert not tokens.mask_BN[1].any()


def test_streams():
    batch = batch_of(walk(2, 250, 50.0))
    two = dataclasses.replace(batch, streams={"b": batch.streams["imu"], "a": batch.streams["imu"]})
    with pytest.raises(DataError, match="2 motion streams.*a, b"):
        build()(two)
    torch.testing.assert_close(build(stream="a")(two).pooled_BD, build()(batch).pooled_BD)
    with pytest.raises(DataError, match="no motion stream watch"):
        build(stream="watch")(two)
    with pytest.raises(DataError, match="no motion stream at all"):
        build()(dataclasses.replace(batch, streams={}))


def test_mistakes():
    encoder = build()
    with pytest.raises(DataError, match="windows, 214"):
        encoder.fit_scaling(torch.zeros(3, 5))
    with pytest.raises(DataError, match="no window"):
        encoder.fit_scaling(torch.zeros(0, len(STATISTICS)))
    with pytest.raises(ConfigError, match="odd"):
        parse(Config, {"conv_kernel": 4})
    with pytest.raises(ConfigError, match="multiple"):
        parse(Config, {"conv_width": 30})
    assert parse(Config, to_plain(Config(rate_hz=25.0))) == Config(rate_hz=25.0)


def test_no_network_and_no_scaling_change_what_views_says():
    batch = batch_of(walk(2, 250, 50.0))
    one, two = build(has_conv=False).views(batch), build(clip=1.0).views(batch)
    assert torch.equal(one.statistics_BS, two.statistics_BS)
    assert torch.equal(one.signals_BCT, two.signals_BCT)


def test_a_gyroscope_of_zeros_counts_as_none():
    encoder, x = build(has_conv=False), torch.as_tensor(walk(3, 250, 50.0)).clone()
    x[1, :, 3:] = 0
    inputs = encoder.views(batch_of(x))
    assert inputs.has_gyro_B.tolist() == [True, False, True]
    gyro = torch.tensor(["gyro" in name for name in STATISTICS])
    assert inputs.statistics_BS[1, gyro].abs().max() == 0
    assert inputs.statistics_BS[0, gyro].abs().max() > 0
