"""Learning from few windows: draws per class, one tally per size of the draw."""

# N windows

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from otolith.benchmark import Outcome, Tally, Unit
from otolith.benchmark._arena import Arena, need_train, tally
from otolith.benchmark._data import rank_within
from otolith.benchmark.contestants import Lesson
from otolith.core.randomness import rng
from otolith.tasks._prior_examples import DEFAULT_SHRINKAGE, choose_shrinkage, fit_with_prior
from otolith.tasks._windows import Labelled

WITH_WORDS = ", with words"
Draw = Callable[[Labelled, np.ndarray, int], np.ndarray]


def draw_shots(labelled: Labelled, rows: np.ndarray, shots: int, seed: int) -> np.ndarray:
    """Draw windows of every class, spread over people as evenly as possible.

    Args:
        labelled: Windows.
        rows: int64 positions that may be drawn.
        shots: Windows per class; a class with fewer gives all it has.
        seed: Seed of the draw.

    Returns:
        Sorted positions, int64.
    """
    order = rng(seed, purpose="shots").permutation(rows)
    label_N = labelled.label_N[order]
    _, person_N = np.unique(labelled.subject_N[order], return_inverse=True)
    turn_N = rank_within(person_N * len(labelled.labels) + label_N)
    by_turn = np.argsort(turn_N, kind="stable")
    is_drawn = rank_within(label_N[by_turn]) < shots
    return np.sort(order[by_turn[is_drawn]])


def learn_from_draws(
    arena: Arena,
    unit: Unit,
    draws: Mapping[str, Draw],
    groups: int,
    validation_share: float,
    *,
    with_words: bool = False,
) -> Outcome:
    """Run a cell: for each draw learn from it and test the same people.

    Args:
        arena: Contestant and data.
        unit: The cell.
        draws: Variant -> which of some rows are learned from (labelled, rows, seed).
        groups: Groups of people.
        validation_share: Share of the training people that choose, by drawn windows as well;
            0 = nobody chooses.
        with_words: Whether a model with text gives one more variant per draw, in which its words
            count before the first window.

    Raises:
        LeakageError: The weights have seen everybody.
    """
    division = arena.divide(unit, groups, validation_share or 0.5)
    need_train(division, unit.data)
    labelled = arena.data[unit.data].labelled
    train, validation = division.train, division.validation
    if not validation_share:
        train, validation = np.union1d(train, validation), validation[:0]
    tallies: dict[str, Tally] = {}
    counts, size = {}, 0
    for variant, draw in draws.items():
        lesson = arena.lesson(
            unit.data,
            draw(labelled, train, unit.seed),
            draw(labelled, validation, unit.seed) if len(validation) else validation,
            np.union1d(division.train, division.validation),
        )
        fitted = arena.contestant.fit([lesson], len(labelled.labels), unit.seed)
        chosen = fitted.scores(lesson.inputs, division.test).argmax(1)
        truth, people = labelled.label_N[division.test], labelled.subject_N[division.test]
        tallies[variant] = tally(truth, chosen, people, labelled.labels)
        if with_words and arena.contestant.model is not None and arena.contestant.model.has_text:
            chosen = _with_words(arena, unit.data, lesson, division.test)
            tallies[f"{variant}{WITH_WORDS}"] = tally(truth, chosen, people, labelled.labels)
        counts[f"learned: {variant}"] = len(lesson.train) + len(lesson.validation)
        size = fitted.num_parameters
    return Outcome(tallies=tallies, counts=counts, notes=division.notes, num_parameters=size)


def _with_words(arena: Arena, name: str, lesson: Lesson, test: np.ndarray) -> np.ndarray:
    """Classes [N] by what the model's words say and the drawn windows teach."""
    prior_NK, target_N = arena.word_prior(name), lesson.label_N[lesson.train]
    features_ND, log_prior_NK = lesson.inputs[lesson.train], prior_NK[lesson.train]
    shrinkage = DEFAULT_SHRINKAGE
    if len(target_N) > 1:
        people = lesson.person_N[lesson.train]
        shrinkage = choose_shrinkage(
            features_ND, log_prior_NK, target_N, groups=(people,)
        ).shrinkage
    predict = fit_with_prior(features_ND, log_prior_NK, target_N, shrinkage=shrinkage)
    return predict(lesson.inputs[test], prior_NK[test]).argmax(1)
