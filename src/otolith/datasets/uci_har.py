"""UCI HAR: 30 people with a phone at the waist, six activities, as windows of 2.56 s.

`{train,test}/Inertial Signals/<signal>_<axis>_<part>.txt` hold one window of 128 samples per row
(g and rad/s, 50 Hz); `subject_<part>.txt` and `y_<part>.txt` one number per window. Neighbouring
windows of one recording overlap by half; where the halves agree to the last digit, the windows
get the same attribute `source_recording`, so that no split need tear a recording apart.
"""

# N windows, T time

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np

from otolith.core.config import config
from otolith.core.errors import FileFormatError
from otolith.datasets import Card, RemoteFile, Source, Split
from otolith.datasets._files import find_root, need, read_numbers
from otolith.datasets._labels import groups_of
from otolith.datasets._streams import motion_stream, unit_findings, whole
from otolith.recordings.recording import Finding, Gravity, Recording

LABELS = (
    "walking", "walking_upstairs", "walking_downstairs", "sitting", "standing", "laying",
)  # fmt: skip
TEST_SUBJECTS = ("2", "4", "9", "10", "12", "13", "18", "20", "24")
RATE_HZ = 50.0
WINDOW_ROWS = 128

SOURCE = Source(
    licence="CC-BY-4.0",
    licence_url="https://archive.ics.uci.edu/dataset/240",
    cite=(
        "D. Anguita, A. Ghio, L. Oneto, X. Parra, J. L. Reyes-Ortiz, A Public Domain Dataset for "
        "Human Activity Recognition Using Smartphones, ESANN 2013."
    ),
    homepage="https://archive.ics.uci.edu/dataset/240",
    files=(
        RemoteFile(
            name="uci_har.zip",
            url=(
                "https://archive.ics.uci.edu/static/public/240/human+activity+recognition+using+"
                "smartphones.zip"
            ),
            unpack=True,
        ),
    ),
)

CARD = Card(
    title="Human Activity Recognition Using Smartphones (UCI HAR)",
    description=(
        "Windows of 2.56 s from 30 volunteers with a smartphone at the waist: walking, stairs, "
        "sitting, standing and lying."
    ),
    rate_hz=(RATE_HZ,),
    placements=("waist",),
    gravity=Gravity.INCLUDED,
    num_subjects=30,
    labels=LABELS,
    label_groups=groups_of(LABELS),
    caveats=(
        "The licence is unclear: the UCI archive lists CC BY 4.0, the readme of the release asks for citation "
        "and prohibits commercial use.",
        "Windows overlap by half; split by subject, or by the attribute source_recording.",
        "The same recordings, unwindowed, are the data set hapt.",
    ),
    same_people_as=("hapt",),
)


@config
class Config:
    """Settings of the reader.

    Args:
        root: Folder of the release; it holds `train` and `test`, or `UCI HAR Dataset`.
        parts: Which parts to read.
        body_acc: Whether to add a stream "body" with the publishers' gravity-free acceleration.
    """

    root: Path
    parts: tuple[Literal["train", "test"], ...] = ("train", "test")
    body_acc: bool = False


def recordings(config: Config) -> Iterator[Recording]:
    """Yield one recording per published window.

    Raises:
        DataError: A file is missing.
        FileFormatError: A file is damaged, or the files of a part do not fit each other.
    """
    root = find_root(config.root, ("UCI HAR Dataset",), "uci_har", SOURCE)
    for part in config.parts:
        yield from _read_part(need(root / part, "uci_har", SOURCE), part, config.body_acc)


def splits() -> dict[str, Split]:
    """Return the publishers' division into people."""
    train = tuple(s for s in map(str, range(1, 31)) if s not in TEST_SUBJECTS)
    return {"official": Split(train=train, test=TEST_SUBJECTS)}


def chains(acc_NT3: np.ndarray, subject_N: np.ndarray) -> np.ndarray:
    """Number the runs of windows that overlap by half.

    Args:
        acc_NT3: Acceleration of consecutive windows [N, T, 3].
        subject_N: Person of each window [N].

    Returns:
        Number of the run of each window [N], int64, from 0.
    """
    half = acc_NT3.shape[1] // 2
    same = (acc_NT3[:-1, half:] == acc_NT3[1:, :half]).all(axis=(1, 2))
    joins = same & (subject_N[:-1] == subject_N[1:])
    return np.concatenate([[0], np.cumsum(~joins)]).astype(np.int64)


def _read_part(folder: Path, part: str, body_acc: bool) -> Iterator[Recording]:
    subject_path = need(folder / f"subject_{part}.txt", "uci_har", SOURCE)
    label_path = need(folder / f"y_{part}.txt", "uci_har", SOURCE)
    subject_N = read_numbers(subject_path, 1)[:, 0].astype(np.int64)
    code_N = read_numbers(label_path, 1)[:, 0].astype(np.int64)
    if code_N.min() < 1 or code_N.max() > len(LABELS):
        raise FileFormatError(f"{label_path} holds an unknown activity.", "Fetch it again.")
    kinds = ["total_acc", "body_gyro", *(["body_acc"] if body_acc else [])]
    signal = {kind: _read_triad(folder, kind, part) for kind in kinds}
    for path, count in [
        (label_path, len(code_N)),
        *((folder / k, len(x)) for k, x in signal.items()),
    ]:
        if count != len(subject_N):
            raise FileFormatError(
                f"{path} has {count} windows but {subject_path} has {len(subject_N)}.",
                "Fetch the release again.",
            )
    run_N = chains(signal["total_acc"], subject_N)
    first_N = np.searchsorted(run_N, run_N)
    for i, subject in enumerate(subject_N):
        yield _window(
            f"{part}_{i:05d}", str(subject), LABELS[code_N[i] - 1],
            {kind: x[i] for kind, x in signal.items()},
            {
                "part": part,
                "source_recording": f"{part}_s{subject:02d}_r{run_N[i]:04d}",
                "window_in_source": str(i - first_N[i]),
            },
        )  # fmt: skip


def _read_triad(folder: Path, kind: str, part: str) -> np.ndarray:
    """Samples of one three-axis sensor [N, T, 3]."""
    paths = [folder / "Inertial Signals" / f"{kind}_{axis}_{part}.txt" for axis in "xyz"]
    axes = [read_numbers(need(path, "uci_har", SOURCE), WINDOW_ROWS) for path in paths]
    for path, axis_NT in zip(paths, axes, strict=True):
        if len(axis_NT) != len(axes[0]):
            raise FileFormatError(
                f"{path} has {len(axis_NT)} windows but {paths[0].name} has {len(axes[0])}.",
                "Fetch the release again.",
            )
    return np.stack(axes, axis=2)


def _window(
    name: str, subject: str, label: str, signal: dict[str, np.ndarray], attributes: dict[str, str]
) -> Recording:
    units = {"acc": "g", "gyro": "rad/s"}
    streams = {
        "imu": motion_stream(
            "imu", {"acc": signal["total_acc"], "gyro": signal["body_gyro"]}, units,
            rate_hz=RATE_HZ, gravity=Gravity.INCLUDED, placement="waist",
        )
    }  # fmt: skip
    if "body_acc" in signal:
        streams["body"] = motion_stream(
            "body", {"acc": signal["body_acc"]}, units,
            rate_hz=RATE_HZ, gravity=Gravity.REMOVED, placement="waist",
        )  # fmt: skip
    derived = Finding(
        check="recording.source",
        status="inferred",
        fact="Windows whose overlapping halves are equal were taken as one source recording.",
    )
    return Recording(
        id=name,
        subject=subject,
        dataset="uci_har",
        streams=dict(streams),
        annotations=whole(label, WINDOW_ROWS / RATE_HZ),
        attributes=attributes,
        findings=(*unit_findings("g", "rad/s"), derived),
    )
