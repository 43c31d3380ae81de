"""UniMiB SHAR: 30 people with a phone in the trouser pocket, 9 activities and 8 kinds of falls.

`UniMiB-SHAR/data/acc_data.mat` holds one segment per row: 151 samples (50 Hz) of x, then of y, then
of z, cut around a peak. `acc_labels.mat` holds class, person and trial of each segment. Trials of
the classes with two (six) trials were done with the phone in the right pocket first (first three),
then in the left. The unit of acceleration is told from its length.
"""

# N segments, T time

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np

from otolith.core.config import config
from otolith.core.errors import FileFormatError
from otolith.datasets import Card, RemoteFile, Source, Split
from otolith.datasets._files import find_root, need
from otolith.datasets._labels import groups_of
from otolith.datasets._streams import AccUnit, motion_stream, whole
from otolith.recordings.recording import Finding, Gravity, Quality, Recording

LABELS = (
    "standing_up_from_sitting", "standing_up_from_laying", "walking", "running",
    "going_up_stairs", "jumping", "going_down_stairs", "lying_down_from_standing", "sitting_down",
    "falling_forward", "falling_right", "falling_backward", "falling_hitting_obstacle",
    "falling_with_protection", "falling_backward_sitting", "syncope", "falling_left",
)  # fmt: skip
RATE_HZ = 50.0
SEGMENT_ROWS = 151
_RIGHT_TRIALS = {2: 1, 6: 3}  # trials of a class -> how many of them in the right pocket
_NORMAL_LENGTH: dict[AccUnit, tuple[float, float]] = {"m/s^2": (5.0, 15.0), "g": (0.5, 1.5)}

SOURCE = Source(
    licence="none found; the publishers ask for citation",
    cite=(
        "D. Micucci, M. Mobilio, P. Napoletano, UniMiB SHAR: A Dataset for Human Activity "
        "Recognition Using Acceleration Data from Smartphones, Applied Sciences 7(10), 2017."
    ),
    homepage="https://www.sal.disco.unimib.it/technologies/unimib-shar/",
    files=(
        RemoteFile(
            name="UniMiB-SHAR.zip",
            url="https://www.dropbox.com/s/x2fpfqj0bpf8ep6/UniMiB-SHAR.zip?dl=1",
            unpack=True,
        ),
    ),
)

CARD = Card(
    title="University of Milano Bicocca Smartphone-based Human Activity Recognition (UniMiB SHAR)",
    description=(
        "Segments of 3 s of 30 people with a smartphone in a trouser pocket: walking, stairs, "
        "jumping, changes of posture and falls."
    ),
    rate_hz=(RATE_HZ,),
    placements=("trouser pocket",),
    gravity=Gravity.INCLUDED,
    num_subjects=30,
    labels=LABELS,
    label_groups=groups_of(LABELS),
    caveats=(
        "No copy of the real files was at hand; the reader was tested on a fixture in the official "
        "layout.",
        "The licence is unclear: the readme of the release asks for citation and names none.",
        "The readme of the release does not say the unit; the reader tells it from the length of acceleration.",
        "Segments of a trial can overlap; split by subject, or by the attribute source_recording.",
        "Falls to the left and to the right may have each other's name.",
        "Accelerometer only.",
        "The unsegmented signals (full_data.mat) are not read.",
    ),
)


@config
class Config:
    """Settings of the reader.

    Args:
        root: Folder of the release; it holds `data`, or `UniMiB-SHAR`, or the `.mat` files.
        acc_unit: Unit of acceleration; "auto" = told from its length.
    """

    root: Path
    acc_unit: Literal["auto", "m/s^2", "g"] = "auto"


def recordings(config: Config) -> Iterator[Recording]:
    """Yield one recording per published segment.

    Raises:
        DataError: A file is missing.
        FileFormatError: A file is damaged, the files do not fit each other, or the unit of
            acceleration cannot be told.
    """
    root = find_root(config.root, ("UniMiB-SHAR/data", "data"), "unimib_shar", SOURCE)
    data_path = need(root / "acc_data.mat", "unimib_shar", SOURCE)
    label_path = need(root / "acc_labels.mat", "unimib_shar", SOURCE)
    rows_NC = _read_matrix(data_path, "acc_data", 3 * SEGMENT_ROWS)
    facts_N3 = _read_matrix(label_path, "acc_labels", 3).astype(np.int64)
    if len(rows_NC) != len(facts_N3):
        raise FileFormatError(
            f"{data_path} has {len(rows_NC)} segments but {label_path} has {len(facts_N3)}.",
            "Fetch the release again.",
        )
    if facts_N3[:, 0].min() < 1 or facts_N3[:, 0].max() > len(LABELS):
        raise FileFormatError(f"{label_path} holds an unknown activity.", "Fetch it again.")
    acc_NT3 = rows_NC.reshape(-1, 3, SEGMENT_ROWS).transpose(0, 2, 1)
    unit, told = _unit(acc_NT3, config.acc_unit, data_path)
    sides = _sides(facts_N3)
    for i, (code, subject, trial) in enumerate(facts_N3.tolist()):
        attributes = {
            "trial": str(trial), "side": sides[i],
            "source_recording": f"s{subject:02d}_{LABELS[code - 1]}_t{trial}",
        }  # fmt: skip
        yield _segment(i, str(subject), LABELS[code - 1], acc_NT3[i], unit, attributes, told)


def splits() -> dict[str, Split]:
    """Return a division into people; the publishers use folds and leave-one-out over people."""
    train, test = map(str, range(1, 22)), map(str, range(22, 31))
    return {"subjects": Split(train=tuple(train), test=tuple(test), origin="otolith")}


def _read_matrix(path: Path, name: str, num_columns: int) -> np.ndarray:
    from scipy.io import loadmat

    try:
        matrix = np.asarray(loadmat(path, variable_names=[name])[name], np.float64)
    except Exception as error:  # noqa: BLE001  # scipy raises many kinds for damaged files
        raise FileFormatError(
            f"{path} cannot be read as a MATLAB file with {name} ({error}).", "Fetch it again."
        ) from None
    if matrix.ndim != 2 or matrix.shape[1] != num_columns or not len(matrix):
        raise FileFormatError(
            f"{name} in {path} has shape {matrix.shape} instead of [segments, {num_columns}].",
            "Fetch it again.",
        )
    return matrix


def _unit(acc_NT3: np.ndarray, wanted: str, path: Path) -> tuple[AccUnit, Finding]:
    """Unit of acceleration, and how it is known."""
    length = float(np.nanmedian(np.linalg.norm(acc_NT3, axis=2)))
    fitting: list[AccUnit] = [u for u, (a, b) in _NORMAL_LENGTH.items() if a <= length <= b]
    unit = wanted if wanted != "auto" else next(iter(fitting), "")
    if unit not in _NORMAL_LENGTH:
        raise FileFormatError(
            f"Acceleration in {path} has a median length of {length:.3g}, neither m/s^2 nor g.",
            "Name its unit with acc_unit.",
        )
    how = f"taken to be in {unit}" if wanted == "auto" else f"read as {unit}, as you said"
    found = Finding(
        check="units.acc",
        status="inferred" if wanted == "auto" else "ok",
        fact=f"Acceleration has a median length of {length:.3g} and was {how}.",
        evidence=f"median length {length:.4g} over {len(acc_NT3)} segments",
        remedy="Name another unit with acc_unit.",
    )
    return unit, found  # pyrefly: ignore  # one of the keys, as checked above


def _sides(facts_N3: np.ndarray) -> list[str]:
    """Pocket of each segment: right, left, or empty where the protocol does not tell."""
    code_N, trial_N = facts_N3[:, 0], facts_N3[:, 2]
    last = {code: int(trial_N[code_N == code].max()) for code in set(code_N.tolist())}
    sides = []
    for code, trial in zip(code_N.tolist(), trial_N.tolist(), strict=True):
        num_right = _RIGHT_TRIALS.get(last[code])
        sides.append("" if num_right is None else "right" if trial <= num_right else "left")
    return sides


def _segment(
    index: int,
    subject: str,
    label: str,
    acc_T3: np.ndarray,
    unit: AccUnit,
    attributes: dict[str, str],
    told: Finding,
) -> Recording:
    side, notes = attributes["side"], (told,)
    if side:
        fact = f"The {side} pocket follows from trial {attributes['trial']} and the protocol."
        notes += (Finding(check="placement.side", status="inferred", fact=fact),)
    is_measured_T = np.isfinite(acc_T3).all(axis=1)
    share = float(is_measured_T.mean())
    if share < 1.0:
        fact = f"{int((~is_measured_T).sum())} samples are no numbers; they are missing values."
        notes += (Finding(check="values.missing", status="warning", fact=fact),)
    stream = motion_stream(
        "phone", {"acc": np.where(np.isfinite(acc_T3), acc_T3, np.nan)}, {"acc": unit},
        rate_hz=RATE_HZ, gravity=Gravity.INCLUDED, placement=f"{side} trouser pocket".strip(),
        quality=Quality(flag="good" if share == 1.0 else "suspect", valid_fraction=share),
    )  # fmt: skip
    return Recording(
        id=f"segment_{index:05d}",
        subject=subject,
        dataset="unimib_shar",
        streams={"phone": stream},
        annotations=whole(label, stream.duration_s),
        attributes=attributes,
        findings=notes,
    )
