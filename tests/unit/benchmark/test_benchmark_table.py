"""Rows from cells, the JSON file, and published values."""

import json

import pytest
import yaml

from otolith.benchmark import PROTOCOLS, Cell, Outcome, Tally, cross_subject
from otolith.benchmark._published import FOLDER, PublishedTable, published_rows, rows_of
from otolith.benchmark._table import Row, Table, make_rows, read_table, write_table
from otolith.core.config import parse, read_yaml
from otolith.core.errors import FileFormatError
from otolith.metrics.classification import report_classification


def cell(people, *, seed=0, fold=0, labels=("a", "b")):
    return Cell(
        key=f"{seed}-{fold}", protocol="cross_subject", model="m", data="d", fold=fold, seed=seed,
        outcome=Outcome(
            tallies={"all labels": Tally(labels=labels, people=people)},
            num_parameters=10, notes=("one", "two"),
        ),
        seconds=2.0, device="cpu", versions={}, settings={},
    )  # fmt: skip


def table(**changes):
    row = Row(protocol="cross_subject", data="d", model="m", variant="v", numbers={"macro_f1": 0.5})
    content = {
        "protocol": "cross_subject", "description": "x", "headline": "v", "metric": "macro_f1",
        "settings": {"groups": 3}, "rows": [row],
    }  # fmt: skip
    return Table(**{**content, **changes})


def test_counts_are_added_over_folds_and_averaged_over_seeds():
    cells = [
        cell({"p": ((0, 0, 3), (1, 0, 1))}, fold=0),
        cell({"q": ((1, 1, 4),)}, fold=1),
        cell({"p": ((0, 0, 3), (1, 1, 1)), "q": ((1, 1, 4),)}, seed=1),
    ]
    (row,) = make_rows(cells, cross_subject)
    first = report_classification([0] * 3 + [1] * 5, [0] * 4 + [1] * 4, ("a", "b"))
    assert row.numbers["macro_f1"] == pytest.approx((first.macro_f1 + 1.0) / 2)
    assert row.numbers["accuracy"] == pytest.approx((7 / 8 + 1) / 2)
    assert row.numbers["macro_f1_fold_mean"] == pytest.approx(((6 / 7) / 2 + 1 + 1) / 3, abs=1e-6)
    assert row.counts == {"cells": 3, "seeds": 2, "people": 2, "windows": 8}
    assert row.seconds == 6.0
    assert row.notes == ("one", "two")
    assert row.spread["accuracy"] > 0
    assert row.num_parameters == 10


def test_a_choice_outside_the_list_is_wrong():
    (row,) = make_rows([cell({"p": ((0, -1, 1), (0, 0, 1), (1, 1, 2))})], cross_subject)
    assert row.numbers["accuracy"] == 0.75
    assert row.intervals["accuracy"] is None, "one person has no interval"


def test_a_group_without_test_people_adds_nothing():
    rows = make_rows([cell({}), cell({"p": ((0, 0, 1), (1, 1, 1))}, fold=1)], cross_subject)
    assert rows[0].counts["windows"] == 2
    assert make_rows([cell({})], cross_subject) == []


def test_the_file_survives_a_round_trip(tmp_path):
    path = tmp_path / "t.json"
    write_table(path, table())
    assert read_table(path) == table()
    assert json.loads(path.read_text())["format"] == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d.pop("kind"), "no table of otolith benchmark"),
        (lambda d: d.update(format=2), "has format 2"),
        (lambda d: d.pop("rows"), "damaged table: rows"),
        (lambda d: d["rows"][0].update(numbers={"macro_f1": "high"}), "damaged table: rows.0"),
        (lambda d: d["rows"][0].update(numbers={"macro_f1": float("nan")}), "not finite"),
    ],
)
def test_a_broken_file_is_one_sentence(tmp_path, change, words):
    path = tmp_path / "t.json"
    write_table(path, table())
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))
    with pytest.raises(FileFormatError, match=words) as caught:
        read_table(path)
    assert str(path) in caught.value.fact
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", [None, "", "[1, 2]", "{"])
def test_what_is_no_table_is_refused(tmp_path, text):
    path = tmp_path / "t.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(FileFormatError):
        read_table(path)


def test_every_published_file_is_whole():
    files = sorted(FOLDER.glob("*.yaml"))
    assert len(files) >= 5
    for path in files:
        published = parse(PublishedTable, read_yaml(path), source=str(path))
        rows = rows_of(path, published)
        headline = PROTOCOLS.get(published.protocol)
        assert rows
        assert headline.METRIC
        assert len(published.note) > 80, "how its protocol differs"
        for row in rows:
            assert row.is_published
            assert row.source
            assert all(0 <= value <= 1 for value in row.numbers.values())
            assert row.intervals == {}


def value(protocol, model, data, variant):
    (row,) = [
        r for r in published_rows(protocol, [data]) if (r.model, r.variant) == (model, variant)
    ]
    return row.numbers


def test_published_numbers_are_those_of_the_sources():
    assert value("cross_subject", "cnn_har", "hapt", "all labels") == {"macro_f1": 0.848}
    assert value("cross_subject", "tinyhar", "uci_har", "all labels") == {"macro_f1": 0.961}
    assert value("zero_shot", "MOMENT", "motion_sense", "open, groups") == {"accuracy": 0.338}
    assert value("zero_shot", "LanHAR", "vtt_coniot", "closed") == {"accuracy": 0.069}
    assert value("few_labels", "CrossHAR", "shoaib", "10 % of labels") == {
        "macro_f1": 0.94, "accuracy": 0.942,
    }  # fmt: skip
    assert value("zero_shot", "TSFM small_deep (corrected)", "harth", "closed") == {
        "macro_f1": 0.132, "accuracy": 0.304,
    }  # fmt: skip
    assert len([r for r in published_rows("cross_subject") if r.data == "hapt"]) == 17


def test_published_models_are_those_that_are_asked_for():
    found = {row.model for p in PROTOCOLS.names() for row in published_rows(p)}
    assert {"MOMENT", "CrossHAR", "LanHAR", "LiMU-BERT", "TSFM tiny", "TSFM medium"} <= found


def test_damaged_published_values_are_refused(tmp_path):
    good = {
        "protocol": "zero_shot", "source": "s", "cite": "c", "note": "n", "unit": "percent",
        "columns": ["closed/accuracy"], "data": {"X": "x"}, "values": {"m": {"X": [50.0]}},
    }  # fmt: skip
    path = tmp_path / "p.yaml"

    def read(**changes):
        path.write_text(yaml.safe_dump({**good, **changes}))
        return rows_of(path, parse(PublishedTable, read_yaml(path)))

    assert read()[0].numbers == {"accuracy": 0.5}
    assert read(values={"m": {"X": [None]}}) == []
    for changes in (
        {"protocol": "nothing"},
        {"values": {"m": {"Y": [1.0]}}},
        {"values": {"m": {"X": [1.0, 2.0]}}},
    ):
        with pytest.raises(FileFormatError):
            read(**changes)
