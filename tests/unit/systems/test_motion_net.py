"""Two networks that vote: loss, labels, and what training draws."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.support.motion_data import walk
from tests.support.tasks_data import make_part, make_recording
from tests.support.tsfm_data import make_batch, take

from otolith.core.config import parse
from otolith.core.errors import CheckpointError, ConfigError
from otolith.systems import SYSTEMS, motion_net
from otolith.systems.motion_net import joined
from otolith.tasks._model import Model, load_model
from otolith.training.checkpoints import save_model

TINY = {"encoder": {"conv_width": 4, "slots": 4, "signal_width": 8}, "hidden_width": 8}


def build(labels=("a", "b", "c"), **settings):
    torch.manual_seed(0)
    encoder = {"name": "imu_device_motion", **TINY["encoder"]}
    plain = {**TINY, "labels": list(labels), "encoder": encoder, **settings}
    return motion_net.System(parse(motion_net.Config, plain))


def batch_of(labels=(0, 1, 2, 1), rows=60):
    num = len(labels)
    batch = make_batch((rows,) * num, (6,) * num, 20.0)
    values = torch.as_tensor(walk(num, rows), dtype=torch.float32)
    stream = replace(batch.streams["imu"], values=values)
    return replace(batch, streams={"imu": stream}, targets={"label": torch.tensor(labels)})


def test_the_published_size_has_less_than_200_000_parameters():
    system = motion_net.System(parse(motion_net.Config, {"labels": list("abcdefghijkl")}))
    assert 100_000 < sum(p.numel() for p in system.parameters()) < 200_000


def test_votes_are_multiplied():
    system, batch = build().eval(), batch_of()
    first, second = system.votes(system.encoder.views(batch), batch.keys_B)
    product = first.softmax(1) * second.softmax(1)
    expected = product / product.sum(1, keepdim=True)
    torch.testing.assert_close(system.classify(batch).exp(), expected)
    torch.testing.assert_close(joined(first, second).exp().sum(1), torch.ones(4))


def test_the_loss_is_that_of_both_networks_over_labelled_samples():
    system, batch = build(label_smoothing=0.0).eval(), batch_of((0, 2, 1, -1))
    votes = system.votes(system.encoder.views(batch), batch.keys_B)
    target = batch.targets["label"][:3]
    expected = sum(torch.nn.functional.cross_entropy(v[:3], target) for v in votes)
    out = system.loss(batch)
    torch.testing.assert_close(out.total, expected)
    right = (system.classify(batch)[:3].argmax(1) == target).float().mean()
    torch.testing.assert_close(out.parts["accuracy"], right)
    assert out.per_sample_B is None
    assert system.loss(batch_of()).per_sample_B.shape == (4,)


def test_nothing_known_gives_loss_zero():
    out = build().loss(batch_of((-1, -1)))
    out.total.backward()
    assert out.total == 0


def test_every_weight_learns():
    system = build().train()
    system.loss(batch_of()).total.backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in system.parameters())
    named = system.parameter_groups()
    assert sum(len(g["params"]) for g in named) == len(list(system.parameters()))
    assert named[1]["weight_decay"] == 0.0
    assert all(p.ndim == 1 for p in named[1]["params"])


def test_training_draws_follow_keys_and_seed():
    system, batch = build().train(), batch_of()
    losses = []
    for keys in (batch.keys_B, batch.keys_B, batch.keys_B + np.uint64(1)):
        torch.manual_seed(1)
        losses.append(system.loss(replace(batch, keys_B=keys)).total.item())
    assert losses[0] == pytest.approx(losses[1], abs=1e-6)
    assert losses[0] != pytest.approx(losses[2], abs=1e-6)


def test_warm_up_measures_once():
    system = build()
    system.warm_up([batch_of()])
    mean = system.encoder.mean.clone()
    assert mean.abs().sum() > 0
    system.warm_up([take(batch_of(), [0])])
    assert torch.equal(system.encoder.mean, mean)


def test_embedding_is_what_the_last_layers_see():
    system, batch = build().eval(), batch_of()
    features = system.embed(batch)
    assert features.shape == (4, 16)
    torch.testing.assert_close(
        system.signal_head(features[:, :8]),
        system.votes(system.encoder.views(batch), batch.keys_B)[0],
    )


def test_a_saved_model_labels_a_recording(tmp_path):
    save_model(tmp_path / "net", "motion_net", build(("standing", "walking")).eval(), {})
    model = load_model(tmp_path / "net")
    assert model.labels == ("standing", "walking")
    assert not model.has_text
    found = model.label(make_recording(seconds=6.0))
    assert found.labels == ("standing", "walking")
    assert "knows its labels" in found.how


def test_fine_tuning_takes_it_as_a_base(tmp_path):
    from otolith.tasks import fine_tune

    part = make_part(tmp_path, 3)
    settings = {"folds": 3, "validation_folds": 2, "training": {"epochs": 1, "batch_size": 16}}
    chosen = parse(fine_tune.Config, settings)
    result = fine_tune.evaluate(
        Model("net", build().eval(), system_name="motion_net"), part, chosen
    )
    assert 0.0 <= result.accuracy <= 1.0


def test_a_system_without_classes_says_so():
    chosen = SYSTEMS.get("statistics")
    system = chosen.System(chosen.Config())
    assert system.labels == ()
    with pytest.raises(CheckpointError, match="no classes of its own for the 4 samples"):
        system.classify(batch_of())


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"labels": ["a"]}, "labels"),
        ({"labels": ["a", "a"]}, "class twice"),
        ({"labels": ["a", "b"], "encoder": "imu_motion"}, "must be imu_device_motion"),
    ],
)
def test_wrong_settings_are_refused(settings, words):
    with pytest.raises(ConfigError, match=words):
        parse(motion_net.Config, settings)
