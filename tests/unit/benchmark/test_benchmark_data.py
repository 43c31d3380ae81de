"""Cutting, limits, groups of synonyms, and who is in two data sets."""

import numpy as np
import pytest
from tests.support.benchmark_data import arena_of, two_parts
from tests.support.tasks_data import make_part

from otolith.benchmark._data import limit_windows, load_data, rank_within, same_source
from otolith.benchmark._settings import Windows
from otolith.core.errors import ConfigError


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    return two_parts(tmp_path_factory.mktemp("data"))


def test_a_limit_deals_windows_out_over_people_and_classes(parts):
    data = load_data(parts[:1], Windows(), None)["toy_a"].labelled
    few = limit_windows(data, 12)
    pairs = set(zip(few.subject_N.tolist(), few.label_N.tolist(), strict=True))
    assert len(few.label_N) == len(few.windows) == 12
    assert len(pairs) == 12, "four people and three classes, one window each"
    again = limit_windows(data, 12)
    assert (again.windows.table.id == few.windows.table.id).all()
    assert limit_windows(data, 10_000) is data
    assert (few.windows.table.label == few.label_N).all()


def test_rank_counts_within_a_group():
    assert rank_within(np.array([3, 1, 3, 3, 1])).tolist() == [0, 0, 1, 2, 1]
    assert rank_within(np.zeros(0, int)).tolist() == []


def test_groups_come_from_the_card_before_the_table(tmp_path):
    part = make_part(
        tmp_path,
        2,
        name="named",
        card={"label_groups": {"running": "jogging", "standing": "sitting"}},
    )
    one = load_data([part], Windows(), None)["named"]
    assert dict(zip(one.labelled.labels, one.groups, strict=True)) == {
        "standing": "sitting",
        "walking": "walking",
        "running": "running",
    }


def test_a_data_set_is_given_once(parts):
    with pytest.raises(ConfigError, match='"toy_a" is given twice'):
        load_data([parts[0], parts[0]], Windows(), None)


def test_settings_of_absent_data_are_refused(parts):
    with pytest.raises(ConfigError, match='windows.labels names "toy_c"') as caught:
        load_data(parts, Windows(labels={"toy_c": ("walking", "running")}), None)
    assert "toy_" in caught.value.remedy


def test_labels_can_be_chosen_per_data_set(parts):
    data = load_data(parts, Windows(labels={"toy_a": ("walking", "running")}), None)
    assert data["toy_a"].labelled.labels == ("walking", "running")
    assert len(data["toy_b"].labelled.labels) == 3


def test_different_people_are_different_sources(parts):
    data = load_data(parts, Windows(), None)
    assert same_source(data["toy_a"], data["toy_b"]) == ""


def test_a_renamed_copy_is_recognised_by_its_samples(tmp_path):
    a = make_part(tmp_path, 3, name="one")
    b = make_part(
        tmp_path, {"x": ("walking", "standing"), "y": ("standing", "walking")}, name="two"
    )
    data = load_data([a, b], Windows(), None)
    assert "1 recordings of two are recordings of one" in same_source(data["one"], data["two"])


@pytest.mark.parametrize("who", ["one", "two"])
def test_same_people_as_counts_in_both_directions(tmp_path, who):
    cards = {who: {"same_people_as": ["two" if who == "one" else "one"]}}
    parts = [
        make_part(tmp_path, 2, name=name, rate_hz=rate, card=cards.get(name))
        for name, rate in (("one", 20.0), ("two", 25.0))
    ]
    data = load_data(parts, Windows(), None)
    assert "recorded the same people" in same_source(data["one"], data["two"])
    assert "recorded the same people" in same_source(data["two"], data["one"])


def test_uci_har_and_hapt_are_one_source(tmp_path):
    """The built-in cards say so, although the copies here say nothing."""
    parts = [
        make_part(tmp_path, 2, name=name, rate_hz=rate)
        for name, rate in (("hapt", 20.0), ("uci_har", 25.0))
    ]
    data = load_data(parts, Windows(), None)
    assert same_source(data["hapt"], data["uci_har"])


def test_identity_depends_on_windows(parts):
    whole = load_data(parts[:1], Windows(), None)["toy_a"].identity
    assert whole == load_data(parts[:1], Windows(), None)["toy_a"].identity
    assert whole != load_data(parts[:1], Windows(), 10)["toy_a"].identity


def test_inputs_are_made_once(parts):
    arena = arena_of(parts[0])
    assert arena.inputs("toy_a") is arena.inputs("toy_a")
