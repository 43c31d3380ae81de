"""The loop: epochs of optimizer steps, validation, checkpoints, logs. It knows no modality.

A run is a function of its settings and its data: the order of samples, augmentation and
dropout depend on (seed, epoch, position) alone, so a resumed run ends with the bits of one
that was never interrupted (on the same CPU with the same number of threads).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from otolith.core.errors import TrainingError
from otolith.core.files import write_json
from otolith.systems import System
from otolith.training.callbacks import Callback, RunInfo
from otolith.training.checkpoints import writing
from otolith.training.config import TrainingConfig
from otolith.training.devices import Devices
from otolith.training.ema import WeightAverage
from otolith.training.interrupts import InterruptedRunError, SignalWatch
from otolith.training.loaders import BatchLoader
from otolith.training.logs import METRICS_LOG, MetricsLog
from otolith.training.optimizers import build_optimizer, schedule_factor, set_lr
from otolith.training.saving import CHECKPOINTS, Saver
from otolith.training.selection import best_metric, judge_epoch
from otolith.training.state import LoopState
from otolith.training.steps import Stepper, StepResult
from otolith.training.sums import LossSums, finite
from otolith.training.validation import validate
from otolith.windows.batch import Batch

METRICS = "metrics.json"
NONFINITE = "nonfinite.json"


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """A finished run.

    Args:
        folder: Run folder.
        status: `finished` or `stopped_early`.
        metrics: Content of `metrics.json`.
        system: The model with its last weights (averaged ones if there is an average).
    """

    folder: Path
    status: str
    metrics: dict[str, Any]
    system: System


def fit(
    system: System,
    train: BatchLoader,
    validation: BatchLoader | None,
    config: TrainingConfig,
    *,
    folder: Path,
    system_name: str,
    seed: int = 0,
    provenance: Mapping[str, Any] | None = None,
    callbacks: Sequence[Callback] = (),
    extra_metrics: Callable[[System], Mapping[str, float]] | None = None,
    checkpoint: str = "",
    devices: Devices | None = None,
) -> RunResult:
    """Train a system.

    Args:
        system: The model; it is changed.
        train: Batches to learn from.
        validation: Held-out batches; None = none.
        config: Settings.
        folder: Run folder; gets `metrics.jsonl`, `metrics.json` and `checkpoints/`.
        system_name: Registered name of the system, saved with the weights.
        seed: Seed of the run.
        provenance: Plain data saved with the weights.
        callbacks: Called on the main process.
        extra_metrics: Called on every process at each validation, with the model in evaluation
            mode; what the main process returns becomes `validation/<name>`.
        checkpoint: Name of the checkpoint in `folder` to continue from, such as `latest`;
            empty = a new run.
        devices: Device and processes, if they were set up before; None = set up here.

    Returns:
        The result; the best weights are in `checkpoints/best`.

    Raises:
        TrainingError: The run had to stop; the message says why and what is saved.
        CheckpointError: The checkpoint cannot be continued.
    """
    devices = devices or Devices(config)
    loop = _Loop(system, train, validation, config, folder, system_name, seed, devices)
    loop.provenance = dict(provenance or {})
    loop.callbacks = list(callbacks) if loop.devices.is_main else []
    loop.extra_metrics = extra_metrics
    with _threads(config.num_threads), SignalWatch() as loop.watch:
        return loop.run(checkpoint)


class _Loop:
    """State and parts of one call of `fit`."""

    provenance: dict[str, Any]
    callbacks: list[Callback]
    extra_metrics: Callable[[System], Mapping[str, float]] | None
    watch: SignalWatch

    def __init__(
        self,
        system: System,
        train: BatchLoader,
        validation: BatchLoader | None,
        config: TrainingConfig,
        folder: Path,
        system_name: str,
        seed: int,
        devices: Devices,
    ) -> None:
        self.system, self.train, self.validation = system, train, validation
        self.config, self.folder, self.system_name, self.seed = config, folder, system_name, seed
        self.devices = devices
        self.state = LoopState()
        self.num_batches = len(train)
        self.steps_per_epoch = -(-self.num_batches // config.accumulate)
        self.lr = 0.0
        self.started = time.perf_counter()
        self.log: MetricsLog | None = None

    def run(self, checkpoint: str) -> RunResult:
        self._prepare(checkpoint)
        info = self._info()
        self.started = time.perf_counter() - self.state.elapsed_s
        try:
            self._tell("on_start", info)
            while self.state.epoch < self.config.epochs and not self.state.is_stopped_early:
                self._train_epoch(info)
                self._end_epoch(info)
            return self._finish(info)
        finally:
            self._tell("on_close", info)
            if self.log is not None:
                self.log.close()

    def _prepare(self, checkpoint: str) -> None:
        """Build optimizer and average, load the checkpoint, open the log."""
        if self.num_batches == 0:
            raise TrainingError("There are no training batches.", "Check data and batch size.")
        if not checkpoint and any((self.folder / CHECKPOINTS).glob("[!.]*")):
            raise TrainingError(
                f"{self.folder} holds a run already.", "Resume it or choose another run folder."
            )
        self.system.train()
        self.devices.wrap(self.system)
        if self.config.compile:
            for child in self.system.children():
                child.compile()
        self.optimizer = build_optimizer(self.system, self.config.optimizer)
        self.average = WeightAverage(self.system, self.config.ema) if self.config.ema else None
        self.saver = Saver(
            folder=self.folder,
            system_name=self.system_name,
            system=self.system,
            optimizer=self.optimizer,
            average=self.average,
            devices=self.devices,
            config=self.config.checkpoint,
            provenance=self.provenance,
        )
        if checkpoint:
            self.state = self.saver.load(checkpoint)
        else:
            self._warm_up()
        with self.devices.main_writes("write the run folder") as is_main:
            if is_main:
                self.log = MetricsLog(self.folder / METRICS_LOG, self.state.log_bytes)
        self.stepper = Stepper(
            system=self.system,
            optimizer=self.optimizer,
            average=self.average,
            devices=self.devices,
            config=self.config,
            seed=self.seed,
            datasets=self.train.datasets,
            wants_stop=lambda: bool(self.watch.name),
        )

    def _warm_up(self) -> None:
        """Let the system see batches of epoch 0 before the first step."""
        devices = self.devices
        with devices.autocast():
            self.system.warm_up(b.to(devices.device) for b in self.train.batches(0))

    def _train_epoch(self, info: RunInfo) -> None:
        state, config = self.state, self.config
        left = state.batch < self.num_batches
        batches = self.train.batches(state.epoch, state.batch) if left else iter(())
        while state.batch < self.num_batches:
            self.lr = self._scheduled_lr()
            set_lr(self.optimizer, self.lr)
            count = min(config.accumulate, self.num_batches - state.batch)
            result = self.stepper.run(batches, epoch=state.epoch, first=state.batch, count=count)
            if result.problem:
                self._skip_or_stop(result)
            state.batch += count
            state.step += 1
            state.num_samples += result.num_samples
            state.epoch_sums.add(result.sums)
            self._report_step(info, result)
            if result.stop:
                self._interrupt(info)
            if config.checkpoint.every_steps and state.step % config.checkpoint.every_steps == 0:
                self._save(info, f"step_{state.step:07d}")

    def _report_step(self, info: RunInfo, result: StepResult) -> None:
        record = {
            "kind": "step",
            "epoch": self.state.epoch,
            "step": self.state.step,
            "lr": self.lr,
            "grad_norm": finite(result.grad_norm),
            "loss": None,
            **result.sums.record(),
        }
        if self.log and (result.problem or self.state.step % self.config.log_every_steps == 0):
            self.log.append(record)
        self._tell("on_step", info, record)

    def _end_epoch(self, info: RunInfo) -> None:
        state, config = self.state, self.config
        is_last = state.epoch + 1 == config.epochs
        self.devices.check_in_step(self.system)
        record: dict[str, Any] = {
            "kind": "epoch",
            "epoch": state.epoch,
            "step": state.step,
            "lr": self._scheduled_lr(),
            "num_samples": state.num_samples,
            "num_skipped": state.num_skipped,
            "train": {"loss": None, **state.epoch_sums.record()},
        }
        if self.validation is not None and (
            is_last or (state.epoch + 1) % config.validate_every_epochs == 0
        ):
            record["validation"] = self._validate(self.validation)
        has_validation = self.validation is not None
        is_best = judge_epoch(record, state, config, has_validation=has_validation)
        record["is_best"] = is_best
        state.last_epoch = record
        state.epoch, state.batch, state.epoch_sums = state.epoch + 1, 0, LossSums()
        if self.log:
            self.log.append(record)
        self._tell("on_epoch", info, record)
        is_periodic = state.epoch % config.checkpoint.every_epochs == 0
        if is_best or is_last or is_periodic or state.is_stopped_early:
            self._save(info, f"epoch_{state.epoch:04d}", is_best=is_best)

    def _validate(self, loader: BatchLoader) -> dict[str, Any]:
        with self.average.applied() if self.average else nullcontext():
            record = validate(self.system, loader, self.devices, self.seed).record()
            if self.extra_metrics is not None:
                self.system.eval()
                with torch.no_grad():
                    found = self.extra_metrics(self.system)
                self.system.train()
                found = self.devices.gather_objects(dict(found))[0]
                record |= {name: finite(float(value)) for name, value in found.items()}
        return record

    def _skip_or_stop(self, result: StepResult) -> None:
        """Count a step without update, or stop the run and leave a note about its samples."""
        state = self.state
        if self.config.on_nonfinite == "skip":
            state.num_skipped += 1
            return
        own = [{"ids": ids.tolist(), "names": list(names)} for ids, names in result.seen]
        seen = self.devices.gather_objects(own)
        note = {
            "problem": result.problem,
            "epoch": state.epoch,
            "step": state.step,
            "first_batch": state.batch,
            "samples_by_process": seen,
        }
        path = self.folder / NONFINITE
        with self.devices.main_writes(f"write {path}") as is_main:
            if is_main:
                with writing(path):
                    write_json(path, note)
        raise TrainingError(
            f"At step {state.step} (epoch {state.epoch + 1}) {result.problem}; {path} names the "
            "samples, and the last checkpoint is untouched.",
            'Look at those samples, lower the rate, or set training.on_nonfinite to "skip".',
        )

    def _interrupt(self, info: RunInfo) -> None:
        name = self.watch.name or "a signal to another process"
        self._save(info, f"step_{self.state.step:07d}")
        raise InterruptedRunError(
            f"Stopped by {name} after step {self.state.step}; the state is saved in {self.folder}.",
            f"Go on with `otolith resume {self.folder}`.",
        )

    def _save(self, info: RunInfo, name: str, *, is_best: bool = False) -> None:
        with self.devices.main_writes(f"write the checkpoint {name}"):
            if self.log is None:
                return
            self.state.log_bytes = self.log.sync()
            self.state.elapsed_s = self._elapsed_s()
            folder = self.saver.save(name, self.state, is_best=is_best)
            self._tell("on_checkpoint", info, folder)

    def _finish(self, info: RunInfo) -> RunResult:
        state = self.state
        metrics = {
            "format": 1,
            "status": "stopped_early" if state.is_stopped_early else "finished",
            "epochs": state.epoch,
            "steps": state.step,
            "num_samples": state.num_samples,
            "num_skipped": state.num_skipped,
            "best": {
                "metric": best_metric(self.config, has_validation=self.validation is not None),
                "value": state.best_value,
                "epoch": state.best_epoch,
            },
            "last": state.last_epoch,
            "duration_s": round(self._elapsed_s(), 3),
            "device": info.device,
            "precision": self.config.precision,
            "num_processes": self.devices.world_size,
            "num_parameters": sum(p.numel() for p in self.system.parameters()),
        }
        with self.devices.main_writes(f"write {METRICS}") as is_main:
            if is_main:
                with writing(self.folder / METRICS):
                    write_json(self.folder / METRICS, metrics)
        if self.average is not None:
            self.average.keep()
        self.system.eval()
        self._tell("on_end", info, metrics)
        return RunResult(
            folder=self.folder, status=metrics["status"], metrics=metrics, system=self.system
        )

    def _elapsed_s(self) -> float:
        return time.perf_counter() - self.started

    def _scheduled_lr(self) -> float:
        factor = schedule_factor(
            self.config.schedule,
            step=self.state.step,
            epoch=self.state.epoch,
            steps_per_epoch=self.steps_per_epoch,
            epochs=self.config.epochs,
        )
        return self.config.optimizer.lr * factor

    def _info(self) -> RunInfo:
        device, processes = str(self.devices.device), self.devices.world_size
        return RunInfo(
            folder=self.folder,
            config=self.config,
            system=self.system,
            total_steps=self.steps_per_epoch * self.config.epochs,
            steps_per_epoch=self.steps_per_epoch,
            start_step=self.state.step,
            device=device if processes == 1 else f"{processes} x {device}",
            preview=self._preview,
        )

    def _preview(self) -> Batch:
        return next(iter((self.validation or self.train).batches(0)))

    def _tell(self, method: str, *values: Any) -> None:
        for callback in self.callbacks:
            getattr(callback, method)(*values)


@contextmanager
def _threads(count: int | None) -> Iterator[None]:
    """Torch with so many threads; afterwards as before."""
    before = torch.get_num_threads()
    if count is not None:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
