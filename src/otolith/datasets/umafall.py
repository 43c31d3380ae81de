"""UMAFall: 19 people, 12 daily activities and 3 simulated falls, four motion sensors at a time.

`UMAFall_Subject_<n>_<ADL|Fall>_<movement>_<trial>_<date>_<time>.csv` hold comment lines ("%": who,
which sensor where) and rows `stamp in ms; number; x; y; z; sensor type; sensor id;` (type 0 g,
1 deg/s, 2 magnetometer). Stamps are arrival times at the phone, which come in bursts; the
SensorTags sample at 20 Hz. Where stamps fit a regular 20 Hz clock, samples are kept as they are and
put on that clock; where samples were lost on the way, they are interpolated and marked suspect.
Acceleration and angular rate of one packet stand in rows of nearly equal stamps; their numbers
differ by one (the accelerometer counts from 0, the gyroscope from 1), so they are paired in order
of arrival, not by number.
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
from otolith.datasets import Card, Source, Split
from otolith.datasets._clocks import grid, in_order, sample_at
from otolith.datasets._files import find_root, need, read_text
from otolith.datasets._labels import groups_of
from otolith.datasets._streams import motion_stream, unit_findings
from otolith.recordings.recording import (
    Annotation,
    Finding,
    Gravity,
    ImuStream,
    Quality,
    Recording,
)

MOVEMENTS = {
    "ADL_Walking": "walking",
    "ADL_Jogging": "jogging",
    "ADL_Bending": "bending",
    "ADL_Hopping": "hopping",
    "ADL_GoUpstairs": "walking upstairs",
    "ADL_GoDownstairs": "walking downstairs",
    "ADL_LyingDown_OnABed": "lying down on a bed",
    "ADL_Sitting_GettingUpOnAChair": "sitting down and getting up from a chair",
    "ADL_Aplausing": "clapping hands",
    "ADL_HandsUp": "raising hands",
    "ADL_MakingACall": "making a phone call",
    "ADL_OpeningDoor": "opening a door",
    "Fall_backwardFall": "backward fall",
    "Fall_forwardFall": "forward fall",
    "Fall_lateralFall": "lateral fall",
}
_SYNONYMS = {
    "hopping": "jumping",
    "lying down on a bed": "lying_down_from_standing",
    "clapping hands": "clapping",
    "backward fall": "falling_backward",
    "forward fall": "falling_forward",
    "lateral fall": "fall_sideways",
}
PLACEMENTS = ("wrist", "chest", "waist", "ankle")
TAG_RATE_HZ = 20.0
PHONE_RATE_HZ = 200.0
PACKET_MS = 10.0  # rows of one packet arrive within this time
MAX_CLOCK_ERROR_S = 0.5
MAX_RATE_ERROR = 0.03
TEST_SUBJECTS = ("2", "4", "9", "16", "18")
_TYPES = {"acc": 0, "gyro": 1}
_UNITS = {"acc": "g", "gyro": "deg/s"}
_NAME = r"UMAFall_Subject_(\d+)_((?:ADL|Fall)_\w+?)_(\d+)_(\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d)\.csv"

SOURCE = Source(
    licence="CC-BY-4.0",
    licence_url="https://figshare.com/articles/dataset/UMA_ADL_FALL_Dataset_zip/4214283",
    cite=(
        "E. Casilari, J. A. Santoyo-Ramon, J. M. Cano-Garcia, UMAFall: A Multisensor Dataset for "
        "the Research on Automatic Fall Detection, Procedia Computer Science 110, 2017."
    ),
    homepage="https://figshare.com/articles/dataset/UMA_ADL_FALL_Dataset_zip/4214283",
    manual="Download UMA_ADL_FALL_Dataset.zip from the page and unpack it.",
)

CARD = Card(
    title="UMAFall: A Multisensor Dataset for the Research on Automatic Fall Detection",
    description=(
        "19 people do 12 daily activities and 3 kinds of simulated falls with motion sensors at "
        "wrist, chest, waist and ankle at the same time."
    ),
    rate_hz=(TAG_RATE_HZ,),
    placements=PLACEMENTS,
    gravity=Gravity.INCLUDED,
    num_subjects=19,
    labels=tuple(MOVEMENTS.values()),
    label_groups=groups_of(tuple(MOVEMENTS.values()), _SYNONYMS),
    caveats=(
        "Gyroscope and accelerometer do not share their axes: measured gravity turns as if the "
        "angular rate were (-x, y, -z); the published axes are kept.",
        "The licence is that of the figshare page as remembered; check it before publishing.",
        "Stamps are arrival times in bursts; some recordings lost many samples of the wrist.",
        "Not every recording has all four placements.",
        "In a known copy, 20 files of subject 13 have damaged decimal separators.",
        "The magnetometers are not read; the phone's accelerometer only on request.",
    ),
)


@config
class Config:
    """Settings of the reader.

    Args:
        root: Folder with the `.csv` files, or one that holds `UMAFall_Dataset`.
        phone: Whether to add a stream "pocket" with the phone's accelerometer (200 Hz).
        damaged: What to do with a file whose decimal separators are damaged: refuse to read the
            data set, or leave the file out.
    """

    root: Path
    phone: bool = False
    damaged: Literal["refuse", "leave_out"] = "refuse"


class _DamagedError(FileFormatError):
    """A file with numbers that cannot be known any more."""


def recordings(config: Config) -> Iterator[Recording]:
    """Yield one recording per file.

    Raises:
        DataError: The folder is missing.
        FileFormatError: A file is cut off, damaged or not named as published.
    """
    nested = ("UMAFall_Dataset", "UMA_ADL_FALL_Dataset", "UMAFall_Dataset_corrected_version")
    root = find_root(config.root, nested, "umafall", SOURCE)
    paths = sorted(root.glob("UMAFall_Subject_*.csv"))
    if not paths:
        need(root / "UMAFall_Subject_01_*.csv", "umafall", SOURCE)
    for path in paths:
        try:
            yield _read_file(path, phone=config.phone)
        except _DamagedError:
            if config.damaged == "refuse":
                raise


def splits() -> dict[str, Split]:
    """Return a division into people."""
    train = tuple(s for s in map(str, range(1, 20)) if s not in TEST_SUBJECTS)
    return {"subjects": Split(train=train, test=TEST_SUBJECTS, origin="otolith")}


def _read_file(path: Path, *, phone: bool) -> Recording:
    match = re.fullmatch(_NAME, path.name)
    if match is None or match[2] not in MOVEMENTS:
        raise FileFormatError(
            f"{path} is not named UMAFall_Subject_<n>_<movement>_<trial>_<time>.csv.",
            "Move it out of the release.",
        )
    lines = read_text(path).splitlines()
    positions, attributes = _read_head(lines)
    if not positions:
        raise FileFormatError(f"{path} does not say which sensor is where.", "Fetch it again.")
    rows = _read_rows(path, lines)
    streams, findings = {}, unit_findings("g", "deg/s")
    for number, position in sorted(positions.items()):
        if position not in PLACEMENTS and not phone:
            continue
        stream, more = _read_sensor(rows[rows[:, 6] == number], position)
        findings += more
        if stream is not None:
            streams[stream.name] = stream
    if not streams:
        raise FileFormatError(f"{path} holds no samples of a worn sensor.", "Fetch it again.")
    start_s = min(s.offset_s for s in streams.values())
    end_s = max(s.offset_s + s.duration_s for s in streams.values())
    label = MOVEMENTS[match[2]]
    return Recording(
        id=f"s{match[1]}_{match[2]}_{match[3]}_{match[4]}",
        subject=str(int(match[1])),
        dataset="umafall",
        streams=streams,
        annotations=(Annotation(start_s=max(start_s, 0.0), end_s=end_s, labels=(label,)),),
        attributes={"trial": match[3], "kind": match[2].split("_")[0].lower(), **attributes},
        findings=findings,
    )


def _read_head(lines: list[str]) -> tuple[dict[int, str], dict[str, str]]:
    """Sensor number -> position, and facts about the person."""
    positions, facts = {}, {}
    for line in lines:
        if not line.startswith("%"):
            continue
        if found := re.match(r"%\s*[0-9A-Fa-f:]{17}\s*;\s*(\d+)\s*;\s*([A-Za-z]+)", line):
            name = found[2].lower()
            positions[int(found[1])] = "pocket" if "pocket" in name else name
        elif found := re.match(r"%+\s*(Age|Height|Weight|Gender)[^:]*:\s*([\w.]+)", line):
            facts[found[1].lower()] = found[2]
    return positions, facts


def _read_rows(path: Path, lines: list[str]) -> np.ndarray:
    """Rows [T, 7] as published."""
    body = [text for line in lines if (text := line.strip()) and text[0].isdigit()]
    if not body:
        raise FileFormatError(f"{path} holds no samples.", "Fetch it again.")
    cells = [line.rstrip(";").split(";") for line in body]
    for number, row in enumerate(cells, start=1):
        if len(row) != 7:
            raise FileFormatError(
                f"Sample row {number} of {path} has {len(row)} cells instead of 7.",
                "Fetch it again.",
            )
    try:
        return np.array(cells, dtype=np.float64)
    except ValueError:
        bad = next(n for n, row in enumerate(cells, start=1) if not _are_numbers(row))
        raise _DamagedError(
            f"Sample row {bad} of {path} holds something that is no number; decimal separators "
            "seem damaged.",
            'Get an undamaged copy, or leave such files out with damaged="leave_out".',
        ) from None


def _are_numbers(row: list[str]) -> bool:
    return all(re.fullmatch(r"\s*[-+]?\d+\.?\d*([eE][-+]?\d+)?\s*", cell) for cell in row)


def _read_sensor(rows: np.ndarray, position: str) -> tuple[ImuStream | None, tuple[Finding, ...]]:
    """One sensor's stream; None if it gave nothing."""
    by_type = {s: rows[rows[:, 5] == code] for s, code in _TYPES.items()}
    by_type = {s: x[np.argsort(x[:, 1], kind="stable")] for s, x in by_type.items()}
    found: tuple[Finding, ...] = ()
    if len(by_type["acc"]) < 2:
        fact = f"The sensor at the {position} gave no acceleration; it was left out."
        return None, (Finding(check="stream.missing", status="warning", fact=fact),)
    if not len(by_type["gyro"]):
        del by_type["gyro"]
    elif len(by_type["gyro"]) != len(by_type["acc"]):
        counts = {s: len(x) for s, x in by_type.items()}
        by_type = _pair(by_type)
        fact = f"Sensor rows at the {position} differ in number {counts}; the common ones stay."
        found += (Finding(check="rows.unequal", status="fixed", fact=fact),)
    stamps_s = by_type["acc"][:, 0] / 1000.0
    triads = {s: x[:, 2:5] for s, x in by_type.items()}
    rate_hz = PHONE_RATE_HZ if position == "pocket" else TAG_RATE_HZ
    offset_s, triads, quality, clock = _on_clock(stamps_s, triads, rate_hz, position)
    stream = motion_stream(
        position, triads, _UNITS, rate_hz=rate_hz, gravity=Gravity.INCLUDED,
        placement="right pocket" if position == "pocket" else position,
        offset_s=offset_s, quality=quality,
    )  # fmt: skip
    return stream, (*found, clock)


def _pair(by_type: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Rows of both sensors that came in one packet, by arrival time."""
    acc, gyro = by_type["acc"], by_type["gyro"]
    late_ms = np.abs(acc[:, 0][:, None] - gyro[:, 0][None, :])
    nearest = late_ms.argmin(axis=1)
    together = late_ms[np.arange(len(acc)), nearest] <= PACKET_MS
    _, first = np.unique(nearest[together], return_index=True)
    keep = np.flatnonzero(together)[first]
    return {"acc": acc[keep], "gyro": gyro[nearest[keep]]}


def _on_clock(
    stamps_s: np.ndarray, triads: dict[str, np.ndarray], rate_hz: float, position: str
) -> tuple[float, dict[str, np.ndarray], Quality, Finding]:
    """Offset, samples on a regular clock, quality, and what was done."""
    steps = np.arange(len(stamps_s))
    slope_s, start_s = np.polyfit(steps, stamps_s, 1)
    error_s = float(np.abs(stamps_s - start_s - slope_s * steps).max())
    if error_s <= MAX_CLOCK_ERROR_S and abs(slope_s * rate_hz - 1.0) <= MAX_RATE_ERROR:
        offset_s = max(float(np.mean(stamps_s - steps / rate_hz)), 0.0)
        fact = (
            f"Arrival times at the {position} fit a clock of {rate_hz:g} Hz within {error_s:.2f} s; "
            "samples were kept and put on it."
        )
        return offset_s, triads, Quality(), Finding(check="time.jitter", status="fixed", fact=fact)
    sorted_s = {s: in_order(stamps_s, x, position)[:2] for s, x in triads.items()}
    stamps_s = sorted_s["acc"][0]
    instants_s = grid((float(stamps_s[0]), float(stamps_s[-1])), rate_hz)
    triads = {s: sample_at(times_s, x, instants_s) for s, (times_s, x) in sorted_s.items()}
    fact = (
        f"Arrival times at the {position} do not fit a clock of {rate_hz:g} Hz "
        f"({1 / slope_s:.1f} Hz, off by up to {error_s:.2f} s); samples were interpolated."
    )
    quality = Quality(flag="suspect", notes=(fact,))
    found = Finding(check="time.jitter", status="warning", fact=fact)
    return float(stamps_s[0]), triads, quality, found
