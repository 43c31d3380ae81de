"""Attention and the query read-out that the pooling heads share."""

# N rows, Q queries, L context length, D width, H attention heads

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Attention(nn.Module):
    """Multi-head attention of a query set over a context.

    Query, key and value projections lie in one matrix (rows 0..D query, D..2D key, 2D..3D value),
    so that self-attention is one product and a checkpoint of `nn.MultiheadAttention` fits as is.

    Args:
        width: Token width D.
        num_heads: Attention heads H; divides D.
        dropout: Dropout on the attention weights in training.
    """

    def __init__(self, width: int, num_heads: int, dropout: float) -> None:
        super().__init__()
        self.width, self.num_heads, self.dropout = width, num_heads, dropout
        self.project = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        nn.init.xavier_uniform_(self.project.weight)
        nn.init.zeros_(self.project.bias)
        nn.init.zeros_(self.out.bias)

    def forward(
        self, query_NQD: Tensor, context_NLD: Tensor | None = None, mask_NL: Tensor | None = None
    ) -> Tensor:
        """Attend.

        Args:
            query_NQD: Queries; N may be 1 for a set that all rows share.
            context_NLD: Context; None = the queries themselves.
            mask_NL: bool, True = may be attended to; None = all. A row without any True attends
                to its first token, so that it stays finite.

        Returns:
            Attended values [N, Q, D].
        """
        query, key, value = self._heads(query_NQD, context_NLD)
        attended = F.scaled_dot_product_attention(
            query.expand(len(key), -1, -1, -1),
            key,
            value,
            attn_mask=None if mask_NL is None else never_empty(mask_NL)[:, None, None],
            dropout_p=self.dropout if self.training else 0.0,
        )
        return self.out(attended.transpose(1, 2).flatten(2))

    def weights(
        self, query_NQD: Tensor, context_NLD: Tensor, mask_NL: Tensor | None = None
    ) -> Tensor:
        """Return the attention weights, averaged over heads [N, Q, L]; for inspection."""
        query, key, _ = self._heads(query_NQD, context_NLD)
        logits = query @ key.transpose(-1, -2) / math.sqrt(self.width // self.num_heads)
        if mask_NL is not None:
            logits = logits.masked_fill(~never_empty(mask_NL)[:, None, None], -torch.inf)
        return logits.softmax(-1).mean(1)

    def _heads(self, query: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Project and split into heads: [N, H, Q, D/H] and twice [N, H, L, D/H]."""
        if context is None:
            q, k, v = self.project(query).chunk(3, -1)
        else:
            weight, bias = self.project.weight, self.project.bias
            q = F.linear(query, weight[: self.width], bias[: self.width])
            k, v = F.linear(context, weight[self.width :], bias[self.width :]).chunk(2, -1)
        return self._split(q), self._split(k), self._split(v)

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)


class QueryOutput(nn.Module):
    """One vector from a set of queries: concatenate, two-layer MLP, optionally plus their mean.

    Args:
        num_queries: Queries Q.
        width: Width D of a query and of the result.
        add_mean: Whether the mean query is added; then the MLP starts near zero (std 0.01).
    """

    def __init__(self, num_queries: int, width: int, *, add_mean: bool) -> None:
        super().__init__()
        self.add_mean = add_mean
        self.hidden = nn.Linear(num_queries * width, width)
        self.out = nn.Linear(width, width)
        if add_mean:
            nn.init.normal_(self.out.weight, std=0.01)
            nn.init.zeros_(self.out.bias)

    def forward(self, queries_NQD: Tensor) -> Tensor:
        """Return [N, D]."""
        vector = self.out(F.gelu(self.hidden(queries_NQD.flatten(1))))
        return vector + queries_NQD.mean(1) if self.add_mean else vector


def never_empty(mask_NL: Tensor) -> Tensor:
    """Return the mask with the first token opened in rows that have none."""
    first = torch.zeros_like(mask_NL)
    first[:, :1] = True
    return mask_NL | (first & ~mask_NL.any(-1, keepdim=True))


def check_heads(width: int, num_heads: int) -> None:
    """Raise ValueError (which the settings collect) if the heads do not divide the width."""
    if width < 1 or num_heads < 1 or width % num_heads:
        raise ValueError(f"num_heads {num_heads} must divide the width {width}")
