"""Features of one WEAR subject, 12 channels at 50 Hz, 2 s windows every second, written as a tree.

Beside it, alternately with `--plain`, the loop of the original: one window after the other in
float32, the whole subject twice. Prints one JSON line. The model is the system of a recipe with fresh weights, such as
`--recipe himu_mae/wear`, or without one the window statistics of the four limbs.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from otolith.recipes import load_recipe
from otolith.recordings.recording import Channel, Gravity, ImuStream, Recording
from otolith.tasks._feature_tree import Config, cut_windows, write_feature_tree
from otolith.tasks._model import Model, load_model
from otolith.windows.memory import memory_part

RATE_HZ = 50.0
LIMBS = ("right_arm", "right_leg", "left_leg", "left_arm")
ORIGINAL_S_PER_WINDOW = 0.42  # measured on another machine; the plain loop is the fair comparison


def subject(num_windows: int) -> Recording:
    """Return a person with so many windows of 2 s every second."""
    rng = np.random.default_rng(0)
    names = [f"{limb}_acc_{axis}" for limb in LIMBS for axis in "xyz"]
    samples_TC = rng.normal(size=(50 * (num_windows + 1) + 1, len(names))).astype(np.float32)
    stream = ImuStream(
        name="imu", samples_TC=samples_TC, rate_hz=RATE_HZ, gravity=Gravity.INCLUDED,
        channels=tuple(Channel.from_name(name) for name in names),
    )  # fmt: skip
    return Recording(id="sbj_0", subject="sbj_0", streams={"imu": stream})


def make_model(recipe: str) -> Model:
    """Return the system of a recipe with fresh weights, or window statistics."""
    if not recipe:
        return load_model("statistics:both:" + ",".join(f"{limb}_acc" for limb in LIMBS))
    torch.manual_seed(0)
    chosen = load_recipe(recipe, ())[0].system
    return Model(recipe, chosen.module.System(chosen.config).eval(), system_name=chosen.name)


def ours(model: Model, person: Recording, settings: Config) -> Callable[[], None]:
    """Return the work of one subject."""

    def run() -> None:
        with tempfile.TemporaryDirectory() as folder:
            write_feature_tree(model, memory_part([person]), Path(folder), settings)

    return run


def plain(model: Model, person: Recording, settings: Config) -> Callable[[], None]:
    """Return the same, window by window and twice."""

    def run() -> None:
        windows = cut_windows(person, settings)
        for _ in range(2):
            rows = [
                model.embed_batch(windows.batch(np.asarray([i]), 0)) for i in range(len(windows))
            ]
            np.concatenate(rows)

    return run


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", default="", help="whose system; empty: window statistics")
    parser.add_argument("--windows", type=int, default=64, help="a whole subject has about 3000")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--plain", action="store_true", help="also run the plain loop, alternately")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    model, person = make_model(options.recipe), subject(options.windows)
    settings = Config(
        streams=("imu",), video="", batch_size=options.batch_size, precision=options.dtype
    )
    works = {"seconds": ours(model, person, settings)}
    if options.plain:
        works["plain_seconds"] = plain(model, person, settings)
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(options.repetitions):
        for name, work in works.items():
            start = time.perf_counter()
            work()
            times[name].append(time.perf_counter() - start)
    found = {name: statistics.median(seconds) for name, seconds in times.items()}
    line = {
        "workload": "wear_features",
        "model": model.name,
        "windows": options.windows,
        "threads": options.threads,
        "dtype": options.dtype,
        **{name: round(seconds, 4) for name, seconds in found.items()},
        "seconds_per_window": round(found["seconds"] / options.windows, 5),
        "original_seconds_per_window": ORIGINAL_S_PER_WINDOW,
    }
    if options.plain:
        line["times_plain"] = round(found["plain_seconds"] / found["seconds"], 2)
    sys.stdout.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
