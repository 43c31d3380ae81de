"""A refused run leaves nothing; a run that began, or failed otherwise, stays."""

import pytest

from otolith.core.errors import DataError, TrainingError
from otolith.training.refusals import forgotten_if_refused


def attempt(folder, error, *, log="", is_main=True):
    with (
        pytest.raises(type(error)),
        forgotten_if_refused(folder, ("config.yaml",), is_main=is_main),
    ):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.yaml").write_text("seed: 0")
        (folder / "metrics.jsonl").write_text(log)
        raise error


def test_a_refusal_leaves_nothing(tmp_path):
    attempt(tmp_path / "runs" / "a", DataError("No stream.", "Name one."))
    assert not list(tmp_path.iterdir())


def test_files_of_others_stay(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    attempt(tmp_path, DataError("No stream.", "Name one."))
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    ("error", "log", "is_main"),
    [
        (TrainingError("Stopped.", "Resume it."), "", True),
        (DataError("No stream.", "Name one."), "{}\n", True),
        (DataError("No stream.", "Name one."), "", False),
        (ValueError("ours"), "", True),
    ],
)
def test_other_runs_stay(tmp_path, error, log, is_main):
    attempt(tmp_path / "run", error, log=log, is_main=is_main)
    assert (tmp_path / "run" / "config.yaml").is_file()
