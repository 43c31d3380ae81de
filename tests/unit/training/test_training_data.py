"""From data settings to loaders."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from tests.support.training_toys import NAME, register
from tests.support.windows_data import imu, part_of, recording, toy_parts

from otolith.core.config import parse
from otolith.core.errors import ConfigError
from otolith.recordings.store import write_data_folder
from otolith.training.data import build_data, build_loaders, hold_out
from otolith.training.recipe import Recipe
from otolith.windows.dataset import WindowDataset


class Folder:
    """A folder in memory with a card."""

    def __init__(self, folder, groups):
        self._folder = folder
        self.info = {"card": {"label_groups": groups}}

    def __getattr__(self, name):
        return getattr(self._folder, name)


def make_recipe(training=None, **data):
    register()
    plain = {"datasets": ["toy"], "window": {"window_s": 2.0}, "validation_fraction": 0.0}
    training = {"batch_size": 6, "device": "cpu"} | (training or {})
    return parse(Recipe, {"data": plain | data, "system": NAME, "training": training})


def parts_with_cards(groups=None):
    parts = toy_parts()
    for part in parts:
        object.__setattr__(part, "folder", Folder(part.folder, groups or {}))
    return parts


def ids(loader, epoch=0):
    return np.concatenate([b.ids.numpy() for b in loader.batches(epoch)])


def test_training_and_validation_share_no_person_and_lose_no_window():
    train, validation, facts = build_loaders(toy_parts(), make_recipe(validation_fraction=0.3))
    everything = set(ids(train)) | set(ids(validation))
    assert len(everything) == facts["num_train"] + facts["num_validation"]
    assert not set(ids(train)) & set(ids(validation))
    for name in ("toy", "other"):
        people = facts["datasets"][name]
        assert people["validation_subjects"]
        assert not set(people["train_subjects"]) & set(people["validation_subjects"])


def test_without_a_fraction_nobody_is_held_out():
    train, validation, facts = build_loaders(toy_parts(), make_recipe())
    assert validation is None
    assert facts["num_validation"] == 0
    assert len(np.unique(ids(train))) == facts["num_train"]


def test_labels_have_the_order_of_the_system():
    recipe = make_recipe()
    labels = SimpleNamespace(labels=("jump", "sit", "walk"))
    wanted = replace(recipe, system=replace(recipe.system, config=labels))
    train, _, facts = build_loaders(toy_parts(), wanted)
    assert facts["labels"] == ["jump", "sit", "walk"]
    for batch in train.batches(0):
        names = [texts[0] for texts in batch.texts["label"]]
        assert names == [labels.labels[i] for i in batch.targets["label"].tolist()]
    labels.labels = ("jump", "wolk")
    with pytest.raises(ConfigError, match='"wolk".*"walk"'):
        build_loaders(toy_parts(), wanted)


def test_a_data_set_of_one_person_gives_no_validation():
    parts = [part_of([recording("a", imu(500), bouts=[(0, 9, "walk")])])]
    table = WindowDataset(parts, make_recipe().data.window).table
    assert not hold_out(table, 0.5, 0).any()


def test_the_choice_of_people_depends_on_the_seed_alone():
    table = WindowDataset(toy_parts(), make_recipe().data.window).table
    assert np.array_equal(hold_out(table, 0.3, 1), hold_out(table, 0.3, 1))
    assert any(
        not np.array_equal(hold_out(table, 0.3, 1), hold_out(table, 0.3, s)) for s in range(2, 9)
    )


def test_processes_share_the_batches_of_one():
    whole, _, _ = build_loaders(toy_parts(), make_recipe())
    halves = [build_loaders(toy_parts(), make_recipe(), rank, 2)[0] for rank in (0, 1)]
    for a, b, both in zip(
        halves[0].batches(2), halves[1].batches(2), whole.batches(2), strict=True
    ):
        assert sorted([*a.ids.tolist(), *b.ids.tolist()]) == sorted(both.ids.tolist())


def test_only_training_batches_are_augmented():
    settings = {"validation_fraction": 0.3}
    plain = build_loaders(toy_parts(), make_recipe(**settings))
    changed = build_loaders(toy_parts(), make_recipe(augment="weak", **settings))
    for number, is_same in ((0, False), (1, True)):
        a, b = (next(iter(x[number].batches(0))) for x in (plain, changed))
        assert a.ids.tolist() == b.ids.tolist()
        assert bool((a.streams["imu"].values == b.streams["imu"].values).all()) is is_same


def test_pretraining_has_no_labels_and_keeps_every_window():
    window = {"window_s": 2.0, "label_rule": "pure"}
    train, _, facts = build_loaders(toy_parts(), make_recipe(is_pretrain=True, window=window))
    assert set(next(iter(train.batches(0))).targets["label"].tolist()) == {-1}
    assert (
        facts["num_train"] > build_loaders(toy_parts(), make_recipe(window=window))[2]["num_train"]
    )


def test_balancing_by_data_set_draws_both_equally_often():
    recipe = make_recipe(sampling={"name": "dataset_balanced", "temperature": 0.0})
    train, _, _ = build_loaders(parts_with_cards(), recipe)
    names = [d for epoch in range(20) for b in train.batches(epoch) for d in b.datasets]
    assert 0.4 < names.count("other") / len(names) < 0.6


def test_balancing_by_group_joins_labels_that_the_card_joins():
    recipe = make_recipe(sampling={"name": "group_balanced", "temperature": 0.0})
    train, _, _ = build_loaders(parts_with_cards({"sit": "rest", "jump": "rest"}), recipe)
    labels = [int(x) for e in range(20) for b in train.batches(e) for x in b.targets["label"]]
    walk = train.dataset.table.labels.index("walk")
    assert 0.4 < labels.count(walk) / len(labels) < 0.6


def test_balancing_by_group_needs_labels():
    recipe = make_recipe(is_pretrain=True, sampling={"name": "group_balanced"})
    with pytest.raises(ConfigError, match="no window has a label"):
        build_loaders(parts_with_cards(), recipe)


def test_batches_by_channels_hold_one_number_of_channels():
    recipe = make_recipe(sampling={"by_channels": True}, validation_fraction=0.3)
    for loader in build_loaders(toy_parts(), recipe)[:2]:
        counts = [set(b.streams["imu"].channel_mask_BC.sum(1).tolist()) for b in loader.batches(0)]
        assert {3} in counts
        assert {6} in counts
        assert all(len(c) == 1 for c in counts)


def test_a_data_folder_can_be_named_by_its_path(tmp_path):
    recordings = [
        recording(f"r{i}", imu(600, seed=i), subject=f"p{i}", bouts=[(0, 12, "walk")])
        for i in range(3)
    ]
    card = {"licence": "CC0-1.0"}
    write_data_folder(tmp_path / "mine", recordings, name="mine", card=card, progress=False)
    recipe = make_recipe(datasets=[str(tmp_path / "mine")], validation_fraction=0.3)
    train, validation, facts = build_data(recipe)
    assert train.datasets == ("mine",)
    assert len(ids(validation)) == facts["num_validation"] == 6


def simulated_part():
    """People of `toy`, as a simulation calls them, and one whose origin is not in the run."""
    people = [f"toy/p{i}" for i in range(4)] + ["far/p9"]
    found = [
        recording(f"s{i}", imu(700, seed=40 + i), subject=who, bouts=[(0, 14, "walk")])
        for i, who in enumerate(people)
    ]
    simulation = part_of(found, "sim", labels=("walk",))
    object.__setattr__(simulation, "folder", Folder(simulation.folder, {}))
    simulation.folder.info["card"]["derived_from"] = ["toy", "far"]
    return simulation


@pytest.mark.parametrize("first", [True, False])
def test_a_simulated_person_is_on_the_side_of_its_origin(first):
    toy, other = toy_parts()
    parts = [simulated_part(), toy, other] if first else [toy, other, simulated_part()]
    for seed in range(5):
        recipe = replace(make_recipe(validation_fraction=0.3), seed=seed)
        _, _, facts = build_loaders(parts, recipe)
        people = facts["datasets"]["sim"]
        assert people["derived_from"] == ["toy", "far"]
        for side in ("train_subjects", "validation_subjects"):
            mine = {p.removeprefix("toy/") for p in people[side] if p.startswith("toy/")}
            assert mine == set(facts["datasets"]["toy"][side])
        assert "derived_from" not in facts["datasets"]["toy"]


def test_a_simulation_changes_no_choice_of_its_origin():
    recipe = make_recipe(validation_fraction=0.3)
    alone = build_loaders(list(toy_parts()), recipe)[2]["datasets"]
    joined = build_loaders([*toy_parts(), simulated_part()], recipe)[2]["datasets"]
    assert {k: joined[k] for k in alone} == alone


def test_a_simulation_without_its_origin_holds_people_out_by_itself():
    people = build_loaders([simulated_part()], make_recipe(validation_fraction=0.3))[2]
    sides = people["datasets"]["sim"]
    assert len(sides["validation_subjects"]) == 2
    assert len(sides["train_subjects"]) == 3
