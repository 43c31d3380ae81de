"""Every encoder keeps its promises; a new file in `encoders` is tested without being named here.

A motion encoder (`imu_*`) takes a batch with the stream `imu` and gives `Tokens`. One whose pooled
vector is not as wide as its tokens has the attribute `width`, that of the vector. One with weights
has a size called `debug`: a key of its `PRESETS`, given as the setting `preset`.
"""

import copy
import dataclasses
import io

import pytest
import torch
from safetensors.torch import load, save
from tests.support.tsfm_data import make_batch, take

from otolith.core.config import parse, to_plain
from otolith.core.errors import ConfigError
from otolith.encoders import ENCODERS, Tokens

NAMES = ENCODERS.names()
MOTION = [name for name in NAMES if name.startswith("imu_")]
CLOSE = {"atol": 1e-4, "rtol": 1e-3}


def settings_of(name):
    module = ENCODERS.get(name)
    plain = {"preset": "debug"} if "debug" in getattr(module, "PRESETS", {}) else {}
    return parse(module.Config, plain)


def build(name):
    torch.manual_seed(0)
    return ENCODERS.get(name).Encoder(settings_of(name)).eval()


def trainable(name):
    encoder = build(name)
    if not list(encoder.parameters()):
        pytest.skip("has no weights")
    return encoder


def batch_of_three():
    return make_batch((200, 130, 90), (6, 6, 6))


def with_values(batch, values):
    stream = dataclasses.replace(batch.streams["imu"], values=values)
    return dataclasses.replace(batch, streams={"imu": stream})


@pytest.mark.parametrize("name", NAMES)
def test_it_has_settings_an_encoder_and_a_description(name):
    module = ENCODERS.get(name)
    assert issubclass(module.Encoder, torch.nn.Module)
    assert module.Encoder.__doc__
    assert len(ENCODERS.describe(name)) > 10
    settings = settings_of(name)
    assert parse(module.Config, to_plain(settings)) == settings
    with pytest.raises(ConfigError, match="unknown key"):
        parse(module.Config, {"no_such_setting": 1})


@pytest.mark.parametrize("name", MOTION)
def test_shapes_fit_and_everything_is_finite(name):
    encoder = build(name)
    tokens = encoder(batch_of_three())
    assert isinstance(tokens, Tokens)
    batch, num, width = tokens.features_BND.shape
    sizes = torch.tensor(tokens.grid.sizes)
    assert (batch, num) == (3, int(sizes.prod()))
    assert tokens.mask_BN.shape == (batch, num)
    assert tokens.mask_BN.dtype == torch.bool
    assert tokens.mask_BN.any(1).all()
    assert tokens.pooled_BD.shape == (batch, getattr(encoder, "width", width))
    assert torch.isfinite(tokens.features_BND).all()
    assert torch.isfinite(tokens.pooled_BD).all()
    assert len(tokens.grid.axes) == len(tokens.grid.sizes)


@pytest.mark.parametrize("name", MOTION)
def test_a_batch_of_one_is_a_row_of_a_batch(name):
    encoder, batch = build(name), batch_of_three()
    together = encoder(batch)
    for i in range(3):
        alone = encoder(take(batch, [i]))
        torch.testing.assert_close(alone.pooled_BD[0], together.pooled_BD[i], **CLOSE)
        torch.testing.assert_close(
            alone.features_BND[0][alone.mask_BN[0]],
            together.features_BND[i][together.mask_BN[i]],
            **CLOSE,
        )


@pytest.mark.parametrize("name", MOTION)
def test_masked_values_change_nothing(name):
    encoder, batch = build(name), make_batch((200, 130, 90), (6, 3, 6))
    stream = batch.streams["imu"]
    real = stream.mask_BT[:, :, None] & stream.channel_mask_BC[:, None, :]
    noisy = with_values(batch, torch.where(real, stream.values, 123.0))
    first, second = encoder(batch), encoder(noisy)
    assert torch.equal(first.mask_BN, second.mask_BN)
    assert torch.equal(first.pooled_BD, second.pooled_BD)
    real_tokens = first.mask_BN
    assert torch.equal(first.features_BND[real_tokens], second.features_BND[real_tokens])


@pytest.mark.parametrize("name", MOTION)
def test_other_samples_change_nothing_and_the_own_values_do(name):
    encoder, batch = build(name), batch_of_three()
    values = batch.streams["imu"].values.clone()
    values[0, :90] = values[2, :90].roll(7, 0) * 1.5
    first, second = encoder(batch).pooled_BD, encoder(with_values(batch, values)).pooled_BD
    torch.testing.assert_close(first[1:], second[1:], **CLOSE)
    assert (first[0] - second[0]).abs().max() > 1e-4


@pytest.mark.parametrize("name", MOTION)
def test_gradient_reaches_every_parameter_and_the_signal(name):
    encoder, batch = build(name), batch_of_three()
    values = batch.streams["imu"].values.requires_grad_()
    tokens = encoder(with_values(batch, values))
    (tokens.features_BND.square().sum() + tokens.pooled_BD.square().sum()).backward()
    assert values.grad is not None
    assert torch.isfinite(values.grad).all()
    assert values.grad.abs().sum() > 0
    for key, parameter in encoder.named_parameters():
        if "channel_position" in key:
            continue  # needs texts, which are given by a system
        assert parameter.grad is not None, key
        assert torch.isfinite(parameter.grad).all(), key


@pytest.mark.parametrize("name", MOTION)
def test_it_is_deterministic(name):
    encoder, batch = build(name), batch_of_three()
    assert torch.equal(encoder(batch).features_BND, encoder(batch).features_BND)


@pytest.mark.parametrize("name", MOTION)
def test_training_mode_repeats_with_the_same_seed(name):
    encoder, batch = build(name).train(), batch_of_three()
    outputs = []
    for _ in range(2):
        torch.manual_seed(5)
        outputs.append(encoder(batch).features_BND)
    assert torch.equal(*outputs)


@pytest.mark.parametrize("name", MOTION)
def test_saving_and_loading_gives_the_same_features(name):
    encoder, batch = trainable(name), batch_of_three()
    stored = save({k: v.contiguous() for k, v in encoder.state_dict().items()})
    torch.manual_seed(77)
    other = (
        ENCODERS.get(name)
        .Encoder(parse(ENCODERS.get(name).Config, to_plain(encoder.config)))
        .eval()
    )
    assert not torch.equal(other(batch).features_BND, encoder(batch).features_BND)
    other.load_state_dict(load(io.BytesIO(stored).getvalue()))
    assert torch.equal(other(batch).features_BND, encoder(batch).features_BND)


@pytest.mark.parametrize("name", MOTION)
def test_copies_are_independent(name):
    encoder, batch = trainable(name), batch_of_three()
    other = copy.deepcopy(encoder)
    before = encoder(batch).features_BND
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(1.0)
    assert torch.equal(encoder(batch).features_BND, before)


@pytest.mark.parametrize("name", MOTION)
def test_bfloat16_autocast_runs_and_is_close(name):
    encoder, batch = build(name), batch_of_three()
    exact = encoder(batch).pooled_BD
    with torch.autocast("cpu", torch.bfloat16):
        rough = encoder(batch).pooled_BD.float()
    assert torch.isfinite(rough).all()
    assert (rough - exact).norm() <= 0.05 * exact.norm()
