"""Packaged settings of studies, and files of one's own."""

import pytest
from typer.testing import CliRunner

from otolith.benchmark import few_labels
from otolith.benchmark._runner import make_contestant
from otolith.benchmark.studies import read_study, study_names
from otolith.cli.main import app
from otolith.core.config import parse
from otolith.core.errors import ConfigError


@pytest.mark.parametrize("name", study_names())
def test_every_study_is_valid(name):
    chosen = parse(few_labels.Config, read_study(name), source=name)
    for contestant in chosen.learning.contestants:
        make_contestant(f"{contestant}:fused-pretrained-probe", chosen.learning)


def test_utd_mhad_keeps_people_apart():
    chosen = parse(few_labels.Config, read_study("utd_mhad"), source="utd_mhad")
    assert chosen.groups == 6
    assert chosen.windows.for_data("utd_mhad").streams == ("imu", "camera")
    assert chosen.windows.for_data("utd_mhad").whole


def test_a_file_of_ones_own(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("groups: 3\n")
    assert read_study(path) == {"groups": 3}


@pytest.mark.parametrize(
    ("content", "fact"), [("[1, 2]", "holds no settings"), ("a: [", "is no YAML")]
)
def test_what_is_no_study_is_refused(tmp_path, content, fact):
    path = tmp_path / "mine.yaml"
    path.write_text(content)
    with pytest.raises(ConfigError, match=fact):
        read_study(path)


def test_an_unknown_study_is_refused():
    with pytest.raises(ConfigError, match='There is no study "utd_mhat"') as caught:
        read_study("utd_mhat")
    assert "utd_mhad" in caught.value.remedy


def test_the_command_names_a_mistake_in_a_study(tmp_path, monkeypatch):
    path = tmp_path / "mine.yaml"
    path.write_text("groups: 1\n")
    given = ["benchmark", "few_labels", "--models", "statistics_lr", "--data", "none"]
    found = CliRunner().invoke(app, [*given, "--settings", str(path)])
    assert found.exit_code != 0
    assert isinstance(found.exception, ConfigError)
    assert "groups" in str(found.exception)
