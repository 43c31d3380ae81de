"""BasicMotions: four students with a smart watch, four activities, 80 recordings of 10 s.

`BasicMotions_TRAIN.ts` and `BasicMotions_TEST.ts` of the UEA archive hold one recording per row:
six dimensions separated by ":", samples by ",", then the class name. The packages `aeon` and
`sktime` carry both files. A smoke-test set: who did what is not published.
"""

# T time, C channels

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from otolith.core.config import config
from otolith.core.errors import DataError, FileFormatError
from otolith.datasets import Card, Source, Split
from otolith.datasets._files import find_in_package, find_root, need, read_text
from otolith.datasets._labels import groups_of
from otolith.datasets._streams import motion_stream, unit_findings, whole
from otolith.recordings.recording import Finding, Gravity, Recording

LABELS = ("standing", "running", "walking", "badminton")
RATE_HZ = 10.0
NUM_ROWS = 100
NUM_CHANNELS = 6
NUM_PER_PART = 40
_PARTS = {"train": "BasicMotions_TRAIN.ts", "test": "BasicMotions_TEST.ts"}
_INSIDE = "datasets/data/BasicMotions"

SOURCE = Source(
    licence="BSD-3-Clause",
    licence_url="https://github.com/aeon-toolkit/aeon/blob/main/LICENSE",
    cite=(
        "A. Bagnall et al., The UEA multivariate time series classification archive, "
        "arXiv 1811.00075, 2018."
    ),
    homepage="https://timeseriesclassification.com/description.php?Dataset=BasicMotions",
    package="aeon",
    redistributable=True,
)

CARD = Card(
    title="BasicMotions (UEA archive)",
    description="Four students stand, walk, run and play badminton with a smart watch.",
    rate_hz=(RATE_HZ,),
    placements=("wrist",),
    gravity=Gravity.REMOVED,
    num_subjects=4,
    labels=LABELS,
    label_groups=groups_of(LABELS),
    caveats=(
        "Who did what is not published, so the parts share people; a smoke-test set.",
        "Units are not published; values agree with m/s^2 and rad/s.",
        "BSD-3 is the licence of the package that carries it.",
    ),
)


@config
class Config:
    """Settings of the reader.

    Args:
        root: Folder with the two `.ts` files; None = the installed package aeon or sktime.
    """

    root: Path | None = None


def recordings(config: Config) -> Iterator[Recording]:
    """Yield one recording per row of the two files.

    Raises:
        DataError: A file or the package is missing.
        FileFormatError: A row is cut off or damaged.
    """
    root = _find(config.root)
    for part, file_name in _PARTS.items():
        yield from _read_part(need(root / file_name, "basicmotions", SOURCE), part)


def splits() -> dict[str, Split]:
    """Return the archive's division into recordings (people are unknown)."""
    train, test = (tuple(f"{p}{i:02d}" for i in range(NUM_PER_PART)) for p in _PARTS)
    return {"official": Split(train=train, test=test, by="recording")}


def _find(root: Path | None) -> Path:
    if root is not None:
        return find_root(root, ("BasicMotions",), "basicmotions", SOURCE)
    try:
        return find_in_package(None, "aeon", _INSIDE, "basicmotions", SOURCE)
    except DataError:
        return find_in_package(None, "sktime", _INSIDE, "basicmotions", SOURCE)


def _read_part(path: Path, part: str) -> Iterator[Recording]:
    head, mark, body = read_text(path).partition("@data")
    if not mark:
        raise FileFormatError(f"{path} has no @data line.", "Fetch it again.")
    declared = f"@dimensions {NUM_CHANNELS}"
    if declared not in head:
        raise FileFormatError(f'{path} does not declare "{declared}".', "Fetch it again.")
    rows = [row for row in body.splitlines() if row.strip()]
    if not rows:
        raise FileFormatError(f"{path} holds no recordings.", "Fetch it again.")
    for index, row in enumerate(rows):
        yield _read_row(row.strip(), path, part, index)


def _read_row(row: str, path: Path, part: str, index: int) -> Recording:
    *dimensions, label = row.split(":")
    try:
        samples_TC = np.array([d.split(",") for d in dimensions], dtype=np.float64).T
    except ValueError:
        samples_TC = np.zeros((0, 0))
    if samples_TC.shape != (NUM_ROWS, NUM_CHANNELS) or label.lower() not in LABELS:
        raise FileFormatError(
            f"Recording {index + 1} of {path} is not {NUM_CHANNELS} dimensions of {NUM_ROWS} "
            "samples and a class name.",
            "Fetch it again.",
        )
    stream = motion_stream(
        "imu", {"acc": samples_TC[:, :3], "gyro": samples_TC[:, 3:]},
        {"acc": "m/s^2", "gyro": "rad/s"},
        rate_hz=RATE_HZ, gravity=Gravity.REMOVED, placement="wrist",
    )  # fmt: skip
    unpublished = Finding(
        check="units",
        status="inferred",
        fact="Units are not published; the size of the values fits m/s^2 and rad/s.",
    )
    return Recording(
        id=f"{part}{index:02d}",
        dataset="basicmotions",
        streams={"imu": stream},
        annotations=whole(label.lower(), stream.duration_s),
        attributes={"part": part},
        findings=(*unit_findings("m/s^2", "rad/s"), unpublished),
    )
