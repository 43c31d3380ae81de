"""The files of a WEAR release: annotations, raw accelerations, processed windows, video features."""

# T time, N windows, C channels, W samples of a window, D width

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from otolith.core.errors import ConfigError, DataError, FileFormatError
from otolith.core.files import read_json
from otolith.datasets import Source
from otolith.datasets._csv_columns import Kind, read_columns
from otolith.datasets._files import need
from otolith.datasets._wear_rows import LIMBS, RATE_HZ, VIDEO_WIDTH, split_row
from otolith.recordings.recording import FeatureStream

COLUMNS = tuple(f"{limb.replace(' ', '_')}_acc_{axis}" for limb in LIMBS for axis in "xyz")
FPS = 60.0
_MISSING = -1.0  # what the publishers' feature builder writes for missing samples


def clip_frames(clip: str) -> tuple[int, int]:
    """Return window and stride in frames of a clip such as `120_frames_60_stride`.

    Raises:
        ConfigError: The name is not of that form.
    """
    match = re.fullmatch(r"([1-9]\d*)_frames_([1-9]\d*)_stride", clip)
    if match is None:
        raise ConfigError(f'"{clip}" does not name a clip of WEAR.', "Write 120_frames_60_stride.")
    return int(match[1]), int(match[2])


def read_annotations(root: Path, source: Source) -> dict[str, Any]:
    """Return the facts of every person, from whichever file of a split is there.

    Raises:
        DataError: There is no such file.
        FileFormatError: It is damaged or of another layout.
    """
    found = sorted((root / "annotations").rglob("wear_split_*.json"))
    path = found[0] if found else need(root / "annotations" / "wear_split_1.json", "wear", source)
    content = read_json(path)
    people = content.get("database") if isinstance(content, dict) else None
    is_whole = isinstance(people, dict) and all(
        isinstance(facts, dict) and isinstance(facts.get("annotations"), list)
        for facts in people.values()
    )
    if not (is_whole and people):
        raise FileFormatError(f"{path} holds no annotations of people.", "Fetch it again.")
    return people


def segments_of(
    person: str, facts: dict[str, Any], known: tuple[str, ...]
) -> list[tuple[float, float, str]]:
    """Return start and end in s and class of a person's segments.

    Raises:
        FileFormatError: A segment lacks a part, has another class or no length.
    """
    found = []
    for number, entry in enumerate(facts["annotations"]):
        try:
            start, end = (float(t) for t in entry["segment"])
            label = entry["label"]
        except (KeyError, TypeError, ValueError):
            start, end, label = 0.0, 0.0, ""
        if label not in known or not end > start:
            raise FileFormatError(
                f"Segment {number} of {person} in the annotations of WEAR is {entry}.",
                "Fetch the annotations again.",
            )
        found.append((start, end, label))
    return found


def read_raw(path: Path, labels: tuple[str, ...]) -> np.ndarray:
    """Return acceleration float64 [T, 12] of one person's table, in its unit; NaN = missing.

    Raises:
        FileFormatError: The file is damaged, cut off, or has other columns or classes.
    """
    with path.open("rb") as file:
        file.seek(0, 2)
        size = file.tell()
        file.seek(max(0, size - 1))
        if file.read(1) not in (b"\n", b"\r"):
            raise FileFormatError(f"{path} ends inside a row; it is cut off.", "Fetch it again.")
    kinds: dict[str, Kind] = dict.fromkeys(COLUMNS, "number")
    kinds["label"] = "text"
    table = read_columns(path, kinds)
    odd = sorted(
        {str(x) for x in set(table["label"].tolist())} - {*labels, "", "null", "None", "nan"}
    )
    if odd:
        raise FileFormatError(f'{path} holds the unknown class "{odd[0]}".', "Fetch it again.")
    return np.stack([table[name] for name in COLUMNS], axis=1)


def read_processed(root: Path, clip: str, person: str, source: Source) -> np.ndarray:
    """Return acceleration float64 [T, 12], in its unit, that the windows of a clip were cut from.

    Args:
        root: Folder of the release.
        clip: Clip whose windows overlap or touch.
        person: Whose.
        source: Where the data set comes from.

    Returns:
        The windows put together again; a limb of which all axes are -1 was missing and is NaN.

    Raises:
        DataError: The file is missing.
        FileFormatError: It is damaged, or neighbouring windows contradict each other.
    """
    frames, stride = clip_frames(clip)
    path = _processed_path(root, clip, person, source)
    window = round(frames / FPS * RATE_HZ)
    values = _load(path)
    try:
        windows_NCW, _ = split_row(values, window)
    except DataError as error:
        raise FileFormatError(f"{path}: {error.fact}", "Fetch it again.") from None
    start_N = np.floor(np.arange(len(windows_NCW)) * stride / FPS * RATE_HZ + 1e-6).astype(int)
    if not len(start_N) or (np.diff(start_N) > window).any():
        raise FileFormatError(f"{path} holds no windows that follow on one another.", "Fetch it.")
    rows_NW = start_N[:, None] + np.arange(window)
    samples_TC = np.empty((int(start_N[-1]) + window, windows_NCW.shape[1]))
    samples_TC[rows_NW] = windows_NCW.transpose(0, 2, 1)
    # every sample of every window must be found again, or they were not cut from one signal
    if not np.array_equal(samples_TC[rows_NW], windows_NCW.transpose(0, 2, 1), equal_nan=True):
        raise FileFormatError(
            f"Neighbouring windows in {path} do not share the samples in which they overlap.",
            "Fetch it again.",
        )
    limbs_TLX = samples_TC.reshape(len(samples_TC), -1, 3)
    limbs_TLX[(limbs_TLX == _MISSING).all(axis=2)] = np.nan
    return samples_TC


def read_i3d(root: Path, clip: str, person: str) -> FeatureStream | None:
    """Return the video features of a person, or None if the release at hand has none.

    Raises:
        FileFormatError: The file is damaged or of another width.
    """
    frames, stride = clip_frames(clip)
    own = root / "processed" / "i3d_features" / clip / f"{person}.npy"
    combined = root / "processed" / "combined_features" / clip / f"{person}.npy"
    if own.exists():
        values_ND = _load(own)
    elif combined.exists():
        values_ND = split_row(_load(combined), round(frames / FPS * RATE_HZ))[1]
    else:
        return None
    if values_ND.shape[1] != VIDEO_WIDTH or not len(values_ND):
        raise FileFormatError(
            f"{own if own.exists() else combined} holds {len(values_ND)} features of width "
            f"{values_ND.shape[1]} instead of {VIDEO_WIDTH}.",
            "Fetch it again.",
        )
    return FeatureStream(
        name="i3d",
        values_ND=np.ascontiguousarray(values_ND, np.float32),
        extractor="i3d",
        window_s=frames / FPS,
        stride_s=stride / FPS,
    )


def _processed_path(root: Path, clip: str, person: str, source: Source) -> Path:
    """The file with a person's motion windows, with video features or without."""
    kinds = ("combined_features", "inertial_features")
    paths = [root / "processed" / kind / clip / f"{person}.npy" for kind in kinds]
    found = [path for path in paths if path.exists()]
    return found[0] if found else need(paths[0], "wear", source)


def _load(path: Path) -> np.ndarray:
    try:
        values = np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise FileFormatError(f"{path} is no array ({error}).", "Fetch it again.") from None
    if values.ndim != 2 or values.dtype.kind != "f":
        raise FileFormatError(
            f"{path} holds {values.dtype} of shape {values.shape} instead of numbers "
            "[windows, width].",
            "Fetch it again.",
        )
    return values
