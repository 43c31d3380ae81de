"""Properties that hold for any people, draws and scores."""

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from otolith.tasks._people import subject_folds
from otolith.tasks._windows import Labelled
from otolith.tasks.few_shot import draw_shots
from otolith.tasks.label import best_path, to_grid
from otolith.tasks.probe import take_fraction

PEOPLE = hnp.arrays(np.int64, st.integers(2, 40), elements=st.integers(0, 7)).filter(
    lambda x: len(np.unique(x)) > 1
)


@given(PEOPLE, st.integers(2, 6), st.integers(0, 99), st.data())
@settings(max_examples=60, deadline=None)
def test_folds_never_share_people_and_test_everyone_who_may_be_tested(people, count, seed, data):
    names = people.astype(str)
    labels = data.draw(hnp.arrays(np.int64, len(people), elements=st.integers(0, 3)))
    banned = data.draw(st.sets(st.sampled_from(sorted(set(names))), max_size=len(set(names)) - 1))
    folds = subject_folds(names, num_folds=count, seed=seed, labels_N=labels, never_test=banned)
    tested = [i for fold in folds for i in fold.test]
    assert sorted(tested) == np.flatnonzero(~np.isin(names, sorted(banned))).tolist()
    for fold in folds:
        assert not set(names[fold.train]) & set(names[fold.test])
        assert sorted([*fold.train, *fold.test]) == list(range(len(names)))
    again = subject_folds(names, num_folds=count, seed=seed, labels_N=labels, never_test=banned)
    assert all((a.test == b.test).all() for a, b in zip(folds, again, strict=True))


@given(st.integers(1, 4), st.integers(0, 99), st.integers(4, 12), st.integers(1, 5))
@settings(max_examples=40, deadline=None)
def test_shots_are_of_each_class_and_spread_over_people(shots, seed, per_class, num_people):
    label = np.repeat([0, 1, 2], per_class)
    people = np.tile(np.arange(num_people), 3 * per_class)[: len(label)].astype(str)
    data = Labelled(windows=None, labels=("a", "b", "c"), label_N=label, subject_N=people)
    rows = draw_shots(data, np.arange(len(label)), shots, seed=seed)
    assert len(set(rows.tolist())) == 3 * shots
    assert np.bincount(label[rows]).tolist() == [shots] * 3
    for k in range(3):
        counts = np.bincount(people[rows[label[rows] == k]].astype(int), minlength=num_people)
        available = np.bincount(people[label == k].astype(int), minlength=num_people)
        # Nobody gives two examples more than someone who still has one to give.
        spare = counts[available > counts]
        assert not len(spare) or counts.max() <= spare.min() + 1
    assert (rows == draw_shots(data, np.arange(len(label)), shots, seed=seed)).all()


@given(
    st.floats(0.01, 1.0), st.integers(0, 99), st.lists(st.integers(0, 3), min_size=1, max_size=60)
)
@settings(max_examples=60, deadline=None)
def test_a_fraction_keeps_every_class_and_no_window_twice(fraction, seed, labels):
    label = np.array(labels)
    rows = take_fraction(np.arange(len(label)), label, fraction, seed)
    assert len(set(rows.tolist())) == len(rows)
    assert set(label[rows]) == set(label)
    for k in np.unique(label):
        wanted = max(1, round(fraction * int((label == k).sum())))
        assert (label[rows] == k).sum() == wanted


@given(
    hnp.arrays(
        np.float64, st.tuples(st.integers(1, 6), st.integers(1, 3)), elements=st.floats(0.01, 1.0)
    ),
    st.sampled_from([1.0, 1.5, 2.0, 5.0, 30.0]),
)
@settings(max_examples=80, deadline=None)
def test_the_best_path_is_the_best_of_all_paths(scores, persistence):
    num_steps, num_labels = scores.shape
    gain = 0.0
    if persistence > 1 and num_labels > 1:
        change = 1.0 / persistence / (num_labels - 1)
        gain = max(np.log(1 - 1 / persistence) - np.log(change), 0.0)

    def value(path):
        own = sum(np.log(scores[t, k]) for t, k in enumerate(path))
        return own + gain * sum(a == b for a, b in itertools.pairwise(path))

    best = max(value(p) for p in itertools.product(range(num_labels), repeat=num_steps))
    np.testing.assert_allclose(value(best_path(scores, persistence).tolist()), best, rtol=1e-9)


@given(
    st.lists(st.integers(0, 30), min_size=1, max_size=20, unique=True),
    st.integers(1, 5),
    st.sampled_from([0.5, 1.0, 2.0]),
)
@settings(max_examples=60, deadline=None)
def test_the_grid_is_the_mean_of_the_covering_windows(starts, width, step_s):
    begin = np.array(sorted(starts))
    scores = np.random.default_rng(len(starts)).dirichlet([1, 1, 1], len(begin))
    times, grid = to_grid(begin * step_s, (begin + width) * step_s, scores, step_s)
    cells = np.round(times / step_s - 0.5).astype(int)
    covering = [(begin <= c) & (c < begin + width) for c in cells]
    assert all(c.any() for c in covering)
    expected = np.stack([scores[c].mean(0) for c in covering])
    np.testing.assert_allclose(grid, expected, atol=1e-9)
    assert set(cells.tolist()) == {b + i for b in begin.tolist() for i in range(width)}
