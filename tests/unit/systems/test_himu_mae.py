"""HIMU-MAE pretraining: loss, embedding, transfer to more sensors, official weights, pictures."""

import dataclasses

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tests.support.himu_data import BATCH, CONTEXT, DECODER, ENCODER, batch_of

from otolith.core.config import parse, to_plain
from otolith.core.errors import CheckpointError, ConfigError, DataError
from otolith.encoders._mae_masks import draw_masking
from otolith.objectives import LossOutput
from otolith.reports.reconstruction_picture import draw_reconstruction
from otolith.systems import _convert
from otolith.systems._himu_official import pretrain_names
from otolith.systems.himu_mae import Config, System
from otolith.training.checkpoints import save_model
from otolith.training.runs import init_from


def make(**changes):
    torch.manual_seed(changes.pop("seed", 0))
    plain = {"encoder": ENCODER, "decoder": DECODER, "masking": {"share": 0.75}, **changes}
    return System(parse(Config, plain))


def more_channels(number):
    encoder = {**ENCODER, "processor": {**ENCODER["processor"], "num_channels": number}}
    encoder["processor"]["spectrogram"] = {
        **ENCODER["processor"]["spectrogram"], "mean_db": [-30.0], "std_db": [27.0],
    }  # fmt: skip
    return encoder


@pytest.mark.parametrize("context", [None, CONTEXT])
@pytest.mark.parametrize("kind", ["plain", "window"])
def test_loss_falls_in_some_steps(context, kind):
    system = make(context=context, decoder={**DECODER, "kind": kind}).train()
    optimizer = torch.optim.AdamW(system.parameters(), lr=3e-3)
    losses = []
    for _ in range(12):
        optimizer.zero_grad()
        found = system.loss(BATCH)
        assert isinstance(found, LossOutput)
        found.total.backward()
        optimizer.step()
        losses.append(found.total.item())
    assert losses[-1] < 0.9 * losses[0]
    assert all(p.grad is not None for p in system.parameters())


def test_loss_depends_on_keys_alone():
    system = make().eval()
    first, second = system.loss(BATCH), system.loss(BATCH)
    assert torch.equal(first.total, second.total)
    part = batch_of(2)
    torch.testing.assert_close(system.loss(part).per_sample_B, first.per_sample_B[:2])


def test_embedding_is_the_mean_over_all_tokens():
    system = make(context=CONTEXT).eval()
    found = system.embed(BATCH)
    assert found.shape == (len(BATCH), 32)
    stream = BATCH.streams["imu"]
    signals = system.encoder.processor.images(stream.values.transpose(1, 2), 50.0)
    x = system.encoder.encode(system.encoder.patches(signals))
    torch.testing.assert_close(found, x[:, 1:].mean(1), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(
        system.embed_signals(stream.values.transpose(1, 2), 50.0), found, atol=1e-5, rtol=1e-5
    )


def test_a_missing_channel_changes_nothing():
    system = make(masking={"share": 0.5}).eval()
    stream = BATCH.streams["imu"]
    mask = torch.ones(len(BATCH), 3, dtype=torch.bool)
    mask[:, 1] = False
    losses = []
    for filler in (0.0, 77.0):
        values = torch.where(mask[:, None], stream.values, filler)
        changed = dataclasses.replace(stream, values=values, channel_mask_BC=mask)
        losses.append(system.loss(dataclasses.replace(BATCH, streams={"imu": changed})).total)
    assert torch.equal(*losses)


def test_frozen_decoder_stays_and_the_rest_learns():
    system = make(freeze="decoder").train()
    before = {k: v.clone() for k, v in system.state_dict().items()}
    optimizer = torch.optim.AdamW(
        [p for g in system.parameter_groups() for p in g["params"]], lr=1e-2
    )
    system.loss(BATCH).total.backward()
    optimizer.step()
    after = system.state_dict()
    frozen = ("decoder.blocks.", "decoder.norm.", "decoder.prediction.")
    for key, value in before.items():
        fixed = key.startswith(frozen) or "positions" in key
        assert torch.equal(value, after[key]) == fixed, key


def test_weights_for_three_channels_in_a_model_for_twelve(tmp_path):
    """A signal that is equal on all four sensors gives the old tokens and the old prediction."""
    source = make(is_target_normalised=False).eval()
    save_model(tmp_path / "source", "himu_mae", source, {})
    target = make(encoder=more_channels(12), is_target_normalised=False, seed=7).eval()
    report = init_from(target, tmp_path / "source")
    assert not report.missing
    assert not report.unexpected
    patches = source.encoder.patches(source.encoder.prepare(BATCH))
    image = source.encoder.prepare(BATCH).repeat(1, 4, 1, 1)
    masking = draw_masking(BATCH.keys_B, source.encoder.config.grid, source.config.masking)
    old = source.encoder.encode(patches, masking)
    new = target.encoder.encode(target.encoder.patches(image), masking)
    torch.testing.assert_close(new, old, atol=1e-4, rtol=1e-4)
    predicted = [s.decoder(x, masking) for s, x in ((source, old), (target, new))]
    per_channel = predicted[1].unflatten(2, (-1, 12))
    for i in range(4):
        torch.testing.assert_close(
            per_channel[..., 3 * i : 3 * i + 3].flatten(2), predicted[0], atol=1e-3, rtol=1e-3
        )
    losses = [
        source.compare(patches, masking).total,
        target.compare(target.encoder.patches(image), masking).total,
    ]
    torch.testing.assert_close(*losses, atol=1e-4, rtol=1e-4)


def test_the_authors_way_mixes_pixels_and_channels():
    source = make(is_target_normalised=False)
    quirks = ("prediction_rows_tiled_against_pixel_layout", "decoder_embedding_redrawn")
    target = make(encoder=more_channels(12), upstream_quirks=quirks, seed=7)
    right = make(encoder=more_channels(12), seed=7)
    theirs = target.adapt_weights(source.state_dict())
    ours = right.adapt_weights(source.state_dict())
    assert not torch.equal(theirs["decoder.prediction.weight"], ours["decoder.prediction.weight"])
    assert torch.equal(theirs["decoder.embedding.weight"], target.decoder.embedding.weight)
    assert torch.equal(ours["decoder.embedding.weight"], source.decoder.embedding.weight)


def test_positions_learn_with_a_frozen_decoder_only_on_request():
    quirk = "freeze_decoder_makes_position_tables_trainable"
    for freeze, quirks in (("decoder", ()), ("none", (quirk,)), ("decoder", (quirk,))):
        system = make(freeze=freeze, upstream_quirks=quirks)
        learning = {n for n, p in system.named_parameters() if p.requires_grad}
        tables = {"encoder.positions_1ND", "decoder.positions_1ND"}
        assert learning & tables == (tables if (freeze, quirks) == ("decoder", (quirk,)) else set())
        decaying = {id(p) for p in system.parameter_groups()[1]["params"]}
        assert all(id(dict(system.named_parameters())[n]) in decaying for n in learning & tables)


def test_groups_hold_every_learning_parameter_once_and_decay_matrices_alone():
    for freeze in ("none", "decoder"):
        system = make(freeze=freeze, decoder={**DECODER, "kind": "window"})
        plain, decaying = (g["params"] for g in system.parameter_groups())
        learning = [p for p in system.parameters() if p.requires_grad]
        assert sorted(map(id, [*plain, *decaying])) == sorted(map(id, learning))
        assert all(p.ndim == 1 for p in plain)
        assert all(p.ndim > 1 for p in decaying)
        assert system.parameter_groups()[0]["weight_decay"] == 0.0


@pytest.mark.parametrize(
    "masking", [{"share": 0.0}, {"share": 0.99}, {"kind": "grid", "time_share": 0.95}]
)
def test_masks_that_leave_nothing_to_do_are_refused(masking):
    with pytest.raises(ConfigError, match="of 32 tokens visible"):
        make(masking=masking)


def test_another_context_keeps_what_reads_the_encoder():
    source, target = make(context=CONTEXT), make(seed=3)
    found = target.adapt_weights(source.state_dict())
    torch.testing.assert_close(
        found["decoder.embedding.weight"], source.decoder.embedding.weight[:, :32]
    )
    wider = make(context={**CONTEXT, "width": 9}, seed=4)
    found = wider.adapt_weights(source.state_dict())["decoder.embedding.weight"]
    assert torch.equal(found[:, :32], source.decoder.embedding.weight[:, :32])
    assert torch.equal(found[:, 32:], wider.decoder.embedding.weight[:, 32:])


def test_channels_that_do_not_fit_are_refused():
    with pytest.raises(CheckpointError, match="3 channels and the model has 4"):
        make(encoder=more_channels(4)).adapt_weights(make().state_dict())


@pytest.mark.parametrize("context", [None, CONTEXT])
def test_official_weights_there_and_back(tmp_path, context):
    system = make(context=context, decoder={**DECODER, "kind": "window", "num_heads": 4})
    official = system.to_official()
    assert set(official) == {n for k in system.state_dict() for n in pretrain_names(k)}
    save_file({k: v.contiguous() for k, v in official.items()}, tmp_path / "m.safetensors")
    settings = {"img_size": [32, 64], "num_heads": 4}
    again, report = _convert.import_official(tmp_path / "m.safetensors", "", settings)
    assert type(again).__module__.endswith("himu_mae")
    assert not report.missing
    assert not report.unexpected
    assert {k: v for k, v in again.to_official().items() if not torch.equal(v, official[k])} == {}
    written = _convert.export_official(again, tmp_path / "n.safetensors")
    assert written == len(official)


def test_official_mistakes_are_named():
    official = make().to_official()
    with pytest.raises(CheckpointError, match="img_size"):
        System.from_official(official, {"num_heads": 4})
    settings = {"img_size": [32, 64], "num_heads": 4, "decoder_num_heads": 4}
    with pytest.raises(CheckpointError, match="heads"):
        System.from_official(official, {"img_size": [32, 64]})
    with pytest.raises(CheckpointError, match="decoder_pred"):
        System.from_official({k: v for k, v in official.items() if "pred" not in k}, settings)
    with pytest.raises(CheckpointError, match="surplus"):
        System.from_official({**official, "surplus": torch.ones(1)}, settings)
    with pytest.raises(CheckpointError, match="does not give 1"):
        System.from_official({k: v for k, v in official.items() if k != "norm.bias"}, settings)


def test_trained_position_tables_stay_trained():
    official = make().to_official()
    official["pos_embed"] = official["pos_embed"] + 0.5
    settings = {"img_size": [32, 64], "num_heads": 4, "decoder_num_heads": 4}
    system, _ = System.from_official(official, settings)
    assert system.config.encoder.has_trainable_positions
    assert torch.equal(system.to_official()["pos_embed"], official["pos_embed"])


def test_a_missing_or_wrong_feature_stream_is_named():
    system = make(context=CONTEXT)
    without = dataclasses.replace(BATCH, streams={"imu": BATCH.streams["imu"]})
    with pytest.raises(DataError, match='no stream "omnivore"'):
        system.loss(without)
    with pytest.raises(DataError, match="5 columns"):
        make(context={"stream": "omnivore", "width": 8}).loss(BATCH)
    stream = BATCH.streams["omnivore"]
    empty = dataclasses.replace(stream, mask_BT=torch.zeros_like(stream.mask_BT))
    streams = {**BATCH.streams, "omnivore": empty}
    with pytest.raises(DataError, match="no row"):
        system.loss(dataclasses.replace(BATCH, streams=streams))


def test_other_channels_are_named():
    with pytest.raises(DataError, match="3 channels, the model needs 6"):
        make(encoder=more_channels(6)).embed(BATCH)


def test_windows_of_other_rates_lie_in_one_batch():
    system = make().eval()
    stream = BATCH.streams["imu"]
    rates = stream.rate_hz_B.clone()
    rates[1] = 25.0
    mixed = dataclasses.replace(stream, rate_hz_B=rates)
    found = system.embed(dataclasses.replace(BATCH, streams={"imu": mixed}))
    torch.testing.assert_close(found[[0, 2]], system.embed(BATCH)[[0, 2]], atol=1e-5, rtol=1e-5)
    assert not torch.allclose(found[1], system.embed(BATCH)[1], atol=1e-3)


@pytest.mark.parametrize("is_normalised", [True, False])
def test_reconstruction_keeps_visible_pixels_and_draws(tmp_path, is_normalised):
    system = make(is_target_normalised=is_normalised).eval()
    found = system.reconstruct(BATCH)
    assert found.signal_BCT.shape == (len(BATCH), 3, 320)
    same = found.image_BCHW == found.predicted_BCHW
    seen = ~found.hidden_BHW[:, None].expand_as(same)
    assert same[seen].all()
    assert not same[~seen].all()
    assert found.hidden_BHW.float().mean() == pytest.approx(0.75)
    config = system.encoder.config.processor.spectrogram
    path = draw_reconstruction(found, config, tmp_path / "plots" / "a.png", sample=1)
    assert path.read_bytes()[:4] == b"\x89PNG"
    with pytest.raises(DataError, match="no sample 9"):
        draw_reconstruction(found, config, tmp_path / "b.png", sample=9)


def test_settings_survive_being_written():
    system = make(context=CONTEXT)
    assert parse(Config, to_plain(system.config)) == system.config
    assert np.isfinite(system.embed(BATCH).detach().numpy()).all()
