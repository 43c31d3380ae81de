"""Load batches in this process or in workers, always the same ones."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch.utils.data import DataLoader

from otolith.windows.batch import Batch
from otolith.windows.dataset import WindowDataset
from otolith.windows.sampling import GlobalBatchSampler


class BatchLoader(DataLoader[Batch]):
    """A `DataLoader` of whole batches, which starts anywhere in any epoch.

    The sampler asks for a batch with its epoch, so workers hold no state that a resumed run would
    have to restore.

    Args:
        dataset: Gives a batch for a `BatchRequest`.
        sampler: Says which samples form which batch.
        num_workers: Worker processes; 0 = load in this process, which is the faster choice for
            motion and features: handing a batch over costs more than reading it. Video pays.
        pin_memory: Whether batches are copied into page-locked memory.
        prefetch: Batches that every worker keeps ready.

    Attributes:
        datasets: Names of the data sets, for per-dataset losses.
    """

    def __init__(
        self,
        dataset: WindowDataset,
        sampler: GlobalBatchSampler,
        *,
        num_workers: int = 0,
        pin_memory: bool = False,
        prefetch: int = 4,
    ) -> None:
        super().__init__(
            dataset,
            batch_sampler=sampler,  # pyrefly: ignore  # the stub wants lists of positions
            num_workers=num_workers,
            collate_fn=_as_it_is,  # pyrefly: ignore  # the same
            pin_memory=pin_memory,
            prefetch_factor=prefetch if num_workers else None,
            persistent_workers=num_workers > 0,
            # DataLoader draws a seed at every start; it must not come from the global generator.
            generator=torch.Generator(),
        )
        self.datasets: tuple[str, ...] = dataset.table.dataset_names
        self._batches = sampler

    def batches(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """Yield this process's share of the global batches `start`, `start + 1`, ... of `epoch`.

        Args:
            epoch: Epoch, 0-based.
            start: Number of the first batch.
        """
        self._batches.set_epoch(epoch)
        self._batches.set_start(start)
        yield from self


def _as_it_is(batch: Batch) -> Batch:
    """Collate nothing: the data set gives whole batches."""
    return batch


def make_loader(
    dataset: WindowDataset,
    sampler: GlobalBatchSampler,
    *,
    num_workers: int = 0,
    pin_memory: bool = False,
    prefetch: int = 4,
) -> BatchLoader:
    """Return a loader of batches; see `BatchLoader` for the arguments."""
    return BatchLoader(
        dataset, sampler, num_workers=num_workers, pin_memory=pin_memory, prefetch=prefetch
    )
