"""LIMU-BERT with its GRU head: a classifier that is converted both ways."""

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.support.limu_data import official_encoder, official_gru, window_batch

from otolith.core.config import parse
from otolith.core.errors import CheckpointError
from otolith.systems import limu_bert_gru
from otolith.systems._convert import export_official, import_official
from otolith.systems.classifier import System as Classifier
from otolith.tasks._model import load_model
from otolith.tasks._people import EVERYONE, seen_people, used_labels
from otolith.training.checkpoints import load_model_folder, save_model

NAME = "limu_bert_gru"
LABELS = ["walk", "sit", "lie"]


def signals(num=3, steps=60):
    torch.manual_seed(0)
    return torch.randn(num, steps, 6)


@pytest.fixture
def files(tmp_path):
    save_file(official_encoder(60), tmp_path / "encoder.safetensors")
    save_file(official_gru(), tmp_path / "gru.safetensors")
    return tmp_path


def convert(files, **settings):
    given = {"encoder": str(files / "encoder.safetensors"), "labels": LABELS, **settings}
    return import_official(files / "gru.safetensors", NAME, given)


def test_head_and_encoder_become_one_classifier(files):
    system, report = convert(files)
    assert isinstance(system, Classifier)
    assert system.labels == tuple(LABELS)
    assert len(report.loaded) == 27 + 14
    assert report.missing == report.unexpected == ()
    tokens = system.base.encoder(window_batch(signals()))
    expected = system.head(tokens.features_BND, tokens.mask_BN)
    found = system.classify(window_batch(signals()))
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(found.exp().sum(1), torch.ones(3))


def test_it_goes_out_in_one_file_and_in_again(files):
    system, _ = convert(files)
    assert export_official(system, files / "both.safetensors") == 29 + 14
    both = load_file(files / "both.safetensors")
    head = official_gru()
    assert all(torch.equal(both[key], value) for key, value in head.items())
    again, _ = import_official(files / "both.safetensors", NAME, {"labels": LABELS})
    batch = window_batch(signals())
    assert torch.equal(again.classify(batch), system.classify(batch))


def test_it_is_saved_and_loaded_as_a_model(files):
    system, _ = convert(files, trained_on="hhar")
    save_model(files / "model", NAME, system, {})
    loaded, _ = load_model_folder(files / "model")
    assert loaded.official_training_data == ("hhar",)
    batch = window_batch(signals())
    assert torch.equal(loaded.eval().classify(batch), system.classify(batch))


def test_tasks_know_that_converted_weights_saw_labels(files):
    system, _ = convert(files, trained_on="hhar")
    save_model(files / "model", NAME, system, {"official": "gru_hhar.safetensors"})
    model = load_model(files / "model")
    assert model.labels == tuple(LABELS)
    assert used_labels(model.provenance)
    assert seen_people(model.provenance, "hhar") == {EVERYONE}
    assert not seen_people(model.provenance, "motion_sense")


def test_published_heads_know_their_classes(files):
    save_file(official_gru(num_classes=7), files / "gru.safetensors")
    system, _ = convert(files, labels=None, trained_on="shoaib")
    assert system.labels[:3] == ("walking", "sitting", "standing")
    with pytest.raises(CheckpointError, match="7 classes and the settings name 6"):
        convert(files, labels=None, trained_on="uci")
    with pytest.raises(CheckpointError, match="settings name 0"):
        convert(files, labels=None)


def test_what_is_missing_is_named(files):
    with pytest.raises(CheckpointError, match="no LIMU-BERT encoder"):
        convert(files, encoder=None)
    with pytest.raises(CheckpointError, match="There is no file"):
        convert(files, encoder=str(files / "none.safetensors"))
    with pytest.raises(CheckpointError, match=r"no lin0\.weight"):
        import_official(files / "encoder.safetensors", NAME, {})


def test_it_trains_from_scratch():
    settings = {
        "base": {"name": "limu_bert", "encoder": {"preset": "debug"}},
        "width": 16, "labels": ["a", "b"], "dropout": 0.0,
    }  # fmt: skip
    torch.manual_seed(0)
    system = limu_bert_gru.System(parse(limu_bert_gru.Config, settings)).train()
    values = signals(8, 40)
    values[4:] *= 3.0
    batch = window_batch(values)
    batch.targets["label"] = torch.tensor([0] * 4 + [1] * 4)
    optimizer = torch.optim.Adam(
        [{"params": g["params"]} for g in system.parameter_groups()], lr=5e-3
    )
    for _ in range(80):
        optimizer.zero_grad()
        out = system.loss(batch)
        out.total.backward()
        optimizer.step()
    assert out.parts["accuracy"] == 1
    assert out.total < 0.4


def test_another_base_is_refused():
    settings = {"base": "statistics", "width": 6, "labels": ["a", "b"]}
    with pytest.raises(CheckpointError, match='is "statistics"'):
        limu_bert_gru.System(parse(limu_bert_gru.Config, settings))
