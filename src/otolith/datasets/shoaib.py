"""Shoaib 2014: ten people, seven activities, five phones on the body at once.

`DataSet/Participant_<n>.csv` have two header rows (positions; columns) and then one row per sample:
five blocks of 14 columns (time stamp, acceleration, linear acceleration, angular rate, magnetic
field, a blank), the last blank of which holds the activity. Activities were recorded one after the
other and joined; time stamps are rounded (1.39E+12), so rows count as 50 Hz and every run of one
activity is a recording.
"""

# T time

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from otolith.core.config import config
from otolith.core.errors import FileFormatError
from otolith.datasets import Card, RemoteFile, Source, Split
from otolith.datasets._csv_columns import Kind, read_columns
from otolith.datasets._files import find_root, need
from otolith.datasets._labels import groups_of
from otolith.datasets._streams import motion_stream, unit_findings, whole
from otolith.recordings.recording import Finding, Gravity, ImuStream, Recording

ACTIVITIES = {
    "biking": "cycling", "sitting": "sitting", "standing": "standing", "walking": "walking",
    "upstairs": "walking_upstairs", "downstairs": "walking_downstairs", "jogging": "jogging",
}  # fmt: skip
_MISSPELT = {"upsatirs": "upstairs"}
POSITIONS = {
    "left_pocket": "left trouser pocket", "right_pocket": "right trouser pocket",
    "wrist": "right wrist", "upper_arm": "right upper arm", "belt": "belt at the right hip",
}  # fmt: skip
RATE_HZ = 50.0
TEST_SUBJECTS = ("8", "9", "10")
BLOCK = 14  # columns per position
LABEL_COLUMN = 69
_TRIADS = {"acc": "A", "linear": "L", "gyro": "G", "mag": "M"}
_UNITS = {"acc": "m/s^2", "gyro": "rad/s", "mag": "uT"}
_BLOCK_NAMES = [f"{letter}{axis}" for letter in _TRIADS.values() for axis in "xyz"]
_ARCHIVE = (
    "https://www.utwente.nl/en/eemcs/ps/dataset-folder/"
    "sensors-activity-recognition-dataset-shoaib.rar"
)

SOURCE = Source(
    licence="none formal; offered for research with citation",
    cite=(
        "M. Shoaib, S. Bosch, O. D. Incel, H. Scholten, P. J. M. Havinga, Fusion of Smartphone "
        "Motion Sensors for Physical Activity Recognition, Sensors 14(6), 2014."
    ),
    homepage="https://www.utwente.nl/en/eemcs/ps/research/dataset/",
    files=(RemoteFile(name="sensors-activity-recognition-dataset-shoaib.rar", url=_ARCHIVE),),
    manual=f"Download {_ARCHIVE} and unpack it with a program for RAR archives.",
)

CARD = Card(
    title="Sensors Activity Recognition Dataset (Shoaib et al. 2014)",
    description=(
        "Ten men walk, jog, cycle, sit, stand and take the stairs for three to four minutes each "
        "with five phones: in both trouser pockets, at the right wrist, the right upper arm and "
        "the belt."
    ),
    rate_hz=(RATE_HZ,),
    placements=tuple(POSITIONS.values()),
    gravity=Gravity.INCLUDED,
    num_subjects=10,
    labels=tuple(ACTIVITIES.values()),
    label_groups=groups_of(tuple(ACTIVITIES.values())),
    caveats=(
        "No copy of the real files was at hand; the reader was tested on files in their layout.",
        "No formal licence.",
        "Time stamps are rounded beyond use; holes within an activity cannot be seen.",
        "All participants are men.",
    ),
)


@config
class Config:
    """Settings of the reader.

    Args:
        root: Folder of the release; it holds `Participant_1.csv`, or `DataSet`.
        linear_acc: Whether to add a stream `<position>_linear` for each position with the
            phone's gravity-free acceleration.
    """

    root: Path
    linear_acc: bool = False


def recordings(config: Config) -> Iterator[Recording]:
    """Yield one recording per person and activity.

    Raises:
        DataError: A file is missing.
        FileFormatError: A file is damaged, has other columns, or holds an unknown activity.
    """
    nested = ("sensors-activity-recognition-dataset-shoaib/DataSet", "DataSet")
    root = find_root(config.root, nested, "shoaib", SOURCE)
    paths = [p for p in root.glob("Participant_*.csv") if re.fullmatch(r"Participant_\d+", p.stem)]
    if not paths:
        need(root / "Participant_1.csv", "shoaib", SOURCE)
    for path in sorted(paths, key=_number):
        yield from _read_person(path, linear_acc=config.linear_acc)


def splits() -> dict[str, Split]:
    """Return a division into people."""
    train = tuple(map(str, range(1, 8)))
    return {"subjects": Split(train=train, test=TEST_SUBJECTS, origin="otolith")}


def _number(path: Path) -> int:
    return int(path.stem.split("_")[1])


def _read_person(path: Path, *, linear_acc: bool) -> Iterator[Recording]:
    names = _check_header(path)
    kinds: dict[str, Kind] = dict.fromkeys(
        (n for n in names if n and n != "activity" and "time" not in n), "number"
    )
    table = read_columns(path, {**kinds, "activity": "text"}, names=names, skip_rows=2)
    words_T = np.char.lower(table["activity"])
    words, code_T = np.unique(words_T, return_inverse=True)
    notes = (*unit_findings("m/s^2", "rad/s"), _clock_finding())
    activities = []
    for word in words.tolist():
        right = _MISSPELT.get(word, word)
        if right not in ACTIVITIES:
            raise FileFormatError(f'{path} holds the unknown activity "{word}".', "Fetch it again.")
        if right != word:
            fact = f'The misspelt activity "{word}" was read as "{right}".'
            notes += (Finding(check="label.name", status="fixed", fact=fact),)
        activities.append(ACTIVITIES[right])
    label_T = np.array(activities)[code_T]
    edges = [0, *(np.flatnonzero(label_T[1:] != label_T[:-1]) + 1).tolist(), len(label_T)]
    runs = list(itertools.pairwise(edges))
    total, seen = Counter(str(label_T[a]) for a, _ in runs), Counter[str]()
    person = f"P{_number(path):02d}"
    for a, b in runs:
        label = str(label_T[a])
        seen[label] += 1
        name = f"{person}_{label}" + (f"_{seen[label]}" if total[label] > 1 else "")
        rows = {column: values[a:b] for column, values in table.items()}
        yield Recording(
            id=name,
            subject=str(_number(path)),
            dataset="shoaib",
            streams=dict(_streams(rows, linear_acc=linear_acc)),
            annotations=whole(label, (b - a) / RATE_HZ),
            attributes={"source_recording": person, "first_row": str(a)},
            findings=notes,
        )


def _check_header(path: Path) -> list[str]:
    """Unique names of all 70 columns, after a look at both header rows."""
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        first, second = (
            [c.strip().strip('"') for c in file.readline().split(",")] for _ in range(2)
        )
    places = [re.sub(r"[\s_]+", "_", cell.lower()) for cell in first if cell]
    if len(places) == len(POSITIONS) and places != list(POSITIONS):
        raise FileFormatError(
            f"{path} names the positions {', '.join(places)} instead of {', '.join(POSITIONS)}.",
            "Fetch it again.",
        )
    names = []
    for number, place in enumerate(POSITIONS):
        block = second[number * BLOCK + 1 : number * BLOCK + 1 + len(_BLOCK_NAMES)]
        if [c.lower() for c in block] != [c.lower() for c in _BLOCK_NAMES]:
            raise FileFormatError(
                f"The second row of {path} does not name {', '.join(_BLOCK_NAMES)} in columns "
                f"{number * BLOCK + 2} to {number * BLOCK + 1 + len(_BLOCK_NAMES)}.",
                "Fetch it again.",
            )
        names += [f"{place} time", *(f"{place} {c}" for c in _BLOCK_NAMES), ""]
    names[LABEL_COLUMN] = "activity"
    return names


def _clock_finding() -> Finding:
    fact = "Time stamps are rounded; rows were taken to be 50 Hz apart, as the publishers say."
    return Finding(check="time.rate", status="inferred", fact=fact)


def _streams(rows: dict[str, np.ndarray], *, linear_acc: bool) -> Iterator[tuple[str, ImuStream]]:
    """The streams of all positions by name."""
    for place, words in POSITIONS.items():
        triads = {
            sensor: np.stack([rows[f"{place} {letter}{axis}"] for axis in "xyz"], axis=1)
            for sensor, letter in _TRIADS.items()
        }
        linear_T3 = triads.pop("linear")
        yield (
            place,
            motion_stream(
                place, triads, _UNITS,
                rate_hz=RATE_HZ, gravity=Gravity.INCLUDED, placement=words,
            ),
        )  # fmt: skip
        if linear_acc:
            name = f"{place}_linear"
            yield (
                name,
                motion_stream(
                    name, {"acc": linear_T3}, _UNITS,
                    rate_hz=RATE_HZ, gravity=Gravity.REMOVED, placement=words,
                ),
            )  # fmt: skip
