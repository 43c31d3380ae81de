"""Every class of every data set has a group, and the group is the reference's where it knows it."""

import json
import re
from pathlib import Path

import pytest
from tests.golden.harness import SHARED

from otolith.datasets import DATASETS
from otolith.datasets._labels import group_of, group_tables

NAMES = sorted(p.stem for p in Path(DATASETS.get("hapt").__file__).parent.glob("[!_]*.py"))
# what the reference gets wrong: it calls MobiAct's forward fall onto the knees a backward one
RENAMED = {"fall_backward_knees": "fall_forward_knees"}
ALIASES = {"wisdm": "wisdm2019"}
NOT_HERE = {
    "harth": {"transport_sit", "transport_stand"},  # no file of the release holds them
    "hapt": {"lying"},  # here "laying", as the publishers say
}


def key(label):
    return re.sub(r"[\s\-]+", "_", label.strip().lower())


@pytest.fixture(params=NAMES)
def name(request):
    return request.param


@pytest.fixture
def card(name):
    return DATASETS.get(name).CARD


@pytest.fixture(scope="module")
def reference():
    path = SHARED / "golden" / "tsfm" / "tables" / "label_tables.json"
    if not path.exists():
        pytest.skip("the reference tables are not at hand")
    return json.loads(path.read_text(encoding="utf-8"))


def test_every_class_has_one_group(card):
    assert list(card.label_groups) == list(card.labels)
    assert all(isinstance(group, str) and group.strip() for group in card.label_groups.values())


def test_groups_are_groups_and_no_classes(card):
    """`jogging` is a class of the group `running`, so nothing may be of a group `jogging`."""
    known = set(group_tables()["fine"].values())
    for label, group in card.label_groups.items():
        assert group in known or group_of(group) == group, f"{label} -> {group}"


def test_groups_equal_the_table_where_it_lists_the_class(card):
    for label, group in card.label_groups.items():
        if key(label) in group_tables()["fine"]:
            assert group == group_of(label)


def test_groups_equal_the_reference_where_it_lists_the_class(card, reference):
    fine = reference["label_to_group_fine"]
    for label, group in card.label_groups.items():
        assert group == fine.get(key(label), group)


def test_classes_of_the_reference_are_classes_here(reference):
    """The names that the reference scores with, for the data sets that both know."""
    both = {n: d for n, d in reference["datasets"].items() if ALIASES.get(n, n) in NAMES}
    assert len(both) >= 7
    for name, known in both.items():
        expected = {RENAMED.get(label, label) for label in known["activities"]}
        labels = DATASETS.get(ALIASES.get(name, name)).CARD.labels
        assert expected - NOT_HERE.get(name, set()) <= set(labels), name


def test_renamed_classes_keep_their_group(reference):
    for old, new in RENAMED.items():
        groups = DATASETS.get("mobiact").CARD.label_groups
        assert groups[new] == reference["label_to_group_fine"][old]
