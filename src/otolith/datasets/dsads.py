"""DSADS: 8 people, 19 daily and sports activities, five motion sensors on trunk and limbs.

`data/a<activity>/p<person>/s<segment>.txt` hold 5 s each: 125 rows (25 Hz) of 45 comma-separated
columns, nine per unit in the order torso, right arm, left arm, right leg, left leg; of each unit
acceleration (m/s^2), angular rate (rad/s) and magnetic field (in a unit of its own). The publishers
cut them from one signal of 5 min per person and activity; here they are joined again.
"""

# T time, C channels

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from otolith.core.config import config
from otolith.core.errors import FileFormatError
from otolith.datasets import Card, RemoteFile, Source, Split
from otolith.datasets._files import find_root, need, read_numbers
from otolith.datasets._labels import groups_of
from otolith.datasets._streams import motion_stream, unit_findings, whole
from otolith.recordings.recording import Finding, Gravity, ImuStream, Recording

LABELS = (
    "sitting", "standing", "lying_back", "lying_side", "stairs_up", "stairs_down",
    "standing_elevator", "moving_elevator", "walking_parking", "walking_treadmill_flat",
    "walking_treadmill_incline", "running_treadmill", "exercising_stepper",
    "exercising_cross_trainer", "cycling_horizontal", "cycling_vertical", "rowing", "jumping",
    "playing_basketball",
)  # fmt: skip
PLACEMENTS = ("torso", "right arm", "left arm", "right leg", "left leg")
RATE_HZ = 25.0
SEGMENT_ROWS = 125
UNIT_COLUMNS = 9
MAX_SEAM_RATIO = 3.0
"""A jump at the seams this many times as large as elsewhere speaks against joining."""

SOURCE = Source(
    licence="CC-BY-4.0",
    licence_url="https://archive.ics.uci.edu/dataset/256",
    cite=(
        "K. Altun, B. Barshan, O. Tuncel, Comparative Study on Classifying Human Activities with "
        "Miniature Inertial and Magnetic Sensors, Pattern Recognition 43(10), 2010."
    ),
    homepage="https://archive.ics.uci.edu/dataset/256",
    files=(
        RemoteFile(
            name="dsads.zip",
            url="https://archive.ics.uci.edu/static/public/256/daily+and+sports+activities.zip",
            unpack=True,
        ),
    ),
    redistributable=True,
)

CARD = Card(
    title="Daily and Sports Activities (DSADS)",
    description=(
        "8 people do 19 daily and sports activities for five minutes each, such as lying, walking, "
        "cycling, rowing and jumping, with motion sensors on torso, arms and legs."
    ),
    rate_hz=(RATE_HZ,),
    placements=PLACEMENTS,
    gravity=Gravity.INCLUDED,
    num_subjects=8,
    labels=LABELS,
    label_groups=groups_of(LABELS),
    caveats=(
        "No copy of the real files was at hand; the reader was tested on a fixture in the official "
        "layout.",
        "The segments of a person and activity are joined in their order; a finding tells how "
        "smooth the seams are.",
        "The magnetometers are in a unit of their own and are not read.",
    ),
)


@config
class Config:
    """Settings of the reader.

    Args:
        root: Folder of the release; it holds `a01` to `a19`, or `data`.
        join: Whether to join consecutive segments of a person and activity; False = one recording
            per segment, which belongs to the same attribute `source_recording`.
    """

    root: Path
    join: bool = True


def recordings(config: Config) -> Iterator[Recording]:
    """Yield one recording per person and activity (more where segments are missing).

    Raises:
        DataError: The folder is missing.
        FileFormatError: A file is damaged or not named as published.
    """
    root = find_root(config.root, ("data",), "dsads", SOURCE)
    folders = sorted(root.glob("a[0-9]*/p[0-9]*"))
    if not folders:
        need(root / "a01" / "p1" / "s01.txt", "dsads", SOURCE)
    for folder in folders:
        yield from _read_person(folder, join=config.join)


def splits() -> dict[str, Split]:
    """Return a division into people; the publishers use leave-one-out over people."""
    train = ("1", "2", "3", "4", "5", "6")
    return {"subjects": Split(train=train, test=("7", "8"), origin="otolith")}


def _read_person(folder: Path, *, join: bool) -> Iterator[Recording]:
    """Recordings of one person and activity."""
    match = re.fullmatch(r"a(\d\d)/p([1-8])", f"{folder.parent.name}/{folder.name}")
    if match is None or not 1 <= int(match[1]) <= len(LABELS):
        raise FileFormatError(
            f"{folder} is not named a<activity>/p<person>.", "Move it out of the release."
        )
    paths = sorted(folder.glob("s*.txt"))
    if not paths:
        need(folder / "s01.txt", "dsads", SOURCE)
    numbers = np.array([_number(path) for path in paths])
    breaks = np.diff(numbers) != 1 if join else np.ones(len(paths) - 1, dtype=bool)
    runs = np.split(np.arange(len(paths)), np.flatnonzero(breaks) + 1)
    name = f"{folder.parent.name}_{folder.name}"
    for run in runs:
        parts = [_read_segment(paths[i]) for i in run]
        whole_name = name if len(runs) == 1 else f"{name}_{paths[run[0]].stem}"
        notes = _notes(parts, numbers, is_torn=join and len(runs) > 1)
        yield _recording(whole_name, match[2], LABELS[int(match[1]) - 1], parts, notes, name)


def _number(path: Path) -> int:
    match = re.fullmatch(r"s(\d\d)\.txt", path.name)
    if match is None:
        raise FileFormatError(f"{path} is not named s<segment>.txt.", "Move it out of the release.")
    return int(match[1])


def _read_segment(path: Path) -> np.ndarray:
    """Samples of one published segment [125, 45]."""
    samples_TC = read_numbers(path, UNIT_COLUMNS * len(PLACEMENTS), separator=",")
    if len(samples_TC) != SEGMENT_ROWS:
        raise FileFormatError(
            f"{path} has {len(samples_TC)} rows instead of {SEGMENT_ROWS}.", "Fetch it again."
        )
    return samples_TC


def _notes(parts: list[np.ndarray], numbers: np.ndarray, *, is_torn: bool) -> tuple[Finding, ...]:
    """Say that segments were joined, how well they fit, and which are missing."""
    found: tuple[Finding, ...] = ()
    if is_torn:
        fact = (
            f"Only {len(numbers)} segments between {numbers[0]} and {numbers[-1]} are there; "
            "the recording was cut where one is missing."
        )
        found += (Finding(check="segments.missing", status="warning", fact=fact),)
    if len(parts) > 1:
        ratio = _seam_ratio(parts)
        found += (
            Finding(
                check="segments.joined",
                status="inferred" if ratio <= MAX_SEAM_RATIO else "warning",
                fact=f"{len(parts)} segments of 5 s were joined; steps at the seams are "
                f"{ratio:.1f} times as large as elsewhere.",
                remedy="Read single segments with join=False.",
            ),
        )
    return found


def _seam_ratio(parts: list[np.ndarray]) -> float:
    """Mean step of acceleration at the seams over the mean step within segments."""
    columns = np.add.outer(UNIT_COLUMNS * np.arange(len(PLACEMENTS)), np.arange(3)).ravel()
    acc_NTC = np.stack(parts)[:, :, columns]
    inside = np.abs(np.diff(acc_NTC, axis=1)).mean()
    seams = np.abs(acc_NTC[1:, 0] - acc_NTC[:-1, -1]).mean()
    return float(seams / max(inside, 1e-9))


def _recording(
    name: str,
    subject: str,
    label: str,
    parts: list[np.ndarray],
    notes: tuple[Finding, ...],
    source: str,
) -> Recording:
    samples_TC = np.concatenate(parts)
    streams = {
        placement.replace(" ", "_"): _stream(placement, samples_TC[:, UNIT_COLUMNS * i :])
        for i, placement in enumerate(PLACEMENTS)
    }
    return Recording(
        id=name,
        subject=subject,
        dataset="dsads",
        streams=dict(streams),
        annotations=whole(label, len(samples_TC) / RATE_HZ),
        attributes={"source_recording": source, "num_segments": str(len(parts))},
        findings=(*unit_findings("m/s^2", "rad/s"), *notes),
    )


def _stream(placement: str, unit_TC: np.ndarray) -> ImuStream:
    return motion_stream(
        placement.replace(" ", "_"), {"acc": unit_TC[:, :3], "gyro": unit_TC[:, 3:6]},
        {"acc": "m/s^2", "gyro": "rad/s"},
        rate_hz=RATE_HZ, gravity=Gravity.INCLUDED, placement=placement,
    )  # fmt: skip
