"""WISDM 2019: 51 people, 18 activities, phone in the trouser pocket and watch on the wrist.

`wisdm-dataset/raw/{phone,watch}/{accel,gyro}/data_<subject>_<sensor>_<device>.txt` hold rows
`subject,code,timestamp,x,y,z;` (nanoseconds, m/s^2 with gravity, rad/s). Both sensors of a device
have their own time stamps; here they are put on one grid at the device's own mean rate, which
differs from phone to phone. Phone and watch have no common clock, so they are two recordings.
"""

# T time, C channels

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pyarrow as pa
from pyarrow import csv
from pydantic import Field

from otolith.core.config import config
from otolith.core.errors import FileFormatError
from otolith.datasets import Card, RemoteFile, Source, Split
from otolith.datasets._clocks import Span, covered, grid, in_order, mean_rate_hz, overlap, sample_at
from otolith.datasets._files import find_root, need
from otolith.datasets._labels import groups_of
from otolith.datasets._streams import motion_stream, unit_findings, whole
from otolith.recordings.recording import Finding, Gravity, Recording

CODES = {
    "A": "walking", "B": "jogging", "C": "stairs", "D": "sitting", "E": "standing", "F": "typing",
    "G": "brushing_teeth", "H": "eating_soup", "I": "eating_chips", "J": "eating_pasta",
    "K": "drinking", "L": "eating_sandwich", "M": "kicking", "O": "playing_catch",
    "P": "dribbling", "Q": "writing", "R": "clapping", "S": "folding_clothes",
}  # fmt: skip
PLACEMENTS = {"phone": "trouser pocket", "watch": "wrist"}
_TYPES = {
    "subject": pa.int64(), "code": pa.string(), "stamp_ns": pa.int64(),
    "x": pa.float64(), "y": pa.float64(), "z": pa.float64(),
}  # fmt: skip
Samples = tuple[np.ndarray, np.ndarray]

SOURCE = Source(
    licence="CC-BY-4.0",
    licence_url="https://archive.ics.uci.edu/dataset/507",
    cite=(
        "G. M. Weiss, K. Yoneda, T. Hayajneh, Smartphone and Smartwatch-Based Biometrics Using "
        "Activities of Daily Living, IEEE Access 7, 2019."
    ),
    homepage="https://archive.ics.uci.edu/dataset/507",
    files=(
        RemoteFile(
            name="wisdm2019.zip",
            url=(
                "https://archive.ics.uci.edu/static/public/507/wisdm+smartphone+and+smartwatch+"
                "activity+and+biometrics+dataset.zip"
            ),
            unpack=True,
        ),
    ),
    redistributable=True,
)

CARD = Card(
    title="WISDM Smartphone and Smartwatch Activity and Biometrics (2019)",
    description=(
        "51 people do 18 activities of about three minutes each (walking, sports, eating, office "
        "and household hand work) with a phone in the trouser pocket and a watch on the wrist."
    ),
    rate_hz=(20.0, 25.0, 50.0),
    placements=tuple(PLACEMENTS.values()),
    gravity=Gravity.INCLUDED,
    num_subjects=51,
    labels=tuple(CODES.values()),
    label_groups=groups_of(tuple(CODES.values())),
    caveats=(
        "The rate depends on the phone (about 20, 25 or 50 Hz).",
        "Phone and watch are not synchronised.",
        "Stairs has no direction.",
    ),
)


@config
class Config:
    """Settings of the reader.

    Args:
        root: Folder of the release; it holds `raw`, or `wisdm-dataset`.
        devices: Which devices to read.
        max_gap_s: Longer holes between samples split a recording.
    """

    root: Path
    devices: tuple[Literal["phone", "watch"], ...] = ("phone", "watch")
    max_gap_s: Annotated[float, Field(gt=0)] = 1.0


def recordings(config: Config) -> Iterator[Recording]:
    """Yield one recording per subject, device and activity (more where there are long holes).

    Raises:
        DataError: A file is missing.
        FileFormatError: A file is cut off or damaged.
    """
    root = find_root(config.root, ("wisdm-dataset",), "wisdm2019", SOURCE)
    for device in config.devices:
        folder = need(root / "raw" / device, "wisdm2019", SOURCE)
        need(folder / "accel", "wisdm2019", SOURCE)
        paths = sorted((folder / "accel").glob(f"data_*_accel_{device}.txt"))
        if not paths:
            need(folder / "accel" / f"data_1600_accel_{device}.txt", "wisdm2019", SOURCE)
        for path in paths:
            yield from _read_person(path, folder, device, config.max_gap_s)


def splits() -> dict[str, Split]:
    """Return a division into people: 1600-1639 for training, 1640-1650 for testing."""
    train, test = map(str, range(1600, 1640)), map(str, range(1640, 1651))
    return {"subjects": Split(train=tuple(train), test=tuple(test), origin="otolith")}


def _read_person(path: Path, folder: Path, device: str, max_gap_s: float) -> Iterator[Recording]:
    match = re.fullmatch(r"data_(\d+)_accel_\w+\.txt", path.name)
    if match is None:
        raise FileFormatError(f"{path} does not name a subject.", "Rename it.")
    gyro_path = folder / "gyro" / f"data_{match[1]}_gyro_{device}.txt"
    acc = _read_sensor(path, match[1])
    gyro = _read_sensor(need(gyro_path, "wisdm2019", SOURCE), match[1])
    for code in (c for c in CODES if c in gyro and c not in acc):
        name = f"{match[1]}_{code}_{device}"
        warnings.warn(f"{name} has angular rate but no acceleration; left out.", stacklevel=2)
    for code in (c for c in CODES if c in acc):
        yield from _join(match[1], device, code, acc[code], gyro.get(code), max_gap_s)


def _read_sensor(path: Path, subject: str) -> dict[str, Samples]:
    """Times in s [T] and samples [T, 3] by activity code."""
    data = path.read_bytes().strip()
    if not data.endswith(b";"):
        raise FileFormatError(f'{path} does not end with ";"; it seems cut off.', "Fetch it again.")
    try:
        table = csv.read_csv(
            io.BytesIO(data.replace(b";", b"")),
            csv.ReadOptions(column_names=list(_TYPES), use_threads=False),
            convert_options=csv.ConvertOptions(column_types=_TYPES),
        )
    except pa.ArrowInvalid as error:
        reason = " ".join(str(error).split())
        raise FileFormatError(f"{path} is damaged: {reason}.", "Fetch it again.") from None
    code_T = table["code"].to_numpy(zero_copy_only=False)
    if unknown := sorted(set(code_T) - set(CODES)):
        raise FileFormatError(f'{path} holds the unknown activity "{unknown[0]}".', "Correct it.")
    if strangers := sorted(set(table["subject"].unique().to_pylist()) - {int(subject)}):
        raise FileFormatError(f"{path} holds rows of subject {strangers[0]}.", "Fetch it again.")
    times_s = table["stamp_ns"].to_numpy() * 1e-9
    samples_T3 = np.stack([table[axis].to_numpy() for axis in "xyz"], axis=1)
    return {c: (times_s[code_T == c], samples_T3[code_T == c]) for c in dict.fromkeys(code_T)}


def _join(
    subject: str, device: str, code: str, acc: Samples, gyro: Samples | None, max_gap_s: float
) -> Iterator[Recording]:
    """Put both sensors on one grid and cut at holes."""
    acc_s, acc_T3, notes = in_order(*acc, "the accelerometer")
    pieces = covered(acc_s, max_gap_s)
    sensors = {"acc": (acc_s, acc_T3)}
    shared: list[Span] = []
    if gyro is not None:
        gyro_s, gyro_T3, more = in_order(*gyro, "the gyroscope")
        shared = overlap(pieces, covered(gyro_s, max_gap_s))
        notes += more
        sensors["gyro"] = (gyro_s, gyro_T3)
    if shared:
        notes += _lost(pieces, shared)
        pieces = shared
    else:
        sensors.pop("gyro", None)
        fact = "The gyroscope has no samples at the time of the accelerometer; it was left out."
        notes += (Finding(check="gyro.missing", status="warning", fact=fact),)
    name = f"{subject}_{code}_{device}"
    if not pieces:
        warnings.warn(f"{name} has no two samples within {max_gap_s:g} s; left out.", stacklevel=2)
    if len(pieces) > 1:
        fact = f"Holes longer than {max_gap_s:g} s split the recording into {len(pieces)}."
        notes += (Finding(check="time.gap", status="fixed", fact=fact),)
    for number, piece in enumerate(pieces, start=1):
        piece_name = name if len(pieces) == 1 else f"{name}_{number}"
        attributes = {"device": device, "code": code, "source_recording": name}
        yield _piece(piece_name, subject, sensors, piece, attributes, notes)


def _lost(pieces: list[Span], shared: list[Span]) -> tuple[Finding, ...]:
    """Say how much acceleration has no angular rate beside it and was left out."""
    lost_s = sum(b - a for a, b in pieces) - sum(b - a for a, b in shared)
    if lost_s < 1.0:
        return ()
    fact = f"{lost_s:.1f} s of acceleration have no angular rate beside them; they were left out."
    return (Finding(check="gyro.shorter", status="warning", fact=fact),)


def _piece(
    name: str,
    subject: str,
    sensors: dict[str, Samples],
    piece: Span,
    attributes: dict[str, str],
    notes: tuple[Finding, ...],
) -> Recording:
    device = attributes["device"]
    rate_hz = mean_rate_hz(sensors["acc"][0], piece)
    instants_s = grid(piece, rate_hz)
    stream = motion_stream(
        device,
        {s: sample_at(times_s, x_TC, instants_s) for s, (times_s, x_TC) in sensors.items()},
        {"acc": "m/s^2", "gyro": "rad/s"},
        rate_hz=rate_hz, gravity=Gravity.INCLUDED, placement=PLACEMENTS[device],
    )  # fmt: skip
    gridded = Finding(
        check="time.grid",
        status="fixed",
        fact=f"Samples were interpolated to a grid of {rate_hz:g} Hz, the mean rate of the device.",
    )
    return Recording(
        id=name,
        subject=subject,
        dataset="wisdm2019",
        streams={device: stream},
        annotations=whole(CODES[attributes["code"]], stream.duration_s),
        attributes=attributes,
        findings=(*unit_findings("m/s^2", "rad/s" if "gyro" in sensors else None), gridded, *notes),
    )
