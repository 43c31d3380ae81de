"""`otolith benchmark` as a user types it."""

import json
from pathlib import Path

import pytest
from tests.support.benchmark_data import two_parts
from tests.support.command_line import otolith, refused

QUICK = ["--setting", "groups=2", "--setting", "learning.strengths=[1.0]", "--seeds", "0"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return [p.folder.path for p in two_parts(tmp_path_factory.mktemp("data"), 3, 3)]


@pytest.fixture(autouse=True)
def _home(tmp_path, monkeypatch):
    monkeypatch.setenv("OTOLITH_HOME", str(tmp_path / "home"))


def bench(protocol, folders, *more, models="statistics_lr:device"):
    return ("benchmark", protocol, "--models", models, "--data", ",".join(map(str, folders)), *more)


def test_a_benchmark_writes_table_and_page(folders, tmp_path):
    files = tmp_path / "t.json", tmp_path / "t.html"
    words = ["--json", files[0], "--html", files[1], "--out", tmp_path / "cells"]
    ran = otolith(*bench("cross_subject", folders, *words, *QUICK, "--limit-windows", "60"))
    assert ran.code == 0, ran.err
    assert "macro-F1" in ran.out
    assert "4/4 statistics_lr:device on toy_b" in ran.err
    assert [line for line in ran.out.splitlines() if line.startswith("Results:")] == [
        f"Results: {p}" for p in (tmp_path / "cells", *files)
    ]
    data = json.loads(files[0].read_text())
    assert data["protocol"] == "cross_subject"
    assert data["settings"]["limit_windows"] == 60
    assert "Leaderboard" in files[1].read_text()
    again = otolith(*bench("cross_subject", folders, *words, *QUICK, "--limit-windows", "60"))
    assert "4/4" not in again.err, "nothing is computed twice"
    assert json.loads(files[0].read_text()) == data


def test_pages_are_drawn_from_files(folders, tmp_path):
    for protocol, more in (("few_shot", QUICK), ("zero_shot", QUICK[2:])):
        ran = otolith(*bench(protocol, folders, "--json", f"{protocol}.json", *more))
        assert ran.code == 0, ran.err
    ran = otolith("benchmark", "leaderboard", "few_shot.json", "zero_shot.json", "--html", "a.html")
    assert ran.code == 0, ran.err
    assert ran.out.strip() == "Results: a.html"
    assert otolith("report", "few_shot.json", "zero_shot.json", "--out", "b.html").code == 0
    pages = [Path(name).read_text() for name in ("a.html", "b.html")]
    assert pages[0] == pages[1]
    assert "Zero shot: toy_a" in pages[0]


def test_refusals_are_said(tmp_path):
    parts = two_parts(tmp_path, 1, 3)
    ran = otolith(*bench("cross_subject", [p.folder.path for p in parts], *QUICK))
    assert ran.code == 0, ran.err
    assert "Refused: statistics_lr:device on toy_a (1 cell)" in ran.out


def test_help_lists_protocols():
    ran = otolith("benchmark", "--help")
    assert ran.code == 0
    for name in ("zero_shot", "cross_subject", "few_shot", "few_labels", "robustness",
                 "calibration", "anomaly", "leaderboard"):  # fmt: skip
        assert name in ran.out


def test_mistakes_are_one_sentence(folders, tmp_path):
    cases = [
        (bench("cross_subject", folders, "--seeds", "one"), '"one" is no seed'),
        (bench("cross_subject", folders, models="statistics_lx"), 'no model "statistics_lx"'),
        (bench("cross_subject", folders, models=""), "no model to run"),
        (bench("cross_subject", folders, "--setting", "groups=1"), "groups"),
        (bench("cross_subject", folders, "--setting", "nonsense"), "not of the form"),
        (bench("cross_subject", folders, "--limit-windows", "0"), "limit_windows is 0"),
        (bench("zero_shot", folders[:1]), "needs 2 data sets"),
        (bench("few_shot", [tmp_path / "nowhere"]), "nowhere"),
        (("benchmark", "leaderboard", tmp_path / "no.json"), "There is no file"),
    ]
    for words, expected in cases:
        assert expected in " ".join(refused(*words)), words


def test_unknown_protocols_are_refused(folders):
    ran = otolith(*bench("zero_shoot", folders))
    assert ran.code == 2
    assert "zero_shoot" in ran.err


def test_long_names_are_whole_in_the_table(folders, tmp_path):
    name = "a_model_with_a_name_that_is_longer_than_a_narrow_terminal"
    saved = tmp_path / name
    from tests.support.tasks_data import statistics

    from otolith.training.checkpoints import save_model

    save_model(saved, "statistics", statistics("device").system, {"data": {"datasets": {}}})
    few = ["--limit-windows", "40", "--setting", "windows.window_s=5.0"]
    ran = otolith(*bench("cross_subject", folders[:1], *QUICK, *few, models=saved))
    assert ran.code == 0, ran.err
    assert any(name in line and "all labels" in line for line in ran.out.splitlines())
