"""Transformer blocks of EVI-MAE: one attention, several pairs of norms, of which one is used.

The unified block reads joint tokens through one pair of norms and tokens of one modality through
another, so a block holds pairs by name. Blocks of the IMU encoder and of the decoder own pairs that
are never used; they are kept as buffers, which cost nothing and let checkpoints go back unchanged.
"""

# B batch, N tokens, K kept tokens, D width, H heads

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from otolith.core.errors import ConfigError

Bias = Literal["all", "query_value", "none"]
JOINT, IMU, VIDEO = "joint", "imu", "video"


class Attention(nn.Module):
    """Self-attention with one matrix for query, key and value.

    Args:
        width: Token width D.
        num_heads: Heads H; divides D.
        bias: Which of the three have a bias. A bias of the keys changes nothing, so `query_value`
            (VideoMAE) computes the same functions as `all`.
    """

    def __init__(self, width: int, num_heads: int, bias: Bias) -> None:
        super().__init__()
        if width % num_heads:
            raise ConfigError(
                f"A width of {width} cannot be divided into {num_heads} heads.",
                "Choose a number of heads that divides the width.",
            )
        self.num_heads = num_heads
        self.qkv = nn.Linear(width, 3 * width, bias=bias == "all")
        self.query_bias = self.value_bias = None
        if bias == "query_value":
            self.query_bias = nn.Parameter(torch.zeros(width))
            self.value_bias = nn.Parameter(torch.zeros(width))
        self.out = nn.Linear(width, width)

    def forward(self, x_BND: Tensor) -> Tensor:
        """Return attended tokens [B, N, D]."""
        batch, num, width = x_BND.shape
        bias = self.qkv.bias
        if self.query_bias is not None and self.value_bias is not None:
            bias = torch.cat([self.query_bias, torch.zeros_like(self.query_bias), self.value_bias])
        qkv = F.linear(x_BND, self.qkv.weight, bias)
        query, key, value = qkv.view(batch, num, 3, self.num_heads, -1).permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(query, key, value)
        return self.out(attended.transpose(1, 2).reshape(batch, num, width))


class UnusedNorm(nn.Module):
    """Weights of a norm that nothing uses, as buffers.

    Args:
        width: Token width.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.ones(width))
        self.register_buffer("bias", torch.zeros(width))


class Block(nn.Module):
    """Attention and a feed-forward part, both behind a norm and with a residual path.

    Args:
        width: Token width D.
        num_heads: Heads.
        mlp_ratio: Hidden width of the feed-forward part as a multiple of D.
        bias: See `Attention`.
        norms: Names of the pairs of norms; the first is the usual one.
        unused_norms: Names of pairs that are kept for checkpoints only.
        eps: Added to the variance in norms.
    """

    def __init__(
        self,
        width: int,
        num_heads: int,
        *,
        mlp_ratio: float = 4.0,
        bias: Bias = "all",
        norms: Sequence[str] = (JOINT,),
        unused_norms: Sequence[str] = (),
        eps: float = 1e-5,
    ) -> None:
        super().__init__()
        hidden = int(width * mlp_ratio)
        self.usual_norm = norms[0]
        pairs: dict[str, nn.Module] = {n: nn.LayerNorm(width, eps=eps) for n in norms}
        pairs |= {n: UnusedNorm(width) for n in unused_norms}
        self.attention_norm = nn.ModuleDict(pairs)
        self.attention = Attention(width, num_heads, bias)
        pairs = {n: nn.LayerNorm(width, eps=eps) for n in norms}
        pairs |= {n: UnusedNorm(width) for n in unused_norms}
        self.mlp_norm = nn.ModuleDict(pairs)
        self.expand = nn.Linear(width, hidden)
        self.contract = nn.Linear(hidden, width)

    def forward(self, x_BND: Tensor, norm: str | None = None) -> Tensor:
        """Return tokens [B, N, D], normalised by the pair called `norm`; None = the usual one."""
        x_BND, hidden_BNE = self._parts(x_BND, norm)
        return x_BND + self.contract(hidden_BNE)

    def mean(self, x_BND: Tensor, norm: str | None = None) -> Tensor:
        """Return the mean over tokens of what `forward` returns, [B, D].

        The last layer is linear, so the mean comes before it and it runs once per sample.
        """
        x_BND, hidden_BNE = self._parts(x_BND, norm)
        return x_BND.mean(1) + self.contract(hidden_BNE.mean(1))

    def _parts(self, x_BND: Tensor, norm: str | None) -> tuple[Tensor, Tensor]:
        """Tokens behind the attention, and the hidden layer of the feed-forward part."""
        name = norm or self.usual_norm
        x_BND = x_BND + self.attention(self.attention_norm[name](x_BND))
        return x_BND, F.gelu(self.expand(self.mlp_norm[name](x_BND)))


def sinusoid_table(num_positions: int, width: int) -> Tensor:
    """Return fixed positions [N, D]: sine at even, cosine at odd columns, float32.

    Column j of position p is the sine or cosine of p / 10000^(2 floor(j / 2) / D).
    """
    at_N = torch.arange(num_positions, dtype=torch.float64)
    exponent_D = 2 * torch.div(torch.arange(width), 2, rounding_mode="floor") / width
    angle_ND = at_N[:, None] / torch.pow(10000.0, exponent_D.double())
    is_odd_D = torch.arange(width) % 2 == 1
    return torch.where(is_odd_D, angle_ND.cos(), angle_ND.sin()).float()


def pair_mean(x_BND: Tensor) -> Tensor:
    """Return the mean of neighbouring features, which halves the width: [B, N, D / 2]."""
    return x_BND.unflatten(-1, (-1, 2)).mean(-1)


def take_tokens(x_BND: Tensor, keep_BK: Tensor) -> Tensor:
    """Return the tokens of the given numbers, [B, K, D]."""
    return x_BND.gather(1, keep_BK[:, :, None].expand(-1, -1, x_BND.shape[2]))


def take_rows(table_ND: Tensor, keep_BK: Tensor | None) -> Tensor:
    """Return the rows of a table that all samples share: [B, K, D], or [1, N, D] for all rows."""
    return table_ND[None] if keep_BK is None else table_ND[keep_BK]


def xavier(module: nn.Module) -> None:
    """Set linear layers to Xavier-uniform weights without bias, norms to 1 and 0."""
    for part in module.modules():
        if isinstance(part, nn.Linear):
            nn.init.xavier_uniform_(part.weight)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
        elif isinstance(part, nn.LayerNorm):
            nn.init.ones_(part.weight)
            nn.init.zeros_(part.bias)
