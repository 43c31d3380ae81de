"""Pretrain a small masked autoencoder on spectrograms, look at a reconstruction, probe the encoder.

On the command line the same is `otolith train himu_mae/pretrain_debug`, then
`otolith reconstruct RUN --data seglearn_watch` and
`otolith evaluate probe --model RUN --data seglearn_watch --folds official`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import otolith
from otolith.reports.reconstructions import draw_windows
from otolith.windows.dataset import WindowDataset
from otolith.windows.spec import WindowSpec


def main() -> None:
    """Train, draw, evaluate, print numbers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("himu"))
    parser.add_argument("--home", type=Path, help="home folder instead of $OTOLITH_HOME")
    parser.add_argument("--epochs", type=int, default=4)
    arguments = parser.parse_args()

    data = otolith.load_dataset("seglearn_watch", home=arguments.home)
    run = otolith.train(
        "himu_mae/pretrain_debug",
        f"data.datasets=[{{name: '{data.folder.path}', split: train}}]",
        f"training.epochs={arguments.epochs}",
        folder=arguments.out / "run",
    )
    held_out = otolith.load_dataset(data.folder.path, split="test")
    windows = WindowDataset([held_out], WindowSpec(window_s=2.0))
    picture = arguments.out / "reconstruction.png"
    drawn = draw_windows(run.system, windows.batch(np.array([0]), epoch=0), (picture,))
    print(f"hidden pixels: error {drawn.error_db:.1f} dB, their row's mean {drawn.guess_db:.1f} dB")
    settings = {"windows": {"window_s": 2.0}, "folds": "official"}
    for model in (run.folder, "statistics"):
        result = otolith.evaluate("probe", model, data, settings)
        print(f"{result.model:20} macro-F1 {result.macro_f1:.3f}")
    print(f"Results: {picture}")


if __name__ == "__main__":
    main()
