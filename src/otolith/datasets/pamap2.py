"""PAMAP2: 9 people, 18 activities, sensors at the dominant wrist, the chest and an ankle.

`PAMAP2_Dataset/{Protocol,Optional}/subject<n>.dat` hold one session per person, 100 Hz, 54 columns
between blanks: time (s), activity (0 = none), heart rate, then three times 17 columns for hand,
chest and ankle: temperature, acceleration of a 16 g and of a 6 g sensor (m/s^2), angular rate
(rad/s), magnetic field (uT) and four columns of orientation that the publishers call invalid.
Samples that the radio lost are NaN: short holes are bridged, long ones split a recording.
"""

# T time, C channels

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from otolith.core.config import config
from otolith.core.errors import FileFormatError
from otolith.datasets import Card, RemoteFile, Source, Split
from otolith.datasets._clocks import Span, covered, grid, in_order, nearest, overlap, sample_at
from otolith.datasets._files import find_root, need, read_numbers
from otolith.datasets._labels import groups_of
from otolith.datasets._streams import bouts, motion_stream, unit_findings
from otolith.recordings.recording import Finding, Gravity, ImuStream, Quality, Recording

CODES = {
    1: "lying", 2: "sitting", 3: "standing", 4: "walking", 5: "running", 6: "cycling",
    7: "nordic_walking", 9: "watching_tv", 10: "computer_work", 11: "car_driving",
    12: "ascending_stairs", 13: "descending_stairs", 16: "vacuum_cleaning", 17: "ironing",
    18: "folding_laundry", 19: "house_cleaning", 20: "playing_soccer", 24: "rope_jumping",
}  # fmt: skip
_SYNONYMS = {"folding_laundry": "folding_clothes", "playing_soccer": "playing_basketball"}
PLACEMENTS = {"hand": "wrist", "chest": "chest", "ankle": "ankle"}
RATE_HZ = 100.0
NUM_COLUMNS = 54
_FIRST_COLUMN = {"hand": 3, "chest": 20, "ankle": 37}
_SENSORS = {"acc": 1, "acc6": 4, "gyro": 7, "mag": 10}  # offset in the 17 columns of a place
_UNITS = {"acc": "m/s^2", "acc6": "m/s^2", "gyro": "rad/s", "mag": "uT"}
MIN_VALID_SHARE = 0.9

SOURCE = Source(
    licence="CC-BY-4.0",
    licence_url="https://archive.ics.uci.edu/dataset/231",
    cite=(
        "A. Reiss, D. Stricker, Introducing a New Benchmarked Dataset for Activity Monitoring, "
        "ISWC 2012."
    ),
    homepage="https://archive.ics.uci.edu/dataset/231",
    files=(
        RemoteFile(
            name="pamap2.zip",
            url=(
                "https://archive.ics.uci.edu/static/public/231/"
                "pamap2+physical+activity+monitoring.zip"
            ),
            unpack=True,
        ),
    ),
    redistributable=True,
)

CARD = Card(
    title="Physical Activity Monitoring (PAMAP2)",
    description=(
        "9 people follow a protocol of 12 activities of daily life and sports, some with further "
        "activities, with sensors at the dominant wrist, the chest and the ankle."
    ),
    rate_hz=(RATE_HZ,),
    placements=tuple(PLACEMENTS.values()),
    gravity=Gravity.INCLUDED,
    num_subjects=9,
    labels=tuple(CODES.values()),
    label_groups=groups_of(tuple(CODES.values()), _SYNONYMS),
    caveats=(
        "No copy of the real files was at hand; the reader was tested on a fixture in the official "
        "layout.",
        "The folder Optional (six further activities of some people) is read on request: "
        'parts=("Protocol", "Optional").',
        "The 6 g accelerometers are less well calibrated and saturate; they and the magnetometers "
        "are read on request.",
        "Orientation is invalid according to the publishers; it, heart rate and temperature are "
        "not read.",
    ),
)


@config
class Config:
    """Settings of the reader.

    Args:
        root: Folder of the release; it holds `Protocol`, or `PAMAP2_Dataset`.
        parts: Which folders to read.
        acc6: Whether to add the channels of the 6 g accelerometers.
        magnetometer: Whether to add the magnetometers.
        max_gap_s: Longer holes in any of the sensors split a recording.
        min_piece_s: Shorter pieces between holes are left out.
    """

    root: Path
    parts: tuple[Literal["Protocol", "Optional"], ...] = ("Protocol",)
    acc6: bool = False
    magnetometer: bool = False
    max_gap_s: Annotated[float, Field(gt=0)] = 0.5
    min_piece_s: Annotated[float, Field(ge=0)] = 1.0


Samples = tuple[np.ndarray, dict[str, np.ndarray]]
"""Times in s [T] and samples [T, 3] by sensor."""


def recordings(config: Config) -> Iterator[Recording]:
    """Yield one recording per person and part (more where there are long holes).

    Raises:
        DataError: A file is missing.
        FileFormatError: A file is damaged or not named as published.
    """
    root = find_root(config.root, ("PAMAP2_Dataset",), "pamap2", SOURCE)
    for part in config.parts:
        paths = sorted((root / part).glob("subject*.dat"))
        if not paths:
            need(root / part / "subject101.dat", "pamap2", SOURCE)
        for path in paths:
            yield from _read_session(path, part, config)


def splits() -> dict[str, Split]:
    """Return a division into people; 105 and 106 are those that the literature often holds out."""
    train = tuple(s for s in map(str, range(101, 110)) if s not in {"105", "106"})
    return {"subjects": Split(train=train, test=("105", "106"), origin="otolith")}


def _read_session(path: Path, part: str, config: Config) -> Iterator[Recording]:
    match = re.fullmatch(r"subject(10[1-9])\.dat", path.name)
    if match is None:
        raise FileFormatError(f"{path} is not named subject<n>.dat.", "Move it out of the release.")
    table_TC = read_numbers(path, NUM_COLUMNS)
    if not np.isfinite(table_TC[:, :2]).all() or not set(table_TC[:, 1]) <= {0.0, *CODES}:
        raise FileFormatError(f"{path} holds an unknown activity or time.", "Fetch it again.")
    times_s, table_TC, notes = in_order(table_TC[:, 0], table_TC, "the session")
    samples = {place: _measured(place, times_s, table_TC, config) for place in PLACEMENTS}
    spans = [covered(own_s, config.max_gap_s) for own_s, _ in samples.values()]
    found = functools.reduce(overlap, spans)
    pieces = [span for span in found if span[1] - span[0] >= config.min_piece_s]
    if not pieces:
        raise FileFormatError(
            f"{path} holds no {config.min_piece_s:g} s in which all three sensors have samples.",
            "Fetch it again, or allow longer holes with max_gap_s.",
        )
    notes += _losses(samples, times_s, pieces, config)
    name = f"{part.lower()}_{match[1]}"
    codes = (times_s, table_TC[:, 1].astype(np.int64))
    for number, piece in enumerate(pieces, start=1):
        own = name if len(pieces) == 1 else f"{name}_{number}"
        yield _piece(own, match[1], samples, codes, piece, {"part": part, "source_recording": name},
                     notes)  # fmt: skip


def _measured(place: str, times_s: np.ndarray, table_TC: np.ndarray, config: Config) -> Samples:
    """Times and samples of the rows that a place's sensors have."""
    left_out = {"acc6": not config.acc6, "mag": not config.magnetometer}
    first = {s: _FIRST_COLUMN[place] + at for s, at in _SENSORS.items() if not left_out.get(s)}
    triads = {s: table_TC[:, at : at + 3] for s, at in first.items()}
    is_there_T = np.isfinite(np.concatenate(list(triads.values()), axis=1)).all(axis=1)
    return times_s[is_there_T], {s: x[is_there_T] for s, x in triads.items()}


def _losses(
    samples: dict[str, Samples], times_s: np.ndarray, pieces: list[Span], config: Config
) -> tuple[Finding, ...]:
    """Say what the radio lost and what was done about it."""
    found = []
    for place, (own_s, _) in samples.items():
        if lost := len(times_s) - len(own_s):
            fact = (
                f"{lost} of {len(times_s)} samples at the {PLACEMENTS[place]} are missing; holes up "
                f"to {config.max_gap_s:g} s were interpolated."
            )
            found.append(Finding(check="values.missing", status="fixed", fact=fact))
    left_out_s = times_s[-1] - times_s[0] - sum(end - start for start, end in pieces)
    if left_out_s >= 1.0 / RATE_HZ:
        fact = (
            f"{left_out_s:.2f} s lie in longer holes or in pieces shorter than "
            f"{config.min_piece_s:g} s and were left out; {len(pieces)} pieces remain."
        )
        found.append(Finding(check="time.gap", status="fixed", fact=fact))
    return tuple(found)


def _piece(
    name: str,
    subject: str,
    samples: dict[str, Samples],
    codes: tuple[np.ndarray, np.ndarray],
    piece: Span,
    attributes: dict[str, str],
    notes: tuple[Finding, ...],
) -> Recording:
    instants_s = grid(piece, RATE_HZ)
    streams = {place: _stream(place, *own, instants_s) for place, own in samples.items()}
    return Recording(
        id=name,
        subject=subject,
        dataset="pamap2",
        streams=dict(streams),
        annotations=bouts(nearest(*codes, instants_s), CODES, RATE_HZ),
        attributes=attributes,
        findings=(*unit_findings("m/s^2", "rad/s"), *notes),
    )


def _stream(
    place: str, times_s: np.ndarray, triads: dict[str, np.ndarray], instants_s: np.ndarray
) -> ImuStream:
    """One place's samples at the instants of the grid."""
    step_s = 0.5 / RATE_HZ
    num_own = int(((times_s > instants_s[0] - step_s) & (times_s < instants_s[-1] + step_s)).sum())
    share = min(num_own / len(instants_s), 1.0)
    flag = "good" if share >= MIN_VALID_SHARE else "suspect"
    return motion_stream(
        place, {s: sample_at(times_s, x_T3, instants_s) for s, x_T3 in triads.items()}, _UNITS,
        rate_hz=RATE_HZ, gravity=Gravity.INCLUDED, placement=PLACEMENTS[place],
        quality=Quality(flag=flag, valid_fraction=share),
    )  # fmt: skip
