"""The same run on one and on two processes; compares their files.

A program of its own: it forks the processes before torch computes anything.
Prints one JSON object per scenario with the largest differences.
"""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file
from tests.support.processes import fork, fork_pair, wait
from tests.support.training_toys import NAME, ToyConfig, ToyLoader, ToySystem, make_config, register

from otolith.core.errors import TrainingError
from otolith.objectives import LossOutput
from otolith.training.logs import flatten, read_records
from otolith.training.loop import fit


class GlobalToy(ToySystem):
    """Normalises over the global batch itself, by something other than samples."""

    def loss(self, batch):
        own = super().loss(batch)
        weights_B = 1.0 + (batch.ids % 3).float()
        total = weights_B.sum()
        processes = 1
        if torch.distributed.is_initialized():
            torch.distributed.all_reduce(total)
            processes = torch.distributed.get_world_size()
        features = self.head(self.body(batch.streams["imu"].values.mean(1))).square().mean(1)
        loss = (weights_B * features).sum() * processes / total
        return LossOutput(
            total=loss + 0.0 * own.total, parts={"square": loss.detach()}, is_global=True
        )


class DriftingToy(ToySystem):
    """Changes a parameter after a step from this process's samples alone: a mistake."""

    def after_step(self, batch):
        self.scale.add_(float(batch.ids.sum()) * 1e-6)


def build(kind):
    torch.manual_seed(0)
    return {"plain": ToySystem, "global": GlobalToy, "drifting": DriftingToy}[kind](
        ToyConfig(dropout=0.0)
    )


def run(folder, kind, rank, world_size, changes):
    torch.set_num_threads(1)
    register()
    shared = {"rank": rank, "world_size": world_size}
    fit(
        build(kind),
        ToyLoader(28, 5, **shared),
        ToyLoader(9, 5, seed=9, **shared),
        make_config(**changes),
        folder=folder,
        system_name=NAME,
    )


def run_all(root, name, rank, world_size):
    """All scenarios in one process; the last one is a mistake and must stop the run."""
    for scenario, (kind, changes) in SCENARIOS.items():
        run(root / scenario / name, kind, rank, world_size, changes)
    if world_size == 1:
        return
    try:
        run(root / "drifting", "drifting", rank, world_size, {})
    except TrainingError as error:
        (root / f"drifting_{rank}.txt").write_text(str(error))


def compare(one, two):
    a, b = (read_records(f) for f in (one, two))
    flat = [(flatten(x), flatten(y)) for x, y in zip(a, b, strict=True)]
    assert all(x.keys() == y.keys() for x, y in flat)
    numbers = [
        abs(x[k] - y[k]) for x, y in flat for k in x if isinstance(x[k], float) and k != "lr"
    ]
    weights = [load_file(f / "checkpoints/latest/model.safetensors") for f in (one, two)]
    return {
        "records": len(a),
        "numbers": max(numbers),
        "weights": max((weights[0][k] - weights[1][k]).abs().max().item() for k in weights[0]),
        "moved": (weights[0]["head.weight"] - build("plain").head.weight).abs().max().item(),
    }


SCENARIOS = {
    "plain": ("plain", {}),
    "accumulated": ("plain", {"accumulate": 4, "ema": {"decay": 0.9}}),
    "global": ("global", {}),
    "bf16": ("plain", {"precision": "bf16"}),
}


def main(root: Path) -> None:
    pair = fork_pair(lambda rank: run_all(root, "two", rank, 2))
    wait(*pair, fork(lambda: run_all(root, "one", 0, 1)))
    results = {name: compare(root / name / "one", root / name / "two") for name in SCENARIOS}
    results["drifting"] = [(root / f"drifting_{r}.txt").read_text() for r in (0, 1)]
    sys.stdout.write(json.dumps(results) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
