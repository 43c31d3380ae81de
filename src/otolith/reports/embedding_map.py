"""Map of embeddings: features of windows laid out in two and three dimensions."""

# N windows, D width

from __future__ import annotations

from typing import Literal

import numpy as np


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
        features_ND: Features; columns are standardised first, NaN counts as the mean.
        dims: 2 or 3.
        method: `pca` (linear, distances keep their meaning) or `tsne` (neighbourhoods).
        limit: Largest number of points; more are thinned at random.
        seed: Seed of thinning and layout.

    Returns:
        Points [n, dims] scaled to about [-1, 1], and the rows that were kept, int64 [n].
    """
    rows = np.arange(len(features_ND))
    if len(rows) > limit:
        rows = np.sort(np.random.default_rng(seed).permutation(rows)[:limit])
    x = features_ND[rows].astype(np.float64)
    mean = np.nanmean(x, axis=0)
    x = np.where(np.isfinite(x), x - mean, 0.0)
    x /= np.maximum(x.std(axis=0), 1e-9)
    u, s, _ = np.linalg.svd(x, full_matrices=False)
    points = u[:, : max(dims, min(30, u.shape[1]))] * s[: max(dims, min(30, u.shape[1]))]
    if method == "tsne" and len(rows) > 10:
        from sklearn.manifold import TSNE

        perplexity = min(30.0, (len(rows) - 1) / 3)
        points = TSNE(dims, perplexity=perplexity, init="pca", random_state=seed).fit_transform(
            points
        )
    points = points[:, :dims]
    if points.shape[1] < dims:
        points = np.pad(points, ((0, 0), (0, dims - points.shape[1])))
    scale = np.percentile(np.abs(points), 99) if points.size else 1.0
    return np.clip(points / max(float(scale), 1e-9), -1.3, 1.3), rows
