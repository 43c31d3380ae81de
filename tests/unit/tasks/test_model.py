"""Models by name and folder, and what the guard learns about converted weights."""

import numpy as np
import pytest
import torch
from tests.support.tasks_data import (
    ToyComponent,
    ToyConfig,
    ToySystem,
    make_recording,
    statistics,
    toy_model,
)

from otolith.core.errors import CheckpointError
from otolith.core.home import SHIPPED_MODEL, packaged_models
from otolith.systems import SYSTEMS
from otolith.systems.classifier import Config as ClassifierConfig
from otolith.systems.classifier import System as Classifier
from otolith.tasks._model import Model, load_model, model_names
from otolith.tasks._people import seen_people
from otolith.training.checkpoints import save_model


@pytest.fixture
def toy_registered(monkeypatch, tmp_path):
    monkeypatch.setenv("OTOLITH_HOME", str(tmp_path / "home"))
    SYSTEMS.register("toy_text", ToyComponent)
    yield tmp_path
    SYSTEMS.unregister("toy_text")


def test_statistics_need_no_weights_and_name_their_axes():
    assert load_model("statistics").name == "statistics"
    model = load_model("statistics:gravity")
    assert model.name == "statistics:gravity"
    assert model.system.config.encoder.config.frame == "gravity"
    limbs = load_model("statistics:both:arm_acc,leg_acc").system.config.encoder.config
    assert (limbs.frame, limbs.triads) == ("both", ("arm_acc", "leg_acc"))


@pytest.mark.parametrize(
    ("name", "fact"),
    [
        ("statistic", 'no model "statistic"'),
        ("statistics:up", 'no model "statistics:up"'),
        ("tsfm_pretrain", "needs training first"),
    ],
)
def test_unknown_models_are_refused_with_a_remedy(name, fact):
    with pytest.raises(CheckpointError, match=fact) as caught:
        load_model(name)
    assert caught.value.remedy


def test_a_folder_without_weights_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match=r"holds no model\.json"):
        load_model(tmp_path)


def test_a_model_folder_a_run_and_a_stored_name_are_found(toy_registered):
    system, provenance = ToySystem(ToyConfig()), {"data": {"datasets": {}}}
    run = toy_registered / "recipe" / "time"
    save_model(run / "checkpoints" / "best", "toy_text", system, provenance)
    (run / "config.yaml").write_text("a: 1\n")
    save_model(toy_registered / "home" / "models" / "mine", "toy_text", system, provenance)
    assert load_model(run).name == "recipe/time"
    assert load_model("mine").name == "mine"
    assert load_model(run).system_name == "toy_text"
    assert model_names() == ["mine", "otolith-imu", "statistics"]


def test_converted_weights_know_what_their_authors_trained_on(toy_registered):
    OFFICIAL = {"official": "weights.pt"}
    torch.manual_seed(0)
    system = SYSTEMS.get("tsfm_pretrain").System(
        SYSTEMS.get("tsfm_pretrain").Config(encoder={"preset": "debug"}, channel_text=None)
    )
    save_model(toy_registered / "official", "tsfm_pretrain", system, OFFICIAL)
    provenance = load_model(toy_registered / "official").provenance
    assert seen_people(provenance, "hapt") == {"*"}
    assert seen_people(provenance, "seglearn_watch") == set()
    assert provenance["is_pretrain"] is True


def test_embeddings_come_in_order_of_time():
    recording = make_recording(labels=("standing", "running"), seconds=10.0)
    vectors = toy_model().embed(recording, window_s=5.0)
    assert vectors.dtype == np.float32
    assert vectors.shape == (4, 4)
    assert (vectors[:2, 0] > vectors[2:, 0]).all()


def test_only_classifiers_have_labels():
    settings = {"base": {"name": "statistics"}, "width": 3, "labels": ("a", "b")}
    classifier = Classifier(ClassifierConfig(**settings))
    assert Model("c", classifier).labels == ("a", "b")
    assert statistics().labels == ()


def test_words_of_a_model_without_text_are_refused():
    with pytest.raises(CheckpointError, match="was not trained with text"):
        statistics().embed_texts(["walking"])


def test_a_model_of_the_package_is_found_and_a_users_of_the_same_name_wins(
    toy_registered, monkeypatch
):
    packaged = toy_registered / "packaged"
    monkeypatch.setattr("otolith.tasks._model.packaged_models", lambda: packaged)
    save_model(packaged / SHIPPED_MODEL, "toy_text", ToySystem(ToyConfig()), {"who": "package"})
    assert SHIPPED_MODEL in model_names()
    assert load_model().provenance == {"who": "package"}
    assert load_model().name == SHIPPED_MODEL
    own = toy_registered / "home" / "models" / SHIPPED_MODEL
    save_model(own, "toy_text", ToySystem(ToyConfig()), {"who": "user"})
    assert load_model(SHIPPED_MODEL).provenance == {"who": "user"}
    assert model_names().count(SHIPPED_MODEL) == 1


def test_packaged_models_lie_beside_the_code():
    assert packaged_models().name == "models"
    assert (packaged_models().parent / "core" / "home.py").is_file()
