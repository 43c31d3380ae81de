"""Runs on disk."""

import json
import os

import pytest
import torch
from tests.support.training_toys import NAME, ToyLoader, make_system, register

from otolith.core.config import parse, read_yaml, to_plain
from otolith.core.errors import CheckpointError, TrainingError
from otolith.training.callbacks import Callback
from otolith.training.checkpoints import load_model_folder
from otolith.training.interrupts import InterruptedRunError
from otolith.training.logs import read_records
from otolith.training.recipe import Recipe
from otolith.training.runs import init_from, new_run_folder, resume, train


def make_recipe(**changes):
    register()
    training = {"epochs": 2, "batch_size": 4, "device": "cpu", "log_every_steps": 1}
    plain = {"seed": 3, "data": {"datasets": ["toy"]}, "system": NAME, "training": training}
    return parse(Recipe, plain | changes)


def build(recipe, rank, world_size):
    return ToyLoader(seed=recipe.seed), ToyLoader(9), {"num_train": 26}


def test_a_run_has_its_own_folder_and_settings(tmp_path):
    recipe = make_recipe()
    first = train(recipe, name="toy", root=tmp_path, build=build)
    second = train(recipe, name="toy", root=tmp_path, build=build)
    assert first.folder.parent == second.folder.parent == tmp_path / "toy"
    assert first.folder != second.folder
    stored = parse(Recipe, read_yaml(first.folder / "config.yaml"))
    assert to_plain(stored) == to_plain(recipe)
    assert (first.folder / "metrics.jsonl").read_bytes() == (
        second.folder / "metrics.jsonl"
    ).read_bytes()


def test_the_saved_model_knows_where_it_comes_from(tmp_path):
    run = train(make_recipe(), name="toy", folder=tmp_path / "r", build=build)
    _, card = load_model_folder(run.folder / "checkpoints" / "best")
    origin = card["provenance"]
    assert origin["recipe"] == "toy"
    assert origin["seed"] == 3
    assert origin["data"] == {"num_train": 26}
    assert origin["version"]


def test_another_seed_gives_other_weights(tmp_path):
    runs = [
        train(make_recipe(seed=s), name="toy", folder=tmp_path / str(s), build=build)
        for s in (1, 2)
    ]
    a, b = (run.system.head.weight for run in runs)
    assert not torch.equal(a, b)


def test_run_folders_of_the_same_second_get_numbers(tmp_path, monkeypatch):
    first = new_run_folder(tmp_path, "x")
    for _ in range(3):
        new_run_folder(tmp_path, "x").mkdir(parents=True)
    names = {p.name.partition(".")[0] for p in (tmp_path / "x").iterdir()}
    assert len(list((tmp_path / "x").iterdir())) == 3
    assert first.name in names


class StopAtStart(Callback):
    def on_start(self, run):
        raise KeyboardInterrupt


class StopLater(Callback):
    def on_step(self, run, record):
        if record["step"] == 3:
            os.kill(os.getpid(), 15)


def test_a_run_that_was_stopped_resumes(tmp_path):
    whole = train(make_recipe(), name="toy", folder=tmp_path / "a", build=build)
    with pytest.raises(InterruptedRunError):
        train(
            make_recipe(), name="toy", folder=tmp_path / "b", build=build, callbacks=[StopLater()]
        )
    assert len(read_records(tmp_path / "b")) == 4
    run = resume(tmp_path / "b", build=build)
    assert run.metrics["last"] == whole.metrics["last"]
    name = "checkpoints/latest/model.json"
    assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_a_run_that_was_stopped_before_its_first_checkpoint_starts_again(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train(make_recipe(), name="toy", folder=tmp_path, build=build, callbacks=[StopAtStart()])
    assert resume(tmp_path, build=build).status == "finished"


def test_what_is_no_run_cannot_be_resumed(tmp_path):
    with pytest.raises(CheckpointError, match="no run"):
        resume(tmp_path, build=build)


def test_an_unknown_checkpoint_is_named(tmp_path):
    train(make_recipe(), name="toy", folder=tmp_path, build=build)
    with pytest.raises(CheckpointError, match="epoch_0009"):
        resume(tmp_path, checkpoint="epoch_0009", build=build)


def test_starting_a_run_where_one_lies_is_refused(tmp_path):
    train(make_recipe(), name="toy", folder=tmp_path, build=build)
    with pytest.raises(TrainingError, match="holds a run already"):
        train(make_recipe(seed=9), name="toy", folder=tmp_path, build=build)
    assert parse(Recipe, read_yaml(tmp_path / "config.yaml")).seed == 3


def test_a_new_run_can_start_from_weights(tmp_path):
    old = train(make_recipe(), name="toy", folder=tmp_path / "old", build=build)
    training = {"epochs": 1, "device": "cpu", "optimizer": {"lr": 1e-30}, "log_every_steps": 1}
    recipe = make_recipe(init_from=str(tmp_path / "old"), training=training)
    new = train(recipe, name="toy", folder=tmp_path / "new", build=build)
    best, _ = load_model_folder(tmp_path / "old" / "checkpoints" / "best")
    torch.testing.assert_close(new.system.head.weight, best.head.weight)
    report = json.loads((tmp_path / "new" / "init_from.json").read_text())
    assert report["missing"] == report["unexpected"] == []
    assert set(report["loaded"]) == set(best.state_dict())
    steps = [r["step"] for r in read_records(tmp_path / "new", "step")]
    assert steps[0] == 1, "a new run counts from the start"
    assert old.folder != new.folder


def test_weights_that_do_not_fit_are_refused_unless_asked_otherwise(tmp_path):
    train(make_recipe(), name="toy", folder=tmp_path / "old", build=build)
    with pytest.raises(CheckpointError, match="do not fit"):
        init_from(make_system(width=3), tmp_path / "old")
    report = init_from(make_system(width=3), tmp_path / "old", strict=False)
    assert "head.weight" in report.missing
    assert "head.bias" in report.loaded
