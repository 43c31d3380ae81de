"""The benchmark of the front end runs and prints one line of JSON that adds up."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def test_spectrogram_prints_one_json_line():
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    options = ["--batch-size", "3", "--repetitions", "1", "--plain", "--size", "3"]
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "spectrogram.py"), *options],
        capture_output=True, text=True, env=environment, check=True,
    )  # fmt: skip
    line = json.loads(done.stdout)
    assert line["workload"] == "spectrogram"
    assert line["plain_ratio"] > 0
    assert line["gflop"] > 0


def test_plain_and_own_step_have_the_same_loss():
    code = """
import sys; sys.path.insert(0, "benchmarks")
import numpy as np, torch
from _mae_plain import plain_loss
from otolith.core.config import parse
from otolith.core.randomness import sample_keys, uniform
from otolith.encoders._mae_masks import draw_masking
from otolith.systems.himu_mae import Config, System
torch.manual_seed(0)
settings = {"encoder": {"preset": "debug"}, "decoder": {"width": 32, "num_heads": 4, "num_layers": 2}}
system = System(parse(Config, settings)).eval()
image, keys = torch.randn(2, 6, 32, 64), sample_keys(0, 0, np.arange(2))
noise = torch.from_numpy(uniform(keys, "mae_mask", (32,)))
masking = draw_masking(keys, (4, 8), system.config.masking)
own = system.compare(system.encoder.patches(image), masking).total
torch.testing.assert_close(own, plain_loss(system, image, noise, 0.9), atol=1e-5, rtol=1e-5)
print("same")
"""
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, cwd=ROOT,
        check=False,
    )  # fmt: skip
    assert done.stdout.strip() == "same", done.stderr
