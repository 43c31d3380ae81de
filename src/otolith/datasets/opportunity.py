"""OPPORTUNITY: four people in a kitchen, five motion sensors on the upper body, daily routines.

`OpportunityUCIDataset/dataset/S<n>-<ADL1..ADL5|Drill>.dat` hold 250 columns separated by blanks, one
row per sample at 30 Hz, "NaN" where a packet was lost. `column_names.txt` says what each column
holds, and is the only thing that is believed about columns. It gives the acceleration of the motion
sensors as `original / 9.8 * 1000` in milli g, so a thousandth of 9.8 m/s^2 is exact for them, and
angular rate as `original * 1000` in a unit that it calls unknown; the sensors (Xsens) give rad/s.
Modes of locomotion are annotations of the track `activity`, gestures of the track `gesture`.
"""

# T time

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from otolith.core.config import config
from otolith.core.errors import FileFormatError
from otolith.datasets import Card, RemoteFile, Source, Split
from otolith.datasets._files import find_root, need, read_numbers, read_text
from otolith.datasets._labels import groups_of
from otolith.datasets._streams import bouts, motion_stream
from otolith.recordings.recording import (
    Annotation,
    Finding,
    Gravity,
    ImuStream,
    Quality,
    Recording,
)
from otolith.signals.units import STANDARD_GRAVITY_M_S2

LOCOMOTION = {1: "standing", 2: "walking", 4: "sitting", 5: "lying"}
GESTURES = {
    406516: "open_door_1", 406517: "open_door_2", 404516: "close_door_1", 404517: "close_door_2",
    406520: "open_fridge", 404520: "close_fridge", 406505: "open_dishwasher",
    404505: "close_dishwasher", 406519: "open_drawer_1", 404519: "close_drawer_1",
    406511: "open_drawer_2", 404511: "close_drawer_2", 406508: "open_drawer_3",
    404508: "close_drawer_3", 408512: "clean_table", 407521: "drink_from_cup",
    405506: "toggle_switch",
}  # fmt: skip
IMUS = {
    "BACK": "back", "RUA": "right upper arm", "RLA": "right lower arm", "LUA": "left upper arm",
    "LLA": "left lower arm",
}  # fmt: skip
ACCELEROMETERS = {
    "RKN^": "above the right knee", "HIP": "hip", "LUA^": "left upper arm, upper half",
    "RUA_": "right upper arm, lower half", "LH": "left hand", "BACK": "back",
    "RKN_": "below the right knee", "RWR": "right wrist", "RUA^": "right upper arm, upper half",
    "LUA_": "left upper arm, lower half", "LWR": "left wrist", "RH": "right hand",
}  # fmt: skip
RATE_HZ = 30.0
NUM_COLUMNS = 250
MAX_RATE_ERROR = 0.02
_RUNS = ("ADL1", "ADL2", "ADL3", "ADL4", "ADL5", "Drill")
_LINE = r"Column:\s*(\d+)\s+([^;]+?)\s*(?:;\s*value\s*=\s*(.*?)\s*,\s*unit\s*=\s*(.*?))?\s*$"

SOURCE = Source(
    licence="CC-BY-4.0",
    licence_url="https://archive.ics.uci.edu/dataset/226/opportunity+activity+recognition",
    cite=(
        "R. Chavarriaga et al., The Opportunity challenge: A benchmark database for on-body "
        "sensor-based activity recognition, Pattern Recognition Letters 34(15), 2013."
    ),
    homepage="https://archive.ics.uci.edu/dataset/226/opportunity+activity+recognition",
    files=(
        RemoteFile(
            name="opportunity.zip",
            url=(
                "https://archive.ics.uci.edu/static/public/226/opportunity+activity+recognition.zip"
            ),
            unpack=True,
        ),
    ),
)

CARD = Card(
    title="OPPORTUNITY Activity Recognition (body-worn sensors)",
    description=(
        "Four people live through a morning routine in a furnished room, five times each and once "
        "as a drill, with motion sensors at the back and both upper and lower arms; modes of "
        "locomotion and gestures such as opening drawers and doors are labelled."
    ),
    rate_hz=(RATE_HZ,),
    placements=tuple(IMUS.values()),
    gravity=Gravity.INCLUDED,
    num_subjects=4,
    labels=tuple(LOCOMOTION.values()),
    label_groups=groups_of(tuple(LOCOMOTION.values())),
    caveats=(
        "No copy of the real files was at hand; the reader was tested on files in their layout.",
        "The licence is unclear: the UCI archive lists CC BY 4.0, the release asks for citation.",
        "The unit of angular rate is called unknown by the publishers; it was taken as 0.001 "
        "rad/s, since the sensors give rad/s and values were multiplied by 1000.",
        "The magnetic field (unit unknown), quaternions, shoes, objects and room are not read.",
        "Lost packets are missing values; wireless accelerometers (accelerometers=True) lose many.",
        "The challenge division tests other sessions of people seen in training; person 4, whose "
        "data served its task on noise, is in neither part. The division subjects keeps people "
        "apart.",
        f"Gestures are on the track gesture: {', '.join(GESTURES.values())}.",
    ),
)


@config
class Config:
    """Settings of the reader.

    Args:
        root: Folder of the release; it holds `column_names.txt`, or `dataset` with it, or
            `OpportunityUCIDataset`.
        accelerometers: Whether to add a stream `acc_<position>` for each of the twelve wireless
            accelerometers.
    """

    root: Path
    accelerometers: bool = False


@dataclass(frozen=True)
class _Triad:
    """Three columns (counted from 0) and the factor to SI units."""

    columns: tuple[int, int, int]
    factor: float


def recordings(config: Config) -> Iterator[Recording]:
    """Yield one recording per session; missing samples are NaN.

    Raises:
        DataError: A file is missing.
        FileFormatError: A file is damaged, time goes back, or a column has another unit.
    """
    nested = ("OpportunityUCIDataset/dataset", "dataset")
    root = find_root(config.root, nested, "opportunity", SOURCE)
    names = need(root / "column_names.txt", "opportunity", SOURCE)
    described = _read_names(names)
    paths = sorted(p for p in root.glob("S*-*.dat") if _parts_of(p))
    if not paths:
        need(root / "S1-ADL1.dat", "opportunity", SOURCE)
    for path in paths:
        yield _read_session(path, names, described, accelerometers=config.accelerometers)


def splits() -> dict[str, Split]:
    """Return the division of the challenge (by recording) and one by person."""
    late = ("ADL4", "ADL5")
    train = [f"S1-{run}" for run in _RUNS]
    train += [f"S{n}-{run}" for n in (2, 3) for run in _RUNS if run not in late]
    test = [f"S{n}-{run}" for n in (2, 3) for run in late]
    return {
        "challenge": Split(train=tuple(train), test=tuple(test), by="recording"),
        "subjects": Split(train=("1", "2", "3"), test=("4",), origin="otolith"),
    }


def _parts_of(path: Path) -> re.Match[str] | None:
    return re.fullmatch(r"S(\d+)-(ADL\d+|Drill)", path.stem)


def _read_names(path: Path) -> dict[str, tuple[int, str, str]]:
    """Column name -> (number from 0, formula, unit)."""
    found = {}
    for line in read_text(path).splitlines():
        if match := re.match(_LINE, line.strip()):
            name = re.sub(r"\s+", " ", match[2])
            found.setdefault(name, (int(match[1]) - 1, match[3] or "", match[4] or ""))
    for name in ("MILLISEC", "Locomotion", "ML_Both_Arms"):
        if name not in found:
            raise FileFormatError(f'{path} names no column "{name}".', "Fetch it again.")
    return found


def _triad(path: Path, described: dict[str, tuple[int, str, str]], prefix: str) -> _Triad:
    """The columns `<prefix>X`, Y, Z and their factor."""
    columns, factors = [], set()
    for axis in "XYZ":
        name = f"{prefix}{axis}"
        if name not in described:
            raise FileFormatError(f'{path} names no column "{name}".', "Fetch it again.")
        column, formula, unit = described[name]
        columns.append(column)
        factors.add(_factor(path, name, formula, unit, is_acc=prefix.endswith("acc")))
    return _Triad((columns[0], columns[1], columns[2]), factors.pop())


def _factor(path: Path, name: str, formula: str, unit: str, *, is_acc: bool) -> float:
    """Factor from the numbers of a column to m/s^2 or rad/s."""
    if is_acc and unit.casefold() == "milli g":
        one_g = 9.8 if re.search(r"/\s*9\.8\b", formula) else STANDARD_GRAVITY_M_S2
        return one_g / 1000.0
    if not is_acc and re.search(r"original[_ ]value\s*\*\s*1000", formula):
        return 0.001
    raise FileFormatError(
        f'{path} gives the column "{name}" as "{formula}" in "{unit}", which is not known here.',
        "Fetch it again.",
    )


def _read_session(
    path: Path,
    names: Path,
    described: dict[str, tuple[int, str, str]],
    *,
    accelerometers: bool,
) -> Recording:
    rows = read_numbers(path, NUM_COLUMNS)
    wanted = _wanted(names, described, accelerometers=accelerometers)
    rows, found = _fill_holes(path, rows, described["MILLISEC"][0])
    streams = {}
    for name, (placement, triads) in wanted.items():
        stream, more = _stream(rows, name, placement, triads)
        found += more
        if stream is not None:
            streams[name] = stream
    if not streams:
        raise FileFormatError(f"{path} holds no samples of a worn sensor.", "Fetch it again.")
    match = _parts_of(path)
    return Recording(
        id=path.stem,
        subject=match[1] if match else "",
        dataset="opportunity",
        streams=dict(streams),
        annotations=(
            *_annotations(path, rows[:, described["Locomotion"][0]], LOCOMOTION, "activity"),
            *_annotations(path, rows[:, described["ML_Both_Arms"][0]], GESTURES, "gesture"),
        ),
        attributes={"session": match[2] if match else ""},
        findings=(*_unit_findings(wanted), *found),
    )


def _wanted(
    names: Path, described: dict[str, tuple[int, str, str]], *, accelerometers: bool
) -> dict[str, tuple[str, dict[str, _Triad]]]:
    """Stream name -> (placement, triads)."""
    wanted = {}
    for code, placement in IMUS.items():
        prefix = f"InertialMeasurementUnit {code} "
        triads = {s: _triad(names, described, prefix + s) for s in ("acc", "gyro")}
        wanted[code.lower()] = (placement, triads)
    for code, placement in ACCELEROMETERS.items() if accelerometers else ():
        triad = _triad(names, described, f"Accelerometer {code} acc")
        name = re.sub(r"_$", "_lower", code.lower()).replace("^", "_upper")
        wanted[f"acc_{name}"] = (placement, {"acc": triad})
    return wanted


def _fill_holes(
    path: Path, rows: np.ndarray, time_column: int
) -> tuple[np.ndarray, tuple[Finding, ...]]:
    """Rows on the clock of 30 Hz, with rows of NaN where rows are missing."""
    times_s = rows[:, time_column] / 1000.0
    steps = np.round(np.diff(times_s) * RATE_HZ)
    if not np.isfinite(times_s).all() or (steps < 1).any():
        raise FileFormatError(f"Time in {path} stands still or goes back.", "Fetch it again.")
    place_T = np.concatenate([[0], np.cumsum(steps)]).astype(np.int64)
    total = int(place_T[-1]) + 1
    length_s = float(times_s[-1] - times_s[0])
    if total > 1 and abs(length_s * RATE_HZ / (total - 1) - 1.0) > MAX_RATE_ERROR:
        raise FileFormatError(
            f"Time in {path} does not advance at {RATE_HZ:g} Hz.", "Fetch it again."
        )
    if total == len(rows):
        return rows, ()
    filled = np.full((total, rows.shape[1]), np.nan)
    filled[place_T] = rows
    fact = f"{total - len(rows)} missing rows were filled with missing values."
    return filled, (Finding(check="time.gap", status="fixed", fact=fact),)


def _stream(
    rows: np.ndarray, name: str, placement: str, triads: dict[str, _Triad]
) -> tuple[ImuStream | None, tuple[Finding, ...]]:
    """One sensor's stream, or None if it gave nothing, and what is to be said about it."""
    samples = {s: rows[:, list(t.columns)] * t.factor for s, t in triads.items()}
    measured_T = np.isfinite(np.concatenate(list(samples.values()), axis=1)).all(axis=1)
    valid = float(measured_T.mean())
    if valid == 0.0:
        fact = f"The sensor at the {placement} gave nothing; it was left out."
        return None, (Finding(check="stream.missing", status="warning", fact=fact),)
    stream = motion_stream(
        name, samples, {"acc": "m/s^2", "gyro": "rad/s"},
        rate_hz=RATE_HZ, gravity=Gravity.INCLUDED, placement=placement,
        quality=Quality(
            flag="good" if valid > 0.95 else "suspect" if valid > 0.5 else "bad",
            valid_fraction=valid,
        ),
    )  # fmt: skip
    if valid == 1.0:
        return stream, ()
    fact = (
        f"{1.0 - valid:.1%} of the samples at the {placement} were lost; they are missing values."
    )
    return stream, (Finding(check="values.missing", status="warning", fact=fact),)


def _annotations(
    path: Path, codes: np.ndarray, names: dict[int, str], track: str
) -> tuple[Annotation, ...]:
    """Bouts of one label column; 0 and missing rows mean no label."""
    codes_T = np.nan_to_num(codes, nan=0.0).astype(np.int64)
    if unknown := sorted(set(np.unique(codes_T).tolist()) - {0, *names}):
        raise FileFormatError(
            f"{path} holds the unknown {track} label {unknown[0]}.", "Fetch it again."
        )
    return tuple(replace(bout, track=track) for bout in bouts(codes_T, names, RATE_HZ))


def _unit_findings(wanted: dict[str, tuple[str, dict[str, _Triad]]]) -> tuple[Finding, ...]:
    factors = sorted({t["acc"].factor for _, t in wanted.values()})
    by = " or ".join(f"{factor:.7g}" for factor in factors)
    acc = f"The publishers give acceleration in milli g; it was multiplied by {by}."
    gyro = "The publishers give angular rate times 1000 in an unknown unit; it was taken as rad/s."
    return (
        Finding(check="units.acc", status="ok", fact=acc),
        Finding(
            check="units.gyro",
            status="inferred",
            fact=gyro,
            evidence="The motion sensors (Xsens) give rad/s.",
        ),
    )
