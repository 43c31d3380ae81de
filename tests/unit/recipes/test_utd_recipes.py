"""Every recipe of UTD-MHAD made small takes a step on trials with videos in the official layout."""

import math
from itertools import product

import numpy as np
import pytest
from tests.fixtures.official_layouts import still_and_moving, write_utd_mhad
from tests.fixtures.official_layouts_evi import write_video

from otolith.datasets import prepare
from otolith.recipes import load_recipe, recipe_names
from otolith.training.data import build_data

NAMES = [name for name in recipe_names() if name.startswith("utd_mhad/")]
SMALL = [
    "system.preset=debug", "data.window.video_size_px=[36,48]", "training.batch_size=4",
    "training.num_workers=0",
]  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def _release(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    rng = np.random.default_rng(0)
    for person, action in product((1, 2, 3), (1, 21)):
        matrix = np.concatenate(still_and_moving(rng, 130, spin=60.0), axis=1)
        path = write_utd_mhad(home / "release", action, person, 1, matrix)
        name = path.name.replace("_inertial.mat", "_color.avi")
        write_video(home / "release" / "RGB" / name, seconds=2.6)
    prepare(
        "utd_mhad", home / "release", home / "data" / "utd_mhad", progress=False,
        videos=home / "release" / "RGB", placement="wrist",
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTOLITH_HOME", str(home))
        yield


def test_there_is_a_debug_size_of_each():
    assert {"utd_mhad/pretrain", "utd_mhad/finetune"} <= set(NAMES)
    assert {f"{name}_debug" for name in NAMES if "debug" not in name} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_step_of_every_recipe(name):
    recipe, _ = load_recipe(name, SMALL)
    batch = next(iter(build_data(recipe)[0].batches(0)))
    assert set(batch.streams) == {"imu", "camera"}
    assert batch.streams["imu"].mask_BT.sum(1).tolist() == [130] * len(batch)
    system = recipe.system.module.System(recipe.system.config).train()
    system.warm_up([batch])
    output = system.loss(batch)
    output.total.backward()
    assert math.isfinite(output.total.item())
    moved = [p for p in system.encoder.parameters() if p.grad is not None and p.grad.any()]
    assert moved
    graph = dict(system.encoder.graph.named_parameters())
    assert any(p.grad is not None and p.grad.any() for p in graph.values()), "two nodes learn"
