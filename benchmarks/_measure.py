"""Measure a workload: times, arithmetic, and the share of the machine's matrix-product rate.

A benchmark prints one JSON line. Where a plain form of the same workload exists, both run
alternately in one process, so that their ratio does not depend on what else the machine does. With
one thread, times are CPU seconds, which do not count what other processes take of the core.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

Work = Callable[[], Any]
Shape = tuple[int, ...]


def parse_arguments(description: str, **defaults: Any) -> argparse.Namespace:
    """Read the options that all benchmarks share; a workload may have other `defaults`."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=20)
    parser.add_argument("--size", default="small", help="size of the model; published: small")
    parser.add_argument("--plain", action="store_true", help="also run the plain form, alternately")
    parser.set_defaults(**defaults)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    return options


def _attention_flop(query: Shape, key: Shape, value: Shape, *_: Any, **__: Any) -> int:
    """Arithmetic of fused attention on a CPU: scores and their product with the values."""
    batch, heads, length, width = query
    return 2 * batch * heads * length * key[2] * (width + value[3])


def _attention_backward_flop(
    _gradient: Shape, query: Shape, key: Shape, value: Shape, *_: Any, **__: Any
) -> int:
    """Arithmetic of its gradient: four products; that the scores are computed anew is not counted."""
    return 2 * _attention_flop(query, key, value)


# torch counts the fused attention of accelerators alone
_CPU_ATTENTION = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
_CPU_ATTENTION_BACKWARD = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward
_FORMULAS = {
    _CPU_ATTENTION: _attention_flop,
    _CPU_ATTENTION_BACKWARD: _attention_backward_flop,
}


def matmul_gflops(dtype: torch.dtype = torch.float32, size: int = 2048, tries: int = 3) -> float:
    """Return the rate of a large square matrix product in GFLOP/s."""
    a, b = torch.randn(size, size).to(dtype), torch.randn(size, size).to(dtype)
    a @ b
    return 2.0 * size**3 / min(measure_s(lambda: a @ b) for _ in range(tries)) / 1e9


def count_gflop(work: Work) -> float:
    """Return the arithmetic of one run in matrix products, convolutions and attention, in GFLOP."""
    with FlopCounterMode(display=False, custom_mapping=_FORMULAS) as counter:
        work()
    return counter.get_total_flops() / 1e9


def autocast(options: argparse.Namespace) -> torch.autocast:
    """Return the context in which the workload runs."""
    return torch.autocast("cpu", torch.bfloat16, enabled=options.dtype == "bfloat16")


def report(
    workload: str, options: argparse.Namespace, work: Work, items: int, plain: Work | None = None
) -> None:
    """Run a workload and print its JSON line.

    `share` is the median over the repetitions of the arithmetic divided by what a matrix product in
    float32, measured just before, does in the same time; `share_best` uses the best of both.

    Args:
        workload: Name of the workload.
        options: From `parse_arguments`.
        work: One repetition.
        items: Windows per repetition.
        plain: One repetition of the plain form; None = there is none or it is not wanted.
    """
    gflop = count_gflop(work)
    work()
    peak_mb = peak_memory_mb()
    if plain is not None:
        plain()
    times, plain_times, rates = [], [], []
    for _ in range(options.repetitions):
        rates.append(matmul_gflops(tries=1))
        times.append(measure_s(work))
        if plain is not None:
            plain_times.append(measure_s(plain))
    median_s = statistics.median(times)
    shares = [gflop / rate / seconds for rate, seconds in zip(rates, times, strict=True)]
    line = {
        "workload": workload,
        "threads": options.threads,
        "dtype": options.dtype,
        "size": options.size,
        "batch_size": options.batch_size,
        "median_s": round(median_s, 4),
        "min_s": round(min(times), 4),
        "repetitions": options.repetitions,
        "items_per_second": round(items / median_s, 2),
        "peak_memory_mb": round(peak_mb),
        "gflop": round(gflop, 4),
        "matmul_gflops": round(statistics.median(rates), 1),
        "share": round(statistics.median(shares), 3),
        "share_best": round(gflop / max(rates) / min(times), 3),
    }
    if plain is not None:
        line["plain_median_s"] = round(statistics.median(plain_times), 4)
        line["plain_min_s"] = round(min(plain_times), 4)
        ratios = [plain / own for plain, own in zip(plain_times, times, strict=True)]
        line["plain_ratio"] = round(statistics.median(ratios), 3)
        line["plain_gflop"] = round(count_gflop(plain), 4)
    sys.stdout.write(json.dumps(line) + "\n")


def measure_s(work: Work) -> float:
    """Return the seconds of one run."""
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    start = clock()
    work()
    return clock() - start


def peak_memory_mb() -> float:
    """Return the most memory that this process has held, in MB."""
    scale = 1024.0 if sys.platform != "darwin" else 1024.0**2
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale
