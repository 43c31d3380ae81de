"""Map of embeddings: features of windows laid out in two and three dimensions."""

# N windows, D width

from __future__ import annotations

from typing import Literal

import numpy as np

_MAX_COMPONENTS = 30


def layout(
    features_ND: np.ndarray,
    *,
    dims: int = 3,
    method: Literal["pca", "tsne"] = "pca",
    limit: int = 2000,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Lay out features.

    Args:
        features_ND: Features; columns are standardised first, values that are not finite count
            as the mean.
        dims: 2 or 3.
        method: `pca` (linear, distances keep their meaning) or `tsne` (neighbourhoods; each axis
            is stretched to fill the map).
        limit: Largest number of points; more are thinned at random.
        seed: Seed of thinning and layout.

    Returns:
        Points [n, dims] scaled to about [-1, 1], and the rows that were kept, int64 [n].
    """
    rows = np.arange(len(features_ND))
    if len(rows) > limit:
        rows = np.sort(np.random.default_rng(seed).permutation(rows)[:limit])
    if not len(rows) or not features_ND.shape[1]:
        return np.zeros((len(rows), dims)), rows
    points = _components(_standardised(features_ND[rows]), max(dims, _MAX_COMPONENTS))
    if method == "tsne" and len(rows) > 10:
        from sklearn.manifold import TSNE

        perplexity = min(30.0, (len(rows) - 1) / 3)
        start = 1e-4 * points[:, :dims] / max(float(points[:, 0].std()), 1e-12)
        points = TSNE(dims, perplexity=perplexity, init=start, random_state=seed).fit_transform(
            points
        )
        points = points - (points.max(axis=0) + points.min(axis=0)) / 2
        return points / np.maximum(np.abs(points).max(axis=0), 1e-9), rows
    points = points[:, :dims]
    scale = float(np.percentile(np.abs(points), 99.5))
    return np.clip(points / max(scale, 1e-9), -1.2, 1.2), rows


def _standardised(x_ND: np.ndarray) -> np.ndarray:
    """Columns with mean 0 and deviation 1; constant columns become 0."""
    x = x_ND.astype(np.float64)
    known = np.isfinite(x)
    mean = np.where(known, x, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    x = np.where(known, x - mean, 0.0)
    return x / np.maximum(x.std(axis=0), 1e-9)


def _components(x_ND: np.ndarray, count: int) -> np.ndarray:
    """Principal components [N, count], padded with 0; the sign makes the largest entry positive."""
    u, s, _ = np.linalg.svd(x_ND, full_matrices=False)
    points = (u * s)[:, :count]
    largest = np.abs(points).argmax(axis=0)
    points = points * np.where(points[largest, np.arange(points.shape[1])] < 0, -1.0, 1.0)
    return np.pad(points, ((0, 0), (0, count - points.shape[1])))
