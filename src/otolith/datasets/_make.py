"""From a name to a data set part; converting releases; registering data sets of outside code."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from otolith.core import home as home_folder
from otolith.core.config import parse, to_plain
from otolith.core.errors import ConfigError, DataError, UnknownNameError, suggest
from otolith.datasets import DATASETS
from otolith.datasets._files import where_to_get
from otolith.datasets._part import DatasetPart
from otolith.recordings.store import DataFolder, is_data_folder, write_data_folder

PARTS = ("all", "train", "validation", "test")
_COMPONENT = ("SOURCE", "CARD", "Config", "recordings", "splits")


def make_dataset(
    name: str | Path,
    *,
    is_pretrain: bool,
    split: str | None,
    division: str,
    subjects: Sequence[str] | None,
    root: str | Path | None,
    home: str | Path | None,
    settings: Mapping[str, Any],
) -> DatasetPart:
    """Return a data set or a part of it; see `otolith.datasets.make_dataset`."""
    if split is not None and split not in PARTS:
        raise ConfigError(f'There is no part "{split}" of a data set.', suggest(split, PARTS))
    folder = _find_folder(name, root, home, settings)
    table = folder.recordings
    ids_R = np.array(table["recording_id"].to_pylist(), dtype=object)
    people_R = np.array([s or "" for s in table["subject"].to_pylist()], dtype=object)
    keep_R = _part_mask(folder, ids_R, people_R, split, division, is_pretrain=is_pretrain)
    if subjects is not None:
        keep_R &= _subject_mask(folder, people_R, subjects)
    if not keep_R.any():
        raise DataError(
            f"No recording of {folder.name} belongs to the wanted part.",
            "Choose another split or other subjects.",
        )
    return DatasetPart(
        name=folder.name,
        folder=folder,
        recording_ids=tuple(ids_R[keep_R]),
        subjects=tuple(s for s in dict.fromkeys(people_R[keep_R]) if s),
        labels=() if is_pretrain else _class_names(folder),
        is_pretrain=is_pretrain,
    )


def register_dataset(name: str) -> Callable[[type], type]:
    """Return a decorator; see `otolith.datasets.register_dataset`."""

    def register(component: type) -> type:
        missing = [part for part in _COMPONENT if not hasattr(component, part)]
        if missing:
            raise ConfigError(
                f'The data set "{name}" lacks {", ".join(missing)}.',
                "See otolith.datasets for what a data set holds.",
            )
        DATASETS.register(name, component)
        return component

    return register


def prepare(
    name: str,
    root: str | Path | None,
    target: str | Path,
    *,
    overwrite: bool,
    progress: bool,
    settings: Mapping[str, Any],
) -> Path:
    """Convert a release into a data folder; see `otolith.datasets.prepare`."""
    module = DATASETS.get(name)
    config = _config(name, root, settings)
    card = {
        **to_plain(module.CARD),
        "source": to_plain(module.SOURCE),
        "licence": module.SOURCE.licence,
        "citation": module.SOURCE.cite,
        "settings": _kept_settings(config),
    }
    splits = {**module.splits(), **getattr(module, "release_splits", lambda _: {})(config)}
    folder = write_data_folder(
        Path(target), module.recordings(config), name=name, card=card,
        splits=to_plain(splits), overwrite=overwrite, progress=progress,
    )  # fmt: skip
    return folder.path


def _config(name: str, root: str | Path | None, settings: Mapping[str, Any]) -> Any:
    """Settings of a reader; a missing root is named with its remedy."""
    module = DATASETS.get(name)
    given = dict(settings) if root is None else {**settings, "root": Path(root)}
    needs_root = "root" not in given and "root" in _required(module.Config)
    if needs_root:
        raise ConfigError(f"{name} needs the folder of its release.", where_to_get(module.SOURCE))
    return parse(module.Config, given, source=f"The settings of {name}")


def _required(settings_class: Any) -> set[str]:
    """Fields without a default."""
    fields = settings_class.__pydantic_fields__
    return {field for field, info in fields.items() if info.is_required()}


def _kept_settings(config: Any) -> dict[str, Any]:
    """What changes the result; the root does not."""
    return {key: value for key, value in to_plain(config).items() if key != "root"}


def _find_folder(
    name: str | Path,
    root: str | Path | None,
    home: str | Path | None,
    settings: Mapping[str, Any],
) -> DataFolder:
    """Data folder of a name or path; converts a release where it can."""
    text = str(name)
    stored = (Path(home) / "data" if home else home_folder.home() / "data") / text
    if isinstance(name, Path) or "/" in text or "\\" in text or text in {".", ".."}:
        return _with_settings(DataFolder.open(name), {}, settings)
    is_known = text in DATASETS.names()
    if is_data_folder(stored):
        defaults = _kept_settings(_config(text, root or ".", settings)) if is_known else {}
        return _with_settings(DataFolder.open(stored), defaults, settings)
    if not is_known:
        here = Path(text)
        if is_data_folder(here):
            return _with_settings(DataFolder.open(here), {}, settings)
        raise UnknownNameError(
            f'There is no data set called "{text}", neither built in nor in {stored.parent}.',
            suggest(text, [*DATASETS.names(), *_stored_names(stored.parent)]),
        )
    return DataFolder.open(
        prepare(text, root, stored, overwrite=False, progress=True, settings=settings)
    )


def _stored_names(folder: Path) -> list[str]:
    return [p.name for p in folder.iterdir() if is_data_folder(p)] if folder.is_dir() else []


def _with_settings(
    folder: DataFolder, wanted: Mapping[str, Any], given: Mapping[str, Any]
) -> DataFolder:
    """Refuse a folder that was converted with other settings than those that were given."""
    stored = folder.info.get("card", {}).get("settings", {})
    for key in given:
        if key not in stored:
            raise ConfigError(
                f'{folder.path} was not converted with a setting "{key}".',
                suggest(key, stored) if stored else "Leave the setting out.",
            )
        value = to_plain(wanted.get(key, given[key]))
        if stored[key] != value:
            raise DataError(
                f"{folder.path} was converted with {key} = {stored[key]!r}, not {value!r}.",
                "Remove the folder, or convert the release into another home.",
            )
    return folder


def _part_mask(
    folder: DataFolder,
    ids_R: np.ndarray,
    people_R: np.ndarray,
    split: str | None,
    division: str,
    *,
    is_pretrain: bool,
) -> np.ndarray:
    """Which recordings belong to a part, bool [R]."""
    splits = folder.info.get("splits") or {}
    if division and division not in splits:
        raise UnknownNameError(
            f'{folder.name} has no division "{division}".', suggest(division, splits)
        )
    first = splits[division] if division else next(iter(splits.values()), None)
    everything = np.ones(len(ids_R), dtype=bool)
    if split == "all" or (split is None and not (is_pretrain and first)):
        return everything
    if first is None:
        raise DataError(
            f"{folder.name} has no split, so it has no {split} part.",
            "Choose people with subjects=[...] instead.",
        )
    entries_R = people_R if first.get("by", "subject") == "subject" else ids_R
    if split is None:
        return ~np.isin(entries_R, list(first["test"]))
    return np.isin(entries_R, list(first.get(split, ())))


def _subject_mask(folder: DataFolder, people_R: np.ndarray, subjects: Sequence[str]) -> np.ndarray:
    wanted = [str(s) for s in subjects]
    known = sorted(set(people_R) - {""})
    if unknown := [s for s in wanted if s not in known]:
        raise UnknownNameError(
            f'{folder.name} has no subject "{unknown[0]}".', suggest(unknown[0], known)
        )
    return np.isin(people_R, wanted)


def _class_names(folder: DataFolder) -> tuple[str, ...]:
    """Class names of the card, else all activity labels in alphabetical order."""
    names = folder.info.get("card", {}).get("labels")
    if names:
        return tuple(names)
    table = folder.annotations
    lists = zip(table["track"].to_pylist(), table["labels"].to_pylist(), strict=True)
    return tuple(
        sorted({x for track, labels in lists if track == "activity" for x in labels or ()})
    )
