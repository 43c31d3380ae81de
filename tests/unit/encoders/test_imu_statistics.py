import numpy as np
import pytest
import torch

from otolith.core.config import parse, select, to_plain
from otolith.core.errors import ConfigError, DataError
from otolith.encoders import ENCODERS
from otolith.encoders.imu_statistics import Config, Encoder
from otolith.recordings.recording import Channel
from otolith.signals.statistics import window_statistics
from otolith.windows.batch import Batch, StreamBatch

IMU = tuple(f"{s}_{a}" for s in ("acc", "gyro") for a in "xyz")


def named(*names):
    return tuple(Channel.from_name(n) for n in names)


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


def batch(**streams):
    size = len(next(iter(streams.values())).values)
    return Batch(streams=streams, ids=torch.arange(size))


def signal(num=3, length=100, width=6, seed=0):
    x = np.random.default_rng(seed).normal(size=(num, length, width))
    x[..., 2] += 9.8
    return x


def test_features_are_window_statistics_and_flags():
    x = signal()
    encoder = Encoder(Config())
    tokens = encoder(batch(imu=stream(x)))
    expected, names = window_statistics(x.astype(np.float32), None, 50.0, IMU)
    assert encoder.names == (*names, "acc/present", "gyro/present")
    assert encoder.width == tokens.pooled_BD.shape[1]
    np.testing.assert_allclose(tokens.pooled_BD[:, :-2], expected, rtol=1e-5)
    assert (tokens.pooled_BD[:, -2:] == 1).all()
    assert tokens.features_BND.shape == (3, 1, encoder.width)
    assert tokens.mask_BN.all()
    assert tokens.grid.sizes == (1,)


@pytest.mark.parametrize("frame", ["device", "gravity", "both"])
def test_mixed_channels_keep_one_layout(frame):
    encoder = Encoder(Config(frame=frame))
    x = torch.zeros(3, 100, 6)
    full = torch.as_tensor(signal(), dtype=torch.float32)
    x[0] = full[0]
    x[1, :, :3] = full[1, :, :3]
    x[2] = full[2, :, [3, 4, 5, 2, 0, 1]]
    channels = (
        named(*IMU),
        named(*IMU[:3]),
        named(
            "watch_gyro_x",
            "watch_gyro_y",
            "watch_gyro_z",
            "watch_acc_z",
            "watch_acc_x",
            "watch_acc_y",
        ),
    )
    channel_mask = torch.tensor([[True] * 6, [True] * 3 + [False] * 3, [True] * 6])
    got = encoder(batch(imu=stream(x, channels, channel_mask=channel_mask))).pooled_BD
    whole = encoder(batch(imu=stream(full))).pooled_BD
    torch.testing.assert_close(got[[0, 2]], whole[[0, 2]])
    gyro = torch.tensor([name.startswith("gyro/") for name in encoder.names])
    torch.testing.assert_close(got[1, ~gyro], whole[1, ~gyro])
    assert (got[1, gyro] == 0).all()


def test_real_columns_need_not_come_first():
    x = torch.full((1, 100, 8), 77.0)
    full = torch.as_tensor(signal(1), dtype=torch.float32)
    real = [0, 2, 3, 4, 6, 7]
    x[:, :, real] = full
    channel_mask = torch.zeros(1, 8, dtype=torch.bool)
    channel_mask[0, real] = True
    encoder = Encoder(Config())
    got = encoder(batch(imu=stream(x, channel_mask=channel_mask))).pooled_BD
    torch.testing.assert_close(got, encoder(batch(imu=stream(full))).pooled_BD)


def test_padding_other_samples_and_rates_have_no_influence():
    encoder = Encoder(Config())
    x = torch.as_tensor(signal(2, 160), dtype=torch.float32)
    mask = torch.ones(2, 160, dtype=torch.bool)
    mask[0, 90:] = False
    x[0, 90:] = 1e4
    together = encoder(batch(imu=stream(x, rate=torch.tensor([50.0, 20.0]), mask=mask))).pooled_BD
    alone = encoder(batch(imu=stream(x[:1, :90]))).pooled_BD
    torch.testing.assert_close(together[:1], alone, atol=1e-4, rtol=1e-4)
    other = encoder(batch(imu=stream(x[1:], rate=20.0))).pooled_BD
    torch.testing.assert_close(together[1:], other, atol=1e-5, rtol=1e-5)


def test_several_streams_and_a_sample_without_one():
    encoder = Encoder(Config(streams=("phone", "watch"), triads=("acc",)))
    acc = named(*IMU[:3])
    x = torch.as_tensor(signal(2, 100, 3), dtype=torch.float32)
    away = stream(x, (acc, ()), mask=torch.tensor([[True] * 100, [False] * 100]))
    got = encoder(batch(watch=away, phone=stream(x, (acc, acc)))).pooled_BD
    half = encoder.width // 2
    assert encoder.names[0].startswith("phone:acc/")
    torch.testing.assert_close(got[0, :half], got[0, half:])
    assert (got[1, half:] == 0).all()
    assert encoder.names[half - 1] == "phone:acc/present"
    assert got[1, half - 1] == 1


def test_named_triads():
    names = [f"{p}_{s}_{a}" for p in ("wrist", "hip") for s in ("acc", "gyro") for a in "xyz"]
    x = signal(2, 100, 12)
    encoder = Encoder(Config(triads=("hip_acc", "hip_gyro")))
    got = encoder(batch(imu=stream(x, (named(*names),) * 2))).pooled_BD
    plain = Encoder(Config())(batch(imu=stream(x[..., 6:]))).pooled_BD
    torch.testing.assert_close(got, plain)
    with pytest.raises(DataError, match='2 triads of kind "acc".*wrist_acc, hip_acc'):
        Encoder(Config())(batch(imu=stream(x, (named(*names),) * 2)))


def test_gradient_reaches_the_signal():
    s = stream(signal())
    s.values.requires_grad_()
    Encoder(Config())(batch(imu=s)).pooled_BD.sum().backward()
    assert torch.isfinite(s.values.grad).all()
    assert s.values.grad.abs().sum() > 0


def test_mistakes():
    one = stream(signal())
    with pytest.raises(DataError, match="2 motion streams.*a, b"):
        Encoder(Config())(batch(b=one, a=one))
    with pytest.raises(DataError, match="no motion stream watch"):
        Encoder(Config(streams=("watch",)))(batch(imu=one))
    with pytest.raises(DataError, match="none of the triads mag"):
        Encoder(Config(triads=("mag",)))(batch(imu=one))
    with pytest.raises(DataError, match="named twice"):
        Encoder(Config(triads=("acc", "acc")))


def test_settings_round_trip_and_registration():
    assert "imu_statistics" in ENCODERS.names()
    plain = to_plain(Config(frame="gravity", streams=("imu",)))
    assert parse(Config, plain) == Config(frame="gravity", streams=("imu",))
    assert select(ENCODERS, "imu_statistics").config == Config()
    with pytest.raises(ConfigError, match="frame"):
        parse(Config, {"frame": "world"})


def test_a_channel_without_values_moves_no_other_channel():
    x = torch.as_tensor(signal(num=2), dtype=torch.float32)
    channel_mask = torch.ones(2, 6, dtype=torch.bool)
    channel_mask[0, 0] = False
    x[0, :, 0] = 0
    encoder = Encoder(Config(frame="device"))
    got = encoder(batch(imu=stream(x, channel_mask=channel_mask))).pooled_BD
    whole = encoder(batch(imu=stream(x))).pooled_BD
    is_acc = torch.tensor([name.startswith("acc/") for name in encoder.names])
    assert (got[0, is_acc] == 0).all()
    torch.testing.assert_close(got[0, ~is_acc], whole[0, ~is_acc])
    torch.testing.assert_close(got[1], whole[1])
