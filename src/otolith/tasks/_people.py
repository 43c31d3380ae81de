"""Who may be tested: folds without shared people, and the guard against leaks."""

# N windows, F folds

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from otolith.core.errors import LeakageError
from otolith.core.randomness import rng
from otolith.core.registry import Registry

_DATASETS = Registry("otolith.datasets", "data set")


@dataclass(frozen=True)
class Fold:
    """One division of windows; no person is on both sides.

    Args:
        train: int64 indices of windows that may be learned from.
        test: int64 indices of windows to test on.
    """

    train: np.ndarray
    test: np.ndarray


def seen_people(provenance: dict[str, Any], dataset: str) -> set[str]:
    """Return the subjects of `dataset` that the weights were trained on (labelled or not).

    Weights that started from other weights inherit what those have seen. Data sets that
    recorded the same people (see their cards) count as the same source; then all subjects are
    taken as seen, because numbering may differ. `*` stands for everyone.
    """
    seen: set[str] = set()
    relatives = _same_people(dataset)
    for name, people in _trained_on(provenance):
        if name == dataset:
            seen |= people - {""} or {"*"}
        elif name in relatives:
            seen.add("*")
    return seen


def _trained_on(provenance: dict[str, Any]) -> Iterator[tuple[str, set[str]]]:
    """Data sets with their people, of a model and of all models it started from."""
    for name, parts in provenance.get("data", {}).get("datasets", {}).items():
        yield name, {*parts.get("train_subjects", []), *parts.get("validation_subjects", [])}
    if provenance.get("init_provenance"):
        yield from _trained_on(provenance["init_provenance"])


def refuse_if_seen(provenance: dict[str, Any], dataset: str, subjects: Iterable[str]) -> None:
    """Let only a model pass that never saw this data set: the meaning of zero-shot.

    Raises:
        LeakageError: The data set, or one of the same people, was trained on.
    """
    seen = seen_people(provenance, dataset)
    if not seen:
        return
    who = (
        "all its people"
        if "*" in seen
        else f"{len(seen & set(subjects)) or len(seen)} of its people"
    )
    raise LeakageError(
        f'"{dataset}" ({who}) was part of the training of this model, so this is not zero-shot.',
        "Use another data set, or probe / few_shot on people it has not seen.",
    )


def subject_folds(
    subjects_N: np.ndarray, *, num_folds: int, seed: int, never_test: Iterable[str] = ()
) -> list[Fold]:
    """Divide windows into folds by person; every allowed person is tested exactly once.

    Args:
        subjects_N: Person of each window.
        num_folds: Number of folds; fewer if there are fewer people.
        seed: Seed of the order of people.
        never_test: People that must stay out of the test parts; they may be learned from.

    Raises:
        LeakageError: Nobody is left to test on, or there is one person only.
    """
    banned = set(never_test)
    people = np.array(sorted(set(subjects_N.tolist())))
    allowed = people if not banned else np.array([p for p in people if p not in banned])
    if "*" in banned or not len(allowed):
        raise LeakageError(
            "Every person of this data set was part of the training of this model.",
            "Test on another data set, or train with people held out.",
        )
    if len(people) < 2:
        raise LeakageError(
            "This data set has one person only, so train and test cannot be different people.",
            "Add recordings of other people.",
        )
    order = rng(seed, 0, "folds").permutation(allowed)
    groups = np.array_split(order, min(num_folds, len(order)))
    folds = []
    for group in groups:
        test = np.isin(subjects_N, group)
        folds.append(Fold(np.flatnonzero(~test), np.flatnonzero(test)))
    return folds


def fixed_fold(subjects_N: np.ndarray, test_subjects: Iterable[str]) -> list[Fold]:
    """Return the one fold whose test people are given (an official split)."""
    test = np.isin(subjects_N, list(test_subjects))
    return [Fold(np.flatnonzero(~test), np.flatnonzero(test))]


def _same_people(dataset: str) -> set[str]:
    """Names of data sets that recorded the same people, by their cards, in both directions."""
    names = set(_DATASETS.names())
    cards = {n: _DATASETS.get(n).CARD for n in names}
    own = set(cards[dataset].same_people_as) if dataset in cards else set()
    return own | {n for n, card in cards.items() if dataset in card.same_people_as}
