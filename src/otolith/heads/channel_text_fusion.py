"""Gated channel-text fusion: each sensor token learns which channel it comes from, in words.

Learned queries read the text tokens of a channel and become one vector c; every sensor token s of
that channel becomes s + sigmoid(W_s s + W_c c + b) * c. A text is read once, however many
channels, windows and patches share it.
"""

# B batch, P patches, C channels, L different texts, T text tokens, D width, E text width

from __future__ import annotations

import torch
from torch import Tensor, nn

from otolith.core.config import config
from otolith.heads import attention_pooling
from otolith.heads._attention import check_heads


@config
class Config:
    """Settings.

    Args:
        width: Sensor token width D.
        text_width: Text token width E; a linear layer is added if it differs from D.
        num_heads: Attention heads; divides D.
        num_queries: Learned queries.
        dropout: Dropout on attention weights.
    """

    width: int = 384
    text_width: int = 384
    num_heads: int = 4
    num_queries: int = 4
    dropout: float = 0.1

    def __post_init__(self) -> None:
        check_heads(self.width, self.num_heads)


class Head(nn.Module):
    """Condition sensor tokens on the descriptions of their channels.

    Args:
        config: Settings.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        same = config.text_width == config.width
        self.text = None if same else nn.Linear(config.text_width, config.width)
        self.pooling = attention_pooling.Head(
            attention_pooling.Config(
                width=config.width,
                num_heads=config.num_heads,
                num_queries=config.num_queries,
                use_self_attention=False,
                add_query_mean=False,
                dropout=config.dropout,
            )
        )
        self.gate_sensor = nn.Linear(config.width, config.width, bias=False)
        self.gate_channel = nn.Linear(config.width, config.width)

    def describe(self, text_LTE: Tensor, mask_LT: Tensor) -> Tensor:
        """Turn texts into channel vectors.

        Args:
            text_LTE: Token features of the different texts.
            mask_LT: bool, True = real token.

        Returns:
            Channel vectors [L, D].
        """
        return self.pooling(text_LTE if self.text is None else self.text(text_LTE), mask_LT)

    def forward(
        self, sensor_BPCD: Tensor, text_LTE: Tensor, mask_LT: Tensor, index_BC: Tensor
    ) -> Tensor:
        """Fuse.

        Args:
            sensor_BPCD: Sensor tokens.
            text_LTE: Token features of the different texts.
            mask_LT: bool, True = real token.
            index_BC: int64, which text describes which channel.

        Returns:
            Fused tokens [B, P, C, D].
        """
        vector_LD = self.describe(text_LTE, mask_LT)
        offset_BCD = self.gate_channel(vector_LD)[index_BC]
        gate = torch.sigmoid(self.gate_sensor(sensor_BPCD) + offset_BCD[:, None])
        return sensor_BPCD + gate * vector_LD[index_BC][:, None]
