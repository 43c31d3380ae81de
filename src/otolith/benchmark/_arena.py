"""Where a contestant meets the data sets: inputs made once, people divided, leaks refused."""

# N windows

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from otolith.benchmark import Tally, Unit
from otolith.benchmark._data import BenchmarkData
from otolith.benchmark.contestants import Contestant, Lesson
from otolith.core.errors import CheckpointError, DataError, LeakageError
from otolith.core.randomness import rng
from otolith.tasks._label_scores import word_prior
from otolith.tasks._model import Model
from otolith.tasks._people import EVERYONE, refuse_if_seen, seen_people, used_labels
from otolith.tasks._windows import Labelled, about_origin, relatives_of
from otolith.windows.batch import Batch
from otolith.windows.splits import group_folds

_READ = 256  # windows that are scored at a time


@dataclass(frozen=True, kw_only=True)
class Division:
    """Windows of one data set divided by person.

    Args:
        train: int64 positions to learn from.
        validation: int64 positions of other people, to choose by.
        test: int64 positions to test on; empty if the contestant has seen all of these people.
        notes: What a reader must know.
    """

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Change:
    """A change of test windows.

    Args:
        name: Distinct name.
        apply: Changes a batch.
        is_drawn: Whether it depends on the seed of the cell.
    """

    name: str
    apply: Callable[[Batch], Batch]
    is_drawn: bool = False


class Arena:
    """One contestant and all data sets.

    Args:
        contestant: Who is tested.
        data: Name -> data set.
    """

    def __init__(self, contestant: Contestant, data: Mapping[str, BenchmarkData]) -> None:
        self.contestant, self.data = contestant, data
        self._inputs: dict[str, Any] = {}
        self._changed: dict[str, tuple[Any, bool]] = {}
        self._words: dict[tuple[str, tuple[str, ...]], np.ndarray] = {}
        self._priors: dict[str, np.ndarray] = {}
        self._unit: Unit | None = None

    def enter(self, unit: Unit) -> None:
        """Say which cell follows, so that changed inputs of another data set or seed are freed."""
        if self._unit is None or self._unit.data != unit.data:
            self._changed.clear()
        elif self._unit.seed != unit.seed:
            self._changed = {n: entry for n, entry in self._changed.items() if not entry[1]}
        self._unit = unit

    def inputs(self, name: str, change: Change | None = None) -> Any:
        """Return the contestant's inputs of a data set, made once.

        Args:
            name: Data set; with a change, that of the cell.
            change: How its windows are changed; None = not at all.
        """
        windows = self.data[name].labelled.windows
        if change is None:
            if name not in self._inputs:
                self._inputs[name] = self.contestant.inputs(windows)
            return self._inputs[name]
        if change.name not in self._changed:
            changed = self.contestant.inputs(windows.with_transform(change.apply))
            self._changed[change.name] = (changed, change.is_drawn)
        return self._changed[change.name][0]

    def word_scores(self, name: str, words: Sequence[str]) -> np.ndarray:
        """Return log probabilities [N, L] of words for every window of a data set, made once.

        Args:
            name: Data set.
            words: Labels; they are all there is.

        Raises:
            CheckpointError: The contestant knows no text.
        """
        key = (name, tuple(words))
        if key not in self._words:
            self._words[key] = self._text_model().score_windows(
                self.data[name].labelled.windows, key[1]
            )
        return self._words[key]

    def word_prior(self, name: str) -> np.ndarray:
        """Return log probabilities [N, K] of a data set's own labels by their words, made once.

        Labels whose words the model has never learned are as likely as an even share.

        Args:
            name: Data set.

        Raises:
            CheckpointError: The contestant knows no text.
        """
        if name not in self._priors:
            labelled = self.data[name].labelled
            prior = word_prior(self._text_model(), labelled.labels)
            count = len(labelled.windows)
            rows = [np.arange(a, min(a + _READ, count)) for a in range(0, count, _READ)]
            found = [prior(labelled.windows.batch(own, epoch=0)) for own in rows]
            self._priors[name] = np.concatenate(found)
        return self._priors[name]

    def _text_model(self) -> Model:
        """The contestant's model with text."""
        model = self.contestant.model
        if model is None:
            raise CheckpointError(
                f"{self.contestant.name} knows no text.", "Use a text-aligned model."
            )
        model.require_text()
        return model

    def divide(self, unit: Unit, num_groups: int, validation_share: float) -> Division:
        """Divide the people of a data set; the same for every contestant.

        People that the contestant's weights have seen are learned from and never tested.

        Args:
            unit: Data set, number of the group that is tested, seed.
            num_groups: Groups of people.
            validation_share: Share of the other people that choose; at least one person if there
                are two or more.

        Raises:
            LeakageError: There is one person, or the weights have seen everybody.
        """
        data = self.data[unit.data]
        labelled = data.labelled
        masks = _groups(labelled, num_groups, unit.seed)
        is_test = masks[unit.fold]
        seen, notes = self._seen(data)
        if EVERYONE in seen or set(np.unique(labelled.subject_N)) <= seen:
            raise LeakageError(
                f"Every person of {data.name} was part of the training of {self.contestant.name}.",
                "Test on another data set, or train with people held out.",
            )
        test = np.flatnonzero(is_test & ~np.isin(labelled.subject_N, sorted(seen)))
        train, validation = hold_out(
            labelled.subject_N, np.flatnonzero(~is_test), validation_share, unit.seed
        )
        return Division(train=train, validation=validation, test=test, notes=notes)

    def lesson(
        self,
        name: str,
        train: np.ndarray,
        validation: np.ndarray,
        unlabelled: np.ndarray | None = None,
    ) -> Lesson:
        """Return a lesson on unchanged windows of a data set, with the data set's own classes.

        Args:
            name: Data set.
            train: int64 positions to learn from.
            validation: int64 positions to choose by.
            unlabelled: int64 positions to learn from without labels; None = both of the above.
        """
        labelled = self.data[name].labelled
        return Lesson(
            inputs=self.inputs(name),
            label_N=labelled.label_N,
            person_N=labelled.subject_N,
            train=train,
            validation=validation,
            unlabelled=np.union1d(train, validation) if unlabelled is None else unlabelled,
        )

    def guard_zero_shot(self, name: str) -> tuple[str, ...]:
        """Let only a contestant pass whose weights never saw the data set.

        Returns:
            Notes about what nobody can know.

        Raises:
            LeakageError: The data set, or one of the same people, was trained on.
        """
        model, part = self.contestant.model, self.data[name].part
        if model is None:
            return ()
        refuse_if_seen(model.provenance, part.name, part.subjects, relatives_of(part))
        return about_origin(model, part)

    def _seen(self, data: BenchmarkData) -> tuple[set[str], tuple[str, ...]]:
        """People of a data set that the contestant's weights have seen, and notes about it."""
        model = self.contestant.model
        if model is None:
            return set(), ()
        notes = list(about_origin(model, data.part))
        seen = seen_people(model.provenance, data.name, relatives_of(data.part))
        if seen:
            how = "with labels" if used_labels(model.provenance) else "without labels"
            notes.append(
                f"{self.contestant.name} has seen {len(seen)} people of {data.name} ({how}); they "
                "are learned from and never tested."
            )
        return seen, tuple(notes)


def _groups(labelled: Labelled, num_groups: int, seed: int) -> list[np.ndarray]:
    """Boolean masks [N], one per group of people."""
    people = np.unique(labelled.subject_N)
    if len(people) < 2:
        raise LeakageError(
            f"The data set has windows of {len(people)} person only, so train and test cannot be "
            "different people.",
            "Add recordings of other people.",
        )
    return group_folds(
        labelled.subject_N, labelled.label_N, min(num_groups, len(people)), seed=seed
    )


def hold_out(
    person_N: np.ndarray, rows: np.ndarray, share: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Divide rows into those of most people and those of a drawn share of the people.

    Args:
        person_N: Person of every window.
        rows: int64 positions to divide.
        share: Share of the people to hold out, rounded, at least one; nobody if there is one
            person only.
        seed: Seed of the draw.

    Returns:
        Positions of the others and of those held out, both int64 in order.
    """
    people = np.unique(person_N[rows])
    if len(people) < 2:
        return rows, rows[:0]
    count = min(max(1, round(share * len(people))), len(people) - 1)
    held = rng(seed, purpose="validation people").permutation(people)[:count]
    is_held = np.isin(person_N[rows], held)
    return rows[~is_held], rows[is_held]


def units_by_person(
    data: Mapping[str, BenchmarkData], num_groups: int, seeds: tuple[int, ...]
) -> list[Unit]:
    """Return one unit per data set, seed and group of people."""
    return [
        Unit(data=name, fold=fold, seed=seed)
        for name, one in data.items()
        for seed in seeds
        for fold in range(max(1, min(num_groups, one.num_people)))
    ]


def tally(
    truth_N: np.ndarray, chosen_N: np.ndarray, person_N: np.ndarray, labels: tuple[str, ...]
) -> Tally:
    """Count predictions per person.

    Args:
        truth_N: Class indices.
        chosen_N: Class indices; -1 = none of the list.
        person_N: Person of each window.
        labels: The class list.
    """
    if not len(truth_N):
        return Tally(labels=labels, people={})
    people, index = np.unique(person_N, return_inverse=True)
    triples = np.stack([index, truth_N, chosen_N], axis=1).astype(np.int64)
    distinct, counts = np.unique(triples, axis=0, return_counts=True)
    found: dict[str, list[tuple[int, int, int]]] = {str(p): [] for p in people}
    for (who, truth, chosen), count in zip(distinct.tolist(), counts.tolist(), strict=True):
        found[str(people[who])].append((truth, chosen, count))
    return Tally(labels=labels, people={p: tuple(rows) for p, rows in found.items()})


def need_train(division: Division, name: str) -> None:
    """Raise a `DataError` if nothing is left to learn from."""
    if not len(division.train):
        raise DataError(f"No window of {name} is left to learn from.", "Use more people.")
