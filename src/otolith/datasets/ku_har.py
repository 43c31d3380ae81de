"""KU-HAR: 18 classes of activities of about 90 people with a phone in a bag at the waist.

`1.Raw_time_domian_data/<number>.<class>/<person>_<letter>_<trial>.csv` (spelt like that) hold eight
columns without a header: time, acceleration x, y, z (m/s^2 without gravity), time, angular rate
x, y, z (rad/s). Both sensors have their own time stamps, since the start of the recording; here
they are put on one grid at the measured rate. The publishers speak of ms, other readers of s, so
the unit of time is taken from the steps.
"""

# T time

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from otolith.core.config import config
from otolith.core.errors import FileFormatError
from otolith.datasets import Card, RemoteFile, Source, Split
from otolith.datasets._csv_columns import Kind, read_columns
from otolith.datasets._files import find_root, need
from otolith.datasets._labels import groups_of
from otolith.datasets._sensors import WORDS, Samples, join_sensors
from otolith.datasets._streams import motion_stream, unit_findings, whole
from otolith.recordings.recording import Finding, Gravity, Recording

CLASSES = {
    "stand": "standing", "sit": "sitting", "talk-sit": "talking_sitting",
    "talk-stand": "talking_standing", "stand-sit": "standing_up_from_sitting", "lay": "lying",
    "lay-stand": "standing_up_from_laying", "pick": "picking_up", "jump": "jumping",
    "push-up": "push_up", "sit-up": "sit_up", "walk": "walking",
    "walk-backwards": "walking_backwards", "walk-circle": "walking", "run": "running",
    "stair-up": "walking_upstairs", "stair-down": "walking_downstairs",
    "table-tennis": "playing_sports",
}  # fmt: skip
_SPELLINGS = {"walk-backward": "walk-backwards"}
LABELS = tuple(dict.fromkeys(CLASSES.values()))
SUBJECTS = tuple(str(n) for n in (*range(1001, 1091), 1101) if n not in {1012, 1059})
NOMINAL_RATE_HZ = 100.0
# steps of a clock of 100 Hz, ten times slower to five times faster, tell s from ms
_STEP_RANGES = {"s": (0.002, 0.1), "ms": (2.0, 100.0)}
_SECONDS = {"s": 1.0, "ms": 1e-3}
_NAMES = ("acc_t", "acc_x", "acc_y", "acc_z", "gyro_t", "gyro_x", "gyro_y", "gyro_z")

SOURCE = Source(
    licence="CC-BY-4.0",
    licence_url="https://data.mendeley.com/datasets/45f952y38r/5",
    cite=(
        "N. Sikder, A.-A. Nahid, KU-HAR: An Open Dataset for Heterogeneous Human Activity "
        "Recognition, Pattern Recognition Letters 146, 2021."
    ),
    homepage="https://data.mendeley.com/datasets/45f952y38r/5",
    files=(
        RemoteFile(
            name="1.Raw_time_domian_data.zip",
            url=(
                "https://data.mendeley.com/public-files/datasets/45f952y38r/files/"
                "d3126562-b795-4eba-8559-310a25859cc7/file_downloaded"
            ),
            unpack=True,
        ),
    ),
    redistributable=True,
)

CARD = Card(
    title="KU-HAR: An Open Dataset for Heterogeneous Human Activity Recognition",
    description=(
        "Motion without gravity of 89 people with a smartphone in a bag at the waist: postures, "
        "talking, changes of posture, exercises, walking, running, stairs and table tennis."
    ),
    rate_hz=(NOMINAL_RATE_HZ,),
    placements=("waist",),
    gravity=Gravity.REMOVED,
    num_subjects=len(SUBJECTS),
    labels=LABELS,
    label_groups=groups_of(LABELS),
    caveats=(
        "The publishers speak of 90 people; the known file names hold 89 numbers, and 1101 may stand for several people.",
        "Stand-sit and Lay-stand repeat both directions; their labels name one.",
        "Walk and Walk-circle share the label walking; the attribute activity tells them apart.",
        "The publishers' 3 s subsamples are not read: they do not name the person.",
        "No copy of the real files was at hand: the reader was tested on small files in the official layout.",
    ),
)  # fmt: skip


@config
class Config:
    """Settings of the reader.

    Args:
        root: Folder of the release; it holds `0.Stand` and so on, or `1.Raw_time_domian_data`.
        max_gap_s: Longer steps between samples are holes, whose samples are missing (NaN).
    """

    root: Path
    max_gap_s: Annotated[float, Field(gt=0)] = 1.0


def recordings(config: Config) -> Iterator[Recording]:
    """Yield one recording per file.

    Raises:
        DataError: A file is missing.
        FileFormatError: A file is damaged, or not named as published.
    """
    nested = ("1.Raw_time_domian_data", "1.Raw_time_domain_data")
    root = find_root(config.root, nested, "ku_har", SOURCE)
    paths = sorted(root.glob("[0-9]*.*/*.csv"), key=lambda p: (_number(p.parent), p.name))
    if not paths:
        need(root / "0.Stand" / "1001_A_1.csv", "ku_har", SOURCE)
    for path in paths:
        yield _read_file(path, config.max_gap_s)


def splits() -> dict[str, Split]:
    """Return a division into people: numbers up to 1070 for training, the others for testing."""
    train = tuple(s for s in SUBJECTS if int(s) <= 1070)
    return {"subjects": Split(train=train, test=SUBJECTS[len(train) :], origin="otolith")}


def _number(folder: Path) -> int:
    digits = folder.name.split(".")[0]
    return int(digits) if digits.isdigit() else -1


def _read_file(path: Path, max_gap_s: float) -> Recording:
    folder = re.fullmatch(r"\d+\.(.+)", path.parent.name)
    match = re.fullmatch(r"(\d+)_[A-Za-z]+_(\w+)\.csv", path.name)
    name = folder[1].strip() if folder else ""
    label = CLASSES.get(_SPELLINGS.get(name.lower(), name.lower()))
    if match is None or label is None:
        raise FileFormatError(
            f"{path} is not named <number>.<class>/<person>_<letter>_<trial>.csv.",
            "Move it out of the release.",
        )
    sensors, notes = _read_sensors(path)
    joined = join_sensors(sensors, max_gap_s=max_gap_s, device="the phone")
    if joined is None:
        raise FileFormatError(f"{path} has no two neighbouring samples.", "Fetch it again.")
    stream = motion_stream(
        "phone", joined.triads, {"acc": "m/s^2", "gyro": "rad/s"},
        rate_hz=joined.rate_hz, gravity=Gravity.REMOVED, placement="waist",
        quality=joined.quality,
    )  # fmt: skip
    gyro_unit = "rad/s" if "gyro" in joined.triads else None
    return Recording(
        id=f"{name.replace(' ', '_')}_{path.stem}",
        subject=match[1],
        dataset="ku_har",
        streams={"phone": stream},
        annotations=whole(label, stream.duration_s),
        attributes={"activity": name, "trial": match[2]},
        findings=(*unit_findings("m/s^2", gyro_unit), *notes, *joined.findings),
    )


def _read_sensors(path: Path) -> tuple[dict[str, Samples], tuple[Finding, ...]]:
    """Times in s [T] and samples [T, 3] by sensor, without padding, and what was done."""
    kinds: dict[str, Kind] = dict.fromkeys(_NAMES, "number")
    table = read_columns(path, kinds, names=_NAMES)
    found, notes = {}, ()
    for sensor in ("acc", "gyro"):
        times = table[f"{sensor}_t"]
        values_T3 = np.stack([table[f"{sensor}_{axis}"] for axis in "xyz"], axis=1)
        keep = np.concatenate([[True], times[1:] != 0.0])
        if lost := int((~keep).sum()):
            fact = f"{lost} rows of {WORDS[sensor]} are padding (time 0); they were left out."
            notes += (Finding(check="rows.padding", status="fixed", fact=fact),)
        found[sensor] = (times[keep], values_T3[keep])
    unit = _time_unit(found["acc"][0], path)
    seconds = {s: (times * _SECONDS[unit], x_T3) for s, (times, x_T3) in found.items()}
    fact = f"Steps of the time stamps show that they are in {unit}."
    return seconds, (*notes, Finding(check="time.unit", status="inferred", fact=fact))


def _time_unit(times: np.ndarray, path: Path) -> str:
    """Unit in which the accelerometer runs at about 100 Hz."""
    steps = np.diff(times)
    step = float(np.median(steps[steps > 0])) if (steps > 0).any() else float("nan")
    for unit, (low, high) in _STEP_RANGES.items():
        if low < step < high:
            return unit
    raise FileFormatError(
        f"Time stamps of {path} step by {step:g}, which is neither s nor ms of a clock near "
        f"{NOMINAL_RATE_HZ:g} Hz.",
        "Fetch it again.",
    )
