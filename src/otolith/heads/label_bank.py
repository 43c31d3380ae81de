"""Label bank: K learned prototypes per label from the tokens of a frozen text encoder."""

# L labels, T text tokens, K prototypes, Q queries per prototype, D width, B samples

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from otolith.core.config import config
from otolith.heads._attention import Attention, QueryOutput, check_heads


@config
class Config:
    """Settings.

    Args:
        width: Width D of text tokens and of prototypes.
        num_heads: Attention heads; divides D.
        num_queries: Learned queries per prototype.
        num_prototypes: Prototypes per label K.
        use_mean_pooling: Whether a label is the plain mean of its tokens (nothing is learned).
        dropout: Dropout on attention weights; noise here makes the targets noisy.
    """

    width: int = 384
    num_heads: int = 4
    num_queries: int = 4
    num_prototypes: int = 1
    use_mean_pooling: bool = False
    dropout: float = 0.0

    def __post_init__(self) -> None:
        check_heads(self.width, self.num_heads)
        if self.num_prototypes < 1:
            raise ValueError("num_prototypes must be at least 1")
        if self.use_mean_pooling and self.num_prototypes > 1:
            raise ValueError("use_mean_pooling gives one prototype; set num_prototypes to 1")


class Head(nn.Module):
    """Turn label texts into unit vectors.

    Args:
        config: Settings.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        if config.use_mean_pooling:
            return
        count, width = config.num_prototypes, config.width
        queries = torch.randn(count, config.num_queries, width) * width**-0.5
        self.queries = nn.Parameter(queries[0] if count == 1 else queries)
        self.cross = Attention(width, config.num_heads, config.dropout)
        self.norm = nn.LayerNorm(width)
        self.outputs = nn.ModuleList(
            QueryOutput(config.num_queries, width, add_mean=True) for _ in range(count)
        )

    def forward(self, tokens_LTD: Tensor, mask_LT: Tensor, *, normalize: bool = True) -> Tensor:
        """Encode labels.

        Args:
            tokens_LTD: Token features of the label texts.
            mask_LT: bool, True = real token.
            normalize: Whether the result has unit length.

        Returns:
            [L, D] for one prototype, [L, K, D] for several.
        """
        if self.config.use_mean_pooling:
            return mean_pool(tokens_LTD, mask_LT, normalize=normalize)
        queries = self.queries.reshape(1, -1, self.config.width)
        read = self.norm(self.cross(queries, tokens_LTD, mask_LT))
        read_LKQD = read.unflatten(1, (self.config.num_prototypes, -1))
        vectors = [output(read_LKQD[:, k]) for k, output in enumerate(self.outputs)]
        label_LKD = torch.stack(vectors, 1)
        label = label_LKD[:, 0] if self.config.num_prototypes == 1 else label_LKD
        return F.normalize(label.float(), dim=-1) if normalize else label


def mean_pool(tokens_LTD: Tensor, mask_LT: Tensor, *, normalize: bool = True) -> Tensor:
    """Return the masked mean of the tokens [L, D]; the label without anything learned."""
    weight = mask_LT[..., None].to(tokens_LTD.dtype)
    mean = (tokens_LTD * weight).sum(1) / weight.sum(1).clamp(min=1e-9)
    return F.normalize(mean, dim=-1) if normalize else mean


def similarity(features_BD: Tensor, labels: Tensor) -> Tensor:
    """Return how well samples fit labels: cosine, the maximum over a label's prototypes.

    Args:
        features_BD: Unit vectors of the samples.
        labels: Unit vectors [L, D] or [L, K, D].

    Returns:
        Similarities [B, L].
    """
    if labels.ndim == 2:
        return features_BD @ labels.T
    return torch.einsum("bd,lkd->blk", features_BD, labels).amax(-1)
