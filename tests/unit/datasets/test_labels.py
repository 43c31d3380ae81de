"""Label groups: the tables of TSFM, in our arrangement."""

import json

import pytest
from tests.golden.harness import SHARED

from otolith.datasets._labels import group_of, group_tables, groups_of


@pytest.mark.parametrize(
    ("label", "fine", "simple"),
    [
        ("walking_upstairs", "ascending_stairs", "stairs"),
        ("jogging", "running", "running"),
        ("sitting_down", "sitting", "sitting"),
        ("stairs", "stairs", "stairs"),
        ("sit_to_stand", "transition_to_standing", "postural_transition"),
        ("drinking", "eating", "hand_activity"),
    ],
)
def test_known_names(label, fine, simple):
    assert group_of(label) == fine
    assert group_of(label, "simple") == simple


def test_unknown_names_are_their_own_group():
    assert group_of("juggling") == "juggling"
    assert group_of("Washing Hands", "simple") == "Washing Hands"


@pytest.mark.parametrize("label", ["Walking Upstairs", "walking-upstairs", " walking_upstairs "])
def test_case_blanks_and_hyphens_do_not_matter(label):
    assert group_of(label) == "ascending_stairs"


def test_synonyms_lead_to_a_group():
    groups = groups_of(("hopping", "walking", "x"), {"hopping": "jumping"})
    assert groups == {"hopping": "jumping", "walking": "walking", "x": "x"}


def test_sizes_of_the_tables():
    tables = group_tables()
    assert {k: (len(set(v.values())), len(v)) for k, v in tables.items()} == {
        "fine": (43, 149),
        "simple": (17, 149),
    }


@pytest.mark.parametrize("table", ["fine", "simple"])
def test_tables_equal_the_reference(table):
    path = SHARED / "golden" / "tsfm" / "tables" / "label_tables.json"
    if not path.exists():
        pytest.skip("the reference tables are not at hand")
    reference = json.loads(path.read_text(encoding="utf-8"))[f"label_to_group_{table}"]
    assert group_tables()[table] == reference
