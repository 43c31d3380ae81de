import dataclasses

import pytest
import torch
from tests.support.tsfm_data import make_batch, make_encoder, make_patches

from otolith.core.config import parse, to_plain
from otolith.core.errors import ConfigError, DataError
from otolith.encoders._tsfm_positions import ChannelTexts
from otolith.encoders.imu_tsfm import PRESETS, Config, Encoder, unfold

PARAMETERS = {"tiny": 2_550_754, "small": 9_798_754, "small_deep": 19_284_706}


def texts_of(batch, channels, width=384):
    generator = torch.Generator().manual_seed(3)
    return ChannelTexts(
        embeddings_UE=torch.randn(channels, width, generator=generator),
        index_BC=torch.arange(channels).expand(batch, -1),
    )


@pytest.mark.parametrize("name", PRESETS)
def test_presets_fill_what_is_not_given(name):
    settings = parse(Config, {"preset": name, "dropout": 0.3})
    assert settings.width == PRESETS[name]["width"]
    assert settings.dropout == 0.3
    assert parse(Config, to_plain(settings)) == settings
    assert parse(Config, {"preset": name, "num_layers": 1}).num_layers == 1


@pytest.mark.parametrize("name", PARAMETERS)
def test_sizes_have_the_published_number_of_parameters(name):
    with torch.device("meta"):
        encoder = Encoder(Config(preset=name))
    assert sum(p.numel() for p in encoder.parameters()) == PARAMETERS[name]


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"preset": "smal"}, 'Did you mean "small"'),
        ({"width": 36}, "multiple of num_heads"),
        ({"kernel_sizes": [4]}, "must be odd"),
        ({"tokenizer": "spectral"}, "spectral_temporal"),
    ],
)
def test_wrong_settings_are_refused(settings, text):
    with pytest.raises(ConfigError, match=text):
        parse(Config, settings)


@pytest.mark.parametrize("tokenizer", ["cnn", "spectral_temporal"])
def test_tokens_lie_on_the_grid(tokenizer):
    batch = make_batch()
    encoder = make_encoder(tokenizer=tokenizer)
    tokens = encoder(batch)
    assert tokens.grid.axes == ("time", "channel")
    assert tokens.grid.sizes == (4, 6)
    assert tokens.grid.seconds_per_step == 1.0
    assert tokens.features_BND.shape == (3, 24, 32)
    assert tokens.mask_BN.sum(1).tolist() == [24, 6, 6]
    features = unfold(tokens)
    torch.testing.assert_close(
        features, encoder.encode(encoder.prepare(batch)), atol=1e-6, rtol=1e-6
    )
    torch.testing.assert_close(tokens.pooled_BD[1], features[1, :2, :3].mean((0, 1)))


def test_hidden_patches_are_hidden():
    encoder, patches = make_encoder(), make_patches()
    masked = torch.zeros(2, 5, dtype=torch.bool)
    masked[0, 2] = True
    changed = patches.values_BPNC.clone()
    changed[0, 2] += 1
    hidden = encoder.encode(patches, masked_BP=masked)
    same = encoder.encode(patches.with_values(changed), masked_BP=masked)
    assert torch.equal(hidden, same)
    assert not torch.equal(hidden, encoder.encode(patches))


def test_dropped_channels_are_hidden():
    encoder, patches = make_encoder(), make_patches()
    dropped = torch.tensor([[False, True, False], [False] * 3])
    changed = patches.values_BPNC.clone()
    changed[0, :, :, 1] += 1
    hidden = encoder.encode(patches, dropped_BC=dropped)
    assert torch.equal(hidden, encoder.encode(patches.with_values(changed), dropped_BC=dropped))


def test_everything_may_be_hidden():
    encoder, patches = make_encoder(), make_patches()
    assert torch.isfinite(
        encoder.encode(patches, masked_BP=torch.ones(2, 5, dtype=torch.bool))
    ).all()


def test_padded_patches_are_seen_only_by_the_quirk():
    patches = make_patches()
    mask = patches.mask_BP.clone()
    mask[:, 4:] = False
    padded = dataclasses.replace(patches, mask_BP=mask)
    short = dataclasses.replace(
        patches, values_BPNC=patches.values_BPNC[:, :4], mask_BP=mask[:, :4]
    )
    encoder = make_encoder()
    torch.testing.assert_close(
        encoder.encode(padded)[:, :4], encoder.encode(short), atol=1e-5, rtol=1e-5
    )
    quirky = make_encoder(upstream_quirks=("attend_to_padded_patches",))
    quirky.load_state_dict(encoder.state_dict())
    difference = (quirky.encode(padded)[:, :4] - encoder.encode(short)).abs().max()
    assert difference > 1e-4


def test_a_causal_mask_looks_back_only():
    encoder, patches = make_encoder(), make_patches()
    causal = torch.ones(5, 5).tril()
    changed = patches.values_BPNC.clone()
    changed[:, 3:] += 1
    first = encoder.encode(patches, temporal_mask_PP=causal)
    second = encoder.encode(patches.with_values(changed), temporal_mask_PP=causal)
    torch.testing.assert_close(first[:, :3], second[:, :3], atol=1e-6, rtol=1e-5)
    assert (first[:, 3:] - second[:, 3:]).abs().max() > 1e-3


def test_order_of_channels_does_not_matter_without_texts_but_texts_tell_them_apart():
    encoder, patches = make_encoder(), make_patches()
    order = [2, 0, 1]
    swapped = patches.with_values(patches.values_BPNC[..., order])
    plain = encoder.encode(patches)[:, :, order]
    torch.testing.assert_close(encoder.encode(swapped), plain, atol=1e-5, rtol=1e-4)
    texts = texts_of(2, 3)
    assert (
        encoder.encode(swapped, texts=texts) - encoder.encode(patches, texts=texts)[:, :, order]
    ).abs().max() > 1e-4
    moved = ChannelTexts(embeddings_UE=texts.embeddings_UE, index_BC=texts.index_BC[:, order])
    torch.testing.assert_close(
        encoder.encode(swapped, texts=moved),
        encoder.encode(patches, texts=texts)[:, :, order],
        atol=1e-5,
        rtol=1e-4,
    )


@pytest.mark.parametrize("chunk", [1, 2, 5])
def test_patch_chunks_change_nothing(chunk):
    encoder, chunked = make_encoder(), make_encoder(patch_chunk_size=chunk)
    chunked.load_state_dict(encoder.state_dict())
    patches = make_patches()
    torch.testing.assert_close(
        chunked.encode(patches), encoder.encode(patches), atol=1e-6, rtol=1e-5
    )


def test_durations_are_drawn_only_while_training():
    encoder = make_encoder(processor={"patch_range": {"min_s": 0.5, "max_s": 1.0, "step_s": 0.1}})
    batch = make_batch((200,) * 8, (3,) * 8)
    assert encoder.prepare(batch).patch_s_B.unique().tolist() == [1.0]
    drawn = encoder.train().prepare(batch).patch_s_B
    assert len(drawn.unique()) > 1
    assert (
        encoder.tokens(
            torch.zeros(8, 8, 3, 32),
            dataclasses.replace(encoder.prepare(batch), mask_BP=torch.ones(8, 8, dtype=torch.bool)),
        ).grid.seconds_per_step
        is None
    )


def test_too_long_a_window_and_a_missing_stream_are_refused():
    with pytest.raises(DataError, match="max_positions"):
        make_encoder(max_positions=3)(make_batch())
    with pytest.raises(DataError, match='no stream "wrist"'):
        make_encoder(stream="wrist")(make_batch())


def test_levels_reach_real_tokens_but_not_hidden_ones():
    encoder = make_encoder(has_levels=True)
    patches = make_patches(batch=1, patches=3, channels=2)
    levels = torch.zeros(1, 3, 2, 2)
    known = dataclasses.replace(patches, levels_BPC2=levels)
    other = dataclasses.replace(patches, levels_BPC2=levels + 1.0)
    hidden = torch.tensor([[False, True, False]])
    with torch.no_grad():
        first = encoder.embed_patches(known, masked_BP=hidden)
        second = encoder.embed_patches(other, masked_BP=hidden)
    assert (first[:, 1] == second[:, 1]).all()
    assert (first[:, [0, 2]] != second[:, [0, 2]]).any()
    with pytest.raises(DataError, match="has_levels"):
        encoder.embed_patches(patches)
