"""MHEALTH: 10 people, 12 activities, sensors at chest, left ankle and right wrist.

`MHEALTHDATASET/mHealth_subject<n>.log` hold one session per person, 50 Hz, 24 columns between tabs:
acceleration at the chest, two leads of an electrocardiogram, then acceleration, angular rate and
magnetic field at the left ankle and the same at the right wrist, and the activity (0 = none). Each
place becomes a stream of its own; the chest has no gyroscope.
"""

# T time, C channels

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np

from otolith.core.config import config
from otolith.core.errors import FileFormatError
from otolith.datasets import Card, RemoteFile, Source, Split
from otolith.datasets._files import find_root, need, read_numbers
from otolith.datasets._labels import groups_of
from otolith.datasets._streams import bouts, motion_stream, unit_findings
from otolith.recordings.recording import Finding, Gravity, ImuStream, Recording

LABELS = (
    "standing", "sitting", "lying", "walking", "climbing_stairs", "waist_bends_forward",
    "frontal_elevation_arms", "knees_bending", "cycling", "jogging", "running", "jump_front_back",
)  # fmt: skip
PLACEMENTS = {"chest": "chest", "ankle": "left ankle", "wrist": "right wrist"}
RATE_HZ = 50.0
NUM_COLUMNS = 24
_COLUMNS = {
    "chest": {"acc": slice(0, 3)},
    "ankle": {"acc": slice(5, 8), "gyro": slice(8, 11)},
    "wrist": {"acc": slice(14, 17), "gyro": slice(17, 20)},
}
_LABEL_COLUMN = 23
_GAIT = (4, 5, 10, 11)  # walking, climbing stairs, jogging, running
MIN_GAIT_RAD_S = 0.5
"""Limbs turn faster than this somewhere in every step."""

SOURCE = Source(
    licence="CC-BY-4.0",
    licence_url="https://archive.ics.uci.edu/dataset/319",
    cite=(
        "O. Banos, R. Garcia, J. A. Holgado-Terriza, M. Damas, H. Pomares, I. Rojas, A. Saez, "
        "C. Villalonga, mHealthDroid: A Novel Framework for Agile Development of Mobile Health "
        "Applications, IWAAL 2014."
    ),
    homepage="https://archive.ics.uci.edu/dataset/319",
    files=(
        RemoteFile(
            name="mhealth.zip",
            url="https://archive.ics.uci.edu/static/public/319/mhealth+dataset.zip",
            unpack=True,
        ),
    ),
    redistributable=True,
)

CARD = Card(
    title="Mobile Health (MHEALTH)",
    description=(
        "10 people do 12 activities of about a minute each, from standing to jumping, with sensors "
        "at chest, left ankle and right wrist, as continuous recordings."
    ),
    rate_hz=(RATE_HZ,),
    placements=tuple(PLACEMENTS.values()),
    gravity=Gravity.INCLUDED,
    num_subjects=10,
    labels=LABELS,
    label_groups=groups_of(LABELS),
    caveats=(
        "No copy of the real files was at hand; the reader was tested on a fixture in the official "
        "layout.",
        "The chest has an accelerometer only; its electrocardiogram is not read.",
        "The publishers give angular rate in deg/s; a finding warns where it is too slow for "
        "walking limbs, so that the unit cannot be right.",
        "The magnetometers are in a unit of their own and are not read.",
    ),
)


@config
class Config:
    """Settings of the reader.

    Args:
        root: Folder with the `.log` files, or one that holds `MHEALTHDATASET`.
        gyro: Whether to read the gyroscopes.
        gyro_unit: Unit of the gyroscopes; the publishers say deg/s.
    """

    root: Path
    gyro: bool = True
    gyro_unit: Literal["deg/s", "rad/s"] = "deg/s"


def recordings(config: Config) -> Iterator[Recording]:
    """Yield one recording per person.

    Raises:
        DataError: A file is missing.
        FileFormatError: A file is damaged or not named as published.
    """
    root = find_root(config.root, ("MHEALTHDATASET",), "mhealth", SOURCE)
    paths = list(root.glob("mHealth_subject*.log"))
    if not paths:
        need(root / "mHealth_subject1.log", "mhealth", SOURCE)
    for subject, path in sorted((_subject(path), path) for path in paths):
        yield _read_session(path, str(subject), config)


def splits() -> dict[str, Split]:
    """Return a division into people; the publishers define none."""
    train = ("1", "2", "3", "4", "5", "6", "7")
    return {"subjects": Split(train=train, test=("8", "9", "10"), origin="otolith")}


def _subject(path: Path) -> int:
    match = re.fullmatch(r"mHealth_subject(\d+)\.log", path.name)
    if match is None or not 1 <= int(match[1]) <= CARD.num_subjects:
        raise FileFormatError(
            f"{path} is not named mHealth_subject<n>.log.", "Move it out of the release."
        )
    return int(match[1])


def _read_session(path: Path, subject: str, config: Config) -> Recording:
    table_TC = read_numbers(path, NUM_COLUMNS)
    code_T = table_TC[:, _LABEL_COLUMN].astype(np.int64)
    if code_T.min() < 0 or code_T.max() > len(LABELS):
        raise FileFormatError(f"{path} holds an unknown activity.", "Fetch it again.")
    streams = {place: _stream(place, table_TC, config) for place in PLACEMENTS}
    is_gait_T = np.isin(code_T, _GAIT)
    slow = tuple(n for s in streams.values() if s.samples_TC.shape[1] > 3
                 for n in _too_slow(s, is_gait_T, config.gyro_unit))  # fmt: skip
    return Recording(
        id=f"subject{subject}",
        subject=subject,
        dataset="mhealth",
        streams=dict(streams),
        annotations=bouts(code_T, dict(enumerate(LABELS, start=1)), RATE_HZ),
        attributes={"device": "Shimmer2"},
        findings=(*unit_findings("m/s^2", config.gyro_unit if config.gyro else None), *slow),
    )


def _stream(place: str, table_TC: np.ndarray, config: Config) -> ImuStream:
    columns = _COLUMNS[place]
    triads = {s: table_TC[:, columns[s]] for s in columns if s == "acc" or config.gyro}
    return motion_stream(
        place, triads, {"acc": "m/s^2", "gyro": config.gyro_unit},
        rate_hz=RATE_HZ, gravity=Gravity.INCLUDED, placement=PLACEMENTS[place],
    )  # fmt: skip


def _too_slow(stream: ImuStream, is_gait_T: np.ndarray, unit: str) -> tuple[Finding, ...]:
    """Warn if a limb hardly turns while its owner walks."""
    if not is_gait_T.any():
        return ()
    gyro_T3 = stream.samples_TC[is_gait_T, 3:]
    turning_T = np.linalg.norm(gyro_T3 - np.median(gyro_T3, axis=0), axis=1)
    fast = float(np.percentile(turning_T, 99))
    if fast >= MIN_GAIT_RAD_S:
        return ()
    fact = (
        f"While walking and running the {PLACEMENTS[stream.name]} turns with {fast:.2g} rad/s at "
        f"most, too slow for a limb; the unit {unit} seems wrong."
    )
    remedy = "Leave the gyroscopes out with gyro=False, or name another unit with gyro_unit."
    return (Finding(check="gyro.scale", status="warning", fact=fact, remedy=remedy),)
