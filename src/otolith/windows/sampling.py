"""Which samples form which batch: a pure function of (seed, epoch, number of the batch).

Every process computes the same global batch and takes rows rank::world_size of it, so 1, 2 or 4
processes see the same global batches, and resuming needs no more than the batch number.
"""

# N samples, M batches of an epoch

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from torch.utils.data import Sampler

from otolith.core.errors import ConfigError
from otolith.core.randomness import permutation, sample_keys, uniform
from otolith.windows.dataset import BatchRequest
from otolith.windows.weights import Buckets, make_buckets


class GlobalBatchSampler(Sampler[BatchRequest]):
    """Yields this process's share of every global batch.

    Without weights an epoch visits every sample once; the last two batches share what is left, so
    no batch is less than half full. With weights, samples are drawn with replacement and an epoch
    has as many draws as there are samples. With buckets every batch comes from one bucket.

    Args:
        num_samples: Number of samples N.
        batch_size: Samples of a global batch, over all processes.
        seed: Seed of the order.
        shuffle: Whether the order is random; has no meaning with weights.
        weights: Sampling weights [N]; None = every sample once.
        buckets: Key of each sample's bucket [N], such as its number of channels.
        bucket_sizes: Batch size by bucket key, where it is not `batch_size`.
        rank: Number of this process.
        world_size: Number of processes.
        drop_last: Leave out the rest that fills no batch, instead of sharing it.

    Raises:
        ConfigError: A process would get no sample of some batch, or settings contradict.
    """

    def __init__(
        self,
        num_samples: int,
        batch_size: int,
        *,
        seed: int,
        shuffle: bool,
        weights: np.ndarray | None = None,
        buckets: np.ndarray | None = None,
        bucket_sizes: Mapping[int, int] | None = None,
        rank: int = 0,
        world_size: int = 1,
        drop_last: bool = False,
    ) -> None:
        self.num_samples, self.batch_size = num_samples, batch_size
        self.seed, self.shuffle, self.drop_last = seed, shuffle, drop_last
        self.rank, self.world_size = rank, world_size
        self._weights = None if weights is None else _checked(weights, num_samples, "weights")
        keys = np.zeros(num_samples, np.int64)
        if buckets is not None:
            keys = _checked(buckets, num_samples, "buckets")
        self._check_numbers(bucket_sizes)
        flat = np.ones(num_samples) if self._weights is None else self._weights
        self._buckets = make_buckets(keys, flat, batch_size, bucket_sizes)
        self._epoch = 0
        self._start = 0
        self._planned: tuple[int, list[np.ndarray]] = (-1, [])
        sizes = self._plain_sizes() if self._weights is None else self._drawn_sizes()
        self._num_batches = len(sizes) if self._weights is None else self._buckets.num_batches
        if not self._num_batches:
            raise ConfigError(
                f"{num_samples} samples fill no batch of {batch_size}.", "Use smaller batches."
            )
        if min(sizes) < world_size:
            raise ConfigError(
                f"A batch of {min(sizes)} samples cannot be shared by {world_size} processes.",
                "Use larger batches, fewer processes, or drop_last.",
            )

    def _check_numbers(self, bucket_sizes: Mapping[int, int] | None) -> None:
        if self.num_samples < 1:
            raise ConfigError("There are no samples to draw from.", "Check the data.")
        if min(self.batch_size, *(bucket_sizes or {}).values(), self.batch_size) < 1:
            raise ConfigError("A batch size is below 1.", "Give at least 1.")
        if not 0 <= self.rank < self.world_size:
            raise ConfigError(
                f"Process {self.rank} of {self.world_size} does not exist.", "Count from 0."
            )

    def __len__(self) -> int:
        """Return the number of global batches of an epoch, wherever iteration starts."""
        return self._num_batches

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch of the following iterations."""
        self._epoch = epoch

    def set_start(self, step: int) -> None:
        """Let the next iteration (only that one) begin with batch `step` of the epoch."""
        self._start = step

    def __iter__(self) -> Iterator[BatchRequest]:
        """Yield the share of every batch of the epoch."""
        epoch, start, self._start = self._epoch, self._start, 0
        for number in range(start, len(self)):
            ids = self.global_batch(epoch, number)[self.rank :: self.world_size]
            yield BatchRequest(epoch=epoch, ids=ids)

    def global_batch(self, epoch: int, number: int) -> np.ndarray:
        """Return the sample positions of one global batch, int64 [batch size]."""
        if self._planned[0] != epoch:
            plan = self._plan_once(epoch) if self._weights is None else self._plan_drawn(epoch)
            self._planned = (epoch, plan)
        return self._planned[1][number]

    def _plain_sizes(self) -> list[int]:
        counts = np.bincount(self._buckets.bucket_N)
        sizes = zip(counts.tolist(), self._buckets.sizes_K.tolist(), strict=True)
        return [size for count, full in sizes for size in _sizes(count, full, self.drop_last)]

    def _drawn_sizes(self) -> list[int]:
        used = self._buckets.probabilities_K > 0
        return self._buckets.sizes_K[used].tolist()

    def _plan_once(self, epoch: int) -> list[np.ndarray]:
        """Every sample once: a permutation, divided by bucket; the batches then shuffled."""
        order = np.arange(self.num_samples)
        if self.shuffle:
            order = permutation(self.seed, epoch, self.num_samples, "samples")
        bucket = self._buckets.bucket_N[order]
        batches: list[np.ndarray] = []
        for number, full in enumerate(self._buckets.sizes_K.tolist()):
            mine = order[bucket == number]
            ends = np.cumsum(_sizes(len(mine), full, self.drop_last)).astype(np.int64)
            batches += np.split(mine, ends)[: len(ends)]
        if self.shuffle and len(self._buckets.keys_K) > 1:
            batches = [batches[i] for i in permutation(self.seed, epoch, len(batches), "batches")]
        return batches

    def _plan_drawn(self, epoch: int) -> list[np.ndarray]:
        """Draw a bucket for every batch, then its samples with replacement by weight."""
        keys_M = sample_keys(self.seed, epoch, np.arange(len(self)))
        bucket_M = _draw(self._buckets.probabilities_K, uniform(keys_M, "bucket"))
        numbers = uniform(keys_M, "samples", (int(self._buckets.sizes_K.max()),))
        batches: list[np.ndarray] = [np.zeros(0, np.int64)] * len(self)
        for number, size in enumerate(self._buckets.sizes_K.tolist()):
            members = np.flatnonzero(self._buckets.bucket_N == number)
            weights = self._weights[members] if self._weights is not None else np.ones(0)
            chosen = np.flatnonzero(bucket_M == number)
            if len(chosen):
                drawn = members[_draw(weights, numbers[chosen, :size])]
                for batch, ids in zip(chosen.tolist(), drawn, strict=True):
                    batches[batch] = ids
        return batches

    @property
    def buckets(self) -> Buckets:
        """The buckets with their probabilities; one bucket if none were asked for."""
        return self._buckets


def _sizes(count: int, full: int, drop_last: bool) -> list[int]:
    """Sizes of the batches of `count` samples; a rest is shared with the last full batch."""
    whole, rest = divmod(count, full)
    if drop_last or rest == 0:
        return [full] * whole
    if whole == 0:
        return [rest]
    both = full + rest
    return [full] * (whole - 1) + [both - both // 2, both // 2]


def _draw(weights: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Turn numbers in [0, 1) into positions with probability ~ weights."""
    steps = np.cumsum(weights)
    found = np.searchsorted(steps, numbers * steps[-1], side="right")
    # Rounding may carry a number past the last sample that has a weight.
    return np.minimum(found, np.flatnonzero(weights)[-1])


def _checked(values: np.ndarray, num_samples: int, name: str) -> np.ndarray:
    array = np.asarray(values)
    if array.shape != (num_samples,):
        raise ConfigError(
            f"{name} has shape {array.shape} for {num_samples} samples.", "Give one per sample."
        )
    if name == "weights" and not (
        np.isfinite(array).all() and (array >= 0).all() and array.sum() > 0
    ):
        raise ConfigError("Sampling weights are negative, not finite or all zero.", "Repair them.")
    return array
