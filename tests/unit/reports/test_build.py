import csv
import dataclasses
import io
import json

import numpy as np
import pytest
import typer
from tests.support.report_data import (
    EVIL,
    FINDINGS,
    Page,
    epoch,
    labelling,
    recording,
    result,
    step,
)
from typer.testing import CliRunner

from otolith.cli import report as command
from otolith.core.errors import DataError, FileFormatError
from otolith.core.files import write_json
from otolith.recordings.store import write_data_folder
from otolith.reports import build, sections
from otolith.reports.point_cloud import point_cloud
from otolith.tasks._model import load_model
from otolith.training.checkpoints import save_model

SIZE = 1_500_000


@pytest.fixture(autouse=True)
def empty_home(tmp_path, monkeypatch):
    monkeypatch.setenv("OTOLITH_HOME", str(tmp_path / "home"))


def checked(report):
    html = report.render()
    page = Page(html)
    page.check()
    assert len(html) < SIZE
    return page


def run_folder(path, *, records=None, has_model=True):
    """A run as the loop leaves it; its model is the one that needs no weights."""
    path.mkdir(parents=True)
    (path / "config.yaml").write_text("seed: 0\nname: <b>toy</b>\n", encoding="utf-8")
    records = (
        [epoch(0, 10, 2.0, validation=2.1), epoch(1, 20, 1.0, validation=1.5)]
        if records is None
        else records
    )
    (path / "metrics.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records))
    best = {"metric": "validation/loss", "value": 1.5, "epoch": 1}
    metrics = {"status": "finished", "epochs": 2, "steps": 20, "best": best, "num_parameters": 7}
    write_json(path / "metrics.json", metrics)
    write_json(path / "run.json", {"format": 1, "name": "toy"})
    if has_model:
        origin = {
            "recipe": "toy/run", "is_pretrain": True,
            "data": {"datasets": {"seglearn_watch": {"train_subjects": ["1"]}}},
        }  # fmt: skip
        save_model(
            path / "checkpoints" / "best", "statistics", load_model("statistics").system, origin
        )
    return path


def results_file(path, *values):
    write_json(path, {"format": 1, "results": [v.to_json() for v in values]})
    return path


def test_evaluation_report_shows_every_result():
    values = [result(model="m"), result(model="n", noise=0.1), result(("x", "y"), data="other")]
    page = checked(build.evaluation_report(values))
    best = max(values, key=lambda v: v.macro_f1)
    assert f"best macro-F1 {best.macro_f1:.3f}" in page.text
    assert len(page.all("section")) == 1 + len(values)
    assert "Probe: statistics on other" in page.text


def test_evaluation_report_of_nothing_is_refused():
    with pytest.raises(DataError, match="no results"):
        build.evaluation_report([])


@pytest.mark.parametrize("settings", [{"labels": ("only",)}, {"people": 1}, {"num_windows": 2}])
def test_evaluation_report_of_little(settings):
    checked(build.evaluation_report([result(**settings)]))


def test_a_page_with_everything_is_small_and_its_islands_parse():
    report = build.evaluation_report([result([f"class {i}" for i in range(20)], num_windows=4000)])
    points, names = np.random.default_rng(0).normal(size=(1500, 3)), [f"n{i}" for i in range(1500)]
    for dims in (2, 3):
        report.section("Map").add(point_cloud(points, {"a": names, "b": names}, dims=dims))
    page = checked(report)
    assert [len(json.loads(text)["points"]) for text in page.islands] == [1500, 1500]


def test_hostile_names_stay_text(tmp_path):
    report = build.evaluation_report(
        [result((EVIL, "b"), model=EVIL, data=EVIL, warnings=[EVIL]), result(("b",), data="x")]
    )
    sections.embedding_map(report, np.eye(4), [EVIL] * 4, [EVIL] * 4, EVIL)
    page = checked(report)
    assert sum(a.get("type") != "application/json" for a in page.all("script")) == 1
    value = recording(id=EVIL, labels=(EVIL, "b"), subject=EVIL, findings=FINDINGS)
    page = checked(build.labelling_report(labelling(value, labels=(EVIL, "b"), how=EVIL)))
    assert len(page.all("script")) == 1
    assert page.all("img") == []


def test_labelling_report_has_timeline_and_findings():
    value = labelling(recording(findings=FINDINGS))
    page = checked(build.labelling_report(value))
    for words in ("Activities of r1", "length 0:20", "activities 2 in 2 segments", "watch 25 Hz"):
        assert words in page.text
    assert "What was inferred about the input" in page.text


def test_labelling_report_without_segments():
    assert "activities 0" in checked(build.labelling_report(labelling(segments=()))).text


def test_run_report_joins_curves_results_cards_and_settings(tmp_path):
    folder = run_folder(tmp_path / "toy" / "run")
    results_file(folder / "probe.json", result(data="seglearn_watch"))
    results_file(folder / "evaluation" / "few.json", result(task="few_shot", shots=5))
    page = checked(build.run_report(folder))
    for words in (
        "Run toy/run", "best 1.5 validation loss, epoch 2", "Probe: statistics", "few shot, 5 shots",
        "Data: seglearn_watch", "Model card: toy/run", "BSD-3-Clause", "name: <b>toy</b>",
    ):  # fmt: skip
        assert words in page.text
    assert page.all("b") == []


def test_run_report_uses_the_copy_of_the_data_on_this_machine(tmp_path):
    folder = run_folder(tmp_path / "run")
    assert "Time per class" not in checked(build.run_report(folder)).text
    home = tmp_path / "home" / "data" / "seglearn_watch"
    write_data_folder(home, [recording(labels=("walk",))], name="seglearn_watch", card={})
    assert "Time per class class minutes walk" in checked(build.run_report(folder)).text


@pytest.mark.parametrize("records", [[], [step(1, 0, None)], [epoch(0, 3, None)]])
def test_run_report_of_a_run_that_has_hardly_begun(tmp_path, records):
    folder = run_folder(tmp_path / "run", records=records, has_model=False)
    (folder / "metrics.json").unlink()
    page = checked(build.run_report(folder))
    assert "status not finished" in page.text
    assert "Model card" not in page.text
    (folder / "metrics.jsonl").unlink()
    checked(build.run_report(folder))


def test_run_report_refuses_what_is_no_run(tmp_path):
    with pytest.raises(FileFormatError, match="holds no run"):
        build.run_report(tmp_path)


def test_dataset_report(tmp_path):
    folder = write_data_folder(tmp_path / "toy", [recording()], name="toy", card={"title": "Toy"})
    page = checked(build.dataset_report(folder))
    assert "Data set toy" in page.text
    assert "people 1 recordings 1 hours 0.01" in page.text
    assert page.text.count("Toy.") == 1


def test_results_come_back_as_they_were(tmp_path):
    values = [result(), result(people=1, warnings=["w"])]
    found = build.read_results(results_file(tmp_path / "r.json", *values))
    assert found == [
        dataclasses.replace(v, confusion=[list(row) for row in v.confusion]) for v in values
    ]


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.pop("results"),
        lambda d: d["results"].append("x"),
        lambda d: d["results"][0].pop("accuracy"),
        lambda d: d["results"][0].update(macro_f1="high"),
        lambda d: d["results"][0].update(confusion=[[1]]),
        lambda d: d["results"][0].update(labels=[], confusion=[], per_class=[]),
    ],
)
def test_damaged_results_are_refused(tmp_path, change):
    path = results_file(tmp_path / "r.json", result())
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))
    with pytest.raises(FileFormatError, match=r"r\.json"):
        build.read_results(path)


def test_files_that_hold_no_results_are_no_results(tmp_path):
    folder = run_folder(tmp_path / "run")
    assert build.results_in(folder) == []
    (folder / "broken.json").write_text("{")
    with pytest.raises(FileFormatError, match="is not JSON"):
        build.results_in(folder)


def test_segments_csv_quotes_names():
    value = labelling(recording(id='r,"1"'))
    rows = list(csv.reader(io.StringIO(build.segments_csv([value, value]))))
    assert rows[0] == ["recording", "start_s", "end_s", "label", "confidence"]
    assert rows[1] == ['r,"1"', "0.000", "10.000", "a", "0.8000"]
    assert len(rows) == 5


def invoke(*arguments):
    app = typer.Typer()
    app.command()(command.run)
    return CliRunner().invoke(app, list(map(str, arguments)))


def test_command_reports_a_run_with_its_card(tmp_path):
    folder = run_folder(tmp_path / "run")
    done = invoke(folder, "--card", folder / "MODEL_CARD.md")
    assert done.exit_code == 0, done.exception
    assert (folder / "report.html").is_file()
    assert (folder / "MODEL_CARD.md").read_text().startswith("# Model card")


def test_command_joins_result_files(tmp_path):
    one = results_file(tmp_path / "one.json", result(model="m"))
    two = results_file(tmp_path / "two.json", result(model="n"))
    done = invoke(one, two, "--out", tmp_path / "page.html")
    assert done.exit_code == 0, done.exception
    text = Page((tmp_path / "page.html").read_text()).text
    assert "Probe: m" in text
    assert "Probe: n" in text


def test_command_reports_models_and_data(tmp_path):
    model = run_folder(tmp_path / "run") / "checkpoints" / "best"
    data = write_data_folder(tmp_path / "toy", [recording()], name="toy", card={}).path
    for folder in (model, data):
        done = invoke(folder, "--out", tmp_path / "page.html", "--card", tmp_path / "card.md")
        assert done.exit_code == 0, done.exception
        Page((tmp_path / "page.html").read_text()).check()
        assert (tmp_path / "card.md").read_text().startswith("# ")


@pytest.mark.parametrize("case", ["two folders", "empty folder", "card of files", "absent"])
def test_command_refuses_with_a_remedy(tmp_path, case):
    folder, file = tmp_path / "empty", results_file(tmp_path / "r.json", result())
    folder.mkdir()
    arguments = {
        "two folders": [folder, file],
        "empty folder": [folder],
        "card of files": [file, "--card", tmp_path / "c.md"],
        "absent": [tmp_path / "no.json"],
    }[case]
    done = invoke(*arguments)
    assert done.exit_code == 1
    assert done.exception.remedy
    assert not (tmp_path / "report.html").exists()
