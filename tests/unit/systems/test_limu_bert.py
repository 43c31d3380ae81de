"""LIMU-BERT: loss, embedding, and official weights both ways."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.support.limu_data import official_encoder, official_gru, window_batch
from tests.support.tsfm_data import make_batch

from otolith.core.config import parse, to_plain
from otolith.core.errors import CheckpointError, DataError
from otolith.systems import limu_bert
from otolith.systems._convert import export_official, import_official
from otolith.systems._limu_bert_masks import draw_masks
from otolith.systems._limu_bert_official import COURIERS


def make(**settings):
    torch.manual_seed(0)
    plain = {"encoder": {"preset": "debug"}, **settings}
    return limu_bert.System(parse(limu_bert.Config, plain)).train()


def signals(num=4, steps=40, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(num, steps, 6, generator=generator)


def test_the_loss_is_the_mean_squared_error_of_the_predicted_steps():
    system, batch = make(), window_batch(signals())
    steps = system.encoder.prepare(batch)
    masks = draw_masks(batch.keys_B, steps.mask_BN, 20, system.config.masking)
    seen = torch.where(masks.hidden_BN[..., None], 0.0, steps.values_BNC)
    error = system.reconstruct(system.encoder.encode(seen, steps.mask_BN)) - steps.values_BNC
    out = system.loss(batch)
    torch.testing.assert_close(out.total, error[masks.predicted_BN].square().mean())
    expected = torch.stack(
        [e[m].square().mean() for e, m in zip(error, masks.predicted_BN, strict=True)]
    )
    torch.testing.assert_close(out.per_sample_B, expected.detach())
    assert set(out.parts) == {"reconstruction"}


def test_hidden_values_do_not_reach_the_prediction():
    system = make(masking={"hidden_share": 1.0})
    values = signals()
    batch = window_batch(values)
    hidden = draw_masks(
        batch.keys_B, torch.ones(4, 40, dtype=torch.bool), 20, system.config.masking
    ).hidden_BN
    read = []
    encode = system.encoder.encode
    system.encoder.encode = lambda x, m: read.append(x) or encode(x, m)
    system.loss(batch)
    system.loss(window_batch(torch.where(hidden[..., None], 55.0, values)))
    assert hidden.any(1).all()
    assert torch.equal(*read)


def test_an_axis_that_is_missing_is_not_predicted():
    system, values = make(), signals()
    mask = torch.tensor([[True] * 3 + [False] * 3] * 4)
    short = system.loss(window_batch(values, channel_mask_BC=mask)).total
    with torch.no_grad():
        system.output.bias[3:] += 100.0
    assert torch.equal(system.loss(window_batch(values, channel_mask_BC=mask)).total, short)


def test_padding_changes_no_loss():
    system = make()
    batch = make_batch((200, 130), (6, 3))
    stream = batch.streams["imu"]
    real = stream.mask_BT[..., None] & stream.channel_mask_BC[:, None]
    noisy = replace(stream, values=torch.where(real, stream.values, -9.0))
    assert torch.equal(
        system.loss(batch).total, system.loss(replace(batch, streams={"imu": noisy})).total
    )


def test_it_learns():
    system, batch = make(), window_batch(signals(8).cumsum(1) / 5)
    optimizer = torch.optim.Adam(system.parameters(), lr=3e-3)
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        loss = system.loss(batch).total
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.6 * losses[0]
    assert all(p.grad is not None for p in system.parameters())


def test_embedding_is_the_mean_of_the_step_embeddings():
    system, batch = make().eval(), window_batch(signals(2, 30))
    tokens = system.tokens(batch)
    torch.testing.assert_close(system.embed(batch), tokens.features_BND.mean(1))
    mask = torch.ones(2, 30, dtype=torch.bool)
    mask[1] = False
    with pytest.raises(DataError, match="toy/1 has not one measured step"):
        system.embed(window_batch(signals(2, 30), mask_BT=mask))


def test_official_weights_go_in_and_out(tmp_path):
    state = official_encoder()
    save_file(state, tmp_path / "encoder.safetensors")
    system, report = import_official(tmp_path / "encoder.safetensors", "")
    assert isinstance(system, limu_bert.System)
    assert len(report.loaded) == 27
    assert report.missing == report.unexpected == ()
    assert set(report.ignored) == {"fc.weight", "fc.bias"}
    assert export_official(system, tmp_path / "back.safetensors") == 29
    back = load_file(tmp_path / "back.safetensors")
    assert set(back) == set(state)
    for key in set(state) - {"fc.weight", "fc.bias"}:
        assert torch.equal(back[key], state[key]), key


def test_sizes_follow_from_the_shapes():
    settings = {"n_heads": 2, "n_layers": 3}
    system, _ = limu_bert.System.from_official(official_encoder(30, 12, 24, channels=3), settings)
    encoder = system.config.encoder
    assert (encoder.window_steps, encoder.width, encoder.feedforward_width) == (30, 12, 24)
    assert (encoder.num_heads, encoder.num_layers, encoder.triads) == (2, 3, ("acc",))
    assert parse(limu_bert.Config, to_plain(system.config)) == system.config


def test_what_the_weights_were_trained_on():
    def origin(steps, **settings):
        system, _ = limu_bert.System.from_official(official_encoder(steps), settings)
        return system.official_training_data

    assert origin(20) == (COURIERS,)
    assert origin(120, trained_on="uci") == ("uci_har",)
    assert {"uci_har", "hhar", "shoaib"} < set(origin(120))
    assert make().official_training_data == ()
    with pytest.raises(CheckpointError, match="no published"):
        origin(120, trained_on="usi")


def test_a_head_beside_the_encoder_is_left_out_with_a_reason():
    _, report = limu_bert.System.from_official({**official_encoder(), **official_gru()}, {})
    assert "limu_bert_gru" in report.ignored["gru0.weight_ih_l0"]
    assert report.unexpected == ()


@pytest.mark.parametrize(
    ("lost", "match"),
    [
        ("transformer.embed.pos_embed.weight", "no LIMU-BERT encoder"),
        ("transformer.norm1.beta", "does not give 1 weights"),
        ("decoder.weight", "does not give 1 weights"),
    ],
)
def test_incomplete_weights_are_refused(lost, match):
    state = official_encoder()
    del state[lost]
    with pytest.raises(CheckpointError, match=match):
        limu_bert.System.from_official(state, {})


def test_other_sensors_are_refused():
    with pytest.raises(CheckpointError, match="9 channels"):
        limu_bert.System.from_official(official_encoder(channels=9), {})
