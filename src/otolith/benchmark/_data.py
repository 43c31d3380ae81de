"""Data sets of a benchmark: cut once, named by groups of synonyms, kept apart by who is in them."""

# N windows

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from otolith.benchmark._settings import Windows
from otolith.core.errors import ConfigError, suggest
from otolith.core.files import MANIFEST, sha256_file
from otolith.core.randomness import rng
from otolith.datasets import make_dataset
from otolith.datasets._labels import group_of
from otolith.datasets._part import DatasetPart
from otolith.tasks._people import seen_people
from otolith.tasks._windows import Labelled, labelled_windows, relatives_of

_FIRST_ROWS = 48  # rows of a recording that tell it from any other


@dataclass(frozen=True)
class BenchmarkData:
    """One labelled data set.

    Args:
        part: Its recordings.
        labelled: Its windows.
    """

    part: DatasetPart
    labelled: Labelled

    @property
    def name(self) -> str:
        """Name of the data set."""
        return self.part.name

    @property
    def num_people(self) -> int:
        """People with labelled windows."""
        return len(np.unique(self.labelled.subject_N))

    @property
    def groups(self) -> tuple[str, ...]:
        """Synonym group of every label: that of the data set's card, else of the table."""
        stated = self.part.folder.info.get("card", {}).get("label_groups") or {}
        return tuple(group_of(stated.get(label, label)) for label in self.labelled.labels)

    @cached_property
    def identity(self) -> str:
        """Text that changes when the data or its windows do."""
        manifest = self.part.folder.path / MANIFEST
        table = self.labelled.windows.table
        digest = hashlib.sha256(np.ascontiguousarray(table.id).tobytes())
        digest.update(np.ascontiguousarray(self.labelled.label_N).tobytes())
        digest.update("|".join([*self.labelled.labels, *self.part.recording_ids]).encode())
        whole = sha256_file(manifest) if manifest.is_file() else ""
        return f"{self.name}|{whole}|{digest.hexdigest()}"

    @cached_property
    def fingerprints(self) -> frozenset[str]:
        """Hashes of the first samples of every recording, by which a renamed copy is known."""
        folder = self.part.folder
        wanted = set(self.part.recording_ids)
        rows = zip(
            folder.streams["recording_id"].to_pylist(),
            folder.streams["kind"].to_pylist(),
            folder.streams["num_rows"].to_pylist(),
            strict=True,
        )
        found = set()
        for row, (recording, kind, count) in enumerate(rows):
            if recording in wanted and kind == "imu":
                values = np.nan_to_num(folder.rows(row, 0, min(int(count), _FIRST_ROWS)))
                if len(values) and np.ptp(values, axis=0).any():
                    found.add(hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest())
        return frozenset(found)


def load_data(
    names: Sequence[str | Path | DatasetPart], settings: Windows, limit: int | None
) -> dict[str, BenchmarkData]:
    """Open data sets and cut them.

    Args:
        names: Data sets, or what `make_dataset` takes.
        settings: How to cut.
        limit: Most windows of a data set (to try things out); None = all.

    Raises:
        ConfigError: A data set is given twice, or settings name one that is not given.
        DataError: A data set is missing or has no labelled windows.
    """
    parts = [p if isinstance(p, DatasetPart) else make_dataset(p) for p in names]
    given = [part.name for part in parts]
    if len(set(given)) < len(given):
        twice = next(name for name in given if given.count(name) > 1)
        raise ConfigError(f'The data set "{twice}" is given twice.', "Name each once.")
    for key in ("labels", "streams"):
        if extra := [name for name in getattr(settings, key) if name not in given]:
            raise ConfigError(
                f'windows.{key} names "{extra[0]}", which is not among the data sets.',
                suggest(extra[0], given),
            )
    found = {}
    for part in parts:
        labelled = labelled_windows(part, settings.for_data(part.name))
        found[part.name] = BenchmarkData(part, limit_windows(labelled, limit))
    return found


def limit_windows(data: Labelled, limit: int | None) -> Labelled:
    """Keep at most `limit` windows, dealt out evenly over people and classes.

    Args:
        data: Windows.
        limit: How many; None = all.
    """
    count = len(data.label_N)
    if limit is None or limit >= count:
        return data
    _, person_N = np.unique(data.subject_N, return_inverse=True)
    group_N = person_N * len(data.labels) + data.label_N
    order = rng(0, purpose="limit").permutation(count)
    chosen = np.sort(order[np.argsort(rank_within(group_N[order]), kind="stable")][:limit])
    return Labelled(
        windows=data.windows.select(chosen),
        labels=data.labels,
        label_N=data.label_N[chosen],
        subject_N=data.subject_N[chosen],
        never_test=data.never_test,
    )


def rank_within(group_N: np.ndarray) -> np.ndarray:
    """Return the position of each entry among the entries of its group, int64 [N]."""
    _, inverse = np.unique(group_N, return_inverse=True)
    order = np.argsort(inverse, kind="stable")
    first = np.searchsorted(inverse[order], np.arange(inverse.max() + 1 if len(inverse) else 0))
    rank = np.empty(len(group_N), np.int64)
    rank[order] = np.arange(len(group_N)) - first[inverse[order]]
    return rank


def same_source(a: BenchmarkData, b: BenchmarkData) -> str:
    """Return why two data sets show the same people; empty if nothing says so.

    Their cards may say it (in either direction), or recordings of one may be recordings of the
    other, whatever they are called.
    """
    for one, other in ((a, b), (b, a)):
        trained = {"data": {"datasets": {other.name: {"train_subjects": ["*"]}}}}
        if seen_people(trained, one.name, relatives_of(one.part)):
            return f"{other.name} recorded the same people as {one.name}"
    shared = len(a.fingerprints & b.fingerprints)
    if shared:
        return f"{shared} recordings of {b.name} are recordings of {a.name}"
    return ""
