"""MotionSense: 24 people with a phone in the front pocket, six activities in 15 trials.

`A_DeviceMotion_data/<activity>_<trial>/sub_<n>.csv` hold one row per sample: a row number without
a name, attitude (rad), `gravity.{x,y,z}` and `userAcceleration.{x,y,z}` (g), `rotationRate.{x,y,z}`
(rad/s). There are no time stamps; the publishers state 50 Hz. What an accelerometer measures is
the sum of gravity and user acceleration.
"""

# T time

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np

from otolith.core.config import config
from otolith.core.errors import FileFormatError
from otolith.datasets import Card, RemoteFile, Source, Split
from otolith.datasets._csv_columns import Kind, read_columns
from otolith.datasets._files import find_root, need
from otolith.datasets._labels import groups_of
from otolith.datasets._streams import motion_stream, unit_findings, whole
from otolith.recordings.recording import Finding, Gravity, Recording

ACTIVITIES = {
    "dws": "walking_downstairs", "ups": "walking_upstairs", "wlk": "walking",
    "jog": "jogging", "sit": "sitting", "std": "standing",
}  # fmt: skip
TRIALS = {
    "dws": (1, 2, 11), "ups": (3, 4, 12), "wlk": (7, 8, 15),
    "jog": (9, 16), "sit": (5, 13), "std": (6, 14),
}  # fmt: skip
FIRST_SHORT_TRIAL = 11
NUM_SUBJECTS = 24
RATE_HZ = 50.0
_COLUMNS = {s: tuple(f"{s}.{axis}" for axis in "xyz") for s in ("gravity", "userAcceleration", "rotationRate")}  # fmt: skip

SOURCE = Source(
    licence="MIT for the repository that holds the data; none is stated for the data alone",
    licence_url="https://github.com/mmalekzadeh/motion-sense/blob/master/LICENSE",
    cite=(
        "M. Malekzadeh, R. G. Clegg, A. Cavallaro, H. Haddadi, Mobile Sensor Data Anonymization, "
        "IoTDI 2019."
    ),
    homepage="https://github.com/mmalekzadeh/motion-sense",
    files=(
        RemoteFile(
            name="A_DeviceMotion_data.zip",
            url=(
                "https://github.com/mmalekzadeh/motion-sense/raw/master/data/"
                "A_DeviceMotion_data.zip"
            ),
            unpack=True,
        ),
    ),
)

CARD = Card(
    title="MotionSense: Smartphone Motion for Activity and Attribute Recognition",
    description=(
        "24 people walk, jog, climb stairs, sit and stand with a phone in the front pocket of the "
        "trousers."
    ),
    rate_hz=(RATE_HZ,),
    placements=("front trouser pocket",),
    gravity=Gravity.INCLUDED,
    num_subjects=NUM_SUBJECTS,
    labels=tuple(ACTIVITIES.values()),
    label_groups=groups_of(tuple(ACTIVITIES.values())),
    caveats=(
        "The licence is unclear: the repository that holds the data is under MIT, written for code.",
        "The phone counts gravity downwards: at rest its acceleration points down, where most other data sets point up.",
        "There are no time stamps; 50 Hz is the publishers' word.",
        "The split trials has the same people in both parts.",
        "No copy of the real files was at hand: the reader was tested on small files in the official layout.",
    ),
)  # fmt: skip


@config
class Config:
    """Settings of the reader.

    Args:
        root: Folder of the release; it holds `wlk_7` and so on, or `A_DeviceMotion_data`.
        acceleration: `total` = gravity and user acceleration together, as an accelerometer
            measures; `user` = without gravity.
    """

    root: Path
    acceleration: Literal["total", "user"] = "total"


def recordings(config: Config) -> Iterator[Recording]:
    """Yield one recording per person and trial.

    Raises:
        DataError: A file is missing.
        FileFormatError: A file is damaged, or not named as published.
    """
    nested = ("A_DeviceMotion_data/A_DeviceMotion_data", "A_DeviceMotion_data")
    root = find_root(config.root, nested, "motion_sense", SOURCE)
    paths = [p for p in root.glob("*_*/sub_*.csv") if not p.parent.name.startswith("_")]
    if not paths:
        need(root / "wlk_7" / "sub_1.csv", "motion_sense", SOURCE)
    for path, activity, trial, subject in sorted(map(_who, paths), key=lambda found: found[1:]):
        yield _read_file(path, activity, trial, subject, config.acceleration)


def splits() -> dict[str, Split]:
    """Return a division into people, and the publishers' one into long and short trials."""
    people = tuple(map(str, range(1, NUM_SUBJECTS + 1)))
    long, short = [], []
    for activity, trials in TRIALS.items():
        for trial in trials:
            part = long if trial < FIRST_SHORT_TRIAL else short
            part += [_name(activity, trial, subject) for subject in people]
    return {
        "subjects": Split(train=people[:17], test=people[17:], origin="otolith"),
        "trials": Split(train=tuple(long), test=tuple(short), by="recording"),
    }


def _name(activity: str, trial: int, subject: str) -> str:
    return f"{activity}_{trial}_sub_{subject}"


def _who(path: Path) -> tuple[Path, str, int, int]:
    match = re.fullmatch(r"([a-z]{3})_(\d+)/sub_(\d+)\.csv", f"{path.parent.name}/{path.name}")
    if match is None or match[1] not in ACTIVITIES:
        raise FileFormatError(
            f"{path} is not named <activity>_<trial>/sub_<n>.csv.", "Move it out of the release."
        )
    return path, match[1], int(match[2]), int(match[3])


def _read_file(path: Path, activity: str, trial: int, subject: int, wanted: str) -> Recording:
    kinds: dict[str, Kind] = {column: "number" for cs in _COLUMNS.values() for column in cs}
    table = read_columns(path, kinds)
    user_T3, gravity_T3, gyro_T3 = (
        np.stack([table[column] for column in _COLUMNS[sensor]], axis=1)
        for sensor in ("userAcceleration", "gravity", "rotationRate")
    )
    if not all(np.isfinite(x).all() for x in (user_T3, gravity_T3, gyro_T3)):
        raise FileFormatError(f"{path} has empty cells.", "Fetch it again.")
    is_total = wanted == "total"
    stream = motion_stream(
        "imu", {"acc": user_T3 + gravity_T3 if is_total else user_T3, "gyro": gyro_T3},
        {"acc": "g", "gyro": "rad/s"},
        rate_hz=RATE_HZ, placement=CARD.placements[0],
        gravity=Gravity.INCLUDED if is_total else Gravity.REMOVED,
    )  # fmt: skip
    return Recording(
        id=_name(activity, trial, str(subject)),
        subject=str(subject),
        dataset="motion_sense",
        streams={"imu": stream},
        annotations=whole(ACTIVITIES[activity], stream.duration_s),
        attributes={"activity": activity, "trial": str(trial), "device": "iPhone 6s"},
        findings=(*unit_findings("g", "rad/s"), *_findings(is_total=is_total)),
    )


def _findings(*, is_total: bool) -> tuple[Finding, ...]:
    what = (
        "Acceleration is the sum of the columns gravity and userAcceleration."
        if is_total
        else "Acceleration is the column userAcceleration, without gravity."
    )
    rate = f"The files have no time stamps; {RATE_HZ:g} Hz is the publishers' word."
    return (
        Finding(check="acc.gravity", status="ok", fact=what),
        Finding(check="time.rate", status="inferred", fact=rate),
    )
