"""One optimizer step: forward, backward over the accumulated batches, clipping, update."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from otolith.core.errors import TrainingError
from otolith.core.randomness import step_seed
from otolith.systems import System
from otolith.training.config import TrainingConfig
from otolith.training.devices import Devices
from otolith.training.ema import WeightAverage
from otolith.training.optimizers import clip_gradients, scale_gradients
from otolith.training.sums import LOSS, LossSums
from otolith.windows.batch import Batch


@dataclass(kw_only=True)
class StepResult:
    """What happened in an optimizer step.

    Args:
        sums: Losses over all processes and accumulated batches; empty if not finite.
        grad_norm: Norm of the gradient before clipping; NaN if there is none.
        stop: Whether a process was asked to stop.
        problem: Why the weights were not changed; empty if they were.
        num_samples: Samples of the step over all processes.
        seen: Ids and names of this process's samples, per batch.
    """

    sums: LossSums = field(default_factory=LossSums)
    grad_norm: float = math.nan
    stop: bool = False
    problem: str = ""
    num_samples: int = 0
    seen: list[tuple[Tensor, tuple[str, ...]]] = field(default_factory=list)


@dataclass(kw_only=True)
class Stepper:
    """Does optimizer steps.

    Args:
        system: The model, already wrapped by `devices`.
        optimizer: Its optimizer; the learning rate is set by the caller.
        average: Average of the weights, if there is one.
        devices: Device, precision, processes.
        config: Settings.
        seed: Seed of the run.
        datasets: Data sets whose losses are measured.
        wants_stop: Whether this process was asked to stop.
    """

    system: System
    optimizer: torch.optim.Optimizer
    average: WeightAverage | None
    devices: Devices
    config: TrainingConfig
    seed: int
    datasets: tuple[str, ...]
    wants_stop: Callable[[], bool]

    def run(self, batches: Iterator[Batch], *, epoch: int, first: int, count: int) -> StepResult:
        """Do one step.

        Args:
            batches: This process's batches; `count` of them are taken.
            epoch: Epoch, 0-based.
            first: Position of the first batch in the epoch.
            count: Batches to accumulate.

        Raises:
            TrainingError: The loader ends early.
        """
        result = StepResult()
        expected = 0.0
        batch = None
        for offset in range(count):
            batch = next(batches, None)
            if batch is None:
                raise TrainingError(
                    f"The loader ended before batch {first + offset} of epoch {epoch}.",
                    "Let `len(loader)` be the number of global batches on every process.",
                )
            result.seen.append((batch.ids, batch.names))
            batch = self.devices.move(batch)
            expected = self._add_gradient(
                result,
                batch,
                position=(epoch, first + offset),
                left=count - offset,
                expected=expected,
            )
        if not result.problem:
            self._update(result, expected)
        self.optimizer.zero_grad(set_to_none=True)
        if result.problem:
            self.system.skip_step()
        elif batch is not None:
            if self.average is not None:
                self.average.update()
            with torch.no_grad():
                self.system.after_step(batch)
        return result

    def _add_gradient(
        self,
        result: StepResult,
        batch: Batch,
        *,
        position: tuple[int, int],
        left: int,
        expected: float,
    ) -> float:
        """Add a batch's gradient, weighted by its samples; return the samples that are expected.

        Losses are divided by the samples that the step would have if all its batches were as
        large as the first; `_update` corrects what is left after the last.
        """
        if result.problem:
            return expected
        self.devices.seed(step_seed(self.seed, *position, self.devices.rank))
        devices = self.devices
        with devices.gradients_stay(left > 1):
            output = devices.loss(batch)
            own = LossSums.of(output, batch, self.datasets)
            bad = not math.isfinite(own.values[LOSS][0])
            flags = (float(bad), float(self.wants_stop()))
            total, (num_bad, num_stops) = devices.sum_losses(
                own, self.datasets, is_global=output.is_global, flags=flags
            )
            result.stop |= num_stops > 0
            if num_bad:
                result.problem = "the loss is no finite number"
                result.sums = LossSums()
                return expected
            result.sums.add(total)
            result.num_samples += int(total.num_samples)
            expected = expected or total.num_samples * left
            own_share = own.num_samples * devices.world_size
            share = total.num_samples if output.is_global else own_share
            devices.backward(output.total.float() * (share / expected))
        return expected

    def _update(self, result: StepResult, expected: float) -> None:
        scaler = self.devices.scaler
        if scaler is not None:
            scaler.unscale_(self.optimizer)
        if result.sums.num_samples != expected:
            scale_gradients(self.optimizer, expected / result.sums.num_samples)
        result.grad_norm = float(clip_gradients(self.optimizer, self.config.clip_norm))
        if scaler is not None:  # it leaves out steps whose gradients are not finite, as fp16 needs
            scaler.step(self.optimizer)
            scaler.update()
        elif math.isfinite(result.grad_norm):
            self.optimizer.step()
        else:
            result.problem = "the gradient is no finite number"
            result.sums = LossSums()
