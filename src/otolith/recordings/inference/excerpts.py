"""Short excerpts spread over a track: the evidence that units, gravity and axes are judged by."""

# W excerpts, T samples of one

from __future__ import annotations

import numpy as np

from otolith.recordings.inference.tracks import Track


def excerpts(
    track: Track, columns: list[int], num_samples: int, limit: int = 3000
) -> tuple[np.ndarray, np.ndarray]:
    """Cut excerpts that lie within one group and miss no value.

    Args:
        track: The track.
        columns: Columns to cut.
        num_samples: Samples of one excerpt; fewer if the groups are shorter.
        limit: Most excerpts; they are spread evenly.

    Returns:
        Values float64 [W, T, len(columns)] and the first row of each excerpt [W].
    """
    lengths = track.stops_G - track.starts_G
    size = int(max(2, min(num_samples, np.median(lengths))))
    counts = lengths // size
    total = int(counts.sum())
    if not total or not columns:
        return np.zeros((0, size, len(columns))), np.zeros(0, np.int64)
    chosen = np.unique(np.linspace(0, total - 1, min(total, limit)).astype(np.int64))
    ends = np.cumsum(counts)
    group = np.searchsorted(ends, chosen, side="right")
    first = track.starts_G[group] + (chosen - (ends - counts)[group]) * size
    values = track.samples_NC[first[:, None] + np.arange(size)][:, :, columns].astype(np.float64)
    whole = np.isfinite(values).all(axis=(1, 2))
    return values[whole], first[whole]


def norms(values_WT3: np.ndarray) -> np.ndarray:
    """Return vector lengths over the last axis."""
    return np.sqrt(np.square(values_WT3).sum(axis=-1))


def log_spread(values: np.ndarray) -> float:
    """Return the median absolute deviation of the logarithm: a relative spread."""
    logs = np.log(np.maximum(values, 1e-12))
    return float(np.median(np.abs(logs - np.median(logs))))
