"""Who may be tested: folds without shared people, and the guard against leaks."""

# N windows, F folds

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from otolith.core.errors import DataError, LeakageError
from otolith.core.registry import Registry
from otolith.windows.splits import group_folds

EVERYONE = "*"
_ALL = "/*"
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


def seen_people(
    provenance: Mapping[str, Any], dataset: str, relatives: Iterable[str] = ()
) -> set[str]:
    """Return the subjects of `dataset` that the weights were trained on, labelled or not.

    Weights that started from other weights inherit what those have seen. Data sets that
    recorded the same people (see their cards) count as the same source; then all subjects are
    taken as seen, because numbering may differ. `*` stands for everyone.

    Args:
        provenance: As saved with the weights.
        dataset: Name of the data set.
        relatives: Further data sets with the same people, such as those its own card names.
            `name/*` says that the people of `name` are called `name/<person>` in this data set.
    """
    seen: set[str] = set()
    origins = {name.removesuffix(_ALL) for name in relatives if name.endswith(_ALL)}
    same = {*_same_people(dataset), *relatives, *(r for o in origins for r in _same_people(o))}
    for name, people in _trained_on(provenance):
        # A recording of an unknown person may show anyone.
        known = {EVERYONE} if "" in people or not people else people
        if name == dataset:
            seen |= known
        elif name in origins:
            seen |= known & {EVERYONE} or {f"{name}/{person}" for person in known}
        elif name in same:
            seen.add(EVERYONE)
    return seen


def learned_people(
    provenance: Mapping[str, Any], dataset: str, relatives: Iterable[str] = ()
) -> set[str]:
    """Return the subjects of `dataset` that weights were fitted to, without those that validated.

    Args:
        provenance: As saved with the weights.
        dataset: Name of the data set.
        relatives: See `seen_people`.
    """
    return seen_people(_learned(provenance), dataset, relatives)


def _learned(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """Provenance without people that validated or calibrated."""
    data = provenance.get("data") or {}
    datasets = {
        name: {**parts, "validation_subjects": []}
        for name, parts in data.get("datasets", {}).items()
    }
    before = provenance.get("init_provenance")
    return {
        "data": {**data, "datasets": datasets},
        "init_provenance": _learned(before) if before else {},
    }


def training_datasets(provenance: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of all data sets that the weights and their ancestors were trained on."""
    return tuple(dict.fromkeys(name for name, _ in _trained_on(provenance)))


def namesakes(provenance: Mapping[str, Any], dataset: str, recordings: Iterable[str]) -> list[str]:
    """Return trained-on data sets of another name that share most recording names with this one.

    A copy that was imported under a name of its own cannot be recognised by its name.

    Args:
        provenance: As saved with the weights.
        dataset: Name of the data set.
        recordings: Ids of its recordings.
    """
    own = set(recordings)
    shared: dict[str, int] = {}
    for entry in trained_recordings(provenance):
        name, _, recording = entry.partition("/")
        if name != dataset and recording in own:
            shared[name] = shared.get(name, 0) + 1
    return sorted(name for name, count in shared.items() if count > max(2, len(own) // 2))


def trained_recordings(provenance: Mapping[str, Any]) -> set[str]:
    """`dataset/recording` of everything that the weights and their ancestors were trained on."""
    ancestors = provenance.get("init_provenance")
    own = set(provenance.get("data", {}).get("recordings", []))
    return own | (trained_recordings(ancestors) if ancestors else set())


def used_labels(provenance: Mapping[str, Any]) -> bool:
    """Return whether the weights, or those they started from, were trained with labels."""
    ancestors = provenance.get("init_provenance") or {}
    own = bool(provenance.get("data")) and not provenance.get("is_pretrain", False)
    return own or (bool(ancestors) and used_labels(ancestors))


def _trained_on(provenance: Mapping[str, Any]) -> Iterator[tuple[str, set[str]]]:
    """Data sets with their people, of a model and of all models it started from.

    Whoever learned from a simulation saw the people that it was derived from. People whose labels
    calibrated the model count too.
    """
    sources = [
        *provenance.get("data", {}).get("datasets", {}).items(),
        *provenance.get("calibration", {}).get("datasets", {}).items(),
    ]
    for name, parts in sources:
        kinds = ("train_subjects", "validation_subjects", "people")
        people = {person for kind in kinds for person in parts.get(kind, [])}
        yield name, people
        for origin in parts.get("derived_from", ()):
            mine = {p.removeprefix(f"{origin}/") for p in people if p.startswith(f"{origin}/")}
            unknown = {""} if "" in people or not people else set()
            if mine or unknown:
                yield origin, mine | unknown
    if provenance.get("init_provenance"):
        yield from _trained_on(provenance["init_provenance"])


def refuse_if_seen(
    provenance: Mapping[str, Any],
    dataset: str,
    subjects: Iterable[str],
    relatives: Iterable[str] = (),
) -> None:
    """Let only a model pass that never saw this data set: the meaning of zero-shot.

    Args:
        provenance: As saved with the weights.
        dataset: Name of the data set.
        subjects: Its people.
        relatives: Further data sets with the same people.

    Raises:
        LeakageError: The data set, or one of the same people, was trained on.
    """
    seen = seen_people(provenance, dataset, relatives)
    if not seen:
        return
    who = (
        "all its people"
        if EVERYONE in seen
        else f"{len(seen & set(subjects)) or len(seen)} of its people"
    )
    raise LeakageError(
        f'"{dataset}" ({who}) was part of the training of this model, so this is not zero-shot.',
        "Use another data set, or probe / few_shot on people it has not seen.",
    )


def subject_folds(
    subjects_N: np.ndarray,
    *,
    num_folds: int,
    seed: int,
    labels_N: np.ndarray | None = None,
    never_test: Iterable[str] = (),
) -> list[Fold]:
    """Divide windows into folds by person; every allowed person is tested exactly once.

    Args:
        subjects_N: Person of each window.
        num_folds: Number of folds; fewer if there are fewer people.
        seed: Decides between equally good divisions.
        labels_N: Class of each window, to spread the classes over the folds; None = do not.
        never_test: People that must stay out of the test parts; they may be learned from.

    Raises:
        LeakageError: Nobody is left to test on, or there is one person only.
    """
    banned = set(never_test)
    people = set(np.unique(subjects_N.astype(str)).tolist())
    allowed = sorted(people - banned)
    if EVERYONE in banned or not allowed:
        raise LeakageError(
            "Every person of this data set was part of the training of this model.",
            "Test on another data set, or train with people held out.",
        )
    if len(people) < 2:
        raise LeakageError(
            "This data set has one person only, so train and test cannot be different people.",
            "Add recordings of other people.",
        )
    may_test = np.flatnonzero(np.isin(subjects_N.astype(str), allowed))
    tests = [np.ones(len(may_test), dtype=bool)]
    if min(num_folds, len(allowed)) > 1:
        classes = np.zeros(len(may_test), np.int64) if labels_N is None else labels_N[may_test]
        tests = group_folds(
            subjects_N[may_test].astype(str), classes, min(num_folds, len(allowed)), seed=seed
        )
    folds = []
    for mask in tests:
        test = np.zeros(len(subjects_N), dtype=bool)
        test[may_test[mask]] = True
        folds.append(Fold(np.flatnonzero(~test), np.flatnonzero(test)))
    return folds


def fixed_fold(
    subjects_N: np.ndarray, test_subjects: Iterable[str], never_test: Iterable[str] = ()
) -> list[Fold]:
    """Return the one fold whose test people are given (a split of the data set).

    Args:
        subjects_N: Person of each window.
        test_subjects: People to test on.
        never_test: People that the model was trained on.

    Raises:
        LeakageError: A test person was part of the training of the model.
        DataError: The windows show no test person, or nobody else.
    """
    wanted = {str(s) for s in test_subjects}
    banned = set(never_test)
    if leaked := wanted & banned or (wanted if EVERYONE in banned else set()):
        raise LeakageError(
            f"{len(leaked)} of the {len(wanted)} test people of this split were part of the "
            f"training of this model ({', '.join(sorted(leaked)[:5])}).",
            "Use a number of folds, or a model that was trained without them.",
        )
    test = np.isin(subjects_N.astype(str), sorted(wanted))
    if test.all() or not test.any():
        raise DataError(
            f"The split leaves {int((~test).sum())} windows to learn from and {int(test.sum())} "
            "to test on.",
            "Load all people of the data set, or use a number of folds.",
        )
    return [Fold(np.flatnonzero(~test), np.flatnonzero(test))]


def _same_people(dataset: str) -> set[str]:
    """Names of data sets that recorded the same people, by their cards, in both directions."""
    names = set(_DATASETS.names())
    cards = {n: _DATASETS.get(n).CARD for n in names}
    own = set(cards[dataset].same_people_as) if dataset in cards else set()
    return own | {n for n, card in cards.items() if dataset in card.same_people_as}
