"""Runs that are killed in the middle of an epoch, twice, and one that is not; compares their files.

A program of its own: it forks one process per run before torch computes anything.
Prints one JSON object with what differs.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

from tests.support.processes import fork, wait
from tests.support.training_toys import NAME, ToyLoader, register

from otolith.core.config import parse
from otolith.training.callbacks import Callback
from otolith.training.recipe import Recipe
from otolith.training.runs import resume, train


def make_recipe(num_workers: int) -> Recipe:
    register()
    training = {
        "epochs": 3,
        "batch_size": 4,
        "device": "cpu",
        "num_threads": 1,
        "num_workers": num_workers,
        "ema": {"decay": 0.9},
        "schedule": {"warmup_steps": 3},
        "checkpoint": {"every_steps": 2, "keep": 1},
        "log_every_steps": 1,
    }
    return parse(
        Recipe,
        {"seed": 5, "data": {"datasets": ["toy"]}, "system": NAME, "training": training},
    )


def build(recipe, rank, world_size):
    workers = recipe.training.num_workers
    loader = ToyLoader(26, 4, seed=recipe.seed, num_workers=workers)
    return loader, ToyLoader(9, 4, seed=99, num_workers=workers), {}


class Slow(Callback):
    """Gives the other process time to kill this one between two steps."""

    def on_step(self, run, record):
        time.sleep(0.04)


def kill_after(pid: int, log: Path, num_steps: int) -> None:
    """Kill the child and its workers as soon as the log holds so many steps."""
    for _ in range(2000):
        text = log.read_text() if log.exists() else ""
        if text.count('"kind": "step"') >= num_steps:
            break
        time.sleep(0.005)
    os.killpg(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status), "the child ended before it could be killed"


def main(root: Path, num_workers: int) -> None:
    recipe = make_recipe(num_workers)
    whole, broken = root / "whole", root / "broken"
    wait(fork(lambda: train(recipe, name="toy", folder=whole, build=build)))
    log = broken / "metrics.jsonl"
    slow = [Slow()]
    first = fork(lambda: train(recipe, name="toy", folder=broken, build=build, callbacks=slow))
    kill_after(first, log, 5)
    cut_1 = log.read_bytes()
    second = fork(lambda: resume(broken, build=build, callbacks=slow))
    kill_after(second, log, 12)
    cut_2 = log.read_bytes()
    wait(fork(lambda: resume(broken, build=build)))
    files = ["metrics.jsonl"] + [
        f"checkpoints/{link}/{name}"
        for link in ("latest", "best")
        for name in ("model.safetensors", "model.json", "training.safetensors")
    ]
    states = [
        json.loads((f / "checkpoints/latest/state.json").read_text()) for f in (whole, broken)
    ]
    for state in states:
        state["loop"].pop("elapsed_s")
    report = {
        "different": [f for f in files if (whole / f).read_bytes() != (broken / f).read_bytes()],
        "same_state": states[0] == states[1],
        "lines_at_kills": [cut_1.count(b"\n"), cut_2.count(b"\n")],
        "lines": log.read_bytes().count(b"\n"),
        "left_behind": [p.name for p in (broken / "checkpoints").iterdir() if p.name[0] == "."],
    }
    sys.stdout.write(json.dumps(report) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
