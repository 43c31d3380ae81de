"""UTD-MHAD: 8 people, 27 actions, one motion sensor at the right wrist or right thigh, and video.

`Inertial/a<action>_s<subject>_t<trial>_inertial.mat` hold the matrix `d_iner` [T, 6]:
acceleration in g and angular rate in deg/s at 50 Hz. The sensor was worn at the right wrist for
actions 1-21 and at the right thigh for actions 22-27. A camera stood in front of the person; the
release has its colour videos (`RGB/a<action>_s<subject>_t<trial>_color.avi`) and depth matrices.
Both recorders were started and stopped together and the camera dropped frames, so a video is
stretched to the length of the motion.
"""

# T time

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from otolith.core.config import config
from otolith.core.errors import DataError, FileFormatError
from otolith.datasets import Card, RemoteFile, Source, Split
from otolith.datasets._files import need
from otolith.datasets._labels import groups_of
from otolith.datasets._streams import motion_stream, unit_findings, whole
from otolith.recordings.recording import Gravity, Recording, VideoStream
from otolith.recordings.video import open_video

LABELS = (
    "swipe left with right arm",
    "swipe right with right arm",
    "wave with right hand",
    "clap hands in front",
    "throw with right arm",
    "cross arms on chest",
    "basketball shoot",
    "draw X with right hand",
    "draw circle clockwise with right hand",
    "draw circle counter-clockwise with right hand",
    "draw triangle with right hand",
    "bowling with right hand",
    "boxing front",
    "baseball swing from right",
    "tennis forehand swing",
    "arm curl with both arms",
    "tennis serve",
    "two-hand push",
    "knock on door with right hand",
    "catch an object",
    "pick up and throw",
    "jog in place",
    "walk in place",
    "sit to stand",
    "stand to sit",
    "forward lunge with left foot forward",
    "squat with both arms stretched out",
)
_SYNONYMS = {
    "clap hands in front": "clapping",
    "jog in place": "jogging",
    "walk in place": "walking",
}
RATE_HZ = 50.0
FIRST_THIGH_ACTION = 22
_VIDEO_NAMES = ("{id}_color.avi", "{id}_depth.mp4", "{id}.mp4", "{id}.avi")

SOURCE = Source(
    licence="none formal; offered free of charge for research with citation",
    cite=(
        "C. Chen, R. Jafari, N. Kehtarnavaz, UTD-MHAD: A Multimodal Dataset for Human Action "
        "Recognition Utilizing a Depth Camera and a Wearable Inertial Sensor, ICIP 2015."
    ),
    homepage="https://www.utdallas.edu/~kehtar/UTD-MHAD.html",
    files=(
        RemoteFile(
            name="Inertial.zip",
            url="https://www.utdallas.edu/~kehtar/UTD-MAD/Inertial.zip",
            unpack=True,
        ),
    ),
)

CARD = Card(
    title="UTD Multimodal Human Action Dataset (motion sensor)",
    description=(
        "8 people do 27 short actions such as waving, bowling, boxing or squatting with one "
        "motion sensor at the right wrist or the right thigh."
    ),
    rate_hz=(RATE_HZ,),
    placements=("right wrist", "right thigh"),
    gravity=Gravity.INCLUDED,
    num_subjects=8,
    labels=LABELS,
    label_groups=groups_of(LABELS, _SYNONYMS),
    caveats=(
        "No formal licence.",
        "The placement gives away whether the action is one of 1-21 or of 22-27.",
        "861 of 864 sequences are published.",
    ),
)


@config
class Config:
    """Settings of the reader.

    Args:
        root: Folder that holds `Inertial` (or `Inertial` itself).
        videos: Folder with one video per trial, such as the release's `RGB`, or depth videos
            (`a1_s1_t1_depth.mp4`, `a1_s1_t1.mp4`); None = motion alone.
        placement: Read only the actions with the sensor at the `wrist` or at the `thigh`, which
            the placement would otherwise give away; `any` = all.
    """

    root: Path
    videos: Path | None = None
    placement: Literal["any", "wrist", "thigh"] = "any"


def recordings(config: Config) -> Iterator[Recording]:
    """Yield one recording per action trial.

    Raises:
        DataError: The folder is missing, or a trial has no video although `videos` is set.
        FileFormatError: A file is damaged or holds no `d_iner` with six columns.
    """
    root = need(config.root, "utd_mhad", SOURCE)
    folder = root if root.name == "Inertial" else need(root / "Inertial", "utd_mhad", SOURCE)
    found = [(_numbers(path), path) for path in folder.glob("*_inertial.mat")]
    if not found:
        need(folder / "a1_s1_t1_inertial.mat", "utd_mhad", SOURCE)
    for (action, subject, trial), path in sorted(found):
        if config.placement in ("any", _placement(action).removeprefix("right ")):
            recording = _recording(_read_matrix(path), action, subject, trial)
            yield recording if config.videos is None else _with_video(recording, config.videos)


def splits() -> dict[str, Split]:
    """Return the publishers' cross-subject division: odd people train, even people test."""
    return {"official": Split(train=("1", "3", "5", "7"), test=("2", "4", "6", "8"))}


def _numbers(path: Path) -> tuple[int, int, int]:
    match = re.fullmatch(r"a(\d+)_s(\d+)_t(\d+)_inertial\.mat", path.name)
    if match is None or not 1 <= int(match[1]) <= len(LABELS):
        raise FileFormatError(
            f"{path} is not named a<action>_s<subject>_t<trial>_inertial.mat.", "Rename it."
        )
    return int(match[1]), int(match[2]), int(match[3])


def _read_matrix(path: Path) -> np.ndarray:
    from scipy.io import loadmat

    try:
        matrix_TC = loadmat(path, variable_names=["d_iner"])["d_iner"]
    except Exception as error:  # noqa: BLE001  # scipy raises many kinds for damaged files
        raise FileFormatError(
            f"{path} cannot be read as a MATLAB file with d_iner ({error}).", "Fetch it again."
        ) from None
    if matrix_TC.ndim != 2 or matrix_TC.shape[1] != 6 or not len(matrix_TC):
        raise FileFormatError(
            f"d_iner in {path} has shape {matrix_TC.shape} instead of [time, 6].", "Fetch it again."
        )
    return matrix_TC


def _placement(action: int) -> str:
    return "right thigh" if action >= FIRST_THIGH_ACTION else "right wrist"


def _with_video(recording: Recording, folder: Path) -> Recording:
    """Add the trial's video, stretched to the length of the motion."""
    names = [name.format(id=recording.id) for name in _VIDEO_NAMES]
    path = next((folder / name for name in names if (folder / name).is_file()), None)
    if path is None:
        raise DataError(
            f"{folder} has no video of trial {recording.id} ({', '.join(names)}).",
            "Give the folder with all videos, or leave out the setting videos.",
        )
    video: VideoStream = open_video(path)
    stretch = recording.streams["imu"].duration_s / video.duration_s
    video = replace(video, drift_ppm=(stretch - 1.0) * 1e6)
    return replace(recording, streams={**recording.streams, "camera": video})


def _recording(matrix_TC: np.ndarray, action: int, subject: int, trial: int) -> Recording:
    placement = _placement(action)
    stream = motion_stream(
        "imu", {"acc": matrix_TC[:, :3], "gyro": matrix_TC[:, 3:]}, {"acc": "g", "gyro": "deg/s"},
        rate_hz=RATE_HZ, gravity=Gravity.INCLUDED, placement=placement,
    )  # fmt: skip
    return Recording(
        id=f"a{action}_s{subject}_t{trial}",
        subject=str(subject),
        dataset="utd_mhad",
        streams={"imu": stream},
        annotations=whole(LABELS[action - 1], stream.duration_s),
        attributes={"action": str(action), "trial": str(trial), "placement": placement},
        findings=unit_findings("g", "deg/s"),
    )
