"""RealWorld (HAR): 15 people, eight activities, phones at seven places of the body at once.

`proband<n>/data/{acc,gyr,mag}_<activity>_csv.zip` hold
`{acc,Gyroscope,MagneticField}_<activity>_<placement>.csv` with the columns `id`, `attr_time` (ms since
1970), `attr_x`, `attr_y`, `attr_z` (m/s^2 with gravity, rad/s, uT). Where a recording was interrupted
its parts are numbered (`_2`, `_3`), in the name of the table or of an archive inside the archive; the
first part may have a number or none. Every sensor of every phone has its own time stamps; here the
sensors of a phone are put on one grid, and phones keep their offsets on a common clock.
"""

# T time

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from otolith.core.config import config
from otolith.datasets import Card, Source, Split
from otolith.datasets._csv_columns import Kind, read_columns
from otolith.datasets._files import find_root, need
from otolith.datasets._labels import groups_of
from otolith.datasets._real_world_files import Table, find_tables
from otolith.datasets._sensors import Samples, join_sensors
from otolith.datasets._streams import motion_stream, unit_findings, whole
from otolith.recordings.recording import Finding, Gravity, ImuStream, Recording

ACTIVITIES = {
    "climbingdown": "stairs_down", "climbingup": "stairs_up", "jumping": "jumping",
    "lying": "lying", "running": "running", "sitting": "sitting", "standing": "standing",
    "walking": "walking",
}  # fmt: skip
Placement = Literal["chest", "forearm", "head", "shin", "thigh", "upperarm", "waist"]
PLACEMENTS: tuple[Placement, ...] = (
    "chest", "forearm", "head", "shin", "thigh", "upperarm", "waist",
)  # fmt: skip
_PLACES = {"upperarm": "upper arm"}
NOMINAL_RATE_HZ = 50.0
NUM_SUBJECTS = 15
_COLUMNS = ("attr_time", "attr_x", "attr_y", "attr_z")
_UNITS = {"acc": "m/s^2", "gyro": "rad/s", "mag": "uT"}

SOURCE = Source(
    licence="none stated by the publishers; they ask for citation",
    licence_url="https://www.uni-mannheim.de/dws/research/projects/activity-recognition/dataset/dataset-realworld/",
    cite=(
        "T. Sztyler, H. Stuckenschmidt, On-body Localization of Wearable Devices: An Investigation "
        "of Position-Aware Activity Recognition, PerCom 2016."
    ),
    homepage="https://www.uni-mannheim.de/dws/research/projects/activity-recognition/dataset/dataset-realworld/",
    manual=(
        "Download http://wifo5-14.informatik.uni-mannheim.de/sensor/dataset/realworld2016/"
        "realworld2016_dataset.zip (the known address is not https, which Otolith does not fetch) and "
        "unpack it once; the archives inside may stay packed."
    ),
)

CARD = Card(
    title="RealWorld (HAR): On-body Localization of Wearable Devices",
    description=(
        "15 people climb stairs, jump, lie, run, sit, stand and walk outdoors and at home, with "
        "phones at chest, forearm, head, shin, thigh, upper arm and waist at the same time."
    ),
    rate_hz=(NOMINAL_RATE_HZ,),
    placements=tuple(_PLACES.get(p, p) for p in PLACEMENTS),
    gravity=Gravity.INCLUDED,
    num_subjects=NUM_SUBJECTS,
    labels=tuple(ACTIVITIES.values()),
    label_groups=groups_of(tuple(ACTIVITIES.values())),
    caveats=(
        "The licence is unclear: the publishers state none.",
        "The clocks of the phones are used as they are; how well they agree is not known.",
        "Some placements are missing in some recordings (known: forearm of proband 2 climbing up, thigh of proband 6 jumping).",
        "GPS, light and sound are not read.",
        "No copy of the real files was at hand: the reader was tested on small files in the official layout.",
    ),
)  # fmt: skip


@config
class Config:
    """Settings of the reader.

    Args:
        root: Folder of the release; it holds `proband1` and so on, or `realworld2016_dataset`.
        placements: Which phones to read; each is a stream of its own.
        sensors: Which sensors to read.
        max_gap_s: Longer steps between samples are holes, whose samples are missing (NaN).
    """

    root: Path
    placements: Annotated[tuple[Placement, ...], Field(min_length=1)] = PLACEMENTS
    sensors: Annotated[tuple[Literal["acc", "gyro", "mag"], ...], Field(min_length=1)] = (
        "acc", "gyro", "mag",
    )  # fmt: skip
    max_gap_s: Annotated[float, Field(gt=0)] = 1.0


def recordings(config: Config) -> Iterator[Recording]:
    """Yield one recording per person, activity and part.

    Phones whose time stamps share no time with the others make a recording of their own.

    Raises:
        DataError: A file is missing.
        FileFormatError: A file is damaged, or a part is there twice.
    """
    root = find_root(config.root, ("realworld2016_dataset",), "real_world", SOURCE)
    people = {int(m[1]): p for p in root.iterdir() if (m := re.fullmatch(r"proband(\d+)", p.name))}
    if not people:
        need(root / "proband1", "real_world", SOURCE)
    for person, folder in sorted(people.items()):
        data = need(folder / "data", "real_world", SOURCE)
        tables = find_tables(data, tuple(ACTIVITIES), PLACEMENTS)
        if not tables:
            need(data / "acc_walking_csv.zip", "real_world", SOURCE)
        for activity, part in sorted({(t.activity, t.part) for t in tables}):
            chosen = [t for t in tables if (t.activity, t.part) == (activity, part)]
            yield from _read_part(str(person), activity, part, chosen, config)


def splits() -> dict[str, Split]:
    """Return a division into people: 1-11 for training, 12-15 for testing."""
    people = tuple(map(str, range(1, NUM_SUBJECTS + 1)))
    return {"subjects": Split(train=people[:11], test=people[11:], origin="otolith")}


def _read_part(
    person: str, activity: str, part: int, tables: list[Table], config: Config
) -> Iterator[Recording]:
    """Streams of all phones, on a clock that starts with the first of them."""
    streams, notes = [], unit_findings("m/s^2", "rad/s" if "gyro" in config.sensors else None)
    wanted = {"acc", *config.sensors}
    read = {
        (t.placement, t.sensor): _read_table(t)
        for t in tables
        if t.placement in config.placements and t.sensor in wanted
    }
    # times since 1970 would cost digits
    origin_s = min((float(np.nanmin(times_s)) for times_s, _ in read.values()), default=0.0)
    for placement in config.placements:
        mine = {s: (t - origin_s, x) for (p, s), (t, x) in read.items() if p == placement}
        stream, more = _join_phone(placement, mine, config)
        notes += more
        streams += [stream] if stream else []
    name = f"proband{person}_{activity}" + (f"_{part}" if part > 1 else "")
    groups = _together(streams)
    if len(groups) > 1:
        fact = f"Time stamps of the phones share no time; they make {len(groups)} recordings."
        notes += (Finding(check="time.apart", status="warning", fact=fact),)
    for number, group in enumerate(groups, start=1):
        start_s = min(s.offset_s for s in group)
        end_s = max(s.offset_s + s.duration_s for s in group)
        yield Recording(
            id=name if number == 1 else f"{name}_apart{number}",
            subject=person,
            dataset="real_world",
            streams={
                s.name: replace(s, offset_s=s.offset_s - start_s)
                for s in sorted(group, key=lambda s: config.placements.index(s.name))
            },
            annotations=whole(ACTIVITIES[activity], end_s - start_s),
            attributes={
                "activity": activity,
                "part": str(part),
                "start_s": f"{origin_s + start_s:.3f}",
            },
            findings=notes,
        )


def _join_phone(
    placement: Placement, sensors: dict[str, Samples], config: Config
) -> tuple[ImuStream | None, tuple[Finding, ...]]:
    """One phone's stream; None if it gave no acceleration."""
    if "acc" not in sensors:
        fact = f"The phone at the {placement} has no acceleration; it was left out."
        return None, (Finding(check="stream.missing", status="warning", fact=fact),)
    device = f"the phone at the {placement}"
    notes = tuple(
        Finding(check=f"{s}.missing", status="warning", fact=f"There is no {s} of {device}.")
        for s in config.sensors
        if s not in sensors
    )
    ordered = {s: sensors[s] for s in ("acc", "gyro", "mag") if s in sensors}
    joined = join_sensors(ordered, max_gap_s=config.max_gap_s, device=device)
    if joined is None:
        fact = f"{device.capitalize()} has no two neighbouring samples; it was left out."
        return None, (*notes, Finding(check="stream.missing", status="warning", fact=fact))
    triads = dict(joined.triads)
    if "acc" not in config.sensors:
        del triads["acc"]  # it was needed for the grid
    if not triads:
        return None, (*notes, *joined.findings)
    stream = motion_stream(
        placement, triads, _UNITS,
        rate_hz=joined.rate_hz, gravity=Gravity.INCLUDED,
        placement=_PLACES.get(placement, placement),
        offset_s=joined.start_s, quality=joined.quality,
    )  # fmt: skip
    return stream, (*notes, *joined.findings)


def _read_table(table: Table) -> Samples:
    """Times in s since 1970 [T] and samples [T, 3]."""
    kinds: dict[str, Kind] = dict.fromkeys(_COLUMNS, "number")
    columns = read_columns(Path(table.where), kinds, data=table.read())
    return columns[_COLUMNS[0]] * 1e-3, np.stack([columns[c] for c in _COLUMNS[1:]], axis=1)


def _together(streams: list[ImuStream]) -> list[list[ImuStream]]:
    """Streams in groups that share time, directly or through others; the largest first."""
    groups: list[list[ImuStream]] = []
    end_s = float("-inf")
    for stream in sorted(streams, key=lambda s: s.offset_s):
        if stream.offset_s >= end_s:
            groups.append([])
        groups[-1].append(stream)
        end_s = max(end_s, stream.offset_s + stream.duration_s)
    return sorted(groups, key=len, reverse=True)
