"""Files of the Ego-Exo4D release: takes, key steps, motion arrays, Omnivore features."""

# T time, N feature windows

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from otolith.core.errors import FileFormatError
from otolith.datasets import Source
from otolith.datasets._egoexo4d_windows import CLIP_S, STRIDE_S
from otolith.datasets._files import need
from otolith.recordings.recording import FeatureStream

RATES_HZ = {"left": 800.0, "right": 1000.0}
OMNIVORE_WIDTH = 1536
_MAX_RATE_ERROR = 0.05


def read_takes(root: Path, source: Source) -> list[dict[str, Any]]:
    """Return the records of the takes, each with its name and identifier.

    Raises:
        DataError: The list is missing.
        FileFormatError: It is damaged.
    """
    path = need(root / "takes.json", "egoexo4d", source)
    takes = read_json(path)
    keys = ("take_name", "take_uid")
    if not isinstance(takes, list) or not all(
        isinstance(take, dict) and all(isinstance(take.get(key), str) for key in keys)
        for take in takes
    ):
        raise FileFormatError(
            f"{path} does not list takes with {' and '.join(keys)}.", "Fetch it again."
        )
    return takes


def read_key_steps(
    root: Path, source: Source
) -> tuple[dict[str, list[dict[str, Any]]], dict[str, str]]:
    """Return the segments by take, and which list a take is in.

    Raises:
        DataError: A list is missing.
        FileFormatError: It is damaged, or a step has no start and end.
    """
    steps: dict[str, list[dict[str, Any]]] = {}
    part_of: dict[str, str] = {}
    for part in ("val", "train"):
        path = need(root / "annotations" / f"keystep_{part}.json", "egoexo4d", source)
        content = read_json(path)
        entries = content.get("annotations") if isinstance(content, dict) else None
        if not isinstance(entries, dict):
            raise FileFormatError(f"{path} holds no annotations of takes.", "Fetch it again.")
        for uid, entry in entries.items():
            segments = entry.get("segments") if isinstance(entry, dict) else None
            for number, step in enumerate(segments if isinstance(segments, list) else [None]):
                _check_step(path, uid, number, step)
            steps[uid] = segments or []
            part_of[uid] = part
    return steps, part_of


def read_motion(path: Path) -> np.ndarray:
    """Return rows of time in ns, acceleration in m/s^2 and angular rate in rad/s, float64 [T, 7].

    Raises:
        FileFormatError: The array is damaged, has other columns, another rate than its sensor, times
            that do not increase, or no acceleration.
    """
    try:
        table = np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise FileFormatError(f"{path} is no array ({error}).", "Extract it again.") from None
    if table.ndim != 2 or table.shape[1] != 7 or len(table) < 2 or table.dtype.kind not in "fiu":
        raise FileFormatError(
            f"{path} holds {table.dtype} of shape {table.shape} instead of numbers [rows, 7].",
            "Extract it again.",
        )
    steps_ns = np.diff(table[:, 0].astype(np.float64))
    if not (steps_ns > 0).all():
        raise FileFormatError(f"Times in {path} do not increase.", "Extract it again.")
    found_hz = 1e9 / float(np.median(steps_ns))
    if abs(found_hz / RATES_HZ[path.stem] - 1.0) > _MAX_RATE_ERROR:
        raise FileFormatError(
            f"{path} has {found_hz:.6g} Hz; the {path.stem} sensor has {RATES_HZ[path.stem]:g} Hz.",
            "Extract it again, with times in ns.",
        )
    if not np.isfinite(table[:, 1:4]).all(axis=1).any():
        raise FileFormatError(f"{path} holds no acceleration.", "Extract it again.")
    return table.astype(np.float64)


def read_omnivore(path: Path) -> FeatureStream:
    """Return official features [N, 1, 1536]; their times begin with the video.

    Raises:
        FileFormatError: The file is damaged or holds something else.
    """
    import torch

    try:
        values = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # noqa: BLE001  # torch raises many kinds, with advice to read it unsafely
        raise FileFormatError(f"{path} holds no features.", "Fetch it again.") from None
    is_tensor = isinstance(values, torch.Tensor) and values.is_floating_point()
    if not is_tensor or values.ndim < 2 or not len(values) or values[0].numel() != OMNIVORE_WIDTH:
        found = f"shape {tuple(values.shape)}" if is_tensor else type(values).__name__
        raise FileFormatError(
            f"{path} holds {found} instead of features [windows, 1, {OMNIVORE_WIDTH}].",
            "Fetch it again.",
        )
    return FeatureStream(
        name="omnivore",
        values_ND=values.float().flatten(1).numpy(),
        extractor="omnivore",
        window_s=CLIP_S,
        stride_s=STRIDE_S,
    )


def _check_step(path: Path, uid: str, number: int, step: Any) -> None:
    """Refuse a key step without a finite start and end."""
    try:
        start, end = float(step["start_time"]), float(step["end_time"])
    except (KeyError, TypeError, ValueError):
        start = end = math.nan
    if not (math.isfinite(start) and math.isfinite(end)):
        raise FileFormatError(
            f"Key step {number} of the take {uid} in {path} has no start_time and end_time in s.",
            "Fetch it again.",
        )


def read_json(path: Path) -> Any:
    """Return what a JSON file holds.

    Raises:
        FileFormatError: It is no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, UnicodeDecodeError) as error:
        raise FileFormatError(f"{path} is no JSON ({error}).", "Fetch it again.") from None
