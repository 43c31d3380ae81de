"""RecGym: ten people, five gym visits each, sensors at wrist, pocket and calf.

`RecGym.csv` holds one row per sample with a header: `Object` (person), `Workout`, `Position`
(wrist, pocket, leg), `A_{x,y,z}`, `G_{x,y,z}`, `C_1` (body capacitance), `Session`. There are no
time stamps; the publishers state 20 Hz. All values are scaled to about 0..1 by factors that are
not published, so they have no unit, and whether gravity is in them cannot be known.
"""

# R rows of the file, T time

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from otolith.core.config import config
from otolith.core.errors import FileFormatError
from otolith.datasets import Card, RemoteFile, Source, Split
from otolith.datasets._csv_columns import Kind, header, read_columns
from otolith.datasets._files import need
from otolith.datasets._labels import groups_of
from otolith.datasets._streams import bouts
from otolith.recordings.recording import (
    Channel,
    Finding,
    Gravity,
    ImuStream,
    Quality,
    Recording,
)

WORKOUTS = {
    "Adductor": "adductor_machine", "ArmCurl": "arm_curl", "BenchPress": "bench_press",
    "LegCurl": "leg_curl", "LegPress": "leg_press", "Riding": "cycling",
    "RopeSkipping": "rope_skipping", "Running": "running", "Squat": "squat",
    "StairsClimber": "stairclimber", "Walking": "walking",
}  # fmt: skip
_SPELLINGS = {"StairClimber": "StairsClimber"}
NO_WORKOUT = "Null"
PLACEMENTS = {"wrist": "wrist", "pocket": "pocket", "leg": "calf"}
RATE_HZ = 20.0
FILE = "RecGym.csv"
_COLUMNS = {"acc": ("A_x", "A_y", "A_z"), "gyro": ("G_x", "G_y", "G_z")}
_PERSON_COLUMNS = ("Object", "Subject")  # both names are in use


class Words(NamedTuple):
    """A text column: the different words, and the number of each row's word [R]."""

    words: tuple[str, ...]
    codes_R: np.ndarray


SOURCE = Source(
    licence="CC-BY-4.0",
    licence_url="https://archive.ics.uci.edu/dataset/1128",
    cite=(
        "S. Bian, V. F. Rey, S. Yuan, P. Lukowicz, The Contribution of Human Body Capacitance/"
        "Body-Area Electric Field To Individual and Collaborative Activity Recognition, "
        "arXiv:2210.14794, 2022."
    ),
    homepage="https://archive.ics.uci.edu/dataset/1128",
    files=(
        RemoteFile(
            name="recgym.zip",
            url=(
                "https://archive.ics.uci.edu/static/public/1128/recgym:+gym+workouts+recognition+"
                "dataset+with+imu+and+capacitive+sensor-7.zip"
            ),
            unpack=True,
        ),
    ),
    redistributable=True,
)

CARD = Card(
    title="RecGym: Gym Workouts Recognition Dataset with IMU and Capacitive Sensor",
    description=(
        "Ten people do eleven gym workouts on five days, with sensing units at the wrist, in the "
        "pocket and on the calf, as continuous recordings of about an hour."
    ),
    rate_hz=(RATE_HZ,),
    placements=tuple(PLACEMENTS.values()),
    gravity=Gravity.UNKNOWN,
    num_subjects=10,
    labels=tuple(WORKOUTS.values()),
    label_groups=groups_of(tuple(WORKOUTS.values())),
    caveats=(
        "Values are scaled to about 0..1 and have no unit: use them only with models that rescale every window.",
        "Whether acceleration contains gravity cannot be known.",
        "There are no time stamps; 20 Hz is the publishers' word, and whether the rows of the three positions were taken at the same time is not said.",
        "Body capacitance (C_1) is not read.",
        "No copy of the real files was at hand: the reader was tested on small files in the official layout.",
    ),
)  # fmt: skip


@config
class Config:
    """Settings of the reader.

    Args:
        root: Folder that holds `RecGym.csv`, or that file.
        positions: Which sensing units to read, in the publishers' words.
    """

    root: Path
    positions: tuple[Literal["wrist", "pocket", "leg"], ...] = ("wrist", "pocket", "leg")


def recordings(config: Config) -> Iterator[Recording]:
    """Yield one recording per person, gym visit and position.

    Raises:
        DataError: The file is missing.
        FileFormatError: It is damaged, or holds an unknown workout or position.
    """
    root = need(config.root, "recgym", SOURCE)
    path = root if root.is_file() else need(root / FILE, "recgym", SOURCE)
    table, texts = _read(path)
    codes_R = _class_codes(path, texts["Workout"])
    _check_words(path, "position", texts["Position"], tuple(PLACEMENTS))
    values_RC = np.stack([table[c] for columns in _COLUMNS.values() for c in columns], axis=1)
    for (person, session, position), rows in _visits(texts):
        if position in config.positions:
            yield _recording(person, session, position, values_RC[rows], codes_R[rows], rows)


def splits() -> dict[str, Split]:
    """Return no division: the publishers leave out one person or one visit at a time."""
    return {}


def _read(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Words]]:
    """Number columns, and text columns with the person's under "person"."""
    names = header(path)
    person = next((name for name in _PERSON_COLUMNS if name in names), None)
    if person is None:
        raise FileFormatError(
            f"The first row of {path} does not name the column {_PERSON_COLUMNS[0]}.",
            "Fetch it again.",
        )
    texts: dict[str, Kind] = dict.fromkeys((person, "Workout", "Position", "Session"), "text")
    numbers: dict[str, Kind] = {c: "number" for columns in _COLUMNS.values() for c in columns}
    table = read_columns(path, texts | numbers)
    words = {name: _coded(table.pop(name)) for name in texts}
    return table, words | {"person": words[person]}


def _coded(words_R: np.ndarray) -> Words:
    """The different words, and the number of each row's; quick because rows repeat."""
    first = np.concatenate([[0], np.flatnonzero(words_R[1:] != words_R[:-1]) + 1])
    words, codes = np.unique(words_R[first], return_inverse=True)
    lengths = np.diff(first, append=len(words_R))
    return Words(tuple(words.tolist()), np.repeat(codes.reshape(-1), lengths))


def _visits(texts: dict[str, Words]) -> Iterator[tuple[tuple[str, str, str], np.ndarray]]:
    """Person, session and position with the numbers of their rows, in order of the file."""
    columns = [texts[name] for name in ("person", "Session", "Position")]
    shape = tuple(len(column.words) for column in columns)
    key_R = np.ravel_multi_index(tuple(column.codes_R for column in columns), shape)
    order = np.argsort(key_R, kind="stable")
    keys, starts = np.unique(key_R[order], return_index=True)
    rows_of = dict(zip(keys.tolist(), np.split(order, starts[1:]), strict=True))
    for key in sorted(rows_of, key=lambda k: rows_of[k][0]):
        at = np.unravel_index(key, shape)
        person, session, position = (c.words[int(i)] for c, i in zip(columns, at, strict=True))
        yield (person, session, position), rows_of[key]


def _class_codes(path: Path, workouts: Words) -> np.ndarray:
    """Number of each row's class, -1 between the workouts, int64 [R]."""
    _check_words(path, "workout", workouts, (*WORKOUTS, *_SPELLINGS, NO_WORKOUT))
    order = {name: code for code, name in enumerate(WORKOUTS)} | {NO_WORKOUT: -1}
    order |= {spelling: order[name] for spelling, name in _SPELLINGS.items()}
    return np.array([order[word] for word in workouts.words], np.int64)[workouts.codes_R]


def _check_words(path: Path, what: str, found: Words, known: tuple[str, ...]) -> None:
    if unknown := [word for word in found.words if word not in known]:
        raise FileFormatError(f'{path} holds the unknown {what} "{unknown[0]}".', "Fetch it again.")


def _recording(
    person: str,
    session: str,
    position: str,
    values_TC: np.ndarray,
    codes_T: np.ndarray,
    rows: np.ndarray,
) -> Recording:
    visit = f"{person}_session_{session}"
    names = [f"{sensor}_{axis}" for sensor in _COLUMNS for axis in "xyz"]
    placement = PLACEMENTS[position]
    stream = ImuStream(
        name=position,
        samples_TC=np.ascontiguousarray(values_TC, dtype=np.float32),
        rate_hz=RATE_HZ,
        channels=tuple(replace(Channel.from_name(n, placement=placement), unit="") for n in names),
        gravity=Gravity.UNKNOWN,
        quality=Quality(valid_fraction=float((~np.isnan(values_TC).all(axis=1)).mean())),
    )
    return Recording(
        id=f"{visit}_{position}",
        subject=person,
        dataset="recgym",
        streams={position: stream},
        annotations=bouts(codes_T, dict(enumerate(WORKOUTS.values())), RATE_HZ),
        attributes={"session": session, "position": position, "source_recording": visit},
        findings=_findings(values_TC, rows),
    )


def _findings(values_TC: np.ndarray, rows: np.ndarray) -> tuple[Finding, ...]:
    facts = [
        Finding(
            check=f"units.{sensor}",
            status="unknown",
            fact=f"The publishers scaled {what} by factors that they do not give; it was kept as it is, without unit.",
            evidence=f"values from {np.nanmin(x_T3):.3f} to {np.nanmax(x_T3):.3f}" if np.isfinite(x_T3).any() else "",
            remedy="Use a model that rescales every window.",
        )
        for sensor, what, x_T3 in (
            ("acc", "acceleration", values_TC[:, :3]),
            ("gyro", "angular rate", values_TC[:, 3:]),
        )
    ]  # fmt: skip
    rate = f"The file has no time stamps; {RATE_HZ:g} Hz is the publishers' word."
    facts.append(Finding(check="time.rate", status="inferred", fact=rate))
    if breaks := int((np.diff(rows) > 1).sum()):
        fact = f"Rows of this visit and position lie in {breaks + 1} places of the file; they were joined in its order."
        facts.append(Finding(check="rows.scattered", status="warning", fact=fact))
    if missing := int(np.isnan(values_TC).any(axis=1).sum()):
        fact = f"{missing} rows have empty cells; these are marked as missing."
        facts.append(Finding(check="values.missing", status="warning", fact=fact))
    return tuple(facts)
