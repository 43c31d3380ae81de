"""The Stage-2 benchmark runs and prints one line of JSON."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def test_one_json_line():
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    options = ["--batch-size", "2", "--repetitions", "1", "--plain", "--size", "debug"]
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "tsfm_stage2.py"), *options],
        capture_output=True,
        text=True,
        env=environment,
        check=True,
    )
    line = json.loads(done.stdout)
    assert line["workload"] == "tsfm_stage2"
    assert line["batch_size"] == 2
    assert 0 < line["gflop"] < line["plain_gflop"]
    assert line["median_s"] > 0
