"""What goes wrong while training: numbers, signals, disks, damaged checkpoints."""

import json
import os
import signal
import subprocess
import sys

import pytest
import torch
from tests.support.training_toys import ToyLoader, make_system, train

from otolith.core.errors import CheckpointError, MissingDependencyError, TrainingError
from otolith.training.callbacks import Callback
from otolith.training.checkpoints import load_model_folder
from otolith.training.interrupts import InterruptedRunError
from otolith.training.logs import read_records
from otolith.training.tensorboard import TensorBoard

LATE = {"checkpoint": {"every_steps": 1}, "epochs": 2}


def late_nan(system, step):
    """Let the loss be NaN from an optimizer step on."""
    loss = system.loss
    system.loss = lambda batch: loss(batch) if system.num_steps < step else nan_loss(loss(batch))
    return system


def nan_loss(output):
    object.__setattr__(output, "total", output.total * float("nan"))
    return output


def test_a_loss_that_is_no_number_stops_and_names_its_samples(tmp_path):
    with pytest.raises(TrainingError, match="no finite number"):
        train(tmp_path, make_system(nan_at_id=3))
    note = json.loads((tmp_path / "nonfinite.json").read_text())
    (batch,) = note["samples_by_process"][0]
    assert 3 in batch["ids"]
    assert "toy/r3@0" in batch["names"]
    assert note["epoch"] == 0


def test_the_last_good_checkpoint_stays(tmp_path):
    with pytest.raises(TrainingError, match="step 4"):
        train(tmp_path, late_nan(make_system(), 4), **LATE)
    system, card = load_model_folder(tmp_path / "checkpoints" / "latest")
    assert card["provenance"]["training"]["steps"] == 4
    assert all(torch.isfinite(p).all() for p in system.parameters())


def test_steps_without_a_number_can_be_skipped_and_are_counted(tmp_path):
    result = train(tmp_path, make_system(nan_at_id=3), on_nonfinite="skip", log_every_steps=100)
    assert result.metrics["num_skipped"] == 2
    assert result.metrics["last"]["train"]["loss"] is not None
    assert [r["loss"] for r in read_records(tmp_path, "step")] == [None, None]
    assert all(torch.isfinite(p).all() for p in result.system.parameters())


def test_the_system_hears_of_skipped_steps(tmp_path):
    system, heard = make_system(nan_at_id=3), []
    system.skip_step = lambda: heard.append(system.num_steps)
    result = train(tmp_path, system, on_nonfinite="skip")
    assert len(heard) == result.metrics["num_skipped"] == 2


def test_a_skipped_batch_takes_its_whole_step_along(tmp_path):
    result = train(
        tmp_path,
        make_system(nan_at_id=3),
        ToyLoader(24, 4),
        on_nonfinite="skip",
        accumulate=6,
        epochs=1,
    )
    assert result.metrics["num_skipped"] == 1
    for name, value in make_system(nan_at_id=3).state_dict().items():
        assert torch.equal(value, result.system.state_dict()[name])


def test_a_gradient_that_is_no_number_stops_too(tmp_path):
    system = make_system()
    system.head.weight.register_hook(lambda gradient: gradient * float("inf"))
    with pytest.raises(TrainingError, match="gradient is no finite number"):
        train(tmp_path, system)
    assert torch.isfinite(system.head.weight).all()


class Kill(Callback):
    def __init__(self, number, step):
        self.number, self.step = number, step

    def on_step(self, run, record):
        if record["step"] == self.step:
            os.kill(os.getpid(), self.number)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_says_how_to_go_on(tmp_path, number):
    with pytest.raises(InterruptedRunError, match=rf"{number.name} after step \d.*resume"):
        train(tmp_path / "a", callbacks=[Kill(number, 3)])
    train(tmp_path / "a", resume_from="latest")
    train(tmp_path / "b")
    for name in ("metrics.jsonl", "checkpoints/latest/training.safetensors"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_a_signal_before_the_update_of_a_step_still_finishes_it(tmp_path):
    with pytest.raises(InterruptedRunError, match="after step 1"):
        train(tmp_path, callbacks=[Kill(signal.SIGTERM, 0), KillAtStart()])
    assert (tmp_path / "checkpoints" / "latest" / "state.json").is_file()


class KillAtStart(Callback):
    def on_start(self, run):
        os.kill(os.getpid(), signal.SIGTERM)


def test_a_run_folder_that_is_a_file_is_an_error(tmp_path):
    (tmp_path / "run").write_text("a file")
    with pytest.raises(TrainingError, match=r"Cannot write .*run"):
        train(tmp_path / "run")


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from otolith.core.errors import TrainingError
from tests.support.training_toys import make_system, train
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
class Fill:
    def __getattr__(self, name):
        return lambda *values: None
    def on_checkpoint(self, run, folder):
        resource.setrlimit(resource.RLIMIT_FSIZE, (600, resource.RLIM_INFINITY))
try:
    train(Path(sys.argv[1]), make_system(width=64), epochs=3, log_every_steps=1000, callbacks=[Fill()])
except TrainingError as error:
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    sys.stdout.write(str(error))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs file size limits")
def test_a_full_disk_is_an_error_and_the_last_checkpoint_stays(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path / "run")],
        capture_output=True, text=True, check=False, timeout=120,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert "Cannot write" in done.stdout, done.stderr[-2000:]
    assert "Make room" in done.stdout
    checkpoints = tmp_path / "run" / "checkpoints"
    assert sorted(p.name for p in checkpoints.iterdir()) == ["best", "epoch_0001", "latest"]
    assert load_model_folder(checkpoints / "latest")[1]["provenance"]["training"]["epochs"] == 1


@pytest.mark.parametrize("name", ["training.safetensors", "state.json", "model.safetensors"])
def test_a_damaged_checkpoint_is_refused_and_an_older_one_works(tmp_path, name):
    train(tmp_path, epochs=3)
    path = tmp_path / "checkpoints" / "epoch_0003" / name
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CheckpointError, match=rf"damaged.*{name}"):
        train(tmp_path, resume_from="latest", epochs=3)
    result = train(tmp_path, resume_from="epoch_0002", epochs=3)
    assert result.metrics["epochs"] == 3
    assert [r["epoch"] for r in read_records(tmp_path, "epoch")] == [0, 1, 2]


def test_a_checkpoint_of_another_system_is_refused(tmp_path):
    train(tmp_path, epochs=1)
    with pytest.raises(CheckpointError, match="do not fit"):
        train(tmp_path, make_system(width=9), resume_from="latest")


def test_a_log_that_was_shortened_is_refused(tmp_path):
    train(tmp_path, epochs=1)
    (tmp_path / "metrics.jsonl").write_text("")
    with pytest.raises(CheckpointError, match="0 bytes"):
        train(tmp_path, resume_from="latest", epochs=2)


def test_without_tensorboard_the_remedy_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(MissingDependencyError, match=r"pip install otolith\[tensorboard\]"):
        TensorBoard()
