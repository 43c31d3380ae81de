"""SisFall: 38 people, 19 daily activities and 15 simulated falls, one device at the waist.

`<subject>/<code>_<subject>_<trial>.txt` hold rows of nine counts that end with ";": ADXL345,
ITG3200 and MMA8451Q, at 200 Hz. The folder SA15 of the release holds five files that are named
after SE15; by the folder (and by orientation) they are SA15's own.
"""

# T time

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from otolith.core.config import config
from otolith.core.errors import FileFormatError
from otolith.datasets import Card, Source, Split
from otolith.datasets._files import find_root, need, read_numbers
from otolith.datasets._labels import groups_of
from otolith.datasets._streams import motion_stream, unit_findings, whole
from otolith.recordings.recording import Finding, Gravity, Recording

ACTIVITIES = {
    "D01": "walking slowly",
    "D02": "walking quickly",
    "D03": "jogging slowly",
    "D04": "jogging quickly",
    "D05": "walking upstairs and downstairs slowly",
    "D06": "walking upstairs and downstairs quickly",
    "D07": "slowly sit in half height chair and stand up",
    "D08": "quickly sit in half height chair and stand up",
    "D09": "slowly sit in low height chair and stand up",
    "D10": "quickly sit in low height chair and stand up",
    "D11": "try to get up from chair and collapse back",
    "D12": "lie down slowly and sit up",
    "D13": "lie down quickly and sit up",
    "D14": "roll from back to side and return",
    "D15": "bend knees slowly and get up",
    "D16": "bend without bending knees and get up",
    "D17": "get into a car, stay seated and get out",
    "D18": "stumble while walking",
    "D19": "gentle jump to reach a high object",
    "F01": "fall forward while walking (slip)",
    "F02": "fall backward while walking (slip)",
    "F03": "lateral fall while walking (slip)",
    "F04": "fall forward while walking (trip)",
    "F05": "fall forward while jogging (trip)",
    "F06": "vertical fall while walking (fainting)",
    "F07": "fall while walking with hands damping on a table (fainting)",
    "F08": "fall forward when trying to get up",
    "F09": "lateral fall when trying to get up",
    "F10": "fall forward when trying to sit down",
    "F11": "fall backward when trying to sit down",
    "F12": "lateral fall when trying to sit down",
    "F13": "fall forward while sitting (fainting or asleep)",
    "F14": "fall backward while sitting (fainting or asleep)",
    "F15": "lateral fall while sitting (fainting or asleep)",
}
_SYNONYMS = {
    **{ACTIVITIES[c]: "walking" for c in ("D01", "D02")},
    **{ACTIVITIES[c]: "jogging" for c in ("D03", "D04")},
    **{ACTIVITIES[c]: "stairs" for c in ("D05", "D06")},
    **{ACTIVITIES[f"F{n:02d}"]: "syncope" for n in range(1, 16)},
    ACTIVITIES["D19"]: "jumping",
}
RATE_HZ = 200.0
ADXL345_G_PER_COUNT = 2 * 16 / 2**13  # +-16 g in 13 bits
ITG3200_DEG_S_PER_COUNT = 2 * 2000 / 2**16  # +-2000 deg/s in 16 bits
MMA8451Q_G_PER_COUNT = 2 * 8 / 2**14  # +-8 g in 14 bits
ADULTS = tuple(f"SA{n:02d}" for n in range(1, 24))
ELDERLY = tuple(f"SE{n:02d}" for n in range(1, 16))

SOURCE = Source(
    licence="none stated; published by Universidad de Antioquia for research",
    cite=(
        "A. Sucerquia, J. D. Lopez, J. F. Vargas-Bonilla, SisFall: A Fall and Movement Dataset, "
        "Sensors 17(1):198, 2017."
    ),
    homepage="https://www.mdpi.com/1424-8220/17/1/198",
    manual="The paper links the publishers' page; unpack the archive to SisFall_dataset.",
)

CARD = Card(
    title="SisFall: A Fall and Movement Dataset",
    description=(
        "38 people, 15 of them elderly, do 19 daily activities and 15 simulated falls with one "
        "sensor at the waist."
    ),
    rate_hz=(RATE_HZ,),
    placements=("waist",),
    gravity=Gravity.INCLUDED,
    num_subjects=38,
    labels=tuple(ACTIVITIES.values()),
    label_groups=groups_of(tuple(ACTIVITIES.values()), _SYNONYMS),
    caveats=(
        "No licence is stated.",
        "One label per file, although some files show several actions in turn.",
        "The elderly (SE) did not do every activity; of them only SE06 fell.",
        "Five files in folder SA15 carry the name of SE15; they are read as SA15's.",
    ),
)


@config
class Config:
    """Settings of the reader.

    Args:
        root: Folder of the release; it holds `SA01`, `SA02`, ..., or `SisFall_dataset`.
        subjects: Which people to read; empty = all that are present.
        second_accelerometer: Whether to add a stream "imu2" with the MMA8451Q.
    """

    root: Path
    subjects: tuple[str, ...] = ()
    second_accelerometer: bool = False


def recordings(config: Config) -> Iterator[Recording]:
    """Yield one recording per file.

    Raises:
        DataError: A folder is missing.
        FileFormatError: A file is cut off, damaged or not named as published.
    """
    root = find_root(config.root, ("SisFall_dataset",), "sisfall", SOURCE)
    present = [s for s in (*ADULTS, *ELDERLY) if (root / s).is_dir()]
    for subject in config.subjects or present or (ADULTS[0],):
        folder = need(root / subject, "sisfall", SOURCE)
        for path in sorted(folder.glob("[DF]*.txt")):
            yield _read_file(path, subject, config.second_accelerometer)


def splits() -> dict[str, Split]:
    """Return a division into people with adults and elderly in each part."""
    test = (*ADULTS[12:16], *ELDERLY[11:])
    validation = (*ADULTS[20:], *ELDERLY[9:11])
    train = tuple(s for s in (*ADULTS, *ELDERLY) if s not in {*test, *validation})
    split = Split(train=train, validation=validation, test=test, origin="otolith")
    return {"subjects": split}


def _read_file(path: Path, subject: str, second: bool) -> Recording:
    match = re.fullmatch(r"([DF]\d\d)_(S[AE]\d\d)_(R\d\d)\.txt", path.name)
    if match is None or match[1] not in ACTIVITIES:
        raise FileFormatError(
            f"{path} is not named <code>_<subject>_<trial>.txt.", "Move it out of the release."
        )
    code, named, trial = match.groups()
    findings = unit_findings("g", "deg/s")
    name = f"{code}_{subject}_{trial}"
    if named != subject:
        taken = path.with_name(f"{name}.txt").exists()
        name = f"{name}_{named}" if taken else name
        fact = f"{path.name} lies in folder {subject}; it was taken as a recording of {subject}."
        findings += (Finding(check="subject.name", status="inferred", fact=fact),)
    counts_TC = read_numbers(path, 9, separator=",", end=";")
    streams = {"imu": _stream("imu", counts_TC[:, :3] * ADXL345_G_PER_COUNT, counts_TC[:, 3:6])}
    if second:
        streams["imu2"] = _stream("imu2", counts_TC[:, 6:] * MMA8451Q_G_PER_COUNT, None)
    return Recording(
        id=name,
        subject=subject,
        dataset="sisfall",
        streams=dict(streams),
        annotations=whole(ACTIVITIES[code], streams["imu"].duration_s),
        attributes={
            "code": code,
            "trial": trial,
            "kind": "fall" if code[0] == "F" else "adl",
            "age_group": "elderly" if subject.startswith("SE") else "adult",
            "file": path.name,
        },
        findings=findings,
    )


def _stream(name: str, acc_g_T3: np.ndarray, gyro_counts_T3: np.ndarray | None):  # noqa: ANN202  # as motion_stream
    triads = {"acc": acc_g_T3}
    if gyro_counts_T3 is not None:
        triads["gyro"] = gyro_counts_T3 * ITG3200_DEG_S_PER_COUNT
    return motion_stream(
        name, triads, {"acc": "g", "gyro": "deg/s"},
        rate_hz=RATE_HZ, gravity=Gravity.INCLUDED, placement="waist",
    )  # fmt: skip
