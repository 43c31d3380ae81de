import dataclasses
import json

import numpy as np
import pytest
from tests.support.report_data import (
    EVIL,
    FINDINGS,
    Page,
    epoch,
    labelling,
    recording,
    result,
    step,
    stream,
)

from otolith.recordings.recording import Annotation, Finding
from otolith.reports import sections
from otolith.reports.page import Report
from otolith.reports.sections_labelling import agreement
from otolith.tasks.label import Segment


def page_of(build, *values, **settings):
    report = Report("t")
    build(report, *values, **settings)
    page = Page(report.render())
    page.check()
    return page


def best_rows(page):
    return [a.get("class") for a in page.all("tr")].count("best")


def test_comparison_bolds_the_best_of_each_task():
    values = [
        result(model="m", noise=0.1), result(model="n", noise=0.5),
        result(model="m", task="few_shot", shots=5, noise=0.6),
    ]  # fmt: skip
    page = page_of(sections.comparison, values)
    assert best_rows(page) == 2
    assert "few shot, 5 shots" in page.text
    assert f"{values[0].macro_f1:.3f} [" in page.text


def test_comparison_names_the_data_if_there_are_several():
    one = page_of(sections.comparison, [result()])
    assert "data" not in [t.strip() for t in one.texts]
    page = page_of(sections.comparison, [result(), result(data="other")])
    assert "other" in page.text
    assert best_rows(page) == 2


def test_comparison_warns_of_different_people():
    values = [result(people=4), result(people=3, model="n")]
    assert "over different people (3, 4 tested)" in page_of(sections.comparison, values).text
    assert "different people" not in page_of(sections.comparison, [values[0]]).text


def test_warnings_are_told_once():
    values = [
        result(warnings=["Seven were seen."]),
        result(model="n", warnings=["Seven were seen."]),
    ]
    assert page_of(sections.comparison, values).text.count("Seven were seen.") == 1


def test_one_person_has_no_interval():
    value = result(people=1)
    assert value.ci95["macro_f1"] is None
    page = page_of(sections.comparison, [value])
    assert f"{value.macro_f1:.3f} - {value.accuracy:.3f} 1 60" in page.text
    assert page.all("path") == [p for p in page.all("path") if p.get("stroke") == "currentColor"]


def test_result_of_one_class():
    page = page_of(sections.result, result(labels=("only",), noise=0.0))
    assert "only 1.000 1.000 1.000 60" in page.text
    assert "head: logistic" in page.text


def test_findings_come_worst_first_and_once():
    page = page_of(sections.findings, [*FINDINGS, FINDINGS[0]])
    badges = [a["class"] for a in page.all("span") if "badge" in (a.get("class") or "")]
    assert badges == ["badge warning", "badge inferred", "badge ok"]
    assert "1 < 2" in page.text
    assert EVIL in " ".join(page.texts)


def test_no_findings_are_said_so():
    assert "Nothing had to be inferred" in page_of(sections.findings, []).text


@pytest.mark.parametrize("status", ["ok", "inferred", "fixed", "warning", "unknown"])
def test_every_status_is_shown(status):
    found = [Finding(check="c", status=status, fact="A fact.")]
    assert status in page_of(sections.findings, found).text


def test_embedding_map_has_two_views_of_the_same_points():
    features = np.random.default_rng(0).normal(size=(30, 6))
    page = page_of(sections.embedding_map, features, ["a", EVIL] * 15, ["p"] * 30, "toy")
    flat, deep = (json.loads(text) for text in page.islands)
    assert [len(flat["points"]), len(deep["points"])] == [30, 30]
    assert [len(flat["points"][0]), len(deep["points"][0])] == [2, 3]
    assert flat["groupings"] == deep["groupings"]
    assert [g["title"] for g in flat["groupings"]] == ["activity", "person"]


def test_data_card_takes_facts_from_the_caller():
    info = {"card": {"title": "Toy", "licence": "MIT", "caveats": ["Small."]}}
    page = page_of(sections.data_card, "toy", info, {"recordings": 3})
    for words in ("Data: toy", "MIT", "Small.", "recordings 3"):
        assert words in page.text


def test_training_shows_every_curve_there_is():
    parts, datasets = {"mae": 1.0, "contrast": 2.0}, {"x": 1.0, "y": 2.0}
    records = [
        epoch(i, 10 * (i + 1), 2.0 / (i + 1), validation=2.5, parts=parts, datasets=datasets)
        for i in range(3)
    ] + [step(5, 0, 2.0), step(10, 0, 1.9)]
    metrics = {"status": "stopped_early", "num_parameters": 1234, "duration_s": 61.0}
    page = page_of(sections.training, records, metrics)
    for words in (
        "Parts of the loss",
        "Loss per data set",
        "Learning rate",
        "stopped early",
        "1,234",
    ):
        assert words in page.text
    assert len(page.all("polyline")) == 2 + 2 + 2 + 1


@pytest.mark.parametrize(
    "records",
    [[], [step(1, 0, 1.0)], [epoch(0, 3, None)], [epoch(0, 3, 1.0)],
     [epoch(0, 3, 1.0, datasets={"x": None, "y": None})]],
)  # fmt: skip
def test_training_that_has_hardly_begun(records):
    assert "not finished" in page_of(sections.training, records, {}).text


def test_labelling_draws_labels_above_the_truth():
    page = page_of(sections.labelling, labelling())
    tips = [a["data-tip"] for a in page.all("rect") if "data-tip" in a]
    assert tips[0] == "a\n0:00 to 0:10\nconfidence 0.80"
    assert tips[2] == "a\n0:00 to 0:10"
    assert "agree with the truth 100 % of the time" in page.text
    assert "All 2 segments" in page.text
    assert "a 0:10 50 % b 0:10 50 %" in page.text


def test_labelling_without_truth_or_acceleration():
    value = recording(labels=(), streams=[stream(sensors=("gyro",))])
    page = page_of(sections.labelling, labelling(value))
    assert "truth" not in page.text
    assert "acceleration" not in page.text


def test_labelling_without_segments():
    value = labelling(segments=())
    assert "0 segments" in page_of(sections.labelling, value).text
    assert agreement(value) is None


def test_labels_are_escaped():
    value = labelling(recording(id=EVIL, labels=(EVIL,)), labels=(EVIL,), how=EVIL)
    page = page_of(sections.labelling, value)
    assert len(page.all("script")) == 1


def test_agreement_is_a_share_of_time():
    value = labelling(segments=(Segment(0, 5, "a", 1.0), Segment(5, 20, "b", 1.0)))
    assert agreement(value) == pytest.approx(15 / 20)


def test_agreement_counts_time_with_truth_and_label_only():
    notes = (
        Annotation(start_s=2.0, end_s=4.0, labels=("b", "a")),
        Annotation(start_s=4.0, end_s=6.0, labels=("c",)),
        Annotation(start_s=1.0, end_s=None, labels=("a",)),
        Annotation(start_s=0.0, end_s=20.0, labels=("b",), track="other"),
    )
    value = dataclasses.replace(recording(labels=()), annotations=notes)
    segments = (Segment(0.0, 5.0, "a", 1.0),)
    assert agreement(labelling(value, segments=segments)) == pytest.approx(2 / 3)


def test_agreement_needs_common_names():
    assert agreement(labelling(recording(labels=("x", "y")))) is None


def test_segments_name_what_else_is_possible_and_why_they_are_unknown():
    segments = (
        Segment(0.0, 5.0, "a", 0.9, ("b",)),
        Segment(5.0, 20.0, "unknown", 0.7, (), "unlike all that was learned"),
    )
    plain = page_of(sections.labelling, labelling(segments=segments[:1]))
    assert any("also possible: b" in (a.get("data-tip") or "") for a in plain.all("rect"))
    assert "why unknown" not in plain.text
    value = dataclasses.replace(
        labelling(segments=segments), coverage=0.9, notes=("Read this & that.",)
    )
    page = page_of(sections.labelling, value)
    assert "why unknown" in page.text
    assert "also possible" in page.text
    assert "90 % of the time; they are 0.5 labels on average" in page.text
    assert "Read this & that." in page.text
