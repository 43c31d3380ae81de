"""Files of the RevalExo release: pair lists, motion tables, segments."""

# T time, C channels

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from otolith.core.errors import FileFormatError
from otolith.core.files import read_json
from otolith.datasets import Source
from otolith.datasets._evi_release import read_columns
from otolith.datasets._files import need

SENSORS = (
    "Pelvis", "Right_Upper_Leg", "Right_Lower_Leg", "Right_Foot", "Left_Upper_Leg",
    "Left_Lower_Leg", "Left_Foot",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Clip:
    """One pair of a person.

    Args:
        id: `<subject>_<pair>`.
        subject: Person.
        imu: Motion file.
        video: Video file; None = the person wore no camera.
        activities: (start in s, end in s, activity).
        transitions: (start in s, end in s, transition).
        file: The pair list it comes from.
    """

    id: str
    subject: str
    imu: Path
    video: Path | None
    activities: tuple[tuple[float, float, str], ...]
    transitions: tuple[tuple[float, float, str], ...]
    file: Path


def read_clips(root: Path, dataset: str, source: Source) -> list[Clip]:
    """Return the clips of all people, by person and in the order of their lists.

    Raises:
        DataError: A folder is missing.
        FileFormatError: A pair list is damaged, or two list the same pair.
    """
    folder = need(need(root, dataset, source) / "data_pairs", dataset, source)
    files = sorted(folder.glob("*.json"))
    if not files:
        need(folder / "Subject01.json", dataset, source)
    clips = [clip for file in files for clip in _clips(root, file)]
    file_of: dict[str, Path] = {}
    for clip in clips:
        if clip.id in file_of:
            raise FileFormatError(
                f"The pair {clip.id} is listed in {file_of[clip.id]} and in {clip.file}.",
                "Remove one of them.",
            )
        file_of[clip.id] = clip.file
    return clips


def read_motion(
    path: Path, sensors: Sequence[str], kinds: Sequence[str] = ("acc",)
) -> tuple[np.ndarray, list[str]]:
    """Read sensors of a motion file by the names of its header.

    Args:
        path: CSV file with columns `acc_<Sensor>_<X|Y|Z>`, `gyro_...`.
        sensors: Sensors in the wanted order.
        kinds: Kinds of sensor in the wanted order; only the first has to be there.

    Returns:
        float64 [T, C], and the names of the columns.

    Raises:
        FileFormatError: The file is damaged, has no header, or lacks a column.
    """
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        header = [cell.strip() for cell in file.readline().strip().split(",")]
    position = {name: i for i, name in enumerate(header)}
    wanted = []
    for sensor in sensors:
        for kind in kinds:
            names = [f"{kind}_{sensor}_{axis}" for axis in "XYZ"]
            there = [name in position for name in names]
            if not any(there) and kind != kinds[0]:
                continue
            if not all(there):
                raise FileFormatError(
                    f"{path} has no column {names[there.index(False)]}.", "Fetch it again."
                )
            wanted += names
    samples, _ = read_columns(path, [position[name] for name in wanted])
    return samples, wanted


def _clips(root: Path, file: Path) -> list[Clip]:
    content = read_json(file)
    pairs = content.get("pairs") if isinstance(content, dict) else None
    if not isinstance(pairs, dict) or not isinstance(content.get("subject"), str):
        raise FileFormatError(f"{file} holds no subject with pairs.", "Fetch it again.")
    try:
        return [_clip(root, file, content, name, pair) for name, pair in pairs.items()]
    except KeyError as error:
        raise FileFormatError(
            f"A pair of {file} has no {error.args[0]}.", "Fetch it again."
        ) from None
    except (AttributeError, TypeError, ValueError) as error:
        raise FileFormatError(f"A pair of {file} is damaged: {error}.", "Fetch it again.") from None


def _clip(root: Path, file: Path, person: dict[str, Any], name: str, pair: dict[str, Any]) -> Clip:
    has_video = bool(pair.get("has_ego_video", person.get("has_ego_video", False)))
    video = root / person["video_folder"] / pair["video"] if has_video else None
    return Clip(
        id=f"{person['subject']}_{name}",
        subject=person["subject"],
        imu=root / person["imu_folder"] / pair["imu"],
        video=video,
        activities=_segments(pair.get("activity_segments"), "activity"),
        transitions=_segments(pair.get("transition_segments"), "transition"),
        file=file,
    )


def _segments(found: Any, key: str) -> tuple[tuple[float, float, str], ...]:
    segments = tuple((float(s["start"]), float(s["end"]), str(s[key])) for s in found or ())
    for start_s, end_s, name in segments:
        if not 0 <= start_s < end_s < math.inf:
            raise ValueError(f'the {key} "{name}" lasts from {start_s:g} s to {end_s:g} s')
    return segments
