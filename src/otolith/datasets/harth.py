"""HARTH: 22 people in daily life with accelerometers at the lower back and the thigh.

`harth/S<nnn>.csv` hold `timestamp,back_x,back_y,back_z,thigh_x,thigh_y,thigh_z,label`, one row per
sample at 50 Hz, acceleration in g. Some files have a column more, which counts rows (`index` or
without a name), so columns are found by name. Labels are numbers: 1 to 8, and 13, 14, 130, 140 for
cycling.
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
from otolith.datasets._csv_columns import Kind, header, read_columns
from otolith.datasets._files import find_root, need
from otolith.datasets._labels import groups_of
from otolith.datasets._rows import Piece, regular_pieces
from otolith.datasets._streams import bouts, motion_stream, unit_findings
from otolith.recordings.recording import Finding, Gravity, Recording

CODES = {
    1: "walking", 2: "running", 3: "shuffling", 4: "stairs_up", 5: "stairs_down", 6: "standing",
    7: "sitting", 8: "lying", 13: "cycling_sit", 14: "cycling_stand",
    130: "cycling_sit_inactive", 140: "cycling_stand_inactive",
}  # fmt: skip
_SYNONYMS = {"cycling_sit_inactive": "cycling_sit", "cycling_stand_inactive": "cycling_stand"}
PLACEMENTS = {"back": "lower back", "thigh": "thigh"}
RATE_HZ = 50.0
TEST_SUBJECTS = tuple(map(str, range(22, 30)))
_SUBJECTS = tuple(str(n) for n in range(6, 30) if n not in (7, 11))
_AXES = [f"{place}_{axis}" for place in PLACEMENTS for axis in "xyz"]

SOURCE = Source(
    licence="CC-BY-4.0",
    licence_url="https://archive.ics.uci.edu/dataset/779/harth",
    cite=(
        "A. Logacjov, K. Bach, A. Kongsvold, H. B. Bardstu, P. J. Mork, HARTH: A Human Activity "
        "Recognition Dataset for Machine Learning, Sensors 21(23), 7853, 2021."
    ),
    homepage="https://archive.ics.uci.edu/dataset/779/harth",
    files=(
        RemoteFile(
            name="harth.zip",
            url="https://archive.ics.uci.edu/static/public/779/harth.zip",
            unpack=True,
        ),
    ),
    redistributable=True,
)

CARD = Card(
    title="HARTH: A Human Activity Recognition Dataset for Machine Learning (Trondheim)",
    description=(
        "22 people during one and a half to two hours of their working day with accelerometers at "
        "the lower back and the thigh: walking, running, stairs, cycling, standing, sitting and "
        "lying, labelled from the video of a chest camera."
    ),
    rate_hz=(RATE_HZ,),
    placements=tuple(PLACEMENTS.values()),
    gravity=Gravity.INCLUDED,
    num_subjects=22,
    labels=tuple(CODES.values()),
    label_groups=groups_of(tuple(CODES.values()), _SYNONYMS),
    caveats=(
        "No copy of the real files was at hand; the reader was tested on files in their layout.",
        "No gyroscope.",
        "Cycling has the codes 13, 14, 130 and 140; readers that expect 1 to 12 lose it.",
        "Inactive cycling (sitting or standing on a bicycle without pedalling) is grouped with "
        "cycling.",
        "Labels are very unequal: most of the time people sit.",
    ),
)


@config
class Config:
    """Settings of the reader.

    Args:
        root: Folder of the release; it holds `S006.csv`, or the folder `harth`.
        max_gap_s: A longer hole between time stamps splits a recording.
        max_clock_error_s: Time stamps that are farther from a regular clock have their samples
            interpolated.
    """

    root: Path
    max_gap_s: Annotated[float, Field(gt=0)] = 1.0
    max_clock_error_s: Annotated[float, Field(gt=0)] = 0.1


def recordings(config: Config) -> Iterator[Recording]:
    """Yield one recording per person, more where there are long holes.

    Raises:
        DataError: A file is missing.
        FileFormatError: A file is damaged or holds an unknown label.
    """
    root = find_root(config.root, ("harth",), "harth", SOURCE)
    paths = sorted(p for p in root.glob("S*.csv") if re.fullmatch(r"S\d+", p.stem))
    if not paths:
        need(root / "S006.csv", "harth", SOURCE)
    for path in paths:
        yield from _read_person(path, config)


def splits() -> dict[str, Split]:
    """Return a division into people; the publishers leave one person out at a time."""
    train = tuple(s for s in _SUBJECTS if s not in TEST_SUBJECTS)
    return {"subjects": Split(train=train, test=TEST_SUBJECTS, origin="otolith")}


def _read_person(path: Path, config: Config) -> Iterator[Recording]:
    numbers: dict[str, Kind] = dict.fromkeys([*_AXES, "label"], "number")
    table = read_columns(path, {"timestamp": "time", **numbers})
    codes_T = np.nan_to_num(table["label"], nan=-1.0).astype(np.int64)
    if unknown := sorted(set(np.unique(codes_T).tolist()) - set(CODES)):
        raise FileFormatError(f"{path} holds the unknown label {unknown[0]}.", "Fetch it again.")
    times_s = (table["timestamp"] - table["timestamp"].min()) / np.timedelta64(1, "s")
    samples_TC = np.stack([table[name] for name in _AXES], axis=1)
    pieces = list(
        regular_pieces(
            times_s, samples_TC, codes_T,
            rate_hz=RATE_HZ, max_gap_s=config.max_gap_s, max_error_s=config.max_clock_error_s,
        )
    )  # fmt: skip
    if not pieces:
        raise FileFormatError(f"{path} holds no two rows that follow each other.", "Leave it out.")
    notes = (*unit_findings("g", None), *_extra_columns(path))
    for number, piece in enumerate(pieces, start=1):
        name = path.stem if len(pieces) == 1 else f"{path.stem}_{number}"
        yield _recording(name, path.stem, piece, notes)


def _extra_columns(path: Path) -> tuple[Finding, ...]:
    extra = [name for name in header(path) if name not in {*_AXES, "timestamp", "label"}]
    if not extra:
        return ()
    names = ", ".join(f'"{name}"' for name in extra)
    fact = f"The file has further columns, which were left out: {names}."
    return (Finding(check="columns.extra", status="ok", fact=fact),)


def _recording(name: str, source: str, piece: Piece, notes: tuple[Finding, ...]) -> Recording:
    streams = {
        place: motion_stream(
            place, {"acc": piece.samples_TC[:, 3 * i : 3 * i + 3]}, {"acc": "g"},
            rate_hz=piece.rate_hz, gravity=Gravity.INCLUDED, placement=words, quality=piece.quality,
        )
        for i, (place, words) in enumerate(PLACEMENTS.items())
    }  # fmt: skip
    return Recording(
        id=name,
        subject=str(int(source[1:])),
        dataset="harth",
        streams=dict(streams),
        annotations=bouts(piece.codes_T, CODES, piece.rate_hz),
        attributes={"source_recording": source, "start_s": f"{piece.start_s:.3f}"},
        findings=(*notes, *piece.findings),
    )
