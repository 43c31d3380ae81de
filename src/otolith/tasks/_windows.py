"""Evaluation windows: cut once, embedded once, shared by every task."""

# N windows, K classes

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from otolith.core.config import config
from otolith.core.errors import DataError, suggest
from otolith.datasets._part import DatasetPart, derived_from
from otolith.tasks._model import Model
from otolith.tasks._people import (
    Fold,
    fixed_fold,
    namesakes,
    seen_people,
    subject_folds,
    training_datasets,
    used_labels,
)
from otolith.tasks._run_windows import about_length
from otolith.windows.dataset import WindowDataset
from otolith.windows.table import WindowSpec

Folds = Annotated[int, Field(ge=2)] | Literal["official"]
Seeds = Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)]
Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(gt=0.0, le=1.0)]
Seconds = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
UNKNOWN_ORIGIN = (
    "The weights of {model} do not say what they were trained on, so nobody can check whether "
    "these people were among it."
)
SAME_NAMES = (
    'Most recordings of "{data}" have the names of recordings of "{other}", which the model was '
    "trained on. If they are the same recordings, these numbers are about people it has seen."
)


@config
class EvaluationWindows:
    """How recordings are cut for an evaluation.

    Args:
        window_s: Length of a window in s.
        stride_s: Distance of neighbouring windows in s; None = the length (no overlap).
        whole: Make one window of every recording, whatever its length.
        min_label_share: Smallest share of a window that must carry its label.
        streams: Motion streams to use, each gives windows of its own; empty = all.
        joint: Give windows of all streams together, which may hold video, for models of several
            sensors or modalities.
        channels: Patterns of channel names to keep, such as `*acc_*`; empty = all.
        video_fps: Frames per second that are read from video.
        video_size_px: Height and width that frames are scaled to.
        labels: Class names to keep, in this order; empty = all of the data set that occur.
        never_test: People that are learned from but never tested, besides those that the model
            was trained on; so that several models are tested on the same people.
    """

    window_s: Seconds = 5.0
    stride_s: Seconds | None = None
    whole: bool = False
    min_label_share: Share = 0.6
    streams: tuple[str, ...] = ()
    joint: bool = False
    channels: tuple[str, ...] = ()
    video_fps: Annotated[float, Field(gt=0)] = 8.0
    video_size_px: tuple[Annotated[int, Field(gt=0)], Annotated[int, Field(gt=0)]] = (224, 224)
    labels: tuple[str, ...] = ()
    never_test: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """Labelled windows of one data set.

    Args:
        windows: The windows, all labelled.
        labels: Class names.
        label_N: int64, index into `labels`.
        subject_N: Person of each window.
        never_test: People that must not be tested, as the settings say.
    """

    windows: WindowDataset
    labels: tuple[str, ...]
    label_N: np.ndarray
    subject_N: np.ndarray
    never_test: tuple[str, ...] = ()


def window_spec(settings: EvaluationWindows) -> WindowSpec:
    """Return how windows of an evaluation are cut: labelled by the label of most of a window."""
    return WindowSpec(
        window_s=settings.window_s,
        stride_s=settings.stride_s,
        whole=settings.whole,
        streams=settings.streams,
        separate=not settings.joint,
        channels=settings.channels,
        video_fps=settings.video_fps,
        video_size_px=settings.video_size_px,
        label_rule="majority",
        min_label_share=settings.min_label_share,
    )


def labelled_windows(part: DatasetPart, settings: EvaluationWindows) -> Labelled:
    """Cut a data set into labelled windows.

    Args:
        part: Data set with labels.
        settings: How to cut.

    Returns:
        Windows of the classes that occur, in the order that was asked for.

    Raises:
        DataError: A wanted label does not exist or labels no window, fewer than two classes
            occur, or a person is unknown.
    """
    names = settings.labels or part.labels
    if unknown := [name for name in settings.labels if name not in part.labels]:
        raise DataError(
            f'"{part.name}" has no label "{unknown[0]}".',
            suggest(unknown[0], part.labels, limit=30),
        )
    if len(set(names)) < max(2, len(names)):
        raise DataError(
            f"{len(names)} labels are given for {part.name}, {len(set(names))} of them different.",
            "Name two or more different labels.",
        )
    spec = window_spec(settings)
    windows = WindowDataset([part], spec, labels=names)
    labels = tuple(names[i] for i in np.unique(windows.table.label))
    if missing := [name for name in settings.labels if name not in labels]:
        raise DataError(
            f'"{part.name}" has no window of {settings.window_s:g} s labelled {", ".join(missing)}.',
            "Choose a shorter window, or leave the label out.",
        )
    if len(labels) < 2:
        raise DataError(
            f'All {len(windows)} windows of {settings.window_s:g} s of "{part.name}" are labelled '
            f'"{labels[0]}".',
            "Choose a shorter window, or a data set with more classes.",
        )
    if labels != tuple(names):
        windows = WindowDataset([part], spec, labels=labels)
    return Labelled(
        windows=windows,
        labels=labels,
        label_N=windows.table.label,
        subject_N=_people(windows, part.name),
        never_test=settings.never_test,
    )


def _people(windows: WindowDataset, name: str) -> np.ndarray:
    """Person of each window; an unknown person cannot be kept apart from the others."""
    subjects = np.array([s.split("/", 1)[1] for s in windows.table.subject_names], dtype=object)
    people = subjects[windows.table.subject].astype(str)
    if (people == "").any():
        raise DataError(
            f'{int((people == "").sum())} windows of "{name}" do not say who was recorded.',
            "Import the recordings again with a subject column, so that people can be kept apart.",
        )
    return people


def choose_folds(
    model: Model, part: DatasetPart, data: Labelled, folds: int | str, seed: int
) -> tuple[list[Fold], str, tuple[str, ...]]:
    """Divide people into folds that the model's training allows.

    Args:
        model: The model; people it was trained on are never tested.
        part: The data set, which knows its official split.
        data: Its windows.
        folds: Number of folds, or `official` for the data set's own split.
        seed: Decides between equally good divisions.

    Returns:
        Folds, a sentence that describes them, and warnings.

    Raises:
        DataError: There is no official split.
        LeakageError: No person is left to test on.
    """
    seen = seen_people(model.provenance, part.name, relatives_of(part))
    banned = seen | set(data.never_test)
    if folds == "official":
        people, origin = _split_of(part)
        chosen = fixed_fold(data.subject_N, people, never_test=banned)
        tested = len(np.unique(data.subject_N[chosen[0].test]))
        described = f"split by person ({origin}), {tested} people tested"
    else:
        chosen = subject_folds(
            data.subject_N,
            labels_N=data.label_N,
            num_folds=int(folds),
            seed=seed,
            never_test=banned,
        )
        tested = len({s for fold in chosen for s in np.unique(data.subject_N[fold.test])})
        described = f"{len(chosen)} folds by person, {tested} people tested"
    warnings = (
        *_about_seen(model, part, seen, tested),
        *_about_classes(data, chosen),
        *about_origin(model, part),
        *about_length(model, data.windows.spec),
    )
    return chosen, described, warnings


def about_origin(model: Model, part: DatasetPart) -> tuple[str, ...]:
    """Warnings about what the leak guard cannot know: unknown origin, copies of another name."""
    if not model.system.trainable or model.provenance.get("is_untrained"):
        return ()
    if not training_datasets(model.provenance):
        return (UNKNOWN_ORIGIN.format(model=model.name),)
    same = namesakes(model.provenance, part.name, part.recording_ids)
    return tuple(SAME_NAMES.format(data=part.name, other=other) for other in same)


def relatives_of(part: DatasetPart) -> tuple[str, ...]:
    """Data sets with the same people that the data set's own card names.

    Those that a simulation was derived from are given as `name/*`; see `seen_people`.
    """
    named = part.folder.info.get("card", {}).get("same_people_as") or ()
    return (*named, *(f"{origin}/*" for origin in derived_from(part)))


def _about_seen(model: Model, part: DatasetPart, seen: set[str], tested: int) -> list[str]:
    if not seen:
        return []
    how = "with labels" if used_labels(model.provenance) else "without labels"
    return [
        f"{len(seen)} people of {part.name} were in the training of the model ({how}); they are "
        f"learned from but never tested. {tested} people are tested."
    ]


def _about_classes(data: Labelled, folds: list[Fold]) -> list[str]:
    """Classes that a fold cannot learn, because only its test people have them."""
    everything = np.arange(len(data.labels))
    missing = {
        data.labels[k]
        for fold in folds
        for k in np.setdiff1d(everything, data.label_N[fold.train]).tolist()
    }
    if not missing:
        return []
    return [
        f"In at least one fold only test people have {', '.join(sorted(missing))}, so it cannot be "
        "recognised there."
    ]


def _split_of(part: DatasetPart) -> tuple[tuple[str, ...], str]:
    """Test people of a data set's first split by person, and who defined it."""
    for split in (part.folder.info.get("splits") or {}).values():
        if split.get("by", "subject") == "subject" and split["test"]:
            return tuple(split["test"]), f"defined by {split.get('origin', 'the user')}"
    raise DataError(f'"{part.name}" has no split by person.', "Give a number of folds.")
