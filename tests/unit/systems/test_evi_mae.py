import dataclasses

import pytest
import torch
from tests.support.evi_data import DEBUG, make_batch, motion

from otolith.core.config import parse, to_plain
from otolith.core.errors import CheckpointError, ConfigError, DataError
from otolith.core.files import read_json
from otolith.systems import _evi_official
from otolith.systems._convert import export_official, import_official
from otolith.systems._official import settings_path
from otolith.systems.evi_mae import Config, System

OFFICIAL = {
    "video": {"img_size": 32, "encoder_num_heads": 2, "decode_num_heads": 2},
    "imu": {"target_length": 64, "plot_height": 32, "encoder_num_heads": 2},
}


def make(**settings):
    torch.manual_seed(0)
    return System(parse(Config, {**DEBUG, **settings}))


@pytest.mark.parametrize(
    "encoder",
    [
        {"preset": "debug"},
        {"preset": "debug", "graph": None},
        {"preset": "debug", "modalities": "imu"},
        {"preset": "debug", "modalities": "imu", "upstream_quirks": ["skip_unified_block"]},
        {"preset": "debug", "modalities": "video", "graph": None},
    ],
)
def test_every_modality_setting_learns(encoder):
    system = make(encoder=encoder).train()
    optimizer = torch.optim.Adam(system.parameters(), lr=3e-3)
    batch, losses = make_batch(4), []
    for _ in range(6):
        torch.manual_seed(1)
        loss = system.loss(batch)
        optimizer.zero_grad()
        loss.total.backward()
        optimizer.step()
        losses.append(loss.total.item())
    assert losses[-1] < losses[0]
    names = {"reconstruction_imu", "reconstruction_video", "contrast", "graph"}
    expected = {
        "imu": {"reconstruction_imu", "graph"},
        "video": {"reconstruction_video"},
    }.get(encoder.get("modalities", "both"), names)
    if "graph" in encoder:
        expected = expected - {"graph"}
    assert set(loss.parts) - {"contrast_accuracy"} == expected
    assert loss.per_sample_B.shape == (4,)


def test_gradient_reaches_every_parameter():
    system = make().train()
    system.loss(make_batch(4)).total.backward()
    lost = [name for name, p in system.named_parameters() if p.grad is None]
    assert not lost


def test_the_loss_is_the_weighted_sum_of_its_parts():
    system = make(reconstruction_weight=2.0, contrast_weight=0.5, graph_weight=3.0).eval()
    loss = system.loss(make_batch(4))
    parts = loss.parts
    expected = 2.0 * (parts["reconstruction_imu"] + parts["reconstruction_video"])
    expected = expected + 0.5 * parts["contrast"] + 3.0 * parts["graph"]
    torch.testing.assert_close(loss.total.detach(), expected)


def test_masks_follow_the_keys():
    system = make().eval()
    first, again = (system.loss(make_batch(4)).total for _ in range(2))
    assert torch.equal(first, again)
    batch = make_batch(4)
    other = dataclasses.replace(batch, keys_B=make_batch(4, epoch=1).keys_B)
    assert not torch.equal(first, system.loss(other).total)


def test_a_modality_is_contrasted_with_itself_on_request_alone():
    encoder = {"preset": "debug", "modalities": "imu"}
    assert "contrast" not in make(encoder=encoder).loss(make_batch(4)).parts
    quirky = make(encoder=encoder, upstream_quirks=["contrast_with_itself"])
    assert "contrast" in quirky.loss(make_batch(4)).parts


def test_a_missing_sensor_is_not_reconstructed():
    system = make().eval()
    stream = motion(4)
    mask = stream.channel_mask_BC.clone()
    mask[1, 6:9] = False
    lost = dataclasses.replace(stream, channel_mask_BC=mask)
    values = stream.values.clone()
    values[1, :, 6:9] = 77.0
    noisy = dataclasses.replace(lost, values=values)
    first, second = (system.loss(make_batch(4, imu=s)) for s in (lost, noisy))
    assert torch.isfinite(first.total)
    assert torch.equal(first.total, second.total)


@pytest.mark.parametrize("masking", [{"imu_ratio": 0.95}, {"video_ratio": 0.0}])
def test_masks_that_leave_nothing_to_do_are_refused(masking):
    with pytest.raises(ConfigError, match="tokens visible"):
        make(masking=masking)


def test_another_number_of_channels_is_one_sentence():
    system = make()
    with pytest.raises(DataError, match="6 motion channels, the decoder 12"):
        system.loss(make_batch(imu=motion(num_sensors=2)))


def test_statistics_are_measured_once():
    system = make()
    batches = [make_batch(4, seed=s) for s in range(3)]
    system.warm_up(batches)
    count, mean, std = system.encoder.imu.statistics_3.tolist()
    assert count == 3 * 4 * 12 * 64 * 32
    assert std > 1.0
    maps = torch.cat([system.eval().encoder.imu.prepare(b).values_BCTF for b in batches])
    assert maps.mean() == pytest.approx(0.0, abs=1e-3)
    assert maps.std() == pytest.approx(1.0, abs=1e-3)
    system.warm_up([make_batch(4, seed=9)])
    assert system.encoder.imu.statistics_3.tolist() == [count, mean, std]


def test_statistics_are_those_of_full_precision():
    quiet = motion(4)
    values = 9.8 + 0.01 * quiet.values
    batch = make_batch(4, imu=dataclasses.replace(quiet, values=values))
    system, halved = make(), make()
    system.warm_up([batch])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        halved.warm_up([batch])
    assert torch.equal(system.encoder.imu.statistics_3, halved.encoder.imu.statistics_3)


def test_embedding_and_settings_survive():
    system = make().eval()
    assert system.embed(make_batch()).shape == (2, 32)
    assert parse(Config, to_plain(system.config)) == system.config
    with pytest.raises(ConfigError, match="there is no preset"):
        parse(Config, {"preset": "tiny"})


def test_official_files_both_ways(tmp_path):
    system = make(encoder={"preset": "debug", "imu": {"preset": "debug", "statistics": "fixed"}})
    path = tmp_path / "evi.safetensors"
    count = export_official(system, path)
    back, report = import_official(path, "evi_mae", OFFICIAL)
    assert len(report.loaded) == count
    assert not report.missing
    assert not report.unexpected
    own = back.state_dict()
    for key, value in system.state_dict().items():
        assert torch.equal(own[key], value), key
    guessed, _ = import_official(path, "", OFFICIAL)
    assert isinstance(guessed, System)


def test_exported_weights_say_their_statistics(tmp_path):
    signals = {
        "preset": "debug",
        "signals": {
            "num_frames": 64,
            "num_bins": 32,
            "unit_m_s2": 2.0,
            "mean_db": -7.0,
            "std_db": 3.0,
        },
    }
    system = make(encoder={"preset": "debug", "imu": signals}).eval()
    system.warm_up([make_batch(4, seed=s) for s in range(2)])
    path = tmp_path / "back.safetensors"
    export_official(system, path)
    said = read_json(settings_path(path))
    _, mean, std = system.encoder.imu.statistics_3.tolist()
    assert said["dataset_mean"] == pytest.approx(-7.0 + 3.0 * mean)
    assert said["dataset_std"] == pytest.approx(3.0 * std)
    assert said["unit_m_s2"] == 2.0
    back, report = import_official(path, "evi_mae")
    assert not report.missing
    torch.testing.assert_close(
        back.embed(make_batch()), system.embed(make_batch()), atol=1e-4, rtol=1e-4
    )


@pytest.mark.parametrize("quirks", [(), ("skip_unified_block",)])
@pytest.mark.parametrize("kind", ["imu", "video"])
def test_a_model_of_one_modality_converts_back(tmp_path, kind, quirks):
    graph = {"graph": None} if kind == "video" else {}
    encoder = {"preset": "debug", "modalities": kind, "upstream_quirks": quirks, **graph}
    system = make(encoder=encoder).eval()
    path = tmp_path / "one.safetensors"
    count = export_official(system, path)
    back, report = import_official(path, "evi_mae")
    assert len(report.loaded) == count
    assert not report.missing
    assert back.config.encoder.modalities == kind
    assert back.config.encoder.upstream_quirks == quirks
    torch.testing.assert_close(back.embed(make_batch()), system.embed(make_batch()))
    settings_path(path).unlink()
    guessed, _ = import_official(path, "evi_mae", OFFICIAL)
    assert guessed.config.encoder.modalities == kind
    assert guessed.config.encoder.upstream_quirks == ("skip_unified_block",)
    other = {"pretrain_modality": "both", **OFFICIAL["video"]}
    with pytest.raises(CheckpointError, match=f"pretrain_modality = both, the weights hold {kind}"):
        import_official(path, "evi_mae", {**OFFICIAL, "video": other})


def test_files_of_another_kind_are_refused():
    with pytest.raises(CheckpointError, match="no decoder_embed.weight"):
        System.from_official({"mlp_head.1.weight": torch.zeros(3, 4)}, {})
    official = make().to_official()
    with pytest.raises(CheckpointError, match="heads of an EVI-MAE encoder"):
        System.from_official(official, {})
    with pytest.raises(CheckpointError, match="imu_graph_net = gat, the weights have gin"):
        System.from_official(
            official, {**OFFICIAL, "imu": {**OFFICIAL["imu"], "imu_graph_net": "gat"}}
        )


def test_videomae_weights_start_the_video_encoder():
    source = make()
    official = {
        key.removeprefix(_evi_official.WRAPPER): value
        for key, value in source.to_official().items()
    }
    weights = {
        "encoder." + key.replace("blocks_video.", "blocks."): value + 1.0
        for key, value in official.items()
        if key.startswith("blocks_video.")
    }
    weights["encoder.patch_embed.proj.weight"] = official["patch_embed_video.proj.weight"] + 1.0
    weights["encoder.norm.weight"] = torch.ones(16)
    weights["decoder.blocks.0.attn.q_bias"] = torch.ones(8)
    system, report = System.from_official(weights, {"preset": "debug"})
    assert set(report.ignored) == {"encoder.norm.weight", "decoder.blocks.0.attn.q_bias"}
    assert len(report.loaded) == len(weights) - 2
    assert report.missing
    torch.testing.assert_close(
        system.encoder.video.embed.weight, weights["encoder.patch_embed.proj.weight"]
    )
    key = "encoder.blocks.1.attn.qkv.weight"
    torch.testing.assert_close(system.encoder.video.blocks[1].attention.qkv.weight, weights[key])


def test_an_adapted_encoder_is_loaded_where_it_fits():
    official = make().to_official()
    part = {k: v for k, v in official.items() if ".blocks_" in k or "patch_embed" in k}
    part["module.blocks_a.0.norm1.weight"] = torch.zeros(5)
    system, report = System.from_official(part, {"preset": "debug", "is_partial": True})
    assert list(report.ignored) == ["blocks_a.0.norm1.weight"]
    assert "shape (5,)" in report.ignored["blocks_a.0.norm1.weight"]
    assert torch.equal(
        system.encoder.imu.embed.weight, official["module.patch_embed_a.proj.weight"]
    )
    with pytest.raises(CheckpointError, match="No weight of the file fits"):
        System.from_official({"a": torch.zeros(1)}, {"preset": "debug", "is_partial": True})
