"""Every recipe of paper size of EVI-MAE and HIMU-MAE: build the system, take one optimizer step.

Each recipe runs in a process of its own and prints one JSON line: weights, arithmetic of forward and
backward pass, time and processor time of the step, peak memory. Inputs are random, of the shape that the
recipe cuts. A recipe whose sizes a recipe before it has is built, and `same_size_as` names that one.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import time
from typing import Any

FAMILIES = ("evi_mae/", "himu_mae/")


def main() -> None:
    """Run all recipes, or those named; with `--one` a single recipe in this process."""
    options = _options()
    if options.one:
        _print(measure(options.one, options, json.loads(options.known)))
        return
    known: dict[str, str] = {}
    for name in options.recipe or paper_recipes():
        line = _in_process(name, options, known)
        known.setdefault(line.pop("signature"), name)
        _print(line)


def paper_recipes() -> list[str]:
    """Return the recipes of both systems whose size is `paper`."""
    from otolith.recipes import read_recipe, recipe_names

    names = [name for name in recipe_names() if name.startswith(FAMILIES)]
    return [name for name in names if read_recipe(name).get("about", {}).get("size") == "paper"]


def measure(name: str, options: argparse.Namespace, known: dict[str, str]) -> dict[str, Any]:
    """Build a recipe's system and take one step, unless one of the same sizes did.

    Args:
        name: Recipe.
        options: Batch size, threads, type of numbers, changes of the recipe.
        known: Signature of sizes -> recipe that took a step.

    Returns:
        What is printed, and the signature of the sizes.
    """
    import torch
    from _full_size_batch import random_batch

    from otolith.recipes import load_recipe

    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    recipe, _ = load_recipe(name, options.set)
    system = recipe.system.module.System(recipe.system.config).train()
    batch = random_batch(recipe, options.batch_size)
    weights = [p for p in system.parameters() if p.requires_grad]
    line: dict[str, Any] = {
        "recipe": name,
        "system": recipe.system.name,
        "parameters": sum(p.numel() for p in system.parameters()),
        "trained_parameters": sum(p.numel() for p in weights),
        "batch_size": options.batch_size,
        "threads": options.threads,
        "dtype": options.dtype,
        "inputs": {name: list(s.values.shape) for name, s in batch.streams.items()},
        "signature": _signature(recipe, system, batch),
    }
    if line["signature"] in known:
        return line | {"same_size_as": known[line["signature"]]}
    return line | _step(recipe, system, batch, options)


def _step(recipe: Any, system: Any, batch: Any, options: argparse.Namespace) -> dict[str, Any]:
    """Take one optimizer step; the arithmetic is counted in the same pass."""
    from _measure import autocast, peak_memory_mb
    from torch.utils.flop_counter import FlopCounterMode

    from otolith.training.optimizers import build_optimizer

    optimizer = build_optimizer(system, recipe.training.optimizer)
    system.warm_up([batch])
    before_mb = peak_memory_mb()
    start, start_cpu = time.perf_counter(), time.process_time()
    with FlopCounterMode(display=False, custom_mapping=_attention()) as counter:
        with autocast(options):
            loss = system.loss(batch).total
        loss.backward()
    optimizer.step()
    return {
        "gflop": round(counter.get_total_flops() / 1e9, 4),
        "seconds": round(time.perf_counter() - start, 2),
        "cpu_seconds": round(time.process_time() - start_cpu, 2),
        "built_memory_mb": round(before_mb),
        "peak_memory_mb": round(peak_memory_mb()),
        "loss": round(float(loss.detach()), 4),
    }


def _attention() -> dict[Any, Any]:
    """Arithmetic of the fused attention on a CPU, which PyTorch's counter leaves out."""
    import torch
    from torch.utils.flop_counter import sdpa_backward_flop_count, sdpa_flop_count

    aten = torch.ops.aten

    def forward(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
        return sdpa_flop_count(query, key, value)

    def backward(grad: Any, query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
        return sdpa_backward_flop_count(grad, query, key, value)

    return {
        aten._scaled_dot_product_flash_attention_for_cpu: forward,
        aten._scaled_dot_product_flash_attention_for_cpu_backward: backward,
    }


def _signature(recipe: Any, system: Any, batch: Any) -> str:
    """Return what two recipes share if their steps take the same arithmetic and memory."""
    from otolith.core.config import to_plain

    plain = to_plain(recipe.system.config)
    sizes = [
        [(list(p.shape), p.requires_grad) for p in system.parameters()],
        [list(stream.values.shape) for stream in batch.streams.values()],
        [plain.get(key) for key in ("masking", "mode", "mixup")],
        [plain["encoder"].get(key) for key in ("modalities", "upstream_quirks")],
        recipe.training.optimizer.name,
    ]
    return hashlib.sha256(json.dumps(sizes).encode()).hexdigest()[:16]


def _in_process(name: str, options: argparse.Namespace, known: dict[str, str]) -> dict[str, Any]:
    """Run one recipe in a process of its own, whose peak memory is then that of the recipe."""
    command = [
        sys.executable, __file__, "--one", name, "--known", json.dumps(known),
        "--batch-size", str(options.batch_size), "--threads", str(options.threads),
        "--dtype", options.dtype,
    ]  # fmt: skip
    for change in options.set:
        command += ["--set", change]
    variables = os.environ | {"OMP_NUM_THREADS": str(options.threads)}
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=variables)  # noqa: S603  # our own script
    return json.loads(done.stdout.splitlines()[-1])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", action="append", help="recipe to run; repeat; else all")
    parser.add_argument("--batch-size", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--set", action="append", default=[], help="change of the recipes; repeat")
    parser.add_argument("--one", default="", help=argparse.SUPPRESS)
    parser.add_argument("--known", default="{}", help=argparse.SUPPRESS)
    return parser.parse_args()


def _print(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
