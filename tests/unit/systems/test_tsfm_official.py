"""Names and shapes of the authors' full-size encoders and Stage-1 checkpoints, both ways."""

import json

import pytest
import torch
from tests.golden.harness import SHARED

from otolith.core.errors import CheckpointError
from otolith.encoders.imu_tsfm import PRESETS, Config, Encoder
from otolith.systems._tsfm_official import (
    SINUSOID_KEY,
    encoder_config,
    encoder_to_official,
    load_encoder,
    tokenizer_of,
)
from otolith.systems.tsfm_pretrain import System

FULL_KEYS = SHARED / "golden" / "tsfm" / "full_keys.json"
SIZES = [name for name in PRESETS if name != "debug"]


def full_keys(name):
    """State dict of a full-size checkpoint on the meta device."""
    if not FULL_KEYS.exists():
        pytest.skip("no table of the authors' keys on this machine")
    entries = json.loads(FULL_KEYS.read_text())["checkpoints"][name]["model_state_dict"]
    return {
        key: torch.empty(entry["shape"], dtype=getattr(torch, entry["dtype"]), device="meta")
        for key, entry in entries.items()
    }


def shapes(state):
    return {key: (tuple(value.shape), value.dtype) for key, value in state.items()}


@pytest.mark.parametrize("size", SIZES)
def test_every_key_of_stage_1_is_used_and_given_back(size, monkeypatch):
    state = full_keys(f"stage1/{size}")
    monkeypatch.setattr(System, "load_state_dict", lambda *a, **k: None)
    with torch.device("meta"):
        system, report = System.from_official(state, {})
    assert report.unexpected == ()
    assert report.missing == ()
    assert set(report.loaded) | set(report.ignored) == set(state)
    assert list(report.ignored) == [f"encoder.{SINUSOID_KEY}"]
    settings = {k: getattr(system.config.encoder, k) for k in PRESETS[size]}
    assert settings == PRESETS[size]
    assert shapes(system.to_official()) == shapes(state)


@pytest.mark.parametrize("size", SIZES)
def test_encoders_of_stage_2_are_used_and_given_back(size):
    state = {
        key.removeprefix("encoder."): value
        for key, value in full_keys(f"stage2/{size}").items()
        if key.startswith("encoder.")
    }
    config = encoder_config(state, {})
    assert config.channel_text_width is None
    with torch.device("meta"):
        encoder = Encoder(config)
    assert shapes(encoder_to_official(encoder)) == shapes(state)


def official_debug(**settings):
    torch.manual_seed(0)
    encoder = Encoder(Config(preset="debug", **settings))
    for p in encoder.parameters():
        p.data.add_(torch.randn_like(p))
    return encoder, encoder_to_official(encoder)


@pytest.mark.parametrize("tokenizer", ["cnn", "spectral_temporal"])
@pytest.mark.parametrize("has_channel_attention", [True, False])
@pytest.mark.parametrize("channel_text_width", [None, 32, 48])
def test_round_trip_of_values(tokenizer, has_channel_attention, channel_text_width):
    encoder, official = official_debug(
        tokenizer=tokenizer,
        has_channel_attention=has_channel_attention,
        channel_text_width=channel_text_width,
        kernel_sizes=(3, 5),
    )
    config = encoder_config(official, {"num_heads": 2})
    again = Encoder(config)
    report = load_encoder(again, official)
    assert (report.missing, report.unexpected) == ((), ())
    for key, value in encoder.state_dict().items():
        assert torch.equal(again.state_dict()[key], value), key
    for key, value in encoder_to_official(again).items():
        assert torch.equal(official[key], value), key


def test_another_tokenizer_is_refused():
    _, official = official_debug(tokenizer="spectral_temporal")
    encoder = Encoder(Config(preset="debug"))
    with pytest.raises(CheckpointError, match='tokenizer "spectral_temporal", the model has "cnn"'):
        load_encoder(encoder, official)


def test_contradicting_settings_are_refused():
    _, official = official_debug()
    with pytest.raises(CheckpointError, match="feature_extractor_type = spectral_temporal"):
        encoder_config(official, {"num_heads": 2, "feature_extractor_type": "spectral_temporal"})
    with pytest.raises(CheckpointError, match="num_temporal_layers = 7"):
        encoder_config(official, {"config": {"num_heads": 2, "num_temporal_layers": 7}})


def test_unknown_heads_other_tables_and_other_models_are_refused():
    encoder, official = official_debug()
    with pytest.raises(CheckpointError, match="number of attention heads"):
        encoder_config(official, {})
    with pytest.raises(CheckpointError, match="not the sinusoid"):
        load_encoder(encoder, official | {SINUSOID_KEY: official[SINUSOID_KEY] + 1})
    with pytest.raises(CheckpointError, match="no TSFM tokenizer"):
        tokenizer_of({"a": torch.zeros(1)})
