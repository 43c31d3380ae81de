import dataclasses

import pytest
import torch
from tests.support.evi_data import make_batch

from otolith.core.config import parse
from otolith.core.errors import CheckpointError, ConfigError, DataError
from otolith.systems.evi_mae_classifier import Config, System

LABELS = ("walk", "sit", "cook")
TARGETS = torch.tensor([[1.0, 0, 1], [0, 1, 0], [0, 0, 1], [1, 0, 0]])


def make(**settings):
    torch.manual_seed(0)
    return System(parse(Config, {"preset": "debug", "labels": LABELS, **settings}))


def batch(**targets):
    return dataclasses.replace(make_batch(4), targets=targets or {"multi_label": TARGETS})


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"two_streams": True},
        {"encoder": {"preset": "debug", "graph": None}, "mode": "video_of_both"},
        {"mode": "imu_of_both"},
        {"encoder": {"preset": "debug", "modalities": "imu"}, "mode": "imu"},
        {"encoder": {"preset": "debug", "modalities": "video", "graph": None}, "mode": "video"},
    ],
)
def test_every_mode_gives_logits_and_learns(settings):
    system = make(**settings).train()
    data = batch()
    assert system.classify(data).shape == (4, 3)
    optimizer = torch.optim.Adam(system.parameters(), lr=3e-3)
    losses = []
    for _ in range(8):
        torch.manual_seed(2)
        loss = system.loss(data)
        optimizer.zero_grad()
        loss.total.backward()
        optimizer.step()
        losses.append(loss.total.item())
    assert losses[-1] < losses[0]
    assert ("graph" in loss.parts) == settings.get("two_streams", False)


def test_smoothing_and_binary_cross_entropy():
    system = make(encoder={"preset": "debug", "graph": None}).eval()
    data = batch()
    soft = torch.where(TARGETS > 0, 0.9, 0.1 / 3)
    expected = torch.nn.functional.binary_cross_entropy_with_logits(system.classify(data), soft)
    torch.testing.assert_close(system.loss(data).total, expected)


def test_two_streams_pull_the_graph_towards_the_first_head():
    system = make(two_streams=True, agreement_weight=1.0).eval()
    plain = make(two_streams=True, agreement_weight=0.0).eval()
    data = batch()
    logits, graph = system.logits(system.encoder.prepare(data), "both")
    apart = (logits - graph).square().mean()
    torch.testing.assert_close(system.loss(data).total - plain.loss(data).total, apart)


def test_unlabelled_samples_do_not_count():
    system = make(target="label").eval()
    few = batch(label=torch.tensor([0, -1, 2, -1]))
    loss = system.loss(few)
    alone = system.loss(batch(label=torch.tensor([0, 1, 2, -1])))
    assert torch.isfinite(loss.total)
    assert loss.per_sample_B is None
    assert not torch.equal(loss.total, alone.total)
    labels = torch.tensor([0, 1, 2, 0])
    hot = torch.nn.functional.one_hot(labels, 3).float()
    torch.testing.assert_close(
        system.loss(batch(label=labels)).total, make().eval().loss(batch(multi_label=hot)).total
    )


def test_heads_learn_faster_and_every_parameter_is_in_one_group():
    system = make(two_streams=True)
    encoder, heads = system.parameter_groups()
    assert heads["lr_scale"] == 100.0
    grouped = [id(p) for g in (encoder, heads) for p in g["params"]]
    assert sorted(grouped) == sorted(id(p) for p in system.parameters())


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"labels": ("a", "a")}, "labels must differ"),
        ({"mode": "video"}, "no sensors for the graph"),
        ({"encoder": {"preset": "debug", "modalities": "imu"}}, "needs encoder.modalities both"),
        (
            {"two_streams": True, "encoder": {"preset": "debug", "graph": None}},
            "needs encoder.graph",
        ),
    ],
)
def test_settings_that_contradict_are_refused(settings, words):
    with pytest.raises(ConfigError, match=words):
        make(**settings)


def test_official_weights_go_both_ways():
    system = make(
        two_streams=True,
        encoder={"preset": "debug", "imu": {"preset": "debug", "statistics": "fixed"}},
    ).eval()
    settings = {
        "video": {"img_size": 32, "encoder_num_heads": 2},
        "imu": {"target_length": 64, "plot_height": 32, "encoder_num_heads": 2},
        "labels": LABELS,
    }
    back, report = System.from_official(system.to_official(), settings)
    assert not report.missing
    assert not report.unexpected
    assert back.config.two_streams
    torch.testing.assert_close(back.eval().classify(batch()), system.classify(batch()))
    with pytest.raises(CheckpointError, match="2 labels for 3 classes"):
        System.from_official(system.to_official(), {**settings, "labels": ("a", "b")})
    with pytest.raises(CheckpointError, match="no mlp_head"):
        System.from_official({}, {})


@pytest.mark.parametrize("kind", ["imu", "video"])
def test_a_model_of_one_modality_converts_back(kind):
    graph = {"graph": None} if kind == "video" else {}
    system = make(mode=kind, encoder={"preset": "debug", "modalities": kind, **graph}).eval()
    back, report = System.from_official(system.to_official(), system.official_settings())
    assert not report.missing
    assert not report.unexpected
    assert back.config.mode == kind
    assert back.labels == system.labels
    torch.testing.assert_close(back.eval().classify(batch()), system.classify(batch()))


def test_embedding_is_what_the_head_reads():
    system = make().eval()
    data = batch()
    torch.testing.assert_close(system.head(system.embed(data)), system.classify(data))


def test_what_a_mode_does_not_read_need_not_be_there():
    motion = make(mode="imu").eval()
    assert motion.classify(make_batch(2, camera=None)).shape == (2, len(motion.labels))
    film = make(mode="video", encoder={"preset": "debug", "graph": None}).eval()
    assert film.classify(make_batch(2, imu=None)).shape == (2, len(film.labels))
    both = make(mode="both").eval()
    with pytest.raises(DataError, match="camera"):
        both.classify(make_batch(2, camera=None))


def test_tokens_lie_side_by_side():
    system = make(mode="both").eval()
    config, batch = system.config.encoder, make_batch(3)
    num_tokens = system.encoder.imu.num_tokens + system.encoder.video.num_tokens
    tokens = system.tokens(batch)
    assert tokens.shape == (3, num_tokens * config.width + config.graph.width)
    inputs = system.encoder.prepare(batch)
    first = system.encoder.encode_imu(inputs).flatten(1)
    assert torch.equal(tokens[:, : first.shape[1]], first)
    alone = make(mode="imu").eval().tokens(batch)
    assert alone.shape[1] == first.shape[1] + config.graph.width
