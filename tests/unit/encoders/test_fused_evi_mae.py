import pytest
import torch
from tests.support.evi_data import make_batch

from otolith.core.config import parse
from otolith.core.errors import ConfigError
from otolith.encoders.fused_evi_mae import Config, Encoder


def make(**settings):
    torch.manual_seed(0)
    return Encoder(parse(Config, {"preset": "debug", **settings})).eval()


@pytest.mark.parametrize(
    ("modalities", "graph", "num_tokens", "width"),
    [
        ("both", {"width": 16}, 8 + 32, 32),
        ("both", None, 40, 16),
        ("imu", {"width": 16, "net": "gat"}, 8, 32),
        ("video", None, 32, 16),
    ],
)
def test_every_setting_gives_tokens(modalities, graph, num_tokens, width):
    encoder = make(modalities=modalities, graph=graph)
    tokens = encoder(make_batch())
    assert tokens.features_BND.shape == (2, num_tokens, 16)
    assert tokens.pooled_BD.shape == (2, width) == (2, encoder.config.pooled_width)
    assert torch.isfinite(tokens.pooled_BD).all()
    assert (encoder.imu is None, encoder.video is None) == (
        modalities == "video", modalities == "imu",
    )  # fmt: skip


def test_one_modality_needs_no_stream_of_the_other():
    assert make(modalities="imu")(make_batch(camera=None)).pooled_BD.shape == (2, 32)
    assert make(modalities="video", graph=None)(make_batch(imu=None)).pooled_BD.shape == (2, 16)


def test_a_batch_of_one_is_a_row():
    encoder = make()
    both = encoder(make_batch(2)).features_BND
    inputs = encoder.prepare(make_batch(2))
    alone = encoder.latent(
        type(inputs)(
            imu_BNV=inputs.imu_BNV[1:], sensor_mask_BS=inputs.sensor_mask_BS[1:],
            video_BNV=inputs.video_BNV[1:],
        )
    )  # fmt: skip
    torch.testing.assert_close(alone[0], both[1], atol=1e-5, rtol=1e-4)


def test_the_unified_block_is_skipped_on_request_alone():
    inputs = make(modalities="imu").prepare(make_batch())
    used = make(modalities="imu")
    skipped = make(modalities="imu", upstream_quirks=("skip_unified_block",))
    torch.testing.assert_close(skipped.latent(inputs), skipped.encode_imu(inputs))
    torch.testing.assert_close(used.latent(inputs), used.unify(used.encode_imu(inputs), "imu"))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"modalities": "video"}, "set graph to null"),
        ({"imu": {"width": 24}}, "video.width or twice that"),
    ],
)
def test_settings_that_contradict_are_refused(settings, words):
    with pytest.raises(ConfigError, match=words):
        parse(Config, {"preset": "debug", **settings})


def test_equal_widths_are_not_averaged():
    encoder = make(imu={"preset": "debug", "width": 16})
    inputs = encoder.prepare(make_batch())
    torch.testing.assert_close(
        encoder.encode_imu(inputs), encoder.imu.encode(inputs.imu_BNV, inputs.sensor_mask_BS)
    )


def test_sets_are_unified_together_as_alone():
    encoder = make()
    tokens = {"joint": torch.randn(2, 7, 16), "video": torch.randn(2, 5, 16)}
    found = encoder.unify_sets(tokens)
    for name, x in tokens.items():
        torch.testing.assert_close(found[name], encoder.unify(x, name))


def test_without_a_graph_there_are_no_nodes():
    encoder = make(graph=None)
    inputs = encoder.prepare(make_batch())
    features, nodes = encoder.encode_imu_and_nodes(inputs)
    torch.testing.assert_close(features, encoder.encode_imu(inputs))
    assert nodes is None
    features, nodes = make(modalities="video", graph=None).encode_imu_and_nodes(inputs)
    assert features is nodes is None
