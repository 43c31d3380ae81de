"""Folds by person and the guard against leaks."""

import numpy as np
import pytest
from tests.support.tasks_data import trained_on

from otolith.core.errors import DataError, LeakageError
from otolith.tasks._people import (
    fixed_fold,
    namesakes,
    refuse_if_seen,
    seen_people,
    subject_folds,
    training_datasets,
    used_labels,
)

PEOPLE = np.repeat(["a", "b", "c", "d"], [3, 4, 5, 6])


def test_people_of_another_data_set_are_not_seen():
    assert seen_people(trained_on(other=["a"]), "mine") == set()


def test_training_and_validation_people_are_seen():
    provenance = {
        "data": {"datasets": {"mine": {"train_subjects": ["a"], "validation_subjects": ["b"]}}}
    }
    assert seen_people(provenance, "mine") == {"a", "b"}


def test_weights_inherit_what_their_ancestors_saw():
    grandmother = trained_on(mine=["a"])
    mother = {**trained_on(other=["x"]), "init_provenance": grandmother}
    child = {**trained_on(mine=["b"]), "init_provenance": mother}
    assert seen_people(child, "mine") == {"a", "b"}
    assert training_datasets(child) == ("mine", "other")


def test_an_unknown_person_may_be_anyone():
    assert seen_people(trained_on(mine=["a", ""]), "mine") == {"*"}
    assert seen_people(trained_on(mine=[]), "mine") == {"*"}


@pytest.mark.parametrize(("trained", "tested"), [("hapt", "uci_har"), ("uci_har", "hapt")])
def test_data_sets_of_the_same_people_count_as_one(trained, tested):
    assert seen_people(trained_on(**{trained: ["3"]}), tested) == {"*"}
    with pytest.raises(LeakageError, match="not zero-shot"):
        refuse_if_seen(trained_on(**{trained: ["3"]}), tested, ["1", "2"])


def test_relatives_of_the_users_own_card_count_too():
    assert seen_people(trained_on(hapt=["3"]), "copy", relatives=["hapt"]) == {"*"}


def test_zero_shot_names_how_many_people_were_seen():
    refuse_if_seen(trained_on(other=["a"]), "mine", ["a"])
    with pytest.raises(LeakageError, match="2 of its people"):
        refuse_if_seen(trained_on(mine=["a", "b"]), "mine", ["a", "b", "c"])


def test_labels_were_used_if_any_ancestor_used_them():
    assert not used_labels(trained_on(a=["1"]))
    labelled = {**trained_on(a=["1"]), "is_pretrain": False}
    assert used_labels(labelled)
    assert used_labels({**trained_on(a=["1"]), "init_provenance": labelled})


def test_every_person_is_tested_once_and_never_learned_from_in_that_fold():
    folds = subject_folds(PEOPLE, num_folds=3, seed=0)
    tested = np.concatenate([fold.test for fold in folds])
    assert sorted(tested.tolist()) == list(range(len(PEOPLE)))
    for fold in folds:
        assert not set(PEOPLE[fold.train]) & set(PEOPLE[fold.test])
        assert len(fold.train) + len(fold.test) == len(PEOPLE)


def test_seen_people_are_learned_from_and_never_tested():
    folds = subject_folds(PEOPLE, num_folds=5, seed=0, never_test=["a", "b"])
    assert len(folds) == 2
    assert {p for f in folds for p in PEOPLE[f.test]} == {"c", "d"}
    assert all({"a", "b"} <= set(PEOPLE[f.train]) for f in folds)


def test_one_person_left_to_test_gives_one_fold():
    folds = subject_folds(PEOPLE, num_folds=5, seed=0, never_test=["a", "b", "c"])
    assert len(folds) == 1
    assert set(PEOPLE[folds[0].test]) == {"d"}


def test_classes_are_spread_over_the_folds():
    labels = np.where(np.isin(PEOPLE, ["a", "c"]), 1, 0)
    for fold in subject_folds(PEOPLE, num_folds=2, seed=0, labels_N=labels):
        assert set(labels[fold.train]) == set(labels[fold.test]) == {0, 1}


def test_one_person_cannot_be_divided():
    with pytest.raises(LeakageError, match="one person only"):
        subject_folds(np.array(["a", "a"]), num_folds=2, seed=0)


@pytest.mark.parametrize("banned", [["*"], ["a", "b", "c", "d"]])
def test_nobody_left_to_test_is_refused(banned):
    with pytest.raises(LeakageError, match="Every person"):
        subject_folds(PEOPLE, num_folds=2, seed=0, never_test=banned)


def test_a_fixed_split_tests_its_people():
    (fold,) = fixed_fold(PEOPLE, ["d"])
    assert set(PEOPLE[fold.test]) == {"d"}
    assert set(PEOPLE[fold.train]) == {"a", "b", "c"}


@pytest.mark.parametrize("banned", [["d"], ["*"]])
def test_a_fixed_split_refuses_seen_test_people(banned):
    with pytest.raises(LeakageError, match="1 of the 1 test people"):
        fixed_fold(PEOPLE, ["d"], never_test=banned)


@pytest.mark.parametrize("people", [["z"], ["a", "b", "c", "d"]])
def test_a_fixed_split_without_one_side_is_refused(people):
    with pytest.raises(DataError, match="The split leaves"):
        fixed_fold(PEOPLE, people)


def test_a_copy_under_another_name_is_noticed_by_its_recordings():
    provenance = trained_on(hapt=["1"])
    provenance["data"]["recordings"] = [f"hapt/e{i}" for i in range(8)]
    child = {**trained_on(other=["x"]), "init_provenance": provenance}
    own = [f"e{i}" for i in range(6)]
    assert namesakes(child, "copy", own) == ["hapt"]
    assert namesakes(child, "copy", [*own, *(f"f{i}" for i in range(9))]) == []
    assert namesakes(provenance, "hapt", own) == []


def simulated(*people, origins=("hapt", "umafall")):
    facts = {"train_subjects": list(people), "derived_from": list(origins)}
    return {"data": {"datasets": {"sim": facts}}}


def test_who_learned_from_a_simulation_saw_the_people_of_its_origins():
    provenance = simulated("hapt/3", "hapt/4", "umafall/1")
    assert seen_people(provenance, "hapt") == {"3", "4"}
    assert seen_people(provenance, "umafall") == {"1"}
    assert seen_people(provenance, "uci_har") == {"*"}
    assert seen_people(provenance, "sisfall") == set()
    assert seen_people({"init_provenance": provenance}, "hapt") == {"3", "4"}
    assert training_datasets(provenance) == ("sim", "hapt", "umafall")
    with pytest.raises(LeakageError, match="not zero-shot"):
        refuse_if_seen(provenance, "hapt", ["3", "5"])


def test_an_origin_without_simulated_people_was_not_seen():
    assert seen_people(simulated("hapt/3"), "umafall") == set()


def test_unknown_people_of_a_simulation_may_be_anyone_of_its_origins():
    assert seen_people(simulated(""), "hapt") == {"*"}
    assert seen_people(simulated(), "umafall") == {"*"}


def test_people_of_an_origin_are_known_in_its_simulation():
    relatives = ["hapt/*", "umafall/*"]
    assert seen_people(trained_on(hapt=["3"]), "sim", relatives) == {"hapt/3"}
    assert seen_people(trained_on(hapt=["3", ""]), "sim", relatives) == {"*"}
    assert seen_people(trained_on(uci_har=["3"]), "sim", relatives) == {"*"}
    assert seen_people(simulated("hapt/3"), "sim", relatives) == {"hapt/3"}
