"""People are divided alike for everybody; what weights have seen is never tested."""

import numpy as np
import pytest
from tests.support.benchmark_data import arena_of, two_parts
from tests.support.tasks_data import make_part, toy_model, trained_on

from otolith.benchmark import Unit
from otolith.benchmark._arena import Change, hold_out, tally, units_by_person
from otolith.core.errors import LeakageError


@pytest.fixture(scope="module")
def part(tmp_path_factory):
    return make_part(tmp_path_factory.mktemp("data"), 5, name="toy")


def people_of(arena, rows):
    return set(arena.data["toy"].labelled.subject_N[rows].tolist())


def test_every_person_is_tested_once_and_never_shared(part):
    arena = arena_of(part)
    tested = []
    for fold in range(3):
        division = arena.divide(Unit(data="toy", fold=fold, seed=1), 3, 0.25)
        parts = [people_of(arena, getattr(division, p)) for p in ("train", "validation", "test")]
        assert set.union(*parts) == {"p0", "p1", "p2", "p3", "p4"}
        assert sum(map(len, parts)) == 5
        assert all(parts)
        tested += parts[2]
    assert sorted(tested) == ["p0", "p1", "p2", "p3", "p4"]


def test_divisions_do_not_depend_on_the_contestant(part):
    a = arena_of(part)
    b = arena_of(part, model=toy_model(trained_on(other=["x"])))
    unit = Unit(data="toy", fold=0, seed=2)
    assert (a.divide(unit, 3, 0.2).test == b.divide(unit, 3, 0.2).test).all()


def test_seen_people_are_learned_from_and_never_tested(part):
    arena = arena_of(part, model=toy_model(trained_on(toy=["p0", "p3"])))
    divisions = [arena.divide(Unit(data="toy", fold=f, seed=0), 5, 0.2) for f in range(5)]
    tested = set.union(*(people_of(arena, d.test) for d in divisions))
    assert tested == {"p1", "p2", "p4"}
    assert sum(len(d.test) == 0 for d in divisions) == 2
    assert "has seen 2 people of toy" in divisions[0].notes[0]


@pytest.mark.parametrize(
    "seen", [trained_on(toy=["p0", "p1", "p2", "p3", "p4"]), trained_on(toy=[])]
)
def test_a_model_that_has_seen_everybody_is_refused(part, seen):
    arena = arena_of(part, model=toy_model(seen))
    with pytest.raises(LeakageError, match="Every person of toy"):
        arena.divide(Unit(data="toy", fold=0, seed=0), 3, 0.2)


def test_weights_of_unknown_origin_are_noted(part):
    arena = arena_of(part, model=toy_model())
    division = arena.divide(Unit(data="toy", fold=0, seed=0), 3, 0.2)
    assert "do not say what they were trained on" in division.notes[0]


def test_one_person_cannot_be_divided(tmp_path):
    arena = arena_of(make_part(tmp_path, 1, name="toy"))
    with pytest.raises(LeakageError, match="1 person only"):
        arena.divide(Unit(data="toy", fold=0, seed=0), 3, 0.2)


def test_hold_out_keeps_at_least_one_person_on_each_side():
    person_N = np.array(["a", "b", "c", "a"])
    rows = np.arange(4)
    for share in (0.01, 0.2, 0.99):
        train, held = hold_out(person_N, rows, share, 0)
        assert len(train)
        assert len(held)
        assert not set(person_N[train]) & set(person_N[held])
    train, held = hold_out(person_N, np.array([0, 3]), 0.5, 0)
    assert train.tolist() == [0, 3]
    assert not len(held)


def test_units_have_as_many_groups_as_people_allow(tmp_path):
    data = arena_of(*two_parts(tmp_path, 4, 3)).data
    units = units_by_person(data, 10, (0, 5))
    assert len(units) == 2 * (4 + 3)
    assert {u.seed for u in units} == {0, 5}


def test_a_tally_counts_per_person():
    found = tally(
        np.array([0, 0, 1, 1]), np.array([0, 0, -1, 1]), np.array(["a", "a", "a", "b"]), ("x", "y")
    )
    assert found.people == {"a": ((0, 0, 2), (1, -1, 1)), "b": ((1, 1, 1),)}
    assert tally(np.zeros(0, int), np.zeros(0, int), np.zeros(0, str), ("x",)).people == {}


def test_changed_inputs_are_kept_as_long_as_they_hold(part):
    arena = arena_of(part)
    fixed = Change(name="fixed", apply=lambda batch: batch)
    drawn = Change(name="drawn", apply=lambda batch: batch, is_drawn=True)
    arena.enter(Unit(data="toy", fold=0, seed=0))
    first = arena.inputs("toy", fixed), arena.inputs("toy", drawn)
    arena.enter(Unit(data="toy", fold=1, seed=0))
    assert arena.inputs("toy", fixed) is first[0]
    assert arena.inputs("toy", drawn) is first[1]
    arena.enter(Unit(data="toy", fold=0, seed=1))
    assert arena.inputs("toy", fixed) is first[0]
    assert arena.inputs("toy", drawn) is not first[1]
