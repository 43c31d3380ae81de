"""The benchmark of features runs and prints one line of JSON that adds up."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_one_json_line(dtype):
    words = ["--windows", "6", "--repetitions", "1", "--plain", "--dtype", dtype]
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "wear_features.py"), *words],
        capture_output=True, text=True, check=True,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    line = json.loads(done.stdout.strip().splitlines()[-1])
    assert line["workload"] == "wear_features"
    assert line["windows"] == 6
    assert line["dtype"] == dtype
    assert line["seconds_per_window"] == pytest.approx(line["seconds"] / 6, abs=2e-5)
    assert line["times_plain"] > 0
