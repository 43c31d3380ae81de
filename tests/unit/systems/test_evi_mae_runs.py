"""From a pretraining run to a fine-tuned model, on tiny releases in the official layouts."""

import pytest
import torch
import yaml
from tests.fixtures.official_layouts import write_synthetic
from tests.support.command_line import otolith

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
    settings = [
        "windows.joint=true", "windows.video_fps=8.0", "windows.video_size_px=[36,48]",
        "windows.channels=['acc_*']",
        "windows.streams=[left_foot,right_foot,left_upper_leg,right_upper_leg,camera]",
    ]  # fmt: skip
    ran = otolith(
        "evaluate", "probe", "--model", tmp_path / "run", "--data", "revalexo", "--folds", "2",
        "--window-seconds", "2.0", "--json", tmp_path / "probe.json",
        *(word for text in settings for word in ("--setting", text)),
    )  # fmt: skip
    assert ran.code == 0, ran.err
    result = (tmp_path / "probe.json").read_text("utf-8")
    assert "macro" in result
    assert '"joint": true' in result
