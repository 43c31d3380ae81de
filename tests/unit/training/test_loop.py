"""The loop on a toy system."""

import json
import math

import pytest
import torch
from tests.support.training_toys import ToyLoader, make_system, train

from otolith.core.errors import TrainingError
from otolith.training.callbacks import Callback
from otolith.training.checkpoints import load_model_folder
from otolith.training.logs import read_records
from otolith.training.validation import validate


class Recorder(Callback):
    def __init__(self):
        self.calls = []
        self.info = None

    def on_start(self, run):
        self.info = run
        self.calls.append("start")

    def on_step(self, run, record):
        self.calls.append("step")

    def on_epoch(self, run, record):
        self.calls.append("epoch")

    def on_checkpoint(self, run, folder):
        self.calls.append(f"checkpoint {folder.name}")

    def on_end(self, run, metrics):
        self.calls.append("end")

    def on_close(self, run):
        self.calls.append("close")


def weights(folder, link="latest"):
    return load_model_folder(folder / "checkpoints" / link)[0].state_dict()


def test_a_run_learns_and_leaves_its_files(tmp_path):
    result = train(
        tmp_path, loader=ToyLoader(60, 10), validation=ToyLoader(30, 10, seed=3), epochs=30,
        optimizer={"lr": 0.05},
    )  # fmt: skip
    epochs = read_records(tmp_path, "epoch")
    assert len(epochs) == 30
    assert epochs[-1]["train"]["loss"] < 0.6 * epochs[0]["train"]["loss"]
    assert result.status == "finished"
    assert json.loads((tmp_path / "metrics.json").read_text()) == result.metrics
    assert result.metrics["steps"] == 30 * 6
    assert result.metrics["last"] == epochs[-1]
    assert not result.system.training


def test_step_records_hold_the_global_loss_parts_and_data_sets(tmp_path):
    train(tmp_path, log_every_steps=3, epochs=1)
    records = read_records(tmp_path, "step")
    assert [r["step"] for r in records] == [3, 6]
    assert records[0]["parts"]["ce"] == pytest.approx(records[0]["loss"])
    assert set(records[0]["datasets"]) <= {"even", "odd"}
    assert records[0]["grad_norm"] > 0


def test_the_epoch_mean_counts_every_sample_once(tmp_path):
    train(tmp_path, loader=ToyLoader(10, 4), epochs=1, optimizer={"lr": 1e-30})
    losses = [r["loss"] for r in read_records(tmp_path, "step")]
    (epoch,) = read_records(tmp_path, "epoch")
    assert epoch["train"]["loss"] == pytest.approx(
        (4 * losses[0] + 4 * losses[1] + 2 * losses[2]) / 10
    )
    parts = epoch["train"]["datasets"]
    assert (parts["even"] + parts["odd"]) / 2 == pytest.approx(epoch["train"]["loss"])


def test_accumulated_batches_have_the_gradient_of_one_large_batch(tmp_path):
    def without_dropout():
        return make_system(dropout=0.0)

    train(tmp_path / "a", without_dropout(), ToyLoader(26, 4), epochs=1, accumulate=7)
    train(tmp_path / "b", without_dropout(), ToyLoader(26, 26), epochs=1)
    a, b = weights(tmp_path / "a"), weights(tmp_path / "b")
    for name in a:
        torch.testing.assert_close(a[name], b[name], rtol=1e-5, atol=1e-6)
    assert len(read_records(tmp_path / "a", "step")) == 1


def test_the_rest_of_an_epoch_is_a_step_of_its_own(tmp_path):
    result = train(tmp_path, loader=ToyLoader(26, 4), epochs=2, accumulate=3)
    assert result.metrics["steps"] == 2 * 3
    assert result.metrics["num_samples"] == 52


def test_the_same_run_twice_gives_the_same_bits(tmp_path):
    for name in ("a", "b"):
        train(tmp_path / name, validation=ToyLoader(9))
    log = [(tmp_path / name / "metrics.jsonl").read_bytes() for name in ("a", "b")]
    assert log[0] == log[1]
    a, b = weights(tmp_path / "a"), weights(tmp_path / "b")
    assert all(torch.equal(a[k], b[k]) for k in a)


def test_dropout_differs_from_step_to_step(tmp_path):
    """With a rate of zero and one batch per epoch only dropout and the noise keys change."""
    system = make_system(dropout=0.5)
    train(tmp_path, system, ToyLoader(4, 4), epochs=3, optimizer={"lr": 1e-30})
    assert len({r["loss"] for r in read_records(tmp_path, "step")}) == 3


def test_validation_repeats_and_does_not_touch_training(tmp_path):
    train(tmp_path / "with", validation=ToyLoader(9), optimizer={"lr": 1e-30}, epochs=3)
    train(tmp_path / "without", optimizer={"lr": 1e-30}, epochs=3)
    losses = [r["validation"]["loss"] for r in read_records(tmp_path / "with", "epoch")]
    assert losses[0] == losses[1] == losses[2]
    steps = [[r["loss"] for r in read_records(tmp_path / n, "step")] for n in ("with", "without")]
    assert steps[0] == steps[1]


def test_validation_is_in_evaluation_mode_and_restores_the_mode():
    class Devices:
        rank, device, world_size = 0, "cpu", 1

        def seed(self, seed):
            torch.manual_seed(seed)

        def move(self, batch):
            return batch

        def autocast(self):
            return torch.autocast("cpu", enabled=False)

        def sum_losses(self, sums, datasets, *, is_global):
            assert not system.training
            return sums, ()

    system = make_system().train()
    sums = validate(system, ToyLoader(9, 4), Devices(), 0)
    assert sums.num_samples == 9
    assert system.training


def test_only_some_epochs_validate_but_the_last_always(tmp_path):
    train(tmp_path, validation=ToyLoader(9), epochs=4, validate_every_epochs=3)
    assert ["validation" in r for r in read_records(tmp_path, "epoch")] == [
        False,
        False,
        True,
        True,
    ]


def test_the_average_is_what_is_validated_and_saved(tmp_path):
    result = train(tmp_path, validation=ToyLoader(9), ema={"decay": 0.9})
    saved, _ = load_model_folder(tmp_path / "checkpoints" / "latest")
    for name, value in result.system.state_dict().items():
        assert torch.equal(value, saved.state_dict()[name])
    again = train(tmp_path / "plain", validation=ToyLoader(9))
    assert not torch.equal(again.system.head.weight, result.system.head.weight)


def test_best_leads_to_the_epoch_with_the_best_value(tmp_path):
    values = iter([0.1, 0.9, 0.5, 0.2])
    result = train(
        tmp_path,
        validation=ToyLoader(9),
        epochs=4,
        best={"metric": "validation/accuracy", "goal": "max"},
        extra=lambda system: {"accuracy": next(values)},
    )
    assert result.metrics["best"] == {"metric": "validation/accuracy", "value": 0.9, "epoch": 1}
    assert (tmp_path / "checkpoints" / "best").resolve().name == "epoch_0002"
    assert (tmp_path / "checkpoints" / "latest").resolve().name == "epoch_0004"


def test_early_stop_waits_for_its_patience(tmp_path):
    values = iter([3.0, 2.0, 2.5, 1.95, 2.5, 0.0])
    result = train(
        tmp_path,
        validation=ToyLoader(9),
        epochs=6,
        early_stop={"metric": "validation/x", "patience": 2, "min_delta": 0.1},
        extra=lambda system: {"x": next(values)},
    )
    assert result.status == "stopped_early"
    assert result.metrics["epochs"] == 4


def test_a_metric_that_does_not_exist_is_named_with_the_nearest(tmp_path):
    with pytest.raises(TrainingError, match=r"validation/los.*validation/loss"):
        train(tmp_path, validation=ToyLoader(9), best={"metric": "validation/los"})


def test_callbacks_hear_everything_in_order(tmp_path):
    recorder = Recorder()
    train(tmp_path, loader=ToyLoader(8, 4), epochs=1, callbacks=[recorder])
    assert recorder.calls == [
        "start",
        "step",
        "step",
        "epoch",
        "checkpoint epoch_0001",
        "end",
        "close",
    ]
    assert recorder.info.total_steps == 2
    assert recorder.info.device == "cpu"


def test_callbacks_are_closed_after_an_error_and_hear_no_end(tmp_path):
    recorder = Recorder()
    with pytest.raises(TrainingError):
        train(tmp_path, make_system(nan_at_id=3), callbacks=[recorder])
    assert recorder.calls[-1] == "close"
    assert "end" not in recorder.calls


def test_a_schedule_per_epoch_changes_only_between_epochs(tmp_path):
    schedule = {"name": "cosine", "per": "epoch", "warmup_epochs": 2, "floor": 0.1}
    train(tmp_path, loader=ToyLoader(8, 4), epochs=3, schedule=schedule)
    rates = [r["lr"] for r in read_records(tmp_path, "step")]
    assert rates == pytest.approx([0.005, 0.005, 0.01, 0.01, 0.01, 0.01])


def test_compile_marks_the_children_and_keeps_key_names(tmp_path, monkeypatch):
    compiled = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self: compiled.append(type(self)))
    train(tmp_path, loader=ToyLoader(4, 4), epochs=1, compile=True)
    assert len(compiled) == 2
    assert set(weights(tmp_path)) == set(make_system().state_dict())


def test_a_folder_with_a_run_is_not_overwritten(tmp_path):
    train(tmp_path, epochs=1)
    with pytest.raises(TrainingError, match="holds a run already"):
        train(tmp_path, epochs=1)


def test_continuing_from_a_checkpoint_gives_the_same_bits(tmp_path):
    settings = {"epochs": 3, "ema": {"decay": 0.8}}
    train(tmp_path / "a", validation=ToyLoader(9), **settings)
    train(tmp_path / "b", validation=ToyLoader(9), **settings)
    train(tmp_path / "b", validation=ToyLoader(9), resume_from="epoch_0002", **settings)
    for name in ("metrics.jsonl", "checkpoints/latest/training.safetensors"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_bf16_follows_float32(tmp_path):
    for precision in ("float32", "bf16"):
        train(tmp_path / precision, make_system(dropout=0.0), epochs=3, precision=precision)
    a, b = (read_records(tmp_path / p, "epoch")[-1]["train"]["loss"] for p in ("float32", "bf16"))
    assert a == pytest.approx(b, rel=0.05)
    assert a != b


def test_a_loader_that_ends_early_is_an_error(tmp_path):
    loader = ToyLoader(8, 4)
    short = loader.batches
    loader.batches = lambda epoch, start=0: iter([next(iter(short(epoch)))])
    with pytest.raises(TrainingError, match="ended before batch 1"):
        train(tmp_path, loader=loader)


def test_no_batches_is_an_error(tmp_path):
    with pytest.raises(TrainingError, match="no training batches"):
        train(tmp_path, loader=ToyLoader(0, 4))


def test_torch_has_its_threads_back(tmp_path):
    before = torch.get_num_threads()
    train(tmp_path, loader=ToyLoader(4, 4), epochs=1, num_threads=before + 1)
    assert torch.get_num_threads() == before


def test_after_step_is_called_once_per_optimizer_step(tmp_path):
    result = train(tmp_path, loader=ToyLoader(24, 4), epochs=2, accumulate=3)
    assert result.system.num_steps.item() == 4
    assert math.isfinite(result.metrics["last"]["train"]["loss"])


def test_a_new_run_warms_up_with_the_batches_of_the_first_epoch(tmp_path):
    seen = []
    system = make_system()
    system.warm_up = lambda batches: seen.extend(
        b.ids.tolist() for b, _ in zip(batches, "ab", strict=False)
    )
    loader = ToyLoader()
    train(tmp_path, system=system, loader=loader, epochs=1)
    first = [b.ids.tolist() for b in loader.batches(0)][:2]
    assert seen[:2] == first
    assert len(read_records(tmp_path, "epoch")) == 1
