"""The scripts of `examples/` run as they are, without a network."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
needs_seglearn = pytest.mark.skipif(
    importlib.util.find_spec("seglearn") is None, reason="the package seglearn is not installed"
)


def run_script(name, folder, *arguments):
    variables = {
        **os.environ,
        "OTOLITH_OFFLINE": "1",
        "OTOLITH_HOME": str(folder / "home"),
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(ROOT / "src"),
    }
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / name), *arguments],
        cwd=folder, env=variables, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_example_is_tested():
    names = {p.name for p in (ROOT / "examples").glob("*.py")}
    assert names == {
        "add_a_dataset.py", "compare_models.py", "evi_mae.py", "himu_mae.py", "label_my_recording.py",
    }  # fmt: skip


def test_a_data_set_is_added(tmp_path):
    said = run_script("add_a_dataset.py", tmp_path)
    assert "6 recordings of ann, bob, eve" in said
    assert "macro-F1 1.000" in said
    assert (tmp_path / "park_walks_example/home/data/park_walks/MANIFEST.json").is_file()


@needs_seglearn
def test_a_recording_is_labelled(tmp_path):
    said = run_script("label_my_recording.py", tmp_path)
    truth = said.split(" does ")[1].split("\n")[0]
    assert (tmp_path / "labelled" / "timeline.html").stat().st_size > 10_000
    lines = (tmp_path / "labelled" / "segments.csv").read_text("utf-8").splitlines()
    assert len(lines) >= 2
    assert truth in "\n".join(lines[1:])


@pytest.mark.slow
@needs_seglearn
def test_models_are_compared(tmp_path):
    said = run_script("compare_models.py", tmp_path, "--epochs", "1")
    assert said.count("macro-F1") == 2
    assert (tmp_path / "compared" / "report.html").is_file()
    assert (tmp_path / "compared" / "results.json").is_file()


@pytest.mark.slow
def test_motion_and_video_are_pretrained_and_fine_tuned(tmp_path):
    said = run_script("evi_mae.py", tmp_path, "--epochs", "1")
    assert "motion 0." in said or "motion 1." in said
    assert said.count("accuracy") == 2
    assert (tmp_path / "evi_mae_example" / "pretrained" / "checkpoints" / "best").exists()


@pytest.mark.slow
@needs_seglearn
def test_spectrograms_are_pretrained_and_drawn(tmp_path):
    said = run_script("himu_mae.py", tmp_path, "--epochs", "1")
    assert "hidden pixels: error" in said
    assert said.count("macro-F1") == 2
    assert (tmp_path / "himu" / "reconstruction.png").read_bytes()[:4] == b"\x89PNG"
    assert (tmp_path / "himu" / "run" / "plots" / "reconstruction_epoch_0001.png").is_file()
