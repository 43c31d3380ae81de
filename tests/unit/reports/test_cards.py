import dataclasses
import json

import pytest
from tests.support.report_data import EVIL, FINDINGS, Page, recording, result, stream

from otolith.benchmark._table import Refusal, Row, Table, write_table
from otolith.core.files import write_json
from otolith.recordings.recording import Annotation
from otolith.recordings.store import write_data_folder
from otolith.reports.build import read_numbers
from otolith.reports.card import Card, Part
from otolith.reports.cards import (
    card_of,
    dataset_card,
    known_card,
    metrics_of,
    model_card,
    model_settings,
)
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


def calibration():
    number = {
        "accuracy": 0.7,
        "log_loss": 0.9,
        "expected_calibration_error": 0.1,
        "brier": 0.4,
    }
    scorer = {"model": "left_out", "recipe": "r", "seed": 0, "datasets": ["hapt", "umafall"]}
    return {
        "labels": ["walking", "sitting"], "windows": 120, "temperature": 1.25,
        "coverages": [0.8, 0.9], "quantiles": [0.4, 0.65],
        "datasets": {"wisdm2019": {"people": ["1", "2"], "windows": 120, "scored_by": scorer}},
        "before": number,
        "after": {**number, "expected_calibration_error": 0.02,
                  "sets": {"0.9": {"coverage": 0.91, "labels_per_set": 1.4}}},
        "novelty": {"datasets": ["hapt"], "windows": 5000, "held_out_windows": 120},
        "warnings": ["Two people only."],
    }  # fmt: skip


def test_model_card_says_how_it_was_calibrated():
    card = model_card(model({**PROVENANCE, "calibration": calibration()}))
    found = part(card, "Calibration")
    assert found.facts["temperature"] == 1.25
    assert found.facts["set for 90% coverage"].endswith("up to 0.650; covers 91.0%, 1.40 labels")
    assert found.facts["set for 80% coverage"] == "all labels with 1 - p up to 0.400"
    assert ["expected calibration error", 0.1, 0.02] in found.rows
    assert part(card, "Calibrated on").rows == [["wisdm2019", 2, 120, "left_out", "hapt, umafall"]]
    assert part(card, "Calibrated on").items == ["Two people only."]
    assert "## Calibration" in card.markdown()
    html_of(card)
    assert not [p for p in model_card(model()).parts if p.title.startswith("Calibrat")]


def test_model_card_has_tables_of_benchmarks():
    shared = {"protocol": "zero_shot", "data": "hapt", "variant": "closed"}
    rows = [
        Row(**shared, model="low", numbers={"macro_f1": 0.3, "accuracy": 0.4}),
        Row(
            **shared,
            model="high",
            numbers={"macro_f1": 0.6, "accuracy": 0.7},
            intervals={"macro_f1": (0.5, 0.7)},
            counts={"test_subjects": 30},
            notes=("Small.",),
        ),
        Row(**shared, model="old", numbers={"macro_f1": 0.5}, is_published=True, source="Paper"),
    ]
    refused = [Refusal(protocol="zero_shot", data="hapt", model="leaky", reason="Seen.")]
    table = Table(
        protocol="zero_shot",
        description="Words alone.",
        headline="closed",
        metric="macro_f1",
        settings={},
        rows=rows,
        refused=refused,
    )
    card = model_card(model(), tables=[table])
    found = part(card, "Benchmark: zero shot")
    assert found.columns[3:] == ("macro_f1", "95 % interval", "accuracy", "people")
    assert [row[2] for row in found.rows] == ["high", "old (published: Paper)", "low"]
    assert found.rows[0][3:] == [0.6, "0.500 to 0.700", 0.7, 30]
    assert found.items == ["leaky on hapt was refused: Seen.", "Small."]
    assert part(card, "Numbers").is_empty()


def test_model_card_of_a_model_of_words():
    from tests.support.otolith_data import small

    card = model_card(model(system=small(), system_name="otolith_imu"))
    rows = dict(part(card, "Words").rows)
    assert rows["running"].startswith("running, jogging")
    assert part(model_card(model()), "Words").is_empty()


def test_a_simulation_has_the_licences_of_its_origins():
    entry = {"train_subjects": ["mhealth/1"], "derived_from": ["mhealth", "hapt"]}
    datasets = {"pocket": entry, "hapt": {"train_subjects": ["1"]}}
    card = model_card(model({"data": {"datasets": datasets}}))
    row = part(card, "Trained on").rows[0]
    assert row[0] == "pocket (simulated from mhealth, hapt)"
    assert row[3:] == ["CC-BY-4.0", "unclear"]
    entry["derived_from"] = ["mhealth", "somewhere"]
    assert part(model_card(model({"data": {"datasets": datasets}})), "Trained on").rows[0][3] == (
        "not known on this machine"
    )


def test_the_cost_goes_with_a_model_without_a_run():
    cost = {"duration_s": 61.0, "device": "cpu", "last": {"loss": 1.0}}
    found = model({**PROVENANCE, "cost": cost})
    assert metrics_of(found) == {"duration_s": 61.0, "device": "cpu"}
    assert part(model_card(found), "Cost of training").facts["time"] == "61 s"


def test_numbers_are_read_from_both_kinds_of_files(tmp_path):
    write_json(tmp_path / "e.json", {"format": 1, "results": [result().to_json()]})
    table = Table(
        protocol="knn", description="", headline="", metric="macro_f1", settings={}, rows=[]
    )
    write_table(tmp_path / "b.json", table)
    results, tables = read_numbers([tmp_path / "b.json", tmp_path / "e.json"])
    assert ([r.task for r in results], [t.protocol for t in tables]) == (["probe"], ["knn"])
    assert read_numbers([]) == ([], [])


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
