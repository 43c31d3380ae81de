"""Window lists of HIMU-MAE for Ego-Exo4D: pickled lists of dictionaries, read without running their code."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from otolith.core.errors import FileFormatError
from otolith.core.unpickle import load_restricted

_TEXTS = ("take_name", "take_uid")
_TIMES = ("effective_start_sec", "start_sec", "end_sec")


@dataclass(frozen=True, kw_only=True)
class ListedWindow:
    """One window of a list.

    Args:
        take_name: Take.
        take_uid: Its identifier.
        origin_s: First time that both sensors know, in s of the sensors' clock.
        start_s: Start in s after `origin_s`; may be negative.
        end_s: End in s after `origin_s`.
        feature_row: Row of the take's video features.
        label: Class number; None in lists for pretraining.
    """

    take_name: str
    take_uid: str
    origin_s: float
    start_s: float
    end_s: float
    feature_row: int
    label: int | None


def read_window_list(path: Path, num_classes: int) -> dict[str, list[ListedWindow]]:
    """Read the windows of a list by take.

    Args:
        path: Pickled list of dictionaries with `take_name`, `take_uid`, `effective_start_sec`,
            `start_sec`, `end_sec`, `omnivore_idx` and, with classes, `label`.
        num_classes: Classes are numbered 0 to `num_classes - 1`.

    Returns:
        Take name -> windows in the order of the file.

    Raises:
        FileFormatError: The file is damaged, or an entry lacks a field or holds an impossible value.
    """
    if not path.is_file():
        raise FileFormatError(f"There is no window list {path}.", "Check the path.")
    content = load_restricted(path)
    if not isinstance(content, list) or not content:
        raise FileFormatError(
            f"{path} holds a {type(content).__name__} instead of a list of windows.",
            "Give a window list of HIMU-MAE.",
        )
    found: dict[str, list[ListedWindow]] = {}
    for number, entry in enumerate(content):
        window = _window(path, number, entry, num_classes)
        found.setdefault(window.take_name, []).append(window)
    return found


def _window(path: Path, number: int, entry: Any, num_classes: int) -> ListedWindow:
    """One entry; a wrong one is named by its number and the first field that is wrong."""
    if not isinstance(entry, dict):
        raise _wrong(path, number, "it is no dictionary")
    for key in _TEXTS:
        if not isinstance(entry.get(key), str):
            raise _wrong(path, number, f"{key} is {entry.get(key)!r}")
    times = {key: _number(path, number, key, entry.get(key)) for key in _TIMES}
    if not times["end_sec"] > times["start_sec"]:
        raise _wrong(path, number, "it ends before it starts")
    row = _number(path, number, "omnivore_idx", entry.get("omnivore_idx"))
    label = entry.get("label")
    if label is not None:
        label = _number(path, number, "label", label)
        if label != int(label) or not 0 <= label < num_classes:
            raise _wrong(path, number, f"label is {label:g}, not one of 0 to {num_classes - 1}")
    return ListedWindow(
        take_name=entry["take_name"],
        take_uid=entry["take_uid"],
        origin_s=times["effective_start_sec"],
        start_s=times["start_sec"],
        end_s=times["end_sec"],
        feature_row=int(row),
        label=None if label is None else int(label),
    )


def _number(path: Path, number: int, key: str, value: Any) -> float:
    try:
        result = float(value)
    except (TypeError, ValueError):
        result = math.nan
    if not math.isfinite(result):
        raise _wrong(path, number, f"{key} is {value!r}")
    return result


def _wrong(path: Path, number: int, what: str) -> FileFormatError:
    return FileFormatError(f"Window {number} of {path} is wrong: {what}.", "Fetch the list again.")
