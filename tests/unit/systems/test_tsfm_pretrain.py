import dataclasses

import numpy as np
import pytest
import torch
from tests.support.tsfm_data import make_batch, take

from otolith.core.config import parse, to_plain
from otolith.core.errors import CheckpointError, ConfigError, DataError
from otolith.core.randomness import sample_keys
from otolith.systems._tsfm_masks import draw_masks
from otolith.systems.tsfm_pretrain import Config, System

SETTINGS = {
    "encoder": {"preset": "debug", "processor": {"patch_s": 0.5}},
    "channel_text": None,
    "projection_hidden_width": 32,
    "projection_width": 16,
}


def make_system(**settings):
    torch.manual_seed(0)
    return System(parse(Config, SETTINGS | settings))


class Sentences(torch.nn.Module):
    """Stands in for the text encoder: a fixed vector per text."""

    def sentences(self, texts):
        rows = [np.random.default_rng([len(t), *t.encode()]).normal(size=384) for t in texts]
        return torch.tensor(np.asarray(rows), dtype=torch.float32)


def test_loss_is_finite_has_parts_and_gradients_everywhere():
    system = make_system().train()
    out = system.loss(make_batch())
    out.total.backward()
    assert torch.isfinite(out.total)
    assert set(out.parts) == {"reconstruction", "contrast"}
    assert not any(v.requires_grad for v in out.parts.values())
    assert out.per_sample_B.shape == (3,)
    for name, p in system.named_parameters():
        if p.requires_grad and "pad_token" not in name:
            assert p.grad is not None, name
            assert p.grad.abs().sum() > 0, name


def test_channel_positions_are_trained_only_with_a_text_encoder():
    system = make_system().train()
    assert not any(p.requires_grad for p in system.encoder.channel_position.parameters())
    system.encoder.channel_position.requires_grad_(True)
    system.channel_text = Sentences()
    with torch.no_grad():
        system.encoder.channel_position.output.weight.normal_()
    system.loss(make_batch()).total.backward()
    for name, p in system.encoder.channel_position.named_parameters():
        assert (p.grad.abs().sum() > 0) == (name != "padding_D"), name


def test_texts_tell_channels_apart_and_need_channels():
    system = make_system().eval()
    batch = make_batch()
    without = system.embed(batch)
    system.channel_text = Sentences()
    texts = system.describe_channels(batch)
    assert len(texts.embeddings_UE) == 6
    assert texts.index_BC.tolist()[1] == [0, 1, 2, -1, -1, -1]
    assert not torch.allclose(system.embed(batch), without)
    with pytest.raises(DataError, match="width 384, the encoder expects 32"):
        make_system(encoder=SETTINGS["encoder"] | {"channel_text_width": 32}).encoder.encode(
            system.encoder.prepare(batch), texts=texts
        )
    nameless = dataclasses.replace(batch.streams["imu"], channels=())
    with pytest.raises(DataError, match="channels"):
        system.embed(dataclasses.replace(batch, streams={"imu": nameless}))


def test_a_sample_is_embedded_alike_alone_and_in_a_batch():
    system = make_system().eval()
    batch = make_batch()
    together = system.embed(batch)
    assert together.shape == (3, 32)
    for i in range(3):
        torch.testing.assert_close(
            system.embed(take(batch, [i]))[0], together[i], atol=1e-5, rtol=1e-4
        )


def test_padding_never_changes_the_loss():
    system = make_system().eval()
    batch = make_batch()
    stream = batch.streams["imu"]
    loud = torch.where(stream.mask_BT[:, :, None], stream.values, 50.0)
    loud = torch.where(stream.channel_mask_BC[:, None, :], loud, -50.0)
    noisy = dataclasses.replace(batch, streams={"imu": dataclasses.replace(stream, values=loud)})
    assert torch.equal(system.loss(batch).total, system.loss(noisy).total)


def test_draws_come_from_the_keys():
    system = make_system(encoder=SETTINGS["encoder"] | {"dropout": 0.0}).train()

    def parts(batch, seed):
        torch.manual_seed(seed)
        return system.loss(batch).parts

    first, again = parts(make_batch(), 1), parts(make_batch(), 2)
    assert all(torch.equal(first[k], again[k]) for k in first)
    other = parts(make_batch(epoch=1), 1)
    # The same signals with other keys.
    same_signals = dataclasses.replace(make_batch(), keys_B=sample_keys(0, 1, np.arange(3)))
    assert not torch.equal(parts(same_signals, 1)["contrast"], first["contrast"])
    assert not torch.equal(other["contrast"], first["contrast"])


def test_view_2_is_augmented_in_training_and_padding_stays_zero():
    system = make_system().train()
    batch = make_batch()
    patches = system.encoder.prepare(batch)
    second = system._second_view(batch, patches)
    real = patches.mask_BP[:, :, None] & patches.channel_mask_BC[:, None, :]
    assert second.shape == patches.values_BPNC.shape
    assert second.transpose(2, 3)[~real].eq(0).all()
    assert (second - patches.values_BPNC).abs().max() > 0.01
    plain = make_system(view={"steps": {}})
    assert torch.equal(plain._second_view(batch, patches), patches.values_BPNC)


def test_two_views_in_one_pass_are_two_passes():
    system = make_system().eval()
    batch = make_batch()
    patches = system.encoder.prepare(batch)
    second = patches.values_BPNC * 1.1
    masks = draw_masks(
        batch.keys_B, patches.mask_BP, patches.channel_mask_BC, system.config.masking
    )
    together = system.encode_views(patches, second, masks)
    apart = (
        system.encoder.encode(patches, masked_BP=masks.masked_BP, dropped_BC=masks.dropped_BC),
        system.encoder.encode(patches.with_values(second)),
    )
    for a, b in zip(together, apart, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)


def test_quirks_bring_back_the_authors_behaviour():
    channels_only = {"random_share": 0.0, "span_share": 0.0, "mask_share_with_channels": 0.0}
    silent = make_system(
        masking=channels_only, upstream_quirks=("dropped_channels_without_loss",)
    ).eval()
    assert silent.loss(make_batch()).parts["reconstruction"] == 0
    speaking = make_system(masking=channels_only).eval()
    assert speaking.loss(make_batch()).parts["reconstruction"] > 0
    padded = make_system(upstream_quirks=("padding_is_data",))
    patches = padded._prepare(make_batch())
    assert patches.mask_BP.all()
    assert patches.channel_mask_BC.all()
    assert make_system()._prepare(make_batch()).mask_BP.sum() < patches.mask_BP.sum()


def test_running_means_are_saved():
    system = make_system().train()
    system.loss(make_batch())
    other = make_system()
    other.load_state_dict(system.state_dict())
    assert other.balance.mean_K.gt(0).all()
    assert torch.equal(other.balance.mean_K, system.balance.mean_K)


def test_training_lowers_the_loss():
    system = make_system(is_balanced=False).train()
    optimizer = torch.optim.AdamW(system.parameters(), lr=3e-3)
    batch = make_batch((150,) * 6, (3,) * 6)
    losses = []
    for _ in range(20):
        optimizer.zero_grad()
        loss = system.loss(batch).total
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert np.mean(losses[-3:]) < 0.8 * np.mean(losses[:3])


def test_bfloat16_autocast_is_close():
    system = make_system(is_balanced=False).eval()
    exact = system.loss(make_batch()).total
    with torch.autocast("cpu", torch.bfloat16):
        rough = system.loss(make_batch()).total
    assert rough.dtype == torch.float32
    assert rough.item() == pytest.approx(exact.item(), rel=0.02)


def test_official_round_trip():
    system = make_system()
    official = system.to_official()
    assert "balance.mean_K" not in official
    again, report = System.from_official(
        {f"_orig_mod.{k}": v for k, v in official.items()}, {"num_heads": 2}
    )
    assert (report.missing, report.unexpected) == ((), ())
    back = again.to_official()
    assert all(torch.equal(back[k], official[k]) for k in official)


def test_official_files_of_others_are_refused():
    official = make_system().to_official()
    with pytest.raises(CheckpointError, match="no Stage-1 checkpoint"):
        System.from_official(
            {k: v for k, v in official.items() if not k.startswith("projection")}, {}
        )
    broken = {k: v for k, v in official.items() if "feed_forward.fc2.bias" not in k}
    with pytest.raises(CheckpointError, match="does not give 2 weights of tsfm_pretrain"):
        System.from_official(broken, {"num_heads": 2})


def test_settings_round_trip_and_name_their_mistakes():
    settings = parse(Config, SETTINGS)
    assert parse(Config, to_plain(settings)) == settings
    assert parse(Config, {}).channel_text.name == "text_minilm"
    with pytest.raises(ConfigError, match="upstream_quirks"):
        parse(Config, {"upstream_quirks": ["padding"]})
    with pytest.raises(ConfigError, match="2 mistakes"):
        parse(Config, {"encoder": {"preset": "huge"}, "masking": {"mask_share": 2}})


def test_the_default_text_encoder_describes_channels():
    system = make_system(channel_text="text_minilm").train()
    batch = make_batch((60, 40), (6, 3))
    system.loss(batch).total.backward()
    assert system.encoder.channel_position.output.weight.grad.abs().sum() > 0
    assert not any("channel_text" in key for key in system.state_dict())
    texts = system.describe_channels(batch)
    assert texts.embeddings_UE.shape == (6, 384)
    assert texts.index_BC.tolist() == [[0, 1, 2, 3, 4, 5], [0, 1, 2, -1, -1, -1]]


def test_training_in_bf16_augments_in_full_precision_and_stays_close():
    system = make_system().train()
    batch = make_batch((200, 130), (6, 6))
    with torch.no_grad():
        exact = system.loss(batch).logged
        with torch.autocast("cpu", torch.bfloat16):
            low = system.loss(batch).logged
    assert bool(torch.isfinite(low))
    torch.testing.assert_close(low, exact, rtol=0.05, atol=0.0)
