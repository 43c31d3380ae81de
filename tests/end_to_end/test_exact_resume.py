"""A run that was killed twice in the middle of an epoch ends with the bits of one that was not."""

import os

import pytest
from tests.support.processes import run_program


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("num_workers", [0, 2])
def test_killed_twice_gives_the_same_bits(tmp_path, num_workers):
    report = run_program("tests.end_to_end.killed_runs", tmp_path, num_workers)
    assert report["different"] == []
    assert report["same_state"]
    assert report["left_behind"] == []
    assert report["lines"] == 3 * 7 + 3
    first, second = report["lines_at_kills"]
    assert first % 8 not in (0, 7), "the first kill was not in the middle of an epoch"
    assert second % 8 not in (0, 7), "the second kill was not in the middle of an epoch"
    assert first < second < report["lines"]
