"""Transformer blocks of TSFM: attention over time, attention over channels, feed-forward.

Tokens stay one contiguous matrix [B * P * C, D]; attention along an axis is a view of it.
"""

# B batch, P patches, C channels, D width, H heads, S tokens (B * P * C)

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from otolith.encoders._dropout import Dropout

Layout = tuple[int, int, int]


class Attention(nn.Module):
    """Multi-head self-attention along one axis of the grid.

    Args:
        width: Token width.
        num_heads: Heads.
        dropout: Share of dropped attention weights.
        axis: `time` (every channel by itself) or `channel` (every patch by itself).
    """

    def __init__(
        self, width: int, num_heads: int, dropout: float, axis: Literal["time", "channel"]
    ) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.dropout = Dropout(dropout, in_place=False)
        self.axis = axis
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x_SD: Tensor, layout: Layout, mask: Tensor | None) -> Tensor:
        """Attend.

        Args:
            x_SD: Tokens [B * P * C, D].
            layout: (B, P, C).
            mask: bool, True = may attend, broadcastable to [B, 1, P, P] (time) or
                [B * P, 1, C, C] (channel); None = everything.
        """
        batch, patches, channels = layout
        heads = self.num_heads
        if self.axis == "time":
            shape = (batch, patches, channels * heads, x_SD.shape[1] // heads)
        else:
            shape = (batch * patches, channels, heads, x_SD.shape[1] // heads)
        qkv = self.qkv(x_SD).view(len(x_SD), 3, -1)
        q, k, v = (part.reshape(shape).transpose(1, 2) for part in qkv.unbind(1))
        share = self.dropout.share if self.training else 0.0
        if share > 0.0 and x_SD.device.type == "cpu":
            attended = self._attend_with_dropout(q, k, v, mask)
        else:
            attended = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=share)
        return self.out(attended.transpose(1, 2).reshape(x_SD.shape))

    def _attend_with_dropout(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
        """The same written out: on a CPU torch has no fused form with dropout, and this is faster."""
        groups, heads, length, width = q.shape
        q, k, v = (part.reshape(groups * heads, length, width) for part in (q, k, v))
        scores = torch.baddbmm(
            q.new_zeros(1), q, k.transpose(1, 2), beta=0.0, alpha=width**-0.5
        ).view(groups, heads, length, length)
        if mask is not None:
            scores = scores.masked_fill(~mask, -torch.inf)
        weights = self.dropout(scores.softmax(-1)).view(groups * heads, length, length)
        return torch.bmm(weights, v).view(groups, heads, length, width)


class Block(nn.Module):
    """One layer, normalised after every part.

    Args:
        width: Token width.
        num_heads: Heads of every attention.
        feedforward_width: Hidden width of the feed-forward part.
        dropout: Share of dropped elements.
        has_channel_attention: Whether channels attend to each other.
    """

    def __init__(
        self,
        width: int,
        num_heads: int,
        feedforward_width: int,
        dropout: float,
        *,
        has_channel_attention: bool,
    ) -> None:
        super().__init__()
        self.time_attention = Attention(width, num_heads, dropout, "time")
        self.time_norm = nn.LayerNorm(width)
        self.channel_attention = self.channel_norm = None
        if has_channel_attention:
            self.channel_attention = Attention(width, num_heads, dropout, "channel")
            self.channel_norm = nn.LayerNorm(width)
        self.expand = nn.Linear(width, feedforward_width)
        self.contract = nn.Linear(feedforward_width, width)
        self.feedforward_norm = nn.LayerNorm(width)
        self.dropout = Dropout(dropout)
        # The authors drop twice after the second layer; two masks in a row are one of this share.
        self.feedforward_dropout = Dropout(1.0 - (1.0 - dropout) ** 2)

    def forward(
        self,
        x_SD: Tensor,
        layout: Layout,
        time_mask: Tensor | None,
        channel_mask: Tensor | None,
    ) -> Tensor:
        """Map tokens [B * P * C, D] to the same shape; masks as in `Attention`."""
        y = self.time_attention(x_SD, layout, time_mask)
        x = self.time_norm(self.dropout.add(x_SD, y))
        if self.channel_attention is not None and self.channel_norm is not None:
            y = self.channel_attention(x, layout, channel_mask)
            x = self.channel_norm(self.dropout.add(x, y))
        y = self.contract(self.dropout(F.gelu(self.expand(x))))
        return self.feedforward_norm(self.feedforward_dropout.add(x, y))


def time_mask(mask_BP: Tensor | None, temporal_PP: Tensor | None) -> Tensor | None:
    """Combine which patches are real with who may look at whom; True = may attend.

    A row that could attend to nothing may attend to everything: its result is masked anyway, and
    this keeps it finite.
    """
    mask = None if mask_BP is None else mask_BP[:, None, None, :]
    if temporal_PP is not None:
        mask = temporal_PP.bool()[None, None] if mask is None else mask & temporal_PP.bool()
    return None if mask is None else _opened(mask)


def channel_mask(mask_BC: Tensor | None, patches: int) -> Tensor | None:
    """Attention mask over channels, repeated for every patch: [B * P, 1, 1, C]."""
    if mask_BC is None:
        return None
    return _opened(mask_BC[:, None, None, :]).repeat_interleave(patches, 0)


def _opened(mask: Tensor) -> Tensor:
    return mask | ~torch.any(mask, -1, keepdim=True)
