"""Every recipe of EVI-MAE made small takes a step on files in the official layouts."""

import math

import pytest
from tests.fixtures.official_layouts import write_synthetic

from otolith.datasets import prepare
from otolith.recipes import load_recipe, read_recipe, recipe_names
from otolith.training.data import build_data, load_parts
from otolith.training.optimizers import build_optimizer

PAPER = [
    name
    for name in recipe_names()
    if name.startswith("evi_mae/") and read_recipe(name)["about"]["size"] == "paper"
]
SMALL = [
    "system.preset=debug", "data.window.video_size_px=[36,48]", "data.window.stride_s=24.0",
    "training.batch_size=2", "training.num_workers=0",
]  # fmt: skip
NO_GRAPH = "system.encoder.graph=null"
MODES = [
    ("both", "both", False), ("both", "both", True), ("imu", "imu", False), ("imu", "imu", True),
    ("video", "video", False), ("imu_of_both", "both", False), ("imu_of_both", "both", True),
    ("video_of_both", "both", False), ("video_of_both", "both", True),
]  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A home folder that is filled with the data sets a recipe asks for."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTOLITH_HOME", str(home))
        patch.setenv("OTOLITH_OFFLINE", "1")

        def fill(recipe):
            for choice in recipe.data.datasets:
                target = home / "data" / choice.name
                if not target.exists():
                    made = write_synthetic(choice.name, home / "releases" / choice.name)
                    prepare(choice.name, made.config.root, target, progress=False)

        yield fill


def test_all_runs_of_the_authors_have_a_recipe():
    wanted = {
        "pretrain_cmu_mmac", "pretrain_wear", "pretrain_revalexo", "finetune_cmu_mmac",
        "finetune_wear", "finetune_imu", "finetune_wear_imu",
    }  # fmt: skip
    assert {f"evi_mae/{name}" for name in wanted} <= set(PAPER)


def gradient_step(name, data, *changes):
    """One optimizer step on a real batch; returns the loss and how much each weight moved."""
    recipe, _ = load_recipe(name, [*SMALL, *changes])
    data(recipe)
    batch = next(iter(build_data(recipe)[0].batches(0)))
    system = recipe.system.module.System(recipe.system.config).train()
    optimizer = build_optimizer(system, recipe.training.optimizer)
    before = {key: value.detach().clone() for key, value in system.named_parameters()}
    system.warm_up([batch])
    output = system.loss(batch)
    output.total.backward()
    optimizer.step()
    assert math.isfinite(output.total.item())
    return output, {key for key, value in system.named_parameters() if not value.equal(before[key])}


@pytest.mark.parametrize("name", PAPER)
def test_a_step_of_every_recipe(name, data):
    output, moved = gradient_step(name, data)
    is_pretraining = read_recipe(name)["system"]["name"] == "evi_mae"
    assert any("reconstruction" in part for part in output.parts) == is_pretraining
    assert ("accuracy" in output.parts) != is_pretraining
    assert moved


@pytest.mark.parametrize(("mode", "modalities", "two_streams"), MODES)
def test_a_step_of_every_mode(mode, modalities, two_streams, data):
    changes = [
        f"system.mode={mode}", f"system.encoder.modalities={modalities}",
        f"system.two_streams={str(two_streams).lower()}",
    ]  # fmt: skip
    reads_motion = not mode.startswith("video")
    if not reads_motion and not two_streams:
        changes.append(NO_GRAPH)
    output, moved = gradient_step("evi_mae/finetune_wear", data, *changes)
    assert ("graph" in output.parts) == (two_streams and reads_motion)
    assert any(key.startswith("encoder.imu.blocks") for key in moved) == reads_motion
    reads_video = mode in {"both", "video", "video_of_both"}
    assert any(key.startswith("encoder.video.blocks") for key in moved) == reads_video


@pytest.mark.parametrize("net", ["gin", "gcn", "gat", "dotgat"])
@pytest.mark.parametrize("name", ["evi_mae/pretrain_wear", "evi_mae/finetune_two_streams"])
def test_a_step_of_every_graph(net, name, data):
    changes = [f"system.encoder.graph.net={net}", "system.encoder.graph.width=16"]
    _, moved = gradient_step(name, data, *changes)
    assert any(key.startswith("encoder.graph.") for key in moved)


def test_pretraining_reads_the_pairs_of_pretraining(data):
    recipe, _ = load_recipe("evi_mae/pretrain_wear")
    data(recipe)
    (part,) = load_parts(recipe.data)
    split = part.folder.info["splits"]["pretrain"]
    assert set(part.recording_ids) == set(split["train"])
    assert part.labels == ()


def test_targets_may_hold_several_classes(data):
    recipe, _ = load_recipe("evi_mae/finetune_cmu_mmac", SMALL)
    data(recipe)
    train, _, _ = build_data(recipe)
    batch = next(iter(train.batches(0)))
    assert batch.targets["multi_label"].sum(1).max() == 2
