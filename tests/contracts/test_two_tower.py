"""The contracts of recordings, windows, systems and the loop hold for more than motion.

A two-tower model trains on a generated data folder with two IMU rates, video frames,
precomputed features, several texts per clip, multi-label and interval targets, on one and on
two processes, with negatives from both.
"""

import os
import signal

import pytest
import torch
from tests.support.processes import run_program
from tests.support.two_tower import LABELS, make_part, make_recipe, run

from otolith.training.callbacks import Callback
from otolith.training.checkpoints import load_model_folder
from otolith.training.data import build_loaders
from otolith.training.interrupts import InterruptedRunError
from otolith.training.logs import read_records
from otolith.training.runs import resume
from otolith.windows.batch import Ragged


@pytest.fixture(scope="module")
def part(tmp_path_factory):
    return make_part(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def batch(part):
    loader, _, _ = build_loaders([part], make_recipe())
    return next(iter(loader.batches(0)))


def test_a_batch_holds_every_kind_of_stream(batch):
    shapes = {name: tuple(s.values.shape[1:]) for name, s in batch.streams.items()}
    assert shapes["wrist"] == (200, 6)
    assert shapes["head"] == (50, 3)
    assert shapes["camera"] == (4, 8, 8, 3)
    assert shapes["clip"][1] == 5
    assert batch.streams["wrist"].rate_hz_B.unique().tolist() == [100.0]
    assert batch.streams["head"].rate_hz_B.unique().tolist() == [25.0]
    assert batch.streams["camera"].values.dtype == torch.uint8
    assert batch.streams["camera"].values.float().std() > 10


def test_a_batch_holds_several_texts_and_every_kind_of_target(batch):
    assert {len(t) for t in batch.texts["text"]} == {2}
    assert batch.targets["multi_label"].shape == (len(batch), len(LABELS))
    assert batch.targets["multi_label"].sum(1).max() > 1
    intervals = batch.targets["intervals"]
    assert isinstance(intervals, Ragged)
    assert intervals.values.shape == (int(intervals.lengths_B.sum()), 2)


@pytest.fixture(scope="module")
def trained(part, tmp_path_factory):
    return run(part, tmp_path_factory.mktemp("run") / "toy")


def test_it_learns_and_logs_its_parts(trained):
    epochs = read_records(trained.folder, "epoch")
    assert epochs[-1]["train"]["loss"] < 0.9 * epochs[0]["train"]["loss"]
    assert set(epochs[0]["train"]["parts"]) == {"contrast", "multi", "busy"}
    assert set(epochs[0]["validation"]["datasets"]) == {"made_up"}


def test_the_saved_model_says_who_it_learned_from(trained):
    model, card = load_model_folder(trained.folder / "checkpoints" / "best")
    people = card["provenance"]["data"]["datasets"]["made_up"]
    assert len(people["validation_subjects"]) == 1
    assert set(people["train_subjects"]) | set(people["validation_subjects"]) == {
        "s0",
        "s1",
        "s2",
        "s3",
    }
    assert not set(people["train_subjects"]) & set(people["validation_subjects"])
    assert model.has_text


def test_a_batch_of_one_is_the_row_of_a_batch(trained, part):
    loader, _, _ = build_loaders([part], make_recipe())
    dataset = loader.dataset
    with torch.no_grad():
        both = trained.system.embed(dataset.batch([0, 5], 0))
        one = trained.system.embed(dataset.batch([5], 0))
    torch.testing.assert_close(both[1:], one)


def test_a_finished_run_resumes_to_the_same_result(trained, part):
    log = (trained.folder / "metrics.jsonl").read_bytes()
    again = resume(
        trained.folder, build=lambda recipe, rank, size: build_loaders([part], recipe, rank, size)
    )
    assert again.metrics["last"] == trained.metrics["last"]
    assert (trained.folder / "metrics.jsonl").read_bytes() == log


class Stop(Callback):
    def on_step(self, run, record):
        if record["step"] == 8:
            os.kill(os.getpid(), signal.SIGTERM)


def test_a_stopped_run_with_workers_ends_with_the_bits_of_one_without(trained, part, tmp_path):
    folder = tmp_path / "toy"
    with pytest.raises(InterruptedRunError):
        run(part, folder, num_workers=2, callbacks=[Stop()])
    resume(folder, build=lambda recipe, rank, size: build_loaders([part], recipe, rank, size))
    for name in ("metrics.jsonl", "checkpoints/latest/training.safetensors"):
        assert (folder / name).read_bytes() == (trained.folder / name).read_bytes()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_two_processes_give_the_losses_of_one(tmp_path):
    report = run_program("tests.support.two_tower", tmp_path)
    assert report["numbers"] < 1e-5
    assert report["weights"] < 1e-5
    assert report["losses"][-1] < 0.9 * report["losses"][0]
