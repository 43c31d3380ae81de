"""Progress bar and TensorBoard."""

import io

import pytest
from rich.console import Console
from tests.support.training_toys import ToyLoader, train

from otolith.training.progress_bar import ProgressBar
from otolith.training.tensorboard import TensorBoard


def shown(tmp_path, *, is_terminal):
    out = io.StringIO()
    console = Console(file=out, force_terminal=is_terminal, width=120)
    train(tmp_path, validation=ToyLoader(9), callbacks=[ProgressBar(console)])
    return out.getvalue()


def test_without_a_terminal_there_is_one_line_per_epoch(tmp_path):
    lines = shown(tmp_path, is_terminal=False).splitlines()
    assert lines[0].startswith("Training on cpu, 14 steps")
    epochs = [line for line in lines if line.startswith("epoch ")]
    assert len(epochs) == 2
    assert "train loss" in epochs[0]
    assert "validation loss" in epochs[0]


def test_in_a_terminal_a_bar_reaches_the_end(tmp_path):
    text = shown(tmp_path, is_terminal=True)
    assert "14/14" in text
    assert "epoch 2/2" in text


def test_skipped_steps_are_shown(tmp_path):
    out = io.StringIO()
    bar = ProgressBar(Console(file=out, width=120))
    info = type("Info", (), {"config": type("Config", (), {"epochs": 3})})()
    record = {"epoch": 0, "num_skipped": 4, "train": {"loss": None}}
    bar.on_epoch(info, record)
    assert "skipped steps 4" in out.getvalue()


def test_tensorboard_gets_the_numbers(tmp_path):
    accumulators = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    train(tmp_path, validation=ToyLoader(9), log_every_steps=7, callbacks=[TensorBoard()])
    events = accumulators.EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    tags = set(events.Tags()["scalars"])
    assert {"step/loss", "step/lr", "epoch/validation/loss", "epoch/train/datasets/odd"} <= tags
    assert [e.step for e in events.Scalars("step/loss")] == [7, 14]
