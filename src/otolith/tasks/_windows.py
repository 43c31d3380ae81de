"""Evaluation windows: cut once, embedded once, shared by every task."""

# N windows, D width

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from otolith.core.config import config
from otolith.core.errors import DataError
from otolith.datasets._part import DatasetPart
from otolith.tasks._model import Model
from otolith.tasks._people import Fold, fixed_fold, seen_people, subject_folds
from otolith.windows.dataset import WindowDataset
from otolith.windows.table import WindowSpec


@config
class EvaluationWindows:
    """How recordings are cut for an evaluation.

    Args:
        window_s: Length of a window in s.
        stride_s: Distance of neighbouring windows in s; None = the length (no overlap).
        min_label_share: Smallest share of a window that must carry its label.
        streams: Motion streams to use, each gives windows of its own; empty = all.
        labels: Class names to keep, in this order; empty = all of the data set that occur.
    """

    window_s: float = 5.0
    stride_s: float | None = None
    min_label_share: float = 0.6
    streams: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """Labelled windows of one data set.

    Args:
        windows: The windows, all labelled.
        labels: Class names.
        label_N: int64, index into `labels`.
        subject_N: Person of each window.
    """

    windows: WindowDataset
    labels: tuple[str, ...]
    label_N: np.ndarray
    subject_N: np.ndarray


def labelled_windows(part: DatasetPart, settings: EvaluationWindows) -> Labelled:
    """Cut a data set into labelled windows.

    Args:
        part: Data set with labels.
        settings: How to cut.

    Raises:
        DataError: No window carries a wanted label, or only one class occurs.
    """
    spec = WindowSpec(
        window_s=settings.window_s,
        stride_s=settings.stride_s,
        streams=settings.streams,
        separate=True,
        label_rule="majority",
        min_label_share=settings.min_label_share,
    )
    windows = WindowDataset([part], spec, labels=settings.labels or part.labels)
    present = np.unique(windows.table.label)
    names = tuple(settings.labels or part.labels)
    labels = tuple(names[i] for i in present)
    if len(labels) < 2:
        raise DataError(
            f'"{part.name}" gives {len(windows)} windows of {settings.window_s:g} s '
            f"with {len(labels)} of the wanted classes.",
            "Choose a shorter window, or other labels.",
        )
    missing = [name for name in settings.labels if name not in labels]
    if missing:
        raise DataError(
            f'"{part.name}" has no window labelled {", ".join(missing)}.',
            f"Its labels are: {', '.join(part.labels)}.",
        )
    if labels != names:
        windows = WindowDataset([part], spec, labels=labels)
    return Labelled(
        windows=windows,
        labels=labels,
        label_N=windows.table.label,
        subject_N=_people(windows, part.name),
    )


def _people(windows: WindowDataset, name: str) -> np.ndarray:
    """Person of each window; an unknown person cannot be kept apart from the others."""
    subjects = np.array([s.split("/", 1)[1] for s in windows.table.subject_names], dtype=object)
    people = subjects[windows.table.subject]
    if (people == "").any():
        raise DataError(
            f'Recordings of "{name}" do not say who was recorded.',
            "Import them again with a subject column, so that people can be kept apart.",
        )
    return people


def choose_folds(
    model: Model, part: DatasetPart, data: Labelled, folds: int | str, seed: int
) -> tuple[list[Fold], str, tuple[str, ...]]:
    """Divide people into folds that the model's pretraining allows.

    Args:
        model: The model; people it was trained on are never tested.
        part: The data set, which knows its official split.
        data: Its windows.
        folds: Number of folds, or `official` for the data set's own split.
        seed: Seed of the order of people.

    Returns:
        Folds, a sentence that describes them, and warnings.

    Raises:
        DataError: There is no official split.
        LeakageError: No person is left to test on.
    """
    seen = seen_people(model.provenance, part.name)
    warnings: tuple[str, ...] = ()
    if folds == "official":
        people, origin = _split_of(part)
        if seen & {*people, "*"}:
            subject_folds(data.subject_N, num_folds=2, seed=seed, never_test={"*"})
        described = f"split by person ({origin}), {len(people)} people tested"
        return fixed_fold(data.subject_N, people), described, warnings
    divided = subject_folds(data.subject_N, num_folds=int(folds), seed=seed, never_test=seen)
    tested = len({s for fold in divided for s in np.unique(data.subject_N[fold.test])})
    if seen:
        warnings = (
            f"{len(seen)} people of {part.name} were in the pretraining (without labels) and are "
            f"learned from but never tested; {tested} people are tested.",
        )
    return divided, f"{len(divided)} folds by person, {tested} people tested", warnings


def _split_of(part: DatasetPart) -> tuple[tuple[str, ...], str]:
    """Test people of a data set's first split by person, and who defined it."""
    for split in (part.folder.info.get("splits") or {}).values():
        if split.get("by", "subject") == "subject" and split["test"]:
            return tuple(split["test"]), f"defined by {split.get('origin', 'the user')}"
    raise DataError(f'"{part.name}" has no split by person.', "Give a number of folds.")
