"""`otolith evaluate`, `label` and `embed` as a user types them."""

import csv
import json
import sys

import pyarrow.parquet as pq
import pytest
from tests.support.tasks_data import make_part, make_recording

from otolith.cli.main import main
from otolith.recordings.tidy import write_tidy


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_part(tmp_path_factory.mktemp("data"), 4).folder.path


@pytest.fixture
def run(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("OTOLITH_HOME", str(tmp_path / "home"))

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["otolith", *map(str, words)])
        with pytest.raises(SystemExit) as stop:
            main()
        captured = capsys.readouterr()
        return stop.value.code or 0, captured.out, captured.err

    return call


def test_evaluate_writes_all_numbers(run, folder, tmp_path):
    code, out, _ = run(
        "evaluate", "probe", "--model", "statistics", "--model", "statistics:gravity",
        "--data", folder, "--folds", 2, "--seeds", "0,1", "--window-seconds", 4,
        "--labels", "walking,running", "--json", tmp_path / "r.json",
        "--setting", "strengths=[1.0]",
    )  # fmt: skip
    assert code == 0
    assert "macro-F1" in out
    results = json.loads((tmp_path / "r.json").read_text())["results"]
    assert [r["model"] for r in results] == ["statistics", "statistics:gravity"]
    first = results[0]
    assert first["labels"] == ["walking", "running"]
    assert first["macro_f1"] > 0.9
    assert len(first["ci95"]["macro_f1"]) == 2
    assert {row["label"] for row in first["per_class"]} == {"walking", "running"}
    assert sum(map(sum, first["confusion"])) == 2 * first["counts"]["test_windows"]
    assert first["settings"]["windows"]["window_s"] == 4
    assert first["settings"]["strengths"] == [1.0]
    assert first["warnings"] == []
    assert first["counts"]["test_subjects"] == 4


PROBE = ("evaluate", "probe", "--model", "statistics")


@pytest.mark.parametrize(
    ("words", "fact", "remedy"),
    [
        (("evaluate", "prob", "--model", "statistics"), 'no task called "prob"', 'mean "probe"'),
        (("evaluate", "label", "--model", "statistics"), "gives no numbers", "otolith label"),
        (("evaluate", "probe", "--model", "statistcs"), 'no model "statistcs"', "statistics"),
        ((*PROBE, "--labels", "walking,runing"), 'no label "runing"', '"running"'),
        ((*PROBE, "--labels", "walking"), "1 labels", "two or more"),
        ((*PROBE, "--window-seconds", "500"), "500 s can be cut", "shorter window"),
        ((*PROBE, "--window-seconds", "0"), "greater than 0", "Correct"),
        ((*PROBE, "--folds", "many"), "folds", "Correct"),
        ((*PROBE, "--folds", "official"), "no split by person", "number of folds"),
        ((*PROBE, "--seeds", "a"), "seeds", "Correct"),
        ((*PROBE, "--shots", "3"), "no setting shots", "Allowed"),
        ((*PROBE, "--head", "prototypes"), "head", "Correct"),
        ((*PROBE, "--setting", "strengths"), "not of the form key=value", "Write key"),
        (
            ("evaluate", "few_shot", "--model", "statistics", "--shots", "999"),
            "fewer than 999 shots",
            "fewer shots",
        ),
        (("evaluate", "zero_shot", "--model", "statistics"), "not trained with text", "probe"),
        (("evaluate", "fine_tune", "--model", "statistics"), "no weights to fine-tune", "probe"),
        (
            ("evaluate", "tsfm_still", "--model", "statistics", "--window-seconds", "2"),
            "prescribes its own windows",
            "Leave",
        ),
    ],
)
def test_mistakes_end_in_a_fact_and_a_remedy(run, folder, words, fact, remedy):
    code, _, err = run(*words, "--data", folder)
    assert code == 2
    assert fact in err
    assert remedy in err
    assert "Traceback" not in err


def test_an_unknown_data_set_is_named(run):
    code, _, err = run(*PROBE, "--data", "seglearn_wach")
    assert code == 2
    assert 'Did you mean "seglearn_watch"?' in err


@pytest.fixture
def recording_file(tmp_path):
    path = tmp_path / "new.parquet"
    write_tidy(path, [make_recording("new", seconds=30.0, seed=9)])
    return path


READ = ("--unit-acc", "m/s2", "--unit-gyro", "rad/s", "--gravity", "included")


def test_label_writes_segments_and_a_page(run, folder, recording_file, tmp_path):
    code, out, err = run(
        "label", recording_file, "--model", "statistics", "--learn-from", folder,
        "--out", tmp_path / "out", *READ,
    )  # fmt: skip
    assert code == 0, err
    assert "walking" in out
    with (tmp_path / "out" / "segments.csv").open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert [row["label"] for row in rows] == ["standing", "walking", "running"]
    assert float(rows[-1]["end_s"]) == pytest.approx(90.0, abs=0.1)
    assert "<html" in (tmp_path / "out" / "timeline.html").read_text()


@pytest.mark.parametrize(
    ("words", "fact"),
    [
        (("--model", "statistics"), "knows no labels"),
        (("--model", "statistics", "--labels", "walking,running"), "not trained with text"),
        (("--model", "nothing"), 'no model "nothing"'),
        (("--model", "statistics", "--stride-seconds", "9", "--labels", "a,b"), "leave holes"),
        (("--model", "statistics", "--window-seconds", "0"), "greater than 0"),
    ],
)
def test_label_refuses_what_cannot_be_done(run, recording_file, tmp_path, words, fact):
    code, _, err = run("label", recording_file, *words, *READ, "--out", tmp_path / "out")
    assert code == 2
    assert fact in err
    assert not (tmp_path / "out").exists()


def test_embed_writes_features_with_labels(run, folder, tmp_path):
    code, out, _ = run(
        "embed", folder, "--model", "statistics:device", "--out", tmp_path / "e.parquet"
    )
    assert code == 0
    table = pq.read_table(tmp_path / "e.parquet")
    assert table.num_rows == 48
    assert set(table["label"].to_pylist()) == {"standing", "walking", "running"}
    assert "e0" in table.column_names
    assert "windows" in out


def test_embed_reads_a_file_of_the_user(run, recording_file, tmp_path):
    code, _, err = run(
        "embed", recording_file, "--model", "statistics", "--out", tmp_path / "e.parquet", *READ
    )
    assert code == 0, err
    assert pq.read_table(tmp_path / "e.parquet").num_rows == 18


def test_embed_refuses_units_for_a_data_set(run, folder, tmp_path):
    code, _, err = run("embed", folder, "--model", "statistics", "--rate", 20)
    assert code == 2
    assert "is no file" in err


def test_models_of_one_table_are_tested_on_the_same_people(folder):
    from tests.support.tasks_data import statistics, toy_model, trained_on

    from otolith.cli.evaluate import _same_people
    from otolith.datasets import make_dataset

    part = make_dataset(folder)
    trained = toy_model(trained_on(toy=["p0", "p2"]))
    settings = {"folds": 2, "windows": {"window_s": 4.0}}
    shared = _same_people(settings, [trained, statistics()], part)
    assert shared["windows"] == {"window_s": 4.0, "never_test": ["p0", "p2"]}
    assert _same_people(settings, [trained], part) is settings
    assert _same_people(settings, [statistics(), statistics()], part) is settings
