"""The data sets that TSFM was trained on: class names of the reference, and through the store."""

import json

import pytest
from tests.fixtures.official_layouts import write_synthetic
from tests.golden.harness import SHARED

from otolith.datasets import DATASETS, make_dataset, prepare
from otolith.datasets._labels import group_tables

NAMES = ["hhar", "mhealth", "pamap2", "unimib_shar", "dsads"]
FURTHER = {"pamap2": {"watching_tv", "computer_work", "car_driving", "folding_laundry",
                      "house_cleaning", "playing_soccer"}}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_class_names_are_those_of_the_reference(name):
    path = SHARED / "golden" / "tsfm" / "tables" / "label_tables.json"
    if not path.exists():
        pytest.skip("the reference tables are not at hand")
    reference = json.loads(path.read_text(encoding="utf-8"))["datasets"][name]
    card = DATASETS.get(name).CARD
    assert set(card.labels) - FURTHER.get(name, set()) == set(reference["activities"])
    assert card.num_subjects == reference["num_subjects"]


@pytest.mark.parametrize("table", ["fine", "simple"])
@pytest.mark.parametrize("name", NAMES)
def test_every_class_of_the_reference_has_a_group(name, table):
    labels = set(DATASETS.get(name).CARD.labels) - FURTHER.get(name, set())
    assert labels <= set(group_tables()[table])


@pytest.mark.parametrize("name", NAMES)
def test_a_release_goes_through_the_store(name, tmp_path, monkeypatch):
    monkeypatch.setenv("OTOLITH_HOME", str(tmp_path / "home"))
    root = write_synthetic(name, tmp_path / "release").config.root
    prepare(name, root, tmp_path / "home" / "data" / name, progress=False)
    train, test = (make_dataset(name, split=part) for part in ("train", "test"))
    assert len(train) > 0
    assert len(test) > 0
    assert not set(train.subjects) & set(test.subjects)
    assert train.labels == DATASETS.get(name).CARD.labels
