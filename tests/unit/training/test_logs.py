"""The log of metrics."""

import pytest

from otolith.core.errors import CheckpointError, FileFormatError
from otolith.training.logs import MetricsLog, flatten, read_records


def test_records_are_there_as_soon_as_they_are_written(tmp_path):
    log = MetricsLog(tmp_path / "metrics.jsonl")
    log.append({"kind": "step", "loss": 0.1})
    log.append({"kind": "epoch", "loss": None})
    assert read_records(tmp_path) == [
        {"kind": "step", "loss": 0.1},
        {"kind": "epoch", "loss": None},
    ]
    assert read_records(tmp_path, "epoch") == [{"kind": "epoch", "loss": None}]
    log.close()


def test_what_came_after_the_checkpoint_is_cut_off(tmp_path):
    path = tmp_path / "metrics.jsonl"
    log = MetricsLog(path)
    log.append({"step": 1})
    length = log.sync()
    log.append({"step": 2})
    log.close()
    with path.open("ab") as file:
        file.write(b'{"step": 3')
    log = MetricsLog(path, length)
    log.append({"step": 2, "again": True})
    log.close()
    assert read_records(path) == [{"step": 1}, {"step": 2, "again": True}]


def test_a_new_run_starts_with_an_empty_log(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1}\n')
    MetricsLog(path).close()
    assert path.read_bytes() == b""


def test_a_log_that_lost_records_is_refused_and_not_changed(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1}\n')
    with pytest.raises(CheckpointError, match="12 bytes"):
        MetricsLog(path, 100)
    assert path.read_text() == '{"step": 1}\n'


def test_an_unfinished_last_line_is_left_out_a_broken_one_is_named(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1}\n{"step"')
    assert read_records(path) == [{"step": 1}]
    path.write_text('{"step": 1}\n{"step"\n')
    with pytest.raises(FileFormatError, match="line 2"):
        read_records(path)


def test_a_missing_log_is_named(tmp_path):
    with pytest.raises(FileFormatError, match="no file"):
        read_records(tmp_path / "metrics.jsonl")


def test_flatten_joins_names():
    assert flatten({"a": {"b": {"c": 1}}, "d": None}) == {"a/b/c": 1, "d": None}
