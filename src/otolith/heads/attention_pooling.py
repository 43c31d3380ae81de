"""Multi-query attention pooling: learned queries read a set and become one vector."""

# N rows, L set size, Q queries, D width

from __future__ import annotations

import torch
from torch import Tensor, nn

from otolith.core.config import config
from otolith.heads._attention import Attention, QueryOutput, check_heads


@config
class Config:
    """Settings.

    Args:
        width: Token width D.
        num_heads: Attention heads; divides D.
        num_queries: Learned queries Q.
        use_self_attention: Whether the queries attend to each other after reading the set.
        query_residual: Whether the learned queries are added to what they read.
        add_query_mean: Whether the mean query is added to the output.
        query_std: Standard deviation of the queries at the start.
        dropout: Dropout on attention weights.
    """

    width: int = 384
    num_heads: int = 8
    num_queries: int = 4
    use_self_attention: bool = True
    query_residual: bool = True
    add_query_mean: bool = True
    query_std: float = 0.02
    dropout: float = 0.1

    def __post_init__(self) -> None:
        check_heads(self.width, self.num_heads)


class Head(nn.Module):
    """Pool a masked set of tokens into one vector.

    Args:
        config: Settings.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        width, heads = config.width, config.num_heads
        self.queries = nn.Parameter(torch.randn(config.num_queries, width) * config.query_std)
        self.cross = Attention(width, heads, config.dropout)
        self.norm1 = nn.LayerNorm(width)
        if config.use_self_attention:
            self.own = Attention(width, heads, config.dropout)
            self.norm2 = nn.LayerNorm(width)
        self.output = QueryOutput(config.num_queries, width, add_mean=config.add_query_mean)

    def forward(self, tokens_NLD: Tensor, mask_NL: Tensor | None = None) -> Tensor:
        """Pool.

        Args:
            tokens_NLD: Sets of tokens.
            mask_NL: bool, True = real token; None = all are real.

        Returns:
            One vector per set [N, D].
        """
        queries = self.queries[None]
        read = self.cross(queries, tokens_NLD, mask_NL)
        read = self.norm1(queries + read if self.config.query_residual else read)
        if self.config.use_self_attention:
            read = self.norm2(read + self.own(read))
        return self.output(read)

    def weights(self, tokens_NLD: Tensor, mask_NL: Tensor | None = None) -> Tensor:
        """Return how much each query reads from each token [N, Q, L], mean over heads."""
        return self.cross.weights(self.queries[None], tokens_NLD, mask_NL)
