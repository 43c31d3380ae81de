"""The benchmarks run and print one line of JSON that adds up."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(("name", "dtype"), [("tsfm_step", "bfloat16"), ("tsfm_encode", "float32")])
def test_one_json_line(name, dtype):
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    options = [
        "--batch-size",
        "2",
        "--repetitions",
        "1",
        "--plain",
        "--dtype",
        dtype,
        "--size",
        "debug",
    ]
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / f"{name}.py"), *options],
        capture_output=True,
        text=True,
        env=environment,
        check=True,
    )
    line = json.loads(done.stdout)
    assert line["workload"] == name
    assert line["dtype"] == dtype
    assert line["items_per_second"] == pytest.approx(2 / line["median_s"], rel=0.1)
    expected = line["gflop"] / line["matmul_gflops"] / line["median_s"]
    assert line["share"] == pytest.approx(expected, rel=0.1, abs=0.001)
    assert 0.3 < line["gflop"] / line["plain_gflop"] < 1.01
    assert line["peak_memory_mb"] > 50
