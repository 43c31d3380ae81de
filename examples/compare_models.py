"""Pretrain a small encoder and compare it with window statistics on people it has not seen.

On the command line the same is `otolith train demo/pretrain` and then
`otolith evaluate probe --model RUN --model statistics --data seglearn_watch --folds official`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import otolith
from otolith.core.files import write_json
from otolith.reports.build import evaluation_report


def main() -> None:
    """Train, evaluate both, print a table and write a page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("compared"))
    parser.add_argument("--home", type=Path, help="home folder instead of $OTOLITH_HOME")
    parser.add_argument("--epochs", type=int, default=4)
    arguments = parser.parse_args()

    data = otolith.load_dataset("seglearn_watch", home=arguments.home)
    run = otolith.train(
        "demo/pretrain",
        f"data.datasets=[{{name: '{data.folder.path}', split: train}}]",
        f"training.epochs={arguments.epochs}",
        folder=arguments.out / "run",
    )
    settings = {"windows": {"window_s": 5.0, "stride_s": 2.5}, "folds": "official"}
    results = [
        otolith.evaluate("probe", model, data, settings) for model in (run.folder, "statistics")
    ]
    for result in results:
        low, high = result.ci95["macro_f1"] or (float("nan"), float("nan"))
        print(f"{result.model:20} macro-F1 {result.macro_f1:.3f} [{low:.3f}, {high:.3f}]")
    print(results[0].protocol)
    write_json(
        arguments.out / "results.json", {"format": 1, "results": [r.to_json() for r in results]}
    )
    print(f"Results: {evaluation_report(results).write(arguments.out / 'report.html')}")


if __name__ == "__main__":
    main()
