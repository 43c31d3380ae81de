"""Retrieval: is what belongs to a query ranked near the top?

Items are ranked by descending score; equal scores keep the order of the items. A query without any
relevant item counts as a failure (0), and the report says how many there are.
"""

# Q queries, G items of the gallery

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from otolith.core.errors import DataError


@dataclass(frozen=True, kw_only=True)
class RetrievalReport:
    """Numbers of one retrieval.

    Args:
        recall_at: k -> share of queries with at least one relevant item among the first k.
        mean_reciprocal_rank: Mean of 1 / rank of the first relevant item.
        mean_average_precision: Mean over queries of the precision at the ranks of their
            relevant items.
        median_rank: Median rank of the first relevant item, 1 = top; None if a half has none.
        num_queries: Queries.
        num_without: Queries without any relevant item.
    """

    recall_at: dict[int, float]
    mean_reciprocal_rank: float
    mean_average_precision: float
    median_rank: float | None
    num_queries: int
    num_without: int

    def to_plain(self) -> dict[str, Any]:
        """Return plain data that JSON can hold."""
        return asdict(self)


def rank_relevance(scores_QG: np.ndarray, relevant_QG: np.ndarray) -> np.ndarray:
    """Return relevance in the order of the ranking.

    Args:
        scores_QG: Scores, larger = better, without NaN.
        relevant_QG: bool, whether an item belongs to a query.

    Returns:
        bool [Q, G]; column 0 is the top of each ranking.

    Raises:
        DataError: Shapes differ, nothing is there, or a score is NaN.
    """
    scores, relevant = np.asarray(scores_QG), np.asarray(relevant_QG, dtype=bool)
    if scores.ndim != 2 or scores.shape != relevant.shape or not scores.size:
        raise DataError(
            f"Scores have shape {scores.shape}, relevance {relevant.shape}.",
            "Give both as [queries, items].",
        )
    if np.isnan(scores).any():
        raise DataError("A score is NaN.", "Look for empty or unnormalised embeddings.")
    order = np.argsort(-scores, axis=1, kind="stable")
    return np.take_along_axis(relevant, order, axis=1)


def first_ranks(ranked_QG: np.ndarray) -> np.ndarray:
    """Return the rank [Q] of the first relevant item, 1 = top, infinite where there is none."""
    found = ranked_QG.any(1)
    return np.where(found, ranked_QG.argmax(1) + 1.0, np.inf)


def report_retrieval(
    scores_QG: np.ndarray, relevant_QG: np.ndarray, *, ks: Sequence[int] = (1, 5, 10)
) -> RetrievalReport:
    """Score a retrieval.

    Args:
        scores_QG: Scores, larger = better.
        relevant_QG: bool, whether an item belongs to a query.
        ks: Depths of recall; beyond the number of items they mean all items.

    Raises:
        DataError: See `rank_relevance`, or a depth is below 1.
    """
    if any(k < 1 for k in ks):
        raise DataError(f"Depths {list(ks)} hold one below 1.", "Give depths from 1 on.")
    ranked = rank_relevance(scores_QG, relevant_QG)
    ranks = first_ranks(ranked)
    found = ranked.cumsum(1)
    precision = found / np.arange(1, ranked.shape[1] + 1)
    average = (precision * ranked).sum(1) / np.maximum(found[:, -1], 1)
    median = float(np.median(ranks))
    return RetrievalReport(
        recall_at={int(k): float((ranks <= k).mean()) for k in ks},
        mean_reciprocal_rank=float((1.0 / ranks).mean()),
        mean_average_precision=float(average.mean()),
        median_rank=median if np.isfinite(median) else None,
        num_queries=len(ranks),
        num_without=int(np.isinf(ranks).sum()),
    )
