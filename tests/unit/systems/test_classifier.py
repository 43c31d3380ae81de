"""A linear layer on any system: loss, rates by depth, frozen base, saving."""

import numpy as np
import pytest
import torch
from tests.support.tasks_data import LABELS, ToyComponent, ToyConfig, ToySystem, make_recording

from otolith.core.config import Selected
from otolith.core.errors import ConfigError
from otolith.systems import SYSTEMS
from otolith.systems.classifier import Config, System
from otolith.training.checkpoints import load_model_folder, save_model
from otolith.windows.dataset import WindowDataset
from otolith.windows.memory import memory_part
from otolith.windows.spec import WindowSpec


@pytest.fixture(autouse=True)
def toy_registered():
    SYSTEMS.register("toy_text", ToyComponent)
    yield
    SYSTEMS.unregister("toy_text")


def make(**settings):
    torch.manual_seed(0)
    base = ToySystem(ToyConfig())
    chosen = Config(
        base=Selected(SYSTEMS, "toy_text", base.config), width=4, labels=LABELS, **settings
    )
    return System(chosen, base)


@pytest.fixture(scope="module")
def batch():
    part = memory_part([make_recording(seconds=10.0)], labels=LABELS)
    return WindowDataset([part], WindowSpec(window_s=5.0)).batch(np.arange(6), 0)


def test_the_rates_fall_towards_the_input():
    groups = make(layer_decay=0.5, head_lr_scale=7.0).parameter_groups()
    scale = {g["name"]: g["lr_scale"] for g in groups}
    assert scale["base-1"] == 0.5
    assert scale["base-2"] == 0.25
    assert scale["base-3"] == 0.125
    assert scale["head"] == 7.0
    assert all(g["weight_decay"] == 0.0 for g in groups if g["name"].endswith("no-decay"))


def test_every_trained_parameter_is_in_one_group():
    system = make()
    grouped = [id(p) for g in system.parameter_groups() for p in g["params"]]
    assert len(grouped) == len(set(grouped))
    assert set(grouped) == {id(p) for p in system.parameters()}


def test_a_frozen_base_stays_as_it_is(batch):
    system = make(freeze="base").train()
    assert not system.base.training
    assert [g["name"] for g in system.parameter_groups()] == ["head"]
    system.loss(batch).total.backward()
    assert system.head.weight.grad is not None
    assert all(p.grad is None for p in system.base.parameters())


def test_samples_without_label_are_left_out(batch):
    system = make(dropout=0.0).eval()
    known = system.loss(batch)
    target = batch.targets["label"]
    batch.targets["label"] = torch.where(torch.arange(6) < 3, target, -1)
    try:
        some = system.loss(batch)
    finally:
        batch.targets["label"] = target
    assert some.per_sample_B is None
    torch.testing.assert_close(some.total, known.per_sample_B[:3].mean())
    torch.testing.assert_close(known.total, known.per_sample_B.mean())


def test_class_weights_make_the_loss_a_weighted_mean(batch):
    system = make(class_weights=(1.0, 2.0, 4.0), dropout=0.0).eval()
    loss = system.loss(batch)
    target = batch.targets["label"]
    weights = torch.tensor([1.0, 2.0, 4.0])[target]
    plain = torch.nn.functional.cross_entropy(system.classify(batch), target, reduction="none")
    torch.testing.assert_close(loss.total, (weights * plain).sum() / weights.sum())


def test_weights_and_labels_survive_saving(tmp_path, batch):
    system = make().eval()
    save_model(tmp_path / "model", "classifier", system, {})
    loaded, _ = load_model_folder(tmp_path / "model")
    assert loaded.labels == LABELS
    with torch.inference_mode():
        torch.testing.assert_close(loaded.classify(batch), system.classify(batch))
        torch.testing.assert_close(loaded.embed(batch), system.embed(batch))


@pytest.mark.parametrize(
    "bad", [{"labels": ("a",)}, {"labels": ("a", "a")}, {"class_weights": (1.0,)}]
)
def test_contradictions_are_refused(bad):
    base = Selected(SYSTEMS, "toy_text", ToyConfig())
    with pytest.raises(ConfigError):
        System(Config(**{"base": base, "width": 4, "labels": LABELS, **bad}))
