"""The benchmark of full sizes finds its recipes itself and prints one line of JSON for each."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

from otolith.recipes import read_recipe, recipe_names

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = ROOT / "benchmarks" / "full_size.py"


def run(*options):
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *options],
        capture_output=True, text=True, env=environment, check=True,
    )  # fmt: skip
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_all_paper_recipes_are_found():
    spec = importlib.util.spec_from_file_location("full_size", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found = module.paper_recipes()
    assert {name.split("/")[0] for name in found} == {"evi_mae", "himu_mae"}
    assert set(found) == {
        name
        for name in recipe_names()
        if name.startswith(("evi_mae/", "himu_mae/"))
        and read_recipe(name)["about"]["size"] == "paper"
    }


def test_a_step_is_reported_and_equal_sizes_run_once():
    small = ["--set", "system.preset=debug", "--set", "data.window.video_size_px=[36,48]"]
    names = ["evi_mae/pretrain_wear", "evi_mae/pretrain_wear", "evi_mae/finetune_wear_imu"]
    options = [part for name in names for part in ("--recipe", name)]
    first, again, imu = run(*options, *small)
    assert first["inputs"]["camera"] == [2, 16, 36, 48, 3]
    assert first["inputs"]["left_arm"] == [2, 100, 3]
    assert first["gflop"] > 0
    assert first["peak_memory_mb"] >= first["built_memory_mb"] > 0
    assert first["cpu_seconds"] > 0
    assert again["same_size_as"] == "evi_mae/pretrain_wear"
    assert "gflop" not in again
    assert again["parameters"] == first["parameters"]
    assert set(imu["inputs"]) == {"left_arm", "right_arm", "left_leg", "right_leg"}
