"""Loading windows: 2 000 windows of 450 x 6, batch 20, shuffled, weak augmentation, collated.

Beside it, alternately, a plain loader: one Parquet file per window and a loop over samples.
Prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

NUM_WINDOWS, ROWS, WIDTH, BATCH, RATE_HZ = 2_000, 450, 6, 20, 50.0
WINDOWS_PER_RECORDING = 20
NAMES = [f"{sensor}_{axis}" for sensor in ("acc", "gyro") for axis in "xyz"]


def write_data(folder: Path) -> tuple[Path, Path]:
    """Write the same windows as a data folder and as one Parquet file each."""
    from otolith.recordings import Channel, ImuStream, Recording
    from otolith.recordings.store import write_data_folder

    rng = np.random.default_rng(0)
    shape = (NUM_WINDOWS // WINDOWS_PER_RECORDING, WINDOWS_PER_RECORDING * ROWS, WIDTH)
    signals = rng.normal(size=shape).astype(np.float32)
    channels = tuple(Channel.from_name(name) for name in NAMES)
    recordings = [
        Recording(
            id=f"r{i}",
            subject=f"s{i % 10}",
            streams={
                "imu": ImuStream(name="imu", samples_TC=x, rate_hz=RATE_HZ, channels=channels)
            },
        )
        for i, x in enumerate(signals)
    ]
    write_data_folder(folder / "store", recordings, name="bench", card={}, progress=False)
    plain = folder / "plain"
    plain.mkdir()
    for i, x in enumerate(signals.reshape(NUM_WINDOWS, ROWS, WIDTH)):
        pq.write_table(pa.table(dict(zip(NAMES, x.T, strict=True))), plain / f"{i}.parquet")
    return folder / "store", plain


def our_epoch(store: Path, workers: int) -> Callable[[int], int]:
    """Return a function that loads one epoch through Otolith."""
    from otolith.datasets import make_dataset
    from otolith.windows.dataset import WindowDataset
    from otolith.windows.loader import make_loader
    from otolith.windows.sampling import GlobalBatchSampler
    from otolith.windows.table import WindowSpec
    from otolith.windows.transforms import Augmenter, preset

    spec = WindowSpec(window_s=ROWS / RATE_HZ)
    dataset = WindowDataset(
        [make_dataset(str(store), is_pretrain=True)], spec, transform=Augmenter(preset("weak"))
    )
    sampler = GlobalBatchSampler(len(dataset), BATCH, seed=0, shuffle=True)
    loader = make_loader(dataset, sampler, num_workers=workers)

    def epoch(number: int) -> int:
        return sum(len(batch) for batch in loader.batches(number))

    return epoch


def plain_epoch(folder: Path) -> Callable[[int], int]:
    """Return a function that loads one epoch window by window."""
    import torch

    def sample(index: int, rng: np.random.Generator) -> torch.Tensor:
        table = pq.read_table(folder / f"{index}.parquet")
        x = np.stack([table[name].to_numpy() for name in NAMES], axis=1)
        if rng.random() < 0.8:
            x = x + 0.05 * rng.standard_normal(x.shape, dtype=np.float32)
        if rng.random() < 0.8:
            x = x * rng.uniform(0.9, 1.1, WIDTH).astype(np.float32)
        shift = int(rng.integers(-ROWS // 20, ROWS // 20 + 1)) if rng.random() < 0.8 else 0
        if shift:
            x = np.roll(x, shift, axis=0)
            gap = slice(0, shift) if shift > 0 else slice(shift, None)
            x[gap] = x[gap].mean(0)
        return torch.from_numpy(np.ascontiguousarray(x))

    def epoch(number: int) -> int:
        rng = np.random.default_rng(number)
        count = 0
        for ids in rng.permutation(NUM_WINDOWS).reshape(-1, BATCH):
            batch = torch.stack([sample(int(i), rng) for i in ids])
            mask = torch.ones(batch.shape[:2], dtype=torch.bool)
            count += len(batch) if mask.any() else 0
        return count

    return epoch


def measure(epochs: list[Callable[[int], int]], repetitions: int) -> list[list[float]]:
    """Seconds per epoch of several loaders, run alternately after one warm-up each."""
    for epoch in epochs:
        assert epoch(0) == NUM_WINDOWS
    seconds: list[list[float]] = [[] for _ in epochs]
    for number in range(1, repetitions + 1):
        for times, epoch in zip(seconds, epochs, strict=True):
            start = time.perf_counter()
            epoch(number)
            times.append(time.perf_counter() - start)
    return seconds


def main() -> None:
    """Measure and print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--repetitions", type=int, default=5)
    chosen = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(chosen.threads)
    import torch

    torch.set_num_threads(chosen.threads)
    pa.set_cpu_count(chosen.threads)
    with tempfile.TemporaryDirectory() as folder:
        store, plain = write_data(Path(folder))
        ours, other = measure(
            [our_epoch(store, chosen.workers), plain_epoch(plain)], chosen.repetitions
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    median, plain_median = statistics.median(ours), statistics.median(other)
    result = {
        "workload": "imu_loader",
        "threads": chosen.threads,
        "workers": chosen.workers,
        "median_s": round(median, 5),
        "min_s": round(min(ours), 5),
        "repetitions": chosen.repetitions,
        "items_per_second": round(NUM_WINDOWS / median, 1),
        "peak_memory_mb": round(peak, 1),
        "plain_median_s": round(plain_median, 5),
        "plain_min_s": round(min(other), 5),
        "plain_items_per_second": round(NUM_WINDOWS / plain_median, 1),
        "plain_ratio": round(plain_median / median, 2),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
