"""Add a data set of your own in one class, and use it like any other.

A small made-up release is written first, so that the script runs as it is.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import otolith
from otolith.core.config import config
from otolith.core.errors import DataError
from otolith.datasets import Card, Source, Split
from otolith.recordings.recording import Annotation, Channel, Gravity, ImuStream, Recording
from otolith.signals.units import STANDARD_GRAVITY_M_S2

RATE_HZ = 50.0


@otolith.register_dataset("park_walks")
class ParkWalks:
    """Park walks: three people walk and rest with a phone in the hand."""

    SOURCE = Source(licence="CC0-1.0", cite="Made up.", homepage="https://example.org")
    CARD = Card(
        title="Park walks",
        description="Three people walk and rest with a phone in the hand.",
        rate_hz=(RATE_HZ,),
        placements=("hand",),
        gravity=Gravity.INCLUDED,
        num_subjects=3,
        labels=("walking", "resting"),
    )

    @config
    class Config:
        """Settings: `root` is the folder of the release."""

        root: Path

    @staticmethod
    def recordings(config: Any) -> Iterator[Recording]:
        """Yield one recording per file, in m/s^2."""
        paths = sorted(config.root.glob("*_*.csv"))
        if not paths:
            raise DataError(f"{config.root} holds no files.", "Give the folder of the release.")
        for path in paths:
            person, activity = path.stem.split("_")
            samples = np.loadtxt(path, delimiter=",", dtype=np.float32, ndmin=2)
            stream = ImuStream(
                name="imu",
                samples_TC=samples * np.float32(STANDARD_GRAVITY_M_S2),
                rate_hz=RATE_HZ,
                channels=tuple(Channel.from_name(f"acc_{a}", placement="hand") for a in "xyz"),
                gravity=Gravity.INCLUDED,
            )
            yield Recording(
                id=path.stem,
                subject=person,
                dataset="park_walks",
                streams={"imu": stream},
                annotations=(Annotation(start_s=0.0, end_s=stream.duration_s, labels=(activity,)),),
            )

    @staticmethod
    def splits() -> dict[str, Split]:
        """Return the division into people."""
        return {"official": Split(train=("ann", "bob"), test=("eve",))}


def write_release(root: Path) -> None:
    """Write made-up files in g: one second pattern for walking, stillness for resting."""
    root.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(0)
    time_s = np.arange(0.0, 60.0, 1.0 / RATE_HZ)
    for person in ("ann", "bob", "eve"):
        for activity, strength in (("walking", 0.4), ("resting", 0.0)):
            samples = 0.03 * generator.standard_normal((len(time_s), 3))
            samples[:, 2] += 1.0 + strength * np.sin(2 * np.pi * 2.0 * time_s)
            np.savetxt(root / f"{person}_{activity}.csv", samples, delimiter=",", fmt="%.5f")


def main() -> None:
    """Write a release, convert it, evaluate on it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("park_walks_example"))
    arguments = parser.parse_args()
    write_release(arguments.out / "release")
    part = otolith.make_dataset(
        "park_walks", root=arguments.out / "release", home=arguments.out / "home"
    )
    print(f"{part.name}: {len(part)} recordings of {', '.join(part.subjects)}; {part.labels}")
    result = otolith.evaluate("probe", "statistics", part, {"folds": "official"})
    print(f"macro-F1 {result.macro_f1:.3f}; {result.protocol}")
    print(f"Results: {part.folder.path}")


if __name__ == "__main__":
    main()
