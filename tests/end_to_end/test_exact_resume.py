"""A run that was killed twice in the middle of an epoch ends with the bits of one that was not."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run_program(name, *arguments):
    """Run a program of this folder and return the JSON object in its last line."""
    paths = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    done = subprocess.run(
        [sys.executable, "-m", f"tests.end_to_end.{name}", *map(str, arguments)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.strip().splitlines()[-1])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("num_workers", [0, 2])
def test_killed_twice_gives_the_same_bits(tmp_path, num_workers):
    report = run_program("killed_runs", tmp_path, num_workers)
    assert report["different"] == []
    assert report["same_state"]
    assert report["left_behind"] == []
    assert report["lines"] == 3 * 7 + 3
    first, second = report["lines_at_kills"]
    assert first % 8 not in (0, 7), "the first kill was not in the middle of an epoch"
    assert second % 8 not in (0, 7), "the second kill was not in the middle of an epoch"
    assert first < second < report["lines"]
