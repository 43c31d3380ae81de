"""What the loop asks of a loader of batches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from otolith.windows.batch import Batch


class BatchLoader(Protocol):
    """Batches of one process; all processes have the same number of them.

    Batch b of epoch e must be a pure function of (e, b), also when `batches` starts there.

    Attributes:
        datasets: Names of all data sets, the same on every process, for per-dataset losses.
    """

    datasets: tuple[str, ...]

    def __len__(self) -> int:
        """Return the number of global batches of an epoch."""
        ...

    def batches(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """Yield this process's share of the global batches `start`, `start + 1`, ... of `epoch`."""
        ...
