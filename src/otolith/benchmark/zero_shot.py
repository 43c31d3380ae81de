"""Zero-shot: a data set that nobody has learned from, with labels given as words alone.

Every data set is the target in turn and the others are the sources. A contestant with text chooses
the likeliest label words. A contestant without learns the sources' groups of synonyms, and a label of
the target is as probable as its group (the bridge of the synonym table): a label whose group no
source has cannot be chosen and counts as an error.

| variant | windows | choice among | right if |
|---|---|---|---|
| closed | all | the target's own labels | the label is the same |
| closed, groups | all | the target's own labels | its group is the same |
| open, groups | all | all labels of the sources | its group is the same |
| shared, groups | those of groups that a source has | labels of these groups | its group is the same |
"""

# N windows, K groups of the sources, L labels

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from otolith.benchmark import Outcome, Tally, Unit
from otolith.benchmark._arena import Arena, hold_out, tally
from otolith.benchmark._data import BenchmarkData, same_source
from otolith.benchmark._settings import Learning, Part, Windows
from otolith.benchmark.contestants import Lesson
from otolith.core.config import config
from otolith.core.errors import LeakageError

HEADLINE = "closed"
METRIC = "macro_f1"
MIN_DATA = 2


@config
class Config:
    """Settings.

    Args:
        windows: How recordings are cut.
        validation_share: Share of the sources' people that choose.
        texts: Label -> words for the text encoder instead of the label.
        learning: How contestants without text learn from the sources.
    """

    windows: Windows = field(default_factory=Windows)
    validation_share: Part = 0.2
    texts: dict[str, str] = field(default_factory=dict)
    learning: Learning = field(default_factory=Learning)


@dataclass(frozen=True, kw_only=True)
class _Votes:
    """Scores of the target's windows, made once for all variants.

    Args:
        closed_NL: For every label of the target; -inf where it cannot be chosen.
        open_NL: For every candidate of the open set.
        open_groups: Group of every candidate.
        counts: Whole numbers for the cell.
        notes: What a reader must know.
        num_parameters: Size of the contestant.
    """

    closed_NL: np.ndarray
    open_NL: np.ndarray
    open_groups: tuple[str, ...]
    counts: dict[str, int]
    notes: tuple[str, ...]
    num_parameters: int


def units(
    data: Mapping[str, BenchmarkData], settings: Config, seeds: tuple[int, ...]
) -> list[Unit]:
    """Return one cell per target and seed."""
    return [Unit(data=name, fold=0, seed=seed) for name in data for seed in seeds]


def run(arena: Arena, unit: Unit, settings: Config) -> Outcome:
    """Test on one data set what was learned from the others, or from text before.

    Raises:
        LeakageError: The weights have seen the target or its people, or every source shows the
            same people.
    """
    origin = arena.guard_zero_shot(unit.data)
    target = arena.data[unit.data]
    sources, excluded = _sources(arena, target)
    if not sources:
        raise LeakageError(
            f"No source is left for {target.name}: {'; '.join(excluded)}.",
            "Give a data set of other people.",
        )
    known = {group for source in sources for group in source.groups}
    model = arena.contestant.model
    if model is not None and model.has_text:
        votes = _by_words(arena, target, sources, settings)
    else:
        votes = _by_groups(arena, target, sources, settings, unit.seed)
    notes = (
        *origin,
        *(f"Not among the sources of {target.name}: {reason}." for reason in excluded),
        *votes.notes,
        _coverage(target, known, sources),
    )
    return Outcome(
        tallies=_tallies(target, votes, known),
        counts={"sources": len(sources), **votes.counts},
        notes=notes,
        num_parameters=votes.num_parameters,
    )


def _sources(arena: Arena, target: BenchmarkData) -> tuple[list[BenchmarkData], list[str]]:
    """Data sets to learn from, and why others are none."""
    sources, excluded = [], []
    for name, one in arena.data.items():
        if name != target.name:
            reason = same_source(target, one)
            if reason:
                excluded.append(reason)
            else:
                sources.append(one)
    return sources, excluded


def _by_words(
    arena: Arena, target: BenchmarkData, sources: Sequence[BenchmarkData], settings: Config
) -> _Votes:
    """Likeliest words; nothing is learned from the sources but what their labels are called."""
    model = arena.contestant.model
    assert model is not None  # noqa: S101  # the caller has looked
    group_of = {
        label: group
        for one in sources
        for label, group in zip(one.labelled.labels, one.groups, strict=True)
    }

    def scores(labels: Sequence[str]) -> np.ndarray:
        words = [settings.texts.get(label, label) for label in labels]
        return arena.word_scores(target.name, words)

    return _Votes(
        closed_NL=scores(target.labelled.labels),
        open_NL=scores(tuple(group_of)),
        open_groups=tuple(group_of.values()),
        counts={"candidates of the open set": len(group_of)},
        notes=(),
        num_parameters=sum(p.numel() for p in model.system.parameters()),
    )


def _by_groups(
    arena: Arena,
    target: BenchmarkData,
    sources: Sequence[BenchmarkData],
    settings: Config,
    seed: int,
) -> _Votes:
    """A classifier of the sources' groups, bridged to the target's labels."""
    groups = tuple(dict.fromkeys(group for one in sources for group in one.groups))
    lessons = _lessons(arena, sources, groups, settings.validation_share, seed)
    fitted = arena.contestant.fit(lessons, len(groups), seed)
    count = len(target.labelled.label_N)
    scores_NK = fitted.scores(arena.inputs(target.name), np.arange(count))
    closed_NL = np.full((count, len(target.groups)), -np.inf)
    for position, group in enumerate(target.groups):
        if group in groups:
            closed_NL[:, position] = scores_NK[:, groups.index(group)]
    names = ", ".join(one.name for one in sources)
    return _Votes(
        closed_NL=closed_NL,
        open_NL=scores_NK,
        open_groups=groups,
        counts={
            "learned": sum(len(lesson.train) + len(lesson.validation) for lesson in lessons),
            "candidates of the open set": len(groups),
        },
        notes=(
            f"{arena.contestant.name} has no text: it learned {len(groups)} groups of synonyms "
            f"from {names}, and labels are bridged by group.",
        ),
        num_parameters=fitted.num_parameters,
    )


def _lessons(
    arena: Arena,
    sources: Sequence[BenchmarkData],
    groups: tuple[str, ...],
    validation_share: float,
    seed: int,
) -> list[Lesson]:
    """All windows of the sources, with classes numbered by group."""
    lessons = []
    for one in sources:
        group_L = np.array([groups.index(group) for group in one.groups])
        person_N = one.labelled.subject_N
        rows = np.arange(len(person_N))
        train, validation = hold_out(person_N, rows, validation_share, seed)
        lessons.append(
            Lesson(
                inputs=arena.inputs(one.name),
                label_N=group_L[one.labelled.label_N],
                person_N=person_N,
                train=train,
                validation=validation,
            )
        )
    return lessons


def _tallies(target: BenchmarkData, votes: _Votes, known: set[str]) -> dict[str, Tally]:
    """Count the choices of every variant."""
    label_N, person_N = target.labelled.label_N, target.labelled.subject_N
    closed_N = _best(votes.closed_NL)
    own = tuple(dict.fromkeys(target.groups))
    to_group_L = np.array([own.index(group) for group in target.groups])
    truth_N = to_group_L[label_N]
    open_L = np.array([own.index(g) if g in own else -1 for g in votes.open_groups])
    found = {
        "closed": tally(label_N, closed_N, person_N, target.labelled.labels),
        "closed, groups": tally(truth_N, _mapped(closed_N, to_group_L), person_N, own),
        "open, groups": tally(truth_N, _mapped(_best(votes.open_NL), open_L), person_N, own),
    }
    shared = tuple(group for group in own if group in known)
    if len(shared) < 2:
        return found
    is_shared_L = np.array([group in known for group in target.groups])
    rows = np.flatnonzero(is_shared_L[label_N])
    if not len(rows):
        return found
    to_shared_L = np.array([shared.index(g) if g in known else -1 for g in target.groups])
    chosen = _best(np.where(is_shared_L, votes.closed_NL[rows], -np.inf))
    found["shared, groups"] = tally(
        to_shared_L[label_N[rows]], _mapped(chosen, to_shared_L), person_N[rows], shared
    )
    return found


def _best(scores_NL: np.ndarray) -> np.ndarray:
    """Position of the highest score; -1 where nothing can be chosen."""
    return np.where(np.isfinite(scores_NL).any(axis=1), scores_NL.argmax(axis=1), -1)


def _mapped(chosen_N: np.ndarray, table_L: np.ndarray) -> np.ndarray:
    return np.where(chosen_N < 0, -1, table_L[chosen_N])


def _coverage(target: BenchmarkData, known: set[str], sources: Sequence[BenchmarkData]) -> str:
    """One sentence about the labels of the target that no source knows."""
    is_known_L = np.array([group in known for group in target.groups])
    share = float(is_known_L[target.labelled.label_N].mean())
    unknown = [
        label for label, ok in zip(target.labelled.labels, is_known_L, strict=True) if not ok
    ]
    rest = f"; unknown: {', '.join(unknown)}" if unknown else ""
    return (
        f"Sources know {int(is_known_L.sum())} of {len(is_known_L)} labels of {target.name} "
        f"({100 * share:.0f} % of its windows){rest}."
    )
