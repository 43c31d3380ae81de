"""Fine-tuning: the linear layer or everything, on people that are kept apart."""

import tempfile
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tests.support.tasks_data import (
    ToyComponent,
    make_part,
    make_recording,
    statistics,
    toy_model,
    trained_on,
)

from otolith.core.config import parse
from otolith.core.errors import CheckpointError, ConfigError, TrainingError
from otolith.systems import SYSTEMS
from otolith.tasks import fine_tune
from otolith.tasks._model import load_model
from otolith.tasks._people import seen_people
from otolith.tasks._tuning import EpochBar, hold_out_people
from otolith.tasks._windows import EvaluationWindows, labelled_windows
from otolith.tasks.label import Config as LabelConfig
from otolith.tasks.label import label_recording
from otolith.training.callbacks import Callback


@pytest.fixture(scope="module")
def part(tmp_path_factory):
    return make_part(tmp_path_factory.mktemp("data"), 4)


@pytest.fixture(autouse=True)
def toy_registered():
    SYSTEMS.register("toy_text", ToyComponent)
    yield
    SYSTEMS.unregister("toy_text")


def settings(**changes):
    training = {"epochs": 4, "batch_size": 16, "optimizer": {"lr": 0.02}, "device": "cpu"}
    return parse(fine_tune.Config, {"folds": 2, "training": training, **changes})


def test_what_is_not_given_of_the_training_stays_as_the_task_has_it():
    usual = fine_tune.Config().training
    found = parse(fine_tune.Config, {"training": {"epochs": 5, "optimizer": {"lr": 0.1}}}).training
    assert (found.epochs, found.optimizer.lr) == (5, 0.1)
    assert found.optimizer.weight_decay == usual.optimizer.weight_decay
    for name in ("batch_size", "schedule", "early_stop", "checkpoint"):
        assert getattr(found, name) == getattr(usual, name)
    patient = parse(fine_tune.Config, {"training": {"early_stop": None}}).training
    assert (patient.early_stop, patient.epochs) == (None, 30)


@pytest.mark.parametrize("what", ["head", "all"])
def test_it_learns_and_leaves_the_model_alone(part, what):
    model = toy_model(trained_on(other=["x"]))
    before = {k: v.clone() for k, v in model.system.state_dict().items()}
    result = fine_tune.evaluate(model, part, settings(what=what))
    assert result.macro_f1 > 0.9
    assert result.counts["test_subjects"] == 4
    assert result.warnings == ()
    for name, value in model.system.state_dict().items():
        assert torch.equal(value, before[name])


def test_the_same_seed_gives_the_same_numbers(part):
    runs = [fine_tune.evaluate(toy_model(), part, settings(seeds=[s])).to_json() for s in (1, 1)]
    assert runs[0] == runs[1]


def test_test_people_play_no_part_in_training(part):
    seen = []

    class Watch(Callback):
        def on_start(self, run):
            seen.append(run.steps_per_epoch)

    fine_tune.evaluate(toy_model(), part, settings(validation_folds=2), callbacks=(Watch(),))
    # Two of four people per fold, one of them validates: 12 windows in batches of 16.
    assert seen == [1, 1]


def test_people_are_held_out_from_the_training_people(part):
    data = labelled_windows(part, EvaluationWindows())
    rows = np.flatnonzero(data.subject_N != "p0")
    train, validation = hold_out_people(data, rows, 5, seed=0)
    assert not set(data.subject_N[train]) & set(data.subject_N[validation])
    assert sorted([*train, *validation]) == rows.tolist()
    alone = np.flatnonzero(data.subject_N == "p0")
    train, validation = hold_out_people(data, alone, 5, seed=0)
    assert len(train) == len(alone)
    assert len(validation) == 0


def test_one_person_to_learn_from_is_enough(tmp_path):
    result = fine_tune.evaluate(toy_model(), make_part(tmp_path, 2), settings())
    assert result.counts["folds"] == 2
    assert result.macro_f1 > 0.9


def test_nothing_is_left_in_the_folder_for_temporary_files(part, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    fine_tune.evaluate(toy_model(), part, settings())
    assert list(tmp_path.iterdir()) == []

    class Fails(Callback):
        def on_epoch(self, run, record):
            raise ValueError("stop here")

    with pytest.raises(ValueError, match="stop here"):
        fine_tune.evaluate(toy_model(), part, settings(), callbacks=(Fails(),))
    assert list(tmp_path.iterdir()) == []


def test_a_kept_model_labels_without_being_told_the_labels(part, tmp_path):
    folder = tmp_path / "kept"
    model = toy_model(trained_on(other=["x"]))
    fine_tune.evaluate(model, part, settings(keep=str(folder)))
    kept = load_model(folder)
    assert kept.labels == ("standing", "walking", "running")
    recording = make_recording("new", seconds=20.0, seed=50)
    found = label_recording(kept, recording, LabelConfig(window_s=4.0))
    assert [s.label for s in found.segments] == ["standing", "walking", "running"]
    assert "knows its labels" in found.how
    assert seen_people(kept.provenance, "toy") == {"p0", "p1", "p2", "p3"}
    assert seen_people(kept.provenance, "other") == {"x"}
    assert kept.provenance["window_s"] == 5.0
    assert kept.provenance["is_pretrain"] is False
    again = fine_tune.evaluate(kept, make_part(tmp_path, 3, name="third"), settings(what="head"))
    assert again.macro_f1 > 0.9


def test_a_folder_that_exists_is_not_overwritten(part, tmp_path):
    with pytest.raises(TrainingError, match="exists already"):
        fine_tune.evaluate(toy_model(), part, settings(keep=str(tmp_path)))


def test_statistics_have_nothing_to_tune(part):
    with pytest.raises(CheckpointError, match="no weights to fine-tune"):
        fine_tune.evaluate(statistics(), part, settings())


@pytest.mark.parametrize("bad", [{"what": "most"}, {"layer_decay": 0}, {"validation_folds": 1}])
def test_impossible_settings_are_refused(bad):
    with pytest.raises(ConfigError):
        settings(**bad)


def test_an_early_stop_fills_the_bar():
    class Bar:
        done = 0.0
        text = ""

        def advance(self, amount=1):
            self.done += amount

        def describe(self, text):
            self.text = text

    bar = Bar()
    watch = EpochBar(bar, "training 1 of 2")

    run = SimpleNamespace(config=SimpleNamespace(epochs=5))
    watch.on_start(run)
    watch.on_epoch(run, {"epoch": 0, "validation": {"loss": 0.5}})
    assert bar.text == "training 1 of 2: epoch 1, loss 0.5"
    watch.on_close(run)
    assert bar.done == 5
