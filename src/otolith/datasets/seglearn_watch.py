"""Seglearn watch: ten people, seven shoulder exercises, smart watch on the left or right wrist.

The package `seglearn` carries `data/watch_dataset.npy`, a pickled dictionary with X (list of
[T, 6] in g and rad/s at 50 Hz), y, y_labels, subject and side. It is read without importing the
package and without running pickled code.
"""

# T time, C channels

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from otolith.core.config import config
from otolith.core.errors import FileFormatError
from otolith.core.unpickle import load_restricted
from otolith.datasets import Card, Source, Split
from otolith.datasets._files import find_in_package, need
from otolith.datasets._streams import motion_stream, unit_findings, whole
from otolith.recordings.recording import Finding, Gravity, Recording

EXERCISES = {
    "PEN": "pendulum",
    "ABD": "shoulder abduction",
    "FEL": "forward elevation of the arm",
    "IR": "internal rotation of the shoulder",
    "ER": "external rotation of the shoulder",
    "TRAP": "trapezius extension",
    "ROW": "upright row",
}
RATE_HZ = 50.0
NUM_CHANNELS = 6
_FILE = "watch_dataset.npy"
_KEYS = ("X", "y", "y_labels", "subject", "side")
_SIDES = ("left", "right")

SOURCE = Source(
    licence="BSD-3-Clause",
    licence_url="https://github.com/dmbee/seglearn/blob/master/LICENSE",
    cite=(
        "D. M. Burns et al., Shoulder physiotherapy exercise recognition: machine learning the "
        "inertial signals from a smartwatch, Physiol. Meas. 39, 2018."
    ),
    homepage="https://github.com/dmbee/seglearn",
    package="seglearn",
    redistributable=True,
)

CARD = Card(
    title="Smart-watch shoulder exercises (seglearn)",
    description=(
        "Ten people do seven physiotherapy exercises of the shoulder, about 20 repetitions each, "
        "with a smart watch on the wrist of the exercised arm."
    ),
    rate_hz=(RATE_HZ,),
    placements=("left wrist", "right wrist"),
    gravity=Gravity.INCLUDED,
    num_subjects=10,
    labels=tuple(EXERCISES),
    label_groups=dict(EXERCISES),
    caveats=(
        "A part of the study, which had 20 people.",
        "Units are inferred from the size of the values.",
        "BSD-3 is the licence of the package that carries it.",
    ),
)


@config
class Config:
    """Settings of the reader.

    Args:
        root: Folder with `watch_dataset.npy`; None = the installed package seglearn.
    """

    root: Path | None = None


def recordings(config: Config) -> Iterator[Recording]:
    """Yield one recording per person, exercise and arm.

    Raises:
        DataError: The file or the package is missing.
        FileFormatError: The file is damaged.
    """
    folder = find_in_package(config.root, "seglearn", "data", "seglearn_watch", SOURCE)
    path = need(folder / _FILE, "seglearn_watch", SOURCE)
    table = _read_table(path)
    for i, samples_TC in enumerate(table["X"]):
        samples_TC = np.asarray(samples_TC)
        if samples_TC.ndim != 2 or samples_TC.shape[1] != NUM_CHANNELS:
            raise FileFormatError(
                f"Recording {i} of {path} has shape {samples_TC.shape}.", "Install seglearn again."
            )
        label = str(table["y_labels"][int(table["y"][i])])
        yield _recording(
            f"w{i:03d}", samples_TC, str(int(table["subject"][i])),
            label, _SIDES[int(table["side"][i])],
        )  # fmt: skip


def splits() -> dict[str, Split]:
    """Return a division into people: 1-7 for training, 8-10 for testing."""
    train, test = tuple(map(str, range(1, 8))), tuple(map(str, range(8, 11)))
    return {"subjects": Split(train=train, test=test, origin="otolith")}


def _read_table(path: Path) -> dict[str, Any]:
    value = load_restricted(path)
    table = value.item() if isinstance(value, np.ndarray) and value.ndim == 0 else value
    if not isinstance(table, dict) or any(key not in table for key in _KEYS):
        raise FileFormatError(
            f"{path} does not hold {', '.join(_KEYS)}.", "Install the package seglearn again."
        )
    if len({len(table[key]) for key in ("X", "y", "subject", "side")}) != 1:
        raise FileFormatError(f"The columns of {path} differ in length.", "Install seglearn again.")
    return table


def _recording(name: str, samples_TC: np.ndarray, subject: str, label: str, side: str) -> Recording:
    stream = motion_stream(
        "imu", {"acc": samples_TC[:, :3], "gyro": samples_TC[:, 3:]}, {"acc": "g", "gyro": "rad/s"},
        rate_hz=RATE_HZ, gravity=Gravity.INCLUDED, placement=f"{side} wrist",
    )  # fmt: skip
    unpublished = Finding(
        check="units",
        status="inferred",
        fact="Units are not published; the size of the values fits g and rad/s.",
    )
    return Recording(
        id=name,
        subject=subject,
        dataset="seglearn_watch",
        streams={"imu": stream},
        annotations=whole(label, stream.duration_s, text=EXERCISES.get(label, "")),
        attributes={"side": side},
        findings=(*unit_findings("g", "rad/s"), unpublished),
    )
