"""Sampling weights: how often each sample is drawn, and from which bucket."""

# N samples, K buckets

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from otolith.core.errors import ConfigError


def group_balanced_weights(
    groups_N: np.ndarray, alpha: float = 0.5, max_ratio: float = 20.0
) -> np.ndarray:
    """Weigh samples so that rare groups are drawn more often (TSFM, section 4.5).

    Args:
        groups_N: Group of each sample, such as its label group, any integers or texts [N].
        alpha: 1 = no balancing, 0.5 = group g is drawn ~ sqrt(n_g), 0 = all equally often.
        max_ratio: Largest weight, as a multiple of the smallest.

    Returns:
        Weights float64 [N], n_g^(alpha - 1) clamped and scaled to the sum N.

    Raises:
        ConfigError: `max_ratio` is below 1.
    """
    if max_ratio < 1:
        raise ConfigError(f"max_ratio is {max_ratio:g}.", "Give at least 1.")
    _, inverse, counts = np.unique(groups_N, return_inverse=True, return_counts=True)
    if not len(counts):
        return np.zeros(0)
    weights = counts.astype(np.float64) ** (alpha - 1.0)
    weights = np.minimum(weights, weights.min() * max_ratio)[inverse]
    return weights * (len(weights) / weights.sum())


@dataclass(frozen=True, kw_only=True)
class Buckets:
    """Samples that may share a batch, such as those with equally many channels.

    Args:
        keys_K: Key of each bucket, in order of first appearance.
        bucket_N: Bucket of each sample.
        sizes_K: Batch size of each bucket.
        probabilities_K: How often a bucket gives the batch.
    """

    keys_K: np.ndarray
    bucket_N: np.ndarray
    sizes_K: np.ndarray
    probabilities_K: np.ndarray

    @property
    def num_batches(self) -> int:
        """Batches of an epoch that draws as many samples as there are: N / mean batch size."""
        return int(len(self.bucket_N) / float((self.probabilities_K * self.sizes_K).sum()))


def make_buckets(
    keys_N: np.ndarray,
    weights_N: np.ndarray,
    batch_size: int,
    bucket_sizes: Mapping[int, int] | None = None,
) -> Buckets:
    """Divide samples into buckets that are drawn with the sum of their samples' weights.

    Args:
        keys_N: What decides the bucket, such as the number of channels, int64 [N].
        weights_N: Sampling weights [N].
        batch_size: Batch size of buckets that `bucket_sizes` does not name.
        bucket_sizes: Key -> batch size.

    Raises:
        ConfigError: A size is given for a bucket that does not exist.
    """
    found, first, inverse = np.unique(keys_N, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.argsort(order)
    sizes = dict(bucket_sizes or {})
    unknown = sorted(set(sizes) - set(found.tolist()))
    if unknown:
        raise ConfigError(
            f"A batch size is given for bucket {unknown[0]}, which holds no sample.",
            f"The buckets are {', '.join(map(str, found.tolist()))}.",
        )
    keys_K = found[order]
    bucket_N = rank[inverse]
    total_K = np.bincount(bucket_N, weights_N, minlength=len(keys_K))
    return Buckets(
        keys_K=keys_K,
        bucket_N=bucket_N,
        sizes_K=np.asarray([sizes.get(int(k), batch_size) for k in keys_K]),
        probabilities_K=total_K / total_K.sum(),
    )
