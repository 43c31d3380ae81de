"""VTT-ConIoT: 13 people do 16 tasks of construction work with three motion sensors.

`VTT-ConIot-IMU-Data/activity_<a>_user_<u>_combined.csv` hold about a minute each, brought to a
common 100 Hz by the publishers. Columns are named `<sensor>_<A|G|M><x|y|z>_<g|dps|uT>`; the sensors
are `trousers` (hip), `back` and `hand` (worn at the upper arm). Other columns are left out.
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
from otolith.datasets._streams import motion_stream, unit_findings, whole
from otolith.recordings.recording import Finding, Gravity, ImuStream, Recording

LABELS = (
    "roll_painting", "spraying_paint", "leveling_paint", "pushing_cart", "walking_straight",
    "walking_winding", "standing_work", "kneeling_work", "laying_back", "lifting", "carrying",
    "raising_hands", "sitting", "jumping_down", "climbing_ladder", "stairs",
)  # fmt: skip
PLACEMENTS = {"trousers": "hip", "back": "back", "hand": "upper arm"}
RATE_HZ = 100.0
TEST_SUBJECTS = ("10", "11", "12", "13")
REST_RANGE_G = (0.75, 1.25)
_SUFFIXES = {
    "acc": [f"A{axis}_g" for axis in "xyz"],
    "gyro": [f"G{axis}_dps" for axis in "xyz"],
    "mag": [f"M{axis}_uT" for axis in "xyz"],
}
_UNITS = {"acc": "g", "gyro": "deg/s", "mag": "uT"}
_INSIDE = "VTT-ConIot-IMU-Data"

SOURCE = Source(
    licence="CC-BY-4.0",
    licence_url="https://zenodo.org/records/4683703",
    cite=(
        "S.-M. Makela, A. Lamsa, J. S. Keranen, J. Liikka, J. Ronkainen, J. Peltola, J. Hayhtio, "
        "S. Jarvinen, M. Bordallo Lopez, Introducing VTT-ConIot: A Realistic Dataset for Activity "
        "Recognition of Construction Workers Using IMU Devices, Sustainability 14(1), 220, 2022."
    ),
    homepage="https://zenodo.org/records/4683703",
    files=(
        RemoteFile(
            name="VTT_ConIot_Dataset.zip",
            url="https://zenodo.org/records/4683703/files/VTT_ConIot_Dataset.zip?download=1",
            unpack=True,
        ),
    ),
)

CARD = Card(
    title="VTT-ConIoT: activity recognition of construction workers",
    description=(
        "13 people do 16 tasks of construction work for about a minute each (painting, carrying, "
        "ladders, stairs, work while standing or kneeling) with motion sensors at the hip, the "
        "back and the upper arm."
    ),
    rate_hz=(RATE_HZ,),
    placements=tuple(PLACEMENTS.values()),
    gravity=Gravity.INCLUDED,
    num_subjects=13,
    labels=LABELS,
    label_groups=groups_of(LABELS),
    caveats=(
        "No copy of the real files was at hand; the reader was tested on files in their layout.",
        "The licence was taken from other people's descriptions of the release; read it on the "
        "page.",
        "Other readers report acceleration of about 2 g at rest although the columns say g; every "
        "recording says what was measured, and acc_scale=0.5 corrects it.",
        'The sensor that the files call "hand" was worn at the upper arm.',
        "The sensors' own rates were 97 to 103 Hz before the publishers brought them to 100 Hz.",
        "Person 6 has no recording of activity 11.",
        "Stairs has no direction.",
    ),
)


@config
class Config:
    """Settings of the reader.

    Args:
        root: Folder of the release; it holds the CSV files, or `VTT-ConIot-IMU-Data`.
        acc_scale: How many g a one in the acceleration columns means.
    """

    root: Path
    acc_scale: Annotated[float, Field(gt=0)] = 1.0


def recordings(config: Config) -> Iterator[Recording]:
    """Yield one recording per person and activity.

    Raises:
        DataError: A file is missing.
        FileFormatError: A file is damaged, or lacks some columns of a sensor.
    """
    nested = (f"VTT_ConIot_Dataset/{_INSIDE}", _INSIDE)
    root = find_root(config.root, nested, "vtt_coniot", SOURCE)
    paths = sorted(root.glob("activity_*_user_*_combined.csv"))
    if not paths:
        need(root / "activity_1_user_1_combined.csv", "vtt_coniot", SOURCE)
    for path in paths:
        yield _read_file(path, config.acc_scale)


def splits() -> dict[str, Split]:
    """Return a division into people."""
    train = tuple(map(str, range(1, 10)))
    return {"subjects": Split(train=train, test=TEST_SUBJECTS, origin="otolith")}


def _read_file(path: Path, acc_scale: float) -> Recording:
    match = re.fullmatch(r"activity_(\d+)_user_(\d+)_combined\.csv", path.name)
    if match is None or not 1 <= int(match[1]) <= len(LABELS):
        raise FileFormatError(
            f"{path} is not named activity_<1 to 16>_user_<n>_combined.csv.",
            "Move it out of the release.",
        )
    present = header(path)
    sensors = [s for s in PLACEMENTS if any(name.startswith(f"{s}_A") for name in present)]
    if not sensors:
        raise FileFormatError(f'{path} has no column such as "trousers_Ax_g".', "Fetch it again.")
    wanted: dict[str, Kind] = {
        f"{sensor}_{suffix}": "number"
        for sensor in sensors
        for suffixes in _SUFFIXES.values()
        for suffix in suffixes
    }
    table = read_columns(path, wanted)
    streams, findings = {}, _common_findings(acc_scale)
    for sensor in sensors:
        stream, more = _stream(table, sensor, acc_scale)
        streams[sensor] = stream
        findings += more
    for sensor in (s for s in PLACEMENTS if s not in sensors):
        fact = f'The file has no columns of the sensor "{sensor}".'
        findings += (Finding(check="stream.missing", status="warning", fact=fact),)
    label = LABELS[int(match[1]) - 1]
    return Recording(
        id=f"u{int(match[2]):02d}_{label}",
        subject=str(int(match[2])),
        dataset="vtt_coniot",
        streams=dict(streams),
        annotations=whole(label, next(iter(streams.values())).duration_s),
        attributes={"activity": match[1]},
        findings=findings,
    )


def _common_findings(acc_scale: float) -> tuple[Finding, ...]:
    clock = "Rows were taken to be 100 Hz apart, as the publishers say; no time column was used."
    found = (
        *unit_findings("g", "deg/s"),
        Finding(check="time.rate", status="inferred", fact=clock),
    )
    if acc_scale != 1.0:
        fact = f"Acceleration was multiplied by acc_scale={acc_scale:g} before that."
        found += (Finding(check="units.acc_scale", status="fixed", fact=fact),)
    return found


def _stream(
    table: dict[str, np.ndarray], sensor: str, acc_scale: float
) -> tuple[ImuStream, tuple[Finding, ...]]:
    triads = {
        kind: np.stack([table[f"{sensor}_{suffix}"] for suffix in suffixes], axis=1)
        for kind, suffixes in _SUFFIXES.items()
    }
    triads["acc"] = triads["acc"] * acc_scale
    stream = motion_stream(
        sensor, triads, _UNITS,
        rate_hz=RATE_HZ, gravity=Gravity.INCLUDED, placement=PLACEMENTS[sensor],
    )  # fmt: skip
    norm_T = np.linalg.norm(triads["acc"], axis=1)
    if not np.isfinite(norm_T).any():
        fact = f"The sensor at the {PLACEMENTS[sensor]} gave no acceleration."
        return stream, (Finding(check="values.missing", status="warning", fact=fact),)
    rest_g = float(np.nanmedian(norm_T))
    is_plausible = REST_RANGE_G[0] <= rest_g <= REST_RANGE_G[1]
    measured = Finding(
        check="units.acc_level",
        status="ok" if is_plausible else "warning",
        fact=f"The median acceleration at the {PLACEMENTS[sensor]} is {rest_g:.2f} g.",
        remedy="" if is_plausible else f"If its unit is not g, give acc_scale={1 / rest_g:.2g}.",
    )
    return stream, (measured,)
