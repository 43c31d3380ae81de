"""The benchmark of EVI-MAE runs and prints lines of JSON that add up."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_lines_of_json(dtype):
    options = ["--repetitions", "1", "--plain", "--dtype", dtype, "--size", "debug"]
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "evi_step.py"), *options],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"},
        check=True,
    )
    share, line = (json.loads(text) for text in done.stdout.splitlines())
    assert share["workload"] == "evi_step/forward"
    assert 0.0 < share["decoder_share_of_gflop"] < 1.0
    assert (line["workload"], line["dtype"]) == ("evi_step", dtype)
    assert line["items_per_second"] == pytest.approx(2 / line["median_s"], rel=0.1)
    assert 0.05 < line["gflop"] / line["plain_gflop"] < 1.01
