"""CNN-HAR and DeepConvLSTM: published sizes, masks, standardisation, pooling."""

import pytest
import torch
from tests.support.limu_data import window_batch

from otolith.core.config import parse
from otolith.core.errors import ConfigError, DataError
from otolith.encoders import ENCODERS
from otolith.encoders._imu_convolutions import Convolutions

NAMES = ("imu_cnn_har", "imu_deep_conv_lstm")
CLOSE = {"atol": 1e-5, "rtol": 1e-4}
FOUR = ("acc_x", "acc_y", "acc_z", "mag_x")


def make(name, **settings):
    torch.manual_seed(0)
    module = ENCODERS.get(name)
    return module.Encoder(parse(module.Config, settings))


def signals(num=3, steps=60, channels=6):
    torch.manual_seed(1)
    return torch.randn(num, steps, channels) * 3.0 + 2.0


@pytest.mark.parametrize(
    ("name", "width", "published"),
    [("imu_cnn_har", 400, 63.2), ("imu_deep_conv_lstm", 128, 457.9)],
)
def test_parameters_are_those_that_whar_arena_publishes(name, width, published):
    """In thousands, with a linear layer for the five classes of its data."""
    count = sum(p.numel() for p in make(name).parameters()) + 5 * (width + 1)
    assert round(count / 1000, 1) == published


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("channels", [1, 4, 9])
def test_any_number_of_channels(name, channels):
    encoder = make(name, preset="debug", num_channels=channels)
    names = tuple(f"s{i}_acc_x" for i in range(channels))
    tokens = encoder(window_batch(signals(channels=channels), names=names))
    assert tokens.pooled_BD.shape == (3, 16)


@pytest.mark.parametrize("name", NAMES)
def test_another_number_of_channels_is_refused(name):
    with pytest.raises(DataError, match="4 channels and the encoder 6"):
        make(name, preset="debug")(window_batch(signals(channels=4), names=FOUR))


@pytest.mark.parametrize("name", NAMES)
def test_a_padded_window_is_the_window(name):
    encoder, values = make(name, preset="debug").eval(), signals(2, 61)
    mask = torch.ones(2, 61, dtype=torch.bool)
    mask[1, 37:] = False
    together = encoder(window_batch(values, mask_BT=mask))
    alone = encoder(window_batch(values[1:, :37]))
    torch.testing.assert_close(together.pooled_BD[1], alone.pooled_BD[0], **CLOSE)
    assert together.mask_BN[1].sum() == alone.mask_BN[0].sum()


@pytest.mark.parametrize("name", NAMES)
def test_masked_parts_change_nothing_while_training_either(name):
    values = signals(2, 40)
    mask = torch.ones(2, 40, dtype=torch.bool)
    mask[0, 10:20] = False
    channels = torch.ones(2, 6, dtype=torch.bool)
    channels[1, 4] = False
    real = mask[..., None] & channels[:, None]
    outputs = []
    for filling in (0.0, 1000.0):
        encoder = make(name, preset="debug").train()
        filled = torch.where(real, values, filling)
        torch.manual_seed(3)
        outputs.append(encoder(window_batch(filled, mask_BT=mask, channel_mask_BC=channels)))
    assert torch.equal(outputs[0].pooled_BD, outputs[1].pooled_BD)


@pytest.mark.parametrize("name", NAMES)
def test_the_standardisation_makes_units_irrelevant(name):
    values, pooled = signals(), []
    scale, shift = torch.tensor([1, 10, 0.1, 5, 2, 3.0]), torch.tensor([0, 5, -1, 2, 0, 9.0])
    for x in (values, values * scale + shift):
        encoder = make(name, preset="debug")
        assert not encoder.is_fitted
        encoder.fit_input([window_batch(x[:2]), window_batch(x[2:])])
        assert encoder.is_fitted
        pooled.append(encoder.eval()(window_batch(x)).pooled_BD)
    torch.testing.assert_close(*pooled, **CLOSE)


@pytest.mark.parametrize("name", NAMES)
def test_a_rate_puts_windows_of_all_rates_on_one_grid(name):
    encoder = make(name, preset="debug", rate_hz=20.0).eval()
    tokens = encoder(window_batch(signals(2, 120), rate_hz=[60.0, 30.0]))
    real = tokens.mask_BN.sum(1).tolist()
    assert real[1] == 2 * real[0]
    stride = {"imu_cnn_har": 2, "imu_deep_conv_lstm": 1}[name]
    assert tokens.grid.seconds_per_step == pytest.approx(stride / 20.0)
    native = make(name, preset="debug").eval()
    mixed = native(window_batch(signals(2, 120), rate_hz=[60.0, 30.0]))
    assert mixed.grid.seconds_per_step is None


def test_deep_conv_lstm_pools_its_last_real_step():
    encoder, values = make("imu_deep_conv_lstm", preset="debug", pooling="last").eval(), signals()
    mask = torch.ones(3, 60, dtype=torch.bool)
    mask[1, 25:] = False
    tokens = encoder(window_batch(values, mask_BT=mask))
    assert torch.equal(tokens.pooled_BD[0], tokens.features_BND[0, 59])
    assert torch.equal(tokens.pooled_BD[1], tokens.features_BND[1, 24])
    mean = make("imu_deep_conv_lstm", preset="debug").eval()(window_batch(values, mask_BT=mask))
    torch.testing.assert_close(mean.pooled_BD[1], mean.features_BND[1, :25].mean(0))


def test_cnn_averages_real_steps_and_pools_time():
    encoder = make("imu_cnn_har").eval()
    tokens = encoder(window_batch(signals(2, 150)))
    assert tokens.features_BND.shape == (2, 38, 400)
    torch.testing.assert_close(tokens.pooled_BD, tokens.features_BND.mean(1))


def test_convolutions_share_filters_between_channels():
    layers = Convolutions((4, 2), (5, 3))
    values, real = signals(1, 30, 3), torch.ones(1, 30, 3, dtype=torch.bool)
    features = layers(values, real).unflatten(2, (2, 3))
    swapped = layers(values.flip(-1), real).unflatten(2, (2, 3))
    torch.testing.assert_close(features, swapped.flip(-1))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "settings",
    [
        {"conv_filters": []},
        {"conv_filters": [4, 4]},
        {"conv_filters": [4], "kernel_sizes": [4]},
        {"preset": "huge"},
        {"num_channels": 0},
    ],
)
def test_settings_that_make_no_sense_are_refused(name, settings):
    with pytest.raises(ConfigError):
        parse(ENCODERS.get(name).Config, settings)
