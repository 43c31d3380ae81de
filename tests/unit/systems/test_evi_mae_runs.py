"""From a pretraining run to a fine-tuned model, on tiny releases in the official layouts."""

import json
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
import yaml
from tests.fixtures.official_layouts import write_synthetic
from tests.support.command_line import otolith, refused

from otolith.datasets import prepare
from otolith.recipes import load_recipe
from otolith.training import runs
from otolith.training.checkpoints import find_folder, load_model_folder
from otolith.training.data import build_data


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTOLITH_HOME", str(folder))
        for name in ("revalexo", "cmu_mmac"):
            made = write_synthetic(name, folder / "releases" / name)
            settings = {"has_video": "required"} if name == "revalexo" else {}
            prepare(name, made.config.root, folder / "data" / name, progress=False, **settings)
        yield folder


def test_fine_tuning_starts_from_pretraining(home, tmp_path):
    first, _ = load_recipe("evi_mae/pretrain_debug", ["training.epochs=1"])
    done = runs.train(first, name="first", folder=tmp_path / "first")
    assert done.status == "finished"
    changes = ["training.epochs=1", f"init_from={tmp_path / 'first'}"]
    second, _ = load_recipe("evi_mae/finetune_debug", changes)
    runs.train(second, name="second", folder=tmp_path / "second")
    report = yaml.safe_load((tmp_path / "second" / "init_from.json").read_text("utf-8"))
    assert {key.split(".")[0] for key in report["loaded"]} == {"encoder"}
    assert all(key.startswith("head.") for key in report["missing"])
    pretrained, tuned = (
        load_model_folder(find_folder(tmp_path / run / "checkpoints" / "best"))[0]
        for run in ("first", "second")
    )
    assert pretrained.config.encoder.modalities == "both"
    measured = [m.encoder.imu.statistics_3 for m in (pretrained, tuned)]
    assert measured[0][0] > 0
    assert torch.equal(*measured)
    ran = otolith(
        "evaluate", "classify", "--model", tmp_path / "second", "--data", "cmu_mmac",
        "--json", tmp_path / "classify.json",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert "mean average precision over the" in ran.out
    (result,) = json.loads((tmp_path / "classify.json").read_text("utf-8"))["results"]
    assert 0 < result["extra"]["mean_average_precision"] <= 1
    assert "mean_average_precision" in result["ci95"]
    assert len(result["labels"]) == 32


def test_motion_and_video_are_embedded_as_they_were_trained_on(home, tmp_path):
    recipe, _ = load_recipe("evi_mae/pretrain_debug", ["training.epochs=1"])
    runs.train(recipe, name="run", folder=tmp_path / "run")
    saved = tmp_path / "alone"
    shutil.copytree((tmp_path / "run" / "checkpoints" / "best").resolve(), saved)
    out = tmp_path / "e.parquet"
    ran = otolith("embed", "revalexo", "--model", saved, "--out", out)
    assert ran.code == 0, ran.err
    assert "2 s; channels acc_*; streams left_foot" in ran.err
    found = pq.read_table(out)
    assert found["end_s"][0].as_py() - found["start_s"][0].as_py() == pytest.approx(2.0)
    assert len([c for c in found.column_names if c.startswith("e") and c[1:].isdigit()]) > 8
    ran = otolith(
        "embed", "revalexo", "--model", saved, "--out", out,
        "--joint", "--video-fps", "9", "--video-size", "40x50", "--window-seconds", "3",
        "--streams", "left_foot,right_foot,left_upper_leg,right_upper_leg,camera",
        "--channels", "acc_*",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert "cut as in the training" not in ran.err
    assert "3 s long, but alone learned from windows of 2 s" in ran.err
    again = pq.read_table(out)
    assert not np.allclose(again["e0"][0].as_py(), found["e0"][0].as_py())
    assert (
        "no height and width"
        in refused("embed", "revalexo", "--model", saved, "--video-size", "40")[0]
    )


@pytest.mark.parametrize("size", ["pretrain_revalexo"])
def test_the_paper_recipe_gives_batches_of_its_shape(home, size):
    changes = ["training.num_workers=0", "training.batch_size=2"]
    recipe, _ = load_recipe(f"evi_mae/{size}", changes)
    train, validation, facts = build_data(recipe)
    batch = next(iter(train.batches(0)))
    assert batch.streams["camera"].values.shape == (2, 16, 256, 456, 3)
    assert batch.streams["left_foot"].values.shape == (2, 120, 3)
    assert validation is not None
    people = facts["datasets"]["revalexo"]
    assert not set(people["train_subjects"]) & set(people["validation_subjects"])


def test_a_probe_reads_motion_and_video_together(home, tmp_path):
    few = "data.datasets=[{name: revalexo, subjects: [Subject01, Subject02, Subject03]}]"
    recipe, _ = load_recipe("evi_mae/pretrain_debug", ["training.epochs=1", few])
    runs.train(recipe, name="run", folder=tmp_path / "run")
    ran = otolith(
        "evaluate", "probe", "--model", tmp_path / "run", "--data", "revalexo", "--folds", "2",
        "--json", tmp_path / "probe.json", "--setting", "windows.video_fps=9.0",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert "2 s; channels acc_*; streams left_foot" in ran.err
    result = (tmp_path / "probe.json").read_text("utf-8")
    assert "macro" in result
    assert '"joint": true' in result
    assert '"video_fps": 9.0' in result
    assert '"window_s": 2.0' in result
