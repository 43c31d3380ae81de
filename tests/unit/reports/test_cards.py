import dataclasses
import json

import pytest
from tests.support.report_data import EVIL, FINDINGS, Page, recording, result, stream

from otolith.core.files import write_json
from otolith.recordings.recording import Annotation
from otolith.recordings.store import write_data_folder
from otolith.reports.card import Card, Part
from otolith.reports.cards import card_of, dataset_card, known_card, model_card, model_settings
from otolith.reports.page import Report
from otolith.tasks._model import load_model

PROVENANCE = {
    "recipe": "demo/pretrain", "seed": 3, "is_pretrain": True, "init_from": "", "version": "0.1.0",
    "data": {
        "datasets": {"seglearn_watch": {"train_subjects": ["1", "2"], "validation_subjects": ["3"]}},
        "num_train": 521, "num_validation": 102,
    },
    "training": {"epochs": 6, "steps": 54},
}  # fmt: skip


@pytest.fixture(autouse=True)
def empty_home(tmp_path, monkeypatch):
    monkeypatch.setenv("OTOLITH_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def model(provenance=PROVENANCE, **fields):
    return dataclasses.replace(load_model("statistics"), provenance=provenance, **fields)


def html_of(card):
    report = Report("t")
    card.add_to(report)
    page = Page(report.render())
    page.check()
    return page


def part(card, title):
    return next(p for p in card.parts if p.title == title)


def test_model_card_says_what_was_learned_from_whom():
    card = model_card(model(), metrics={"duration_s": 67.2, "device": "cpu"})
    assert "without labels" in card.intro
    assert part(card, "Trained on").rows == [["seglearn_watch", 2, 1, "BSD-3-Clause", "yes"]]
    assert part(card, "Cost of training").facts["time"] == "67 s"
    assert part(card, "Cost of training").facts["steps of these weights"] == 54
    limits = " ".join(part(card, "Limits").items)
    for words in ("2 people", "left wrist, right wrist", "50 Hz", "20 people", "medical"):
        assert words in limits
    assert any("Burns" in item for item in part(card, "Cite the data").items)


def test_model_card_has_the_numbers_of_results():
    value = result(warnings=["Three people only."], data="seglearn_watch")
    card = model_card(model(), results=[value])
    row = part(card, "Numbers").rows[0]
    assert row[:4] == ["probe", "seglearn_watch", "statistics", value.macro_f1]
    assert "Three people only." in part(card, "Limits").items
    assert part(model_card(model()), "Numbers").text == "No evaluation is attached to this card."


def test_model_card_knows_ancestors():
    later = {
        "recipe": "align", "is_pretrain": False, "init_provenance": PROVENANCE,
        "data": {"datasets": {"hapt": {"train_subjects": ["9"]},
                              "seglearn_watch": {"train_subjects": ["3", "4"]}}},
    }  # fmt: skip
    card = model_card(model(later))
    assert "with labels" in card.intro
    rows = {row[0]: row for row in part(card, "Trained on").rows}
    assert rows["seglearn_watch"][1:3] == [4, 0]  # who was held out before was learned from later
    assert rows["hapt"][1] == 1


def test_model_card_of_converted_weights():
    official = {
        "official": {"file": "x.pt"},
        "data": {"datasets": {"hapt": {"train_subjects": ["*"]}}},
    }
    card = model_card(model(official))
    assert "by its authors" in card.intro
    assert part(card, "Trained on").rows[0][1] == "all"
    assert "everyone of hapt" in part(card, "Limits").items[0]


def test_model_card_of_a_data_set_that_is_not_here():
    card = model_card(model({"data": {"datasets": {"mine": {"train_subjects": ["1"]}}}}))
    row = part(card, "Trained on").rows[0]
    assert row[3:] == ["not known on this machine", "unclear"]
    assert any("not settled by: mine" in item for item in part(card, "Limits").items)


def test_model_card_without_training():
    card = model_card(load_model("statistics"))
    assert "needs no training" in card.intro
    assert part(card, "Trained on").is_empty()
    assert "Trained on" not in card.markdown()
    assert model_settings(load_model("statistics"))


def test_cost_is_found_beside_the_checkpoint(tmp_path):
    folder = tmp_path / "run" / "checkpoints" / "best"
    folder.mkdir(parents=True)
    write_json(tmp_path / "run" / "metrics.json", {"duration_s": 12.0, "device": "cpu"})
    assert part(model_card(model(path=folder)), "Cost of training").facts["time"] == "12 s"


def test_licence_of_an_imported_data_set(empty_home):
    write_data_folder(
        empty_home / "data" / "mine", [recording()], name="mine", card={"licence": "CC-BY-4.0"}
    )
    assert known_card("mine")["licence"] == "CC-BY-4.0"
    card = model_card(model({"data": {"datasets": {"mine": {"train_subjects": ["1"]}}}}))
    assert part(card, "Trained on").rows[0][3] == "CC-BY-4.0"


def test_dataset_card_counts_what_the_folder_holds(tmp_path):
    values = [
        recording("r1", ("walk", "sit"), seconds=120.0, subject="a", findings=FINDINGS),
        recording("r2", ("walk",), seconds=60.0, subject="", findings=FINDINGS[2:],
                  streams=[stream("phone", seconds=60.0, rate_hz=12.5, sensors=("acc",))]),
    ]  # fmt: skip
    info = {
        "title": "Toy",
        "description": "Two recordings.",
        "licence": "MIT",
        "caveats": ["Tiny."],
    }
    splits = {
        "subjects": {"train": ["a"], "test": ["b", "c"], "by": "subject", "origin": "otolith"}
    }
    folder = write_data_folder(tmp_path / "toy", values, name="toy", card=info, splits=splits)
    card = dataset_card(folder)
    assert (card.title, card.intro) == ("Data: toy", "Toy. Two recordings.")
    facts = part(card, "What it holds").facts
    assert (facts["people"], facts["recordings"], facts["hours"]) == (1, 2, 0.05)
    assert facts["rates"] == "12.5 Hz, 25 Hz"
    assert (facts["sensors"], facts["worn at"], facts["gravity"]) == (
        "acc, gyro",
        "wrist",
        "included",
    )
    assert part(card, "Time per class").bars == pytest.approx({"walk": 2.0, "sit": 1.0})
    assert part(card, "Found while reading").rows == [
        ["warning", "time.gap", 1, FINDINGS[1].fact], ["inferred", "units", 2, "It is g."],
    ]  # fmt: skip
    assert part(card, "Divisions").items == ["subjects (by subject, from otolith): 1 train, 2 test"]
    page = html_of(card)
    assert "walk 2" in page.text
    assert len(page.all("script")) == 1


def test_dataset_card_of_points_counts_annotations(tmp_path):
    value = dataclasses.replace(
        recording(labels=()),
        annotations=(
            Annotation(start_s=1.0, end_s=None, labels=("fall",)),
            Annotation(start_s=2.0, end_s=None, labels=("fall", "hit")),
            Annotation(start_s=2.0, end_s=3.0, labels=("other",), track="context"),
        ),
    )
    folder = write_data_folder(tmp_path / "toy", [value], name="toy", card={})
    assert part(dataset_card(folder), "Classes").bars == {"fall": 2.0, "hit": 1.0}
    assert part(dataset_card(folder), "Licence and origin").facts["licence"] == "not stated"


def test_dataset_card_without_labels_or_motion(tmp_path):
    folder = write_data_folder(tmp_path / "toy", [recording(labels=())], name="toy", card={})
    assert part(dataset_card(folder), "Classes").is_empty()
    html_of(dataset_card(folder))


def test_hostile_cards_are_escaped():
    info = {
        "card": {
            "title": EVIL, "description": EVIL, "licence": EVIL, "caveats": [EVIL],
            "placements": [EVIL], "source": {"homepage": "javascript:alert(1)", "cite": EVIL},
        },
        "splits": {EVIL: {"train": ["a"], "origin": EVIL}},
    }  # fmt: skip
    card = card_of(EVIL, info, bars={EVIL: 1.0}, unit=EVIL, found=[["ok", EVIL, 1, EVIL]])
    page = html_of(card)
    assert len(page.all("script")) == 1
    assert [a for a in page.all("a") if not a["href"].startswith("#")] == []
    text = card.markdown()
    assert "<script" not in text
    assert not any(line.startswith("| ") and line.count(" | ") > 3 for line in text.splitlines())


def test_markdown_tells_the_same_as_the_page():
    card = Card(
        title="T",
        intro="I.",
        parts=(
            Part(title="F", facts={"a": 1234, "b": "", "c": 0}),
            Part(title="R", columns=("x", "y"), rows=[["p|q", 0.5]]),
            Part(title="B", bars={"walk": 1.25}, unit="minutes"),
            Part(title="L", items=["one", "two"], text="Before."),
            Part(title="Empty", facts={"b": None}),
        ),
    )
    assert card.markdown() == (
        "# T\n\nI.\n\n## F\n\n- **a**: 1,234\n- **c**: 0\n\n## R\n\n| x | y |\n|---|---|\n"
        "| p\\|q | 0.500 |\n\n## B\n\n| class | minutes |\n|---|---|\n| walk | 1.2 |\n\n"
        "## L\n\nBefore.\n\n- one\n- two\n"
    )
    page = html_of(card)
    for words in ("a 1,234", "p|q 0.500", "walk 1.2", "Before. one two"):
        assert words in page.text
    assert "Empty" not in page.text


def test_built_in_cards_are_complete():
    card = known_card("hapt")
    assert card["licence"]
    assert card["citation"]
    assert json.dumps(card)
    html_of(card_of("hapt", {"card": card}))
