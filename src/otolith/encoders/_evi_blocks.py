"""Transformer blocks of EVI-MAE: one attention, several pairs of norms, of which one is used.

The unified block reads joint tokens through one pair of norms and tokens of one modality through
another, so a block holds pairs by name. Blocks of the IMU encoder and of the decoder own pairs that
are never used; they are kept as buffers, which cost nothing and let checkpoints go back unchanged.

Where a block reads several sets of sequences, they are laid one behind the other (`Pack`): its linear
layers run once over all of them, attention stays within each sequence.
"""

# B batch, N tokens, K kept tokens, T tokens of all sequences, D width, E hidden width, H heads

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from otolith.core.errors import ConfigError
from otolith.encoders._attention import attend

Bias = Literal["all", "query_value", "none"]
JOINT, IMU, VIDEO = "joint", "imu", "video"


@dataclass(frozen=True)
class Pack:
    """Sets of sequences of equal width, one behind the other.

    Args:
        tokens_TD: Tokens of all sequences.
        shapes: Per set its number of sequences and their length.
    """

    tokens_TD: Tensor
    shapes: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, parts: Sequence[Tensor]) -> Pack:
        """Pack sets of sequences [B, N, D]."""
        shapes = tuple((part.shape[0], part.shape[1]) for part in parts)
        return cls(_joined([part.flatten(0, 1) for part in parts]), shapes)

    def parts(self) -> list[Tensor]:
        """Return the sets again, [B, N, D] each."""
        return [x.view(*shape, -1) for x, shape in zip(self.pieces(), self.shapes, strict=True)]

    def pieces(self) -> Sequence[Tensor]:
        """Return the tokens of every set [B * N, D]."""
        if len(self.shapes) == 1:
            return [self.tokens_TD]
        return self.tokens_TD.split([batch * length for batch, length in self.shapes])

    def changed(self, tokens_TD: Tensor) -> Pack:
        """Return other tokens, of any width, in the same places."""
        return Pack(tokens_TD, self.shapes)

    def averaged(self, sets: Collection[int]) -> Pack:
        """Return a pack in which the sequences of the given sets are their mean tokens."""
        parts = [x.mean(1, keepdim=True) if i in sets else x for i, x in enumerate(self.parts())]
        return Pack.of(parts)


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

    def forward(self, pack: Pack) -> Tensor:
        """Return attended tokens [T, D]; every sequence attends to itself."""
        bias = self.qkv.bias
        if self.query_bias is not None and self.value_bias is not None:
            bias = torch.cat([self.query_bias, torch.zeros_like(self.query_bias), self.value_bias])
        qkv = pack.changed(F.linear(pack.tokens_TD, self.qkv.weight, bias))
        attended = []
        for part in qkv.parts():
            split = part.unflatten(2, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
            attended.append(attend(*split.unbind()).transpose(1, 2).flatten(2).flatten(0, 1))
        return self.out(_joined(attended))


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
        return self.packed(Pack.of([x_BND]), (norm or self.usual_norm,)).parts()[0]

    def packed(
        self, pack: Pack, norms: Sequence[str] = (), only_mean: Collection[int] = ()
    ) -> Pack:
        """Run over several sets of sequences at once.

        Args:
            pack: The sets.
            norms: Per set the name of its pair of norms; empty = the usual one for all.
            only_mean: Sets of which only the mean token is wanted. The last layer is linear, so the
                mean comes before it and it runs once per sequence.
        """
        return self.fed(self.attended(pack, norms), norms, only_mean)

    def attended(self, pack: Pack, norms: Sequence[str] = ()) -> Pack:
        """Return the tokens behind the attention."""
        normed = pack.changed(self._normed(self.attention_norm, pack, norms))
        return pack.changed(pack.tokens_TD + self.attention(normed))

    def fed(self, pack: Pack, norms: Sequence[str] = (), only_mean: Collection[int] = ()) -> Pack:
        """Return tokens behind the feed-forward part; see `packed`."""
        hidden = F.gelu(self.expand(self._normed(self.mlp_norm, pack, norms)))
        if only_mean:
            hidden = pack.changed(hidden).averaged(only_mean).tokens_TD
            pack = pack.averaged(only_mean)
        return pack.changed(pack.tokens_TD + self.contract(hidden))

    def _normed(self, pairs: nn.ModuleDict, pack: Pack, norms: Sequence[str]) -> Tensor:
        if len(set(norms)) <= 1:
            return pairs[norms[0] if norms else self.usual_norm](pack.tokens_TD)
        pieces = zip(norms, pack.pieces(), strict=True)
        return _joined([pairs[name](x) for name, x in pieces])


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


def _joined(pieces: Sequence[Tensor]) -> Tensor:
    """Rows of all pieces; one alone is not copied."""
    return pieces[0] if len(pieces) == 1 else torch.cat(list(pieces))
