import dataclasses

import pytest
import torch
from tests.support.evi_data import make_batch, motion

from otolith.core.config import parse
from otolith.core.errors import ConfigError, DataError
from otolith.encoders.imu_evi_mae import Config, Encoder

SMALL = Config(preset="debug")


def make(**settings):
    torch.manual_seed(0)
    return Encoder(parse(Config, {"preset": "debug", **settings})).eval()


def test_the_published_size_is_the_default():
    assert Config() == dataclasses.replace(Config(preset="published"), preset="")
    assert (Config().width, Config().depth, Config().grid) == (768, 11, (8, 20))
    assert SMALL.signals.num_frames == 64


def test_a_preset_keeps_nested_settings_that_are_given():
    mixed = parse(Config, {"preset": "debug", "signals": {"mean_db": -3.0}})
    assert (mixed.signals.mean_db, mixed.signals.num_bins) == (-3.0, 32)
    with pytest.raises(ConfigError, match="there is no preset"):
        parse(Config, {"preset": "debugg"})
    with pytest.raises(ConfigError, match="patch must divide"):
        parse(Config, {"patch": (15, 16)})


def test_kept_tokens_are_encoded_as_if_alone():
    encoder, batch = make(), make_batch()
    maps = encoder.prepare(batch)
    patches = encoder.patches(maps)
    keep = torch.tensor([[3, 1], [0, 2]])
    some = encoder.encode(patches, maps.sensor_mask_BS, keep)
    assert some.shape == (2, 2, 32)
    everything = torch.arange(encoder.num_tokens).expand(2, -1)
    torch.testing.assert_close(
        encoder.encode(patches, maps.sensor_mask_BS, everything.flip(1)).flip(1),
        encoder(batch).features_BND, atol=1e-5, rtol=1e-4,
    )  # fmt: skip


def test_streams_are_joined_in_their_order():
    whole = motion()
    halves = {
        name: dataclasses.replace(
            whole, values=whole.values[:, :, part], channel_mask_BC=whole.channel_mask_BC[:, part]
        )
        for name, part in (("arms", slice(0, 6)), ("legs", slice(6, 12)))
    }
    joined = make().prepare(make_batch()).values_BCTF
    apart = make(streams=("arms", "legs")).prepare(make_batch(imu=None, **halves)).values_BCTF
    torch.testing.assert_close(joined, apart)


def test_a_missing_sensor_is_left_out_of_the_mean():
    encoder, batch = make(), make_batch()
    stream = batch.streams["imu"]
    mask = stream.channel_mask_BC.clone()
    mask[:, 9:] = False
    lost = make_batch(imu=dataclasses.replace(stream, channel_mask_BC=mask))
    three = make_batch(
        imu=dataclasses.replace(stream, values=stream.values[:, :, :9], channel_mask_BC=mask[:, :9])
    )
    assert encoder.prepare(lost).sensor_mask_BS.tolist() == [[True, True, True, False]] * 2
    torch.testing.assert_close(encoder(lost).features_BND, encoder(three).features_BND)
    maps = encoder.prepare(lost)
    nodes = encoder.sensor_nodes(encoder.patches(maps), maps.sensor_mask_BS)
    assert (nodes[:, 3] == 0).all()
    assert (nodes[:, :3] != 0).any(2).all()


def test_a_stream_without_rows_is_missing_whether_or_not_it_names_channels():
    whole = motion()
    halves = [
        dataclasses.replace(
            whole, values=whole.values[:, :, part], channel_mask_BC=whole.channel_mask_BC[:, part]
        )
        for part in (slice(0, 6), slice(6, 12))
    ]
    gone = torch.zeros_like(whole.mask_BT)
    for mask in (halves[1].channel_mask_BC, None):
        legs = dataclasses.replace(halves[1], mask_BT=gone, channel_mask_BC=mask)
        batch = make_batch(imu=None, arms=halves[0], legs=legs)
        maps = make(streams=("arms", "legs")).prepare(batch)
        assert maps.sensor_mask_BS.tolist() == [[True, True, False, False]] * 2
        assert not maps.values_BCTF[:, 6:].any()


def test_nodes_are_the_sensors_alone():
    encoder, batch = make(), make_batch()
    maps = encoder.prepare(batch)
    nodes = encoder.sensor_nodes(encoder.patches(maps), maps.sensor_mask_BS)
    stream = batch.streams["imu"]
    second = dataclasses.replace(
        stream, values=stream.values[:, :, 3:6], channel_mask_BC=stream.channel_mask_BC[:, 3:6]
    )
    torch.testing.assert_close(
        nodes[:, 1], encoder(make_batch(imu=second)).pooled_BD, atol=1e-5, rtol=1e-4
    )


@pytest.mark.parametrize("num_lost", [0, 1])
def test_features_and_nodes_of_one_pass_are_those_of_two(num_lost):
    encoder = make()
    maps = encoder.prepare(make_batch())
    patches, mask = encoder.patches(maps), maps.sensor_mask_BS.clone()
    mask[1, :num_lost] = False
    keep = torch.tensor([[3, 1], [0, 2]])
    features, nodes = encoder.encode_with_nodes(patches, mask, keep)
    torch.testing.assert_close(features, encoder.encode(patches, mask, keep), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(nodes, encoder.sensor_nodes(patches, mask), atol=1e-5, rtol=1e-4)


def test_noise_is_drawn_from_keys_while_training():
    encoder = make().train()
    first, again = (encoder.prepare(make_batch()).values_BCTF for _ in range(2))
    torch.testing.assert_close(first, again)
    assert not torch.equal(first, encoder.prepare(make_batch(epoch=1)).values_BCTF)
    clean = encoder.eval().prepare(make_batch()).values_BCTF
    assert 0 < (first - clean).max() <= 0.1


def test_moments_are_those_of_the_maps():
    encoder, batch = make(), make_batch()
    count, first, second = encoder.moments(batch)
    maps = encoder.prepare(batch).values_BCTF.double()
    assert count == maps.numel()
    assert first / count == pytest.approx(maps.mean().item())
    assert second / count - (first / count) ** 2 == pytest.approx(maps.var().item(), rel=1e-3)


def test_mistakes_are_one_sentence():
    encoder = make()
    with pytest.raises(DataError, match='no stream "imu"'):
        encoder(make_batch(imu=None))
    stream = motion()
    with pytest.raises(DataError, match="11 channels, which make no whole number"):
        encoder(make_batch(imu=dataclasses.replace(stream, values=stream.values[:, :, :11])))
    nothing = dataclasses.replace(stream, channel_mask_BC=torch.zeros(2, 12, dtype=torch.bool))
    with pytest.raises(DataError, match="toy/0 has no sensor"):
        encoder(make_batch(imu=nothing))
    rated = make(signals={"num_frames": 64, "num_bins": 32, "rate_hz": 1.0})
    with pytest.raises(DataError, match="toy/0"):
        rated(make_batch(imu=motion(num_rows=20)))
