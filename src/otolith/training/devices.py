"""Devices, precision and processes, through accelerate.

Of accelerate we use device choice, launch environment, autocast, loss scaling and the
wrapping for several processes. Its data loader preparation is not used: our sampler gives
each process its slice of a global batch.

Rule for losses under several processes. Gradients are averaged over the processes. A loss that
is the mean over a process's own samples is weighted by the process's share of the global batch,
so the result is the gradient of the mean over the global batch, also when a rest is shared
unevenly. A loss that gathers rows of all processes (with a gather whose backward sums over them)
may do the same, or normalise over the global batch itself and say so with
`LossOutput.is_global`: then the plain mean over the processes is taken.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

from otolith.core.errors import ConfigError, TrainingError
from otolith.objectives import LossOutput
from otolith.systems import System
from otolith.training.config import TrainingConfig
from otolith.training.sums import DATASET, LossSums
from otolith.windows.batch import Batch

if TYPE_CHECKING:
    from accelerate import Accelerator

_PRECISION = {"float32": "no", "bf16": "bf16", "fp16": "fp16"}


class _LossModule(nn.Module):
    """Gives `System.loss` the place of `forward`, which the wrapper for processes calls."""

    def __init__(self, system: System) -> None:
        super().__init__()
        self.system = system

    def forward(self, batch: Batch) -> LossOutput:
        return self.system.loss(batch)


class Devices:
    """The device of this process, the precision and the ties to the other processes.

    Args:
        config: Its `device`, `precision` and `find_unused_parameters` are used.

    Attributes:
        device: Torch device of this process.
        rank: Number of this process.
        world_size: Number of processes.
    """

    def __init__(self, config: TrainingConfig) -> None:
        self._accelerator = _make_accelerator(config)
        self.device: torch.device = self._accelerator.device
        self.rank: int = self._accelerator.process_index
        self.world_size: int = self._accelerator.num_processes
        self._model: nn.Module | None = None
        self._names: tuple[str, ...] = ()

    @property
    def is_main(self) -> bool:
        """Whether this process writes files and calls callbacks."""
        return self.rank == 0

    @property
    def scaler(self) -> torch.amp.GradScaler | None:
        """The loss scaler of fp16, else None."""
        return self._accelerator.scaler

    def seed(self, seed: int) -> None:
        """Seed the generators of the CPU and of this device (for dropout).

        `torch.manual_seed` would also queue a call, with a stack trace, for every kind of
        accelerator that is not in use: 10 times the cost, and memory that is never freed.
        """
        torch.default_generator.manual_seed(seed)
        if self.device.type == "cuda":
            torch.cuda.manual_seed(seed)
        elif self.device.type == "mps":
            torch.mps.manual_seed(seed)

    def move(self, batch: Batch) -> Batch:
        """Return the batch on this device."""
        return batch if self.device.type == "cpu" else batch.to(self.device)

    def wrap(self, system: System) -> None:
        """Move the system to the device and tie it to the other processes."""
        self._model = self._accelerator.prepare_model(_LossModule(system.to(self.device)))

    def loss(self, batch: Batch) -> LossOutput:
        """Return the training loss, in the chosen precision, ready for `backward`."""
        assert self._model is not None, "wrap comes first"  # noqa: S101  # our own mistake
        return self._model(batch)

    def backward(self, loss: Tensor) -> None:
        """Add the gradient of `loss`."""
        self._accelerator.backward(loss)

    def autocast(self) -> AbstractContextManager[Any]:
        """Context of the chosen precision, for calls other than `loss`."""
        return self._accelerator.autocast()

    def gradients_stay(self, stay: bool) -> AbstractContextManager[Any]:
        """Context in which gradients are not yet exchanged if `stay`."""
        return self._accelerator.no_sync(self._model) if stay else nullcontext()

    def sum_numbers(self, numbers: np.ndarray) -> np.ndarray:
        """Return the sum over processes of a float64 array, the same on each."""
        if self.world_size == 1:
            return numbers
        tensor = torch.from_numpy(numbers.astype(np.float64)).to(self.device)
        dist.all_reduce(tensor)
        return tensor.cpu().numpy()

    def sum_losses(
        self,
        sums: LossSums,
        datasets: tuple[str, ...],
        *,
        is_global: bool,
        flags: tuple[float, ...] = (),
    ) -> tuple[LossSums, tuple[float, ...]]:
        """Return a batch's sums over all processes, and the sums of `flags`, in one exchange.

        Args:
            sums: What `LossSums.of` measured on this process.
            datasets: Data sets in `sums`, the same on every process.
            is_global: `LossOutput.is_global` of the loss.
            flags: Numbers to be summed.

        Raises:
            TrainingError: The processes' losses have parts of different names.
        """
        if self.world_size > 1:
            own = tuple(n for n in sums.values if not n.startswith(DATASET))
            if own != self._names:
                self._agree(own)
            names = [*own, *(DATASET + n for n in datasets)]
            vector = self.sum_numbers(np.concatenate([np.array(flags), sums.to_vector(names)]))
            sums = LossSums.from_vector(names, vector[len(flags) :])
            flags = tuple(vector[: len(flags)].tolist())
        return (sums.spread(self.world_size) if is_global else sums), flags

    def all_flags(self, flag: bool) -> bool:
        """Return whether the flag is set on any process."""
        return bool(self.sum_numbers(np.array([float(flag)]))[0])

    def gather_objects(self, value: Any) -> list[Any]:
        """Return the values of all processes, by rank."""
        if self.world_size == 1:
            return [value]
        values: list[Any] = [None] * self.world_size
        dist.all_gather_object(values, value)
        return values

    def share_text(self, text: str) -> str:
        """Return the main process's text on every process."""
        return str(self.gather_objects(text)[0])

    @contextmanager
    def main_writes(self, what: str) -> Iterator[bool]:
        """Context for something that only the main process does; all fail if it fails.

        Yields:
            Whether this process is the main one.

        Raises:
            TrainingError: On the other processes, if the main one raised.
        """
        failure: BaseException | None = None
        try:
            yield self.is_main
        except BaseException as error:  # noqa: BLE001  # raised again below, after the others know
            failure = error
        failed = self.world_size > 1 and self.all_flags(failure is not None)
        if failure is not None:
            raise failure
        if failed:
            raise TrainingError(
                f"The main process could not {what}.", "See its message for the reason."
            )

    def check_in_step(self, system: System) -> None:
        """Check that all processes hold the same parameters; buffers follow the main process.

        Raises:
            TrainingError: A parameter differs between processes.
        """
        if self.world_size == 1:
            return
        with torch.no_grad():
            for buffer in system.buffers():
                dist.broadcast(buffer, src=0)
            sums = torch.stack([p.detach().double().sum() for p in system.parameters()])
        reference = sums.clone()
        dist.broadcast(reference, src=0)
        wrong = [
            name
            for (name, _), same in zip(
                system.named_parameters(), torch.eq(sums, reference).tolist(), strict=True
            )
            if not same
        ]
        if any(names := self.gather_objects(wrong)):
            first = next(n for n in names if n)[0]
            raise TrainingError(
                f'Parameter "{first}" differs between processes.',
                "Let `after_step` change state only from what all processes share.",
            )

    def _agree(self, names: tuple[str, ...]) -> None:
        """All processes check together that their losses have the same parts."""
        for rank, other in enumerate(self.gather_objects(names)):
            if other != names:
                raise TrainingError(
                    f"The loss has parts {list(names)} on process {self.rank} but {list(other)} "
                    f"on process {rank}.",
                    "Return the same parts in every step; a part that does not apply is 0.",
                )
        self._names = names


def _make_accelerator(config: TrainingConfig) -> Accelerator:
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState
    from accelerate.utils import DistributedDataParallelKwargs

    _check_device(config)
    # accelerate keeps one state per interpreter; a second run may want another precision
    AcceleratorState._reset_state(reset_partial_state=not dist.is_initialized())
    ddp = DistributedDataParallelKwargs(find_unused_parameters=config.find_unused_parameters)
    # with cpu=False accelerate would not tie processes together where there is no accelerator
    is_cpu = config.device == "cpu" or not torch.accelerator.is_available()
    accelerator = Accelerator(
        cpu=is_cpu,
        mixed_precision=_PRECISION[config.precision],
        kwargs_handlers=[ddp],
    )
    if config.device not in {"auto", accelerator.device.type}:
        raise ConfigError(
            f'training.device is "{config.device}" but the device here is '
            f'"{accelerator.device.type}".',
            'Choose that or "auto".',
        )
    launched = int(os.environ.get("WORLD_SIZE", "1"))
    if accelerator.num_processes != launched:
        raise TrainingError(
            f"{launched} processes were launched, but this one knows of "
            f"{accelerator.num_processes}; they would write the same files.",
            'Choose training.device "cpu" or "cuda", or launch one process.',
        )
    return accelerator


def _check_device(config: TrainingConfig) -> None:
    available = {
        "cpu": True,
        "auto": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if not available[config.device]:
        raise ConfigError(
            f'training.device is "{config.device}" but torch sees no such device.',
            'Choose "auto" or "cpu", or install a torch build for that device.',
        )
    if config.precision == "fp16" and (config.device == "cpu" or not torch.cuda.is_available()):
        raise ConfigError(
            "training.precision is fp16, which needs CUDA.", "Choose bf16 or float32."
        )
