"""Decoders of EVI-MAE: hidden tokens from visible ones, hidden sensors from the others."""

# B batch, N tokens, K kept tokens, M hidden tokens, S sensors, V values, D width

from __future__ import annotations

from collections.abc import Mapping
from itertools import accumulate
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from otolith.core.config import config
from otolith.encoders._evi_blocks import (
    IMU,
    JOINT,
    VIDEO,
    Block,
    Pack,
    sinusoid_table,
    xavier,
)
from otolith.encoders._mae import select_tokens
from otolith.encoders._sensor_graph import SensorGraph
from otolith.encoders.fused_evi_mae import GraphConfig

Count = Annotated[int, Field(gt=0)]


@config
class Config:
    """Settings of the token decoder.

    Args:
        width: Width of its tokens.
        depth: Blocks.
        num_heads: Heads.
        mlp_ratio: Hidden width of the feed-forward parts as a multiple of the width.
        num_channels: Motion channels that are reconstructed; batches must have as many.
        eps: Added to the variance in norms.
    """

    width: Count = 192
    depth: Count = 8
    num_heads: Count = 3
    mlp_ratio: float = 4.0
    num_channels: Count = 12
    eps: float = 1e-5


class Decoder(nn.Module):
    """One decoder for all modalities, with a head for each.

    Args:
        config: See `Config`.
        width: Width of the latent tokens.
        num_tokens: Tokens of each modality, in order.
        num_values: Values of a token of each modality.
    """

    def __init__(
        self, config: Config, width: int, num_tokens: Mapping[str, int],
        num_values: Mapping[str, int],
    ) -> None:  # fmt: skip
        super().__init__()
        self.config = config
        self.num_tokens = dict(num_tokens)
        self.embed = nn.Linear(width, config.width)
        self.mask_token_11D = nn.Parameter(0.02 * torch.randn(1, 1, config.width))
        self.modality_11D = nn.ParameterDict(
            {name: 0.02 * torch.randn(1, 1, config.width) for name in num_tokens}
        )
        self.blocks = nn.ModuleList(
            Block(
                config.width, config.num_heads, mlp_ratio=config.mlp_ratio, eps=config.eps,
                norms=(JOINT,), unused_norms=(IMU, VIDEO),
            )
            for _ in range(config.depth)
        )  # fmt: skip
        self.norm = nn.LayerNorm(config.width, eps=config.eps)
        self.head = nn.ModuleDict(
            {name: nn.Linear(config.width, count) for name, count in num_values.items()}
        )
        for name, count in num_tokens.items():
            table = sinusoid_table(count, config.width)
            self.register_buffer(f"position_{name}_ND", table, persistent=False)
        xavier(self)

    def forward(
        self,
        latent_BKD: Tensor,
        keep: Mapping[str, Tensor],
        wanted: Mapping[str, Tensor] | None = None,
    ) -> dict[str, Tensor]:
        """Return decoded tokens [B, N, D] of every modality, or [B, M, D] of those that are wanted.

        Args:
            latent_BKD: Latent tokens, the modalities one after the other.
            keep: Per modality the numbers of its visible tokens, int64 [B, K].
            wanted: Per modality the numbers of the tokens to return, int64 [B, M]; None = all.
        """
        x = self._filled(latent_BKD, keep)
        *blocks, last = self.blocks
        for block in blocks:
            x = block(x)
        if wanted is None:
            return self._by_modality(self.norm(last(x)), self.num_tokens)
        assert isinstance(last, Block)  # noqa: S101  # the type of every block
        # behind the last attention no token reads another
        x = last.attended(Pack.of([x])).parts()[0]
        x = last.fed(Pack.of([select_tokens(x, self._numbers(wanted))])).parts()[0]
        lengths = {name: wanted[name].shape[1] for name in self.num_tokens}
        return self._by_modality(self.norm(x), lengths)

    def _filled(self, latent_BKD: Tensor, keep: Mapping[str, Tensor]) -> Tensor:
        """Visible tokens in their places, mask tokens elsewhere, with positions, [B, N, D]."""
        visible = self.embed(latent_BKD)
        pieces = visible.split([keep[name].shape[1] for name in self.num_tokens], dim=1)
        full = []
        for (name, count), tokens in zip(self.num_tokens.items(), pieces, strict=True):
            empty = self.mask_token_11D.to(tokens.dtype).expand(len(tokens), count, -1)
            index = keep[name][:, :, None].expand_as(tokens)
            positions = self.get_buffer(f"position_{name}_ND")
            full.append(empty.scatter(1, index, tokens) + positions + self.modality_11D[name])
        return torch.cat(full, 1)

    def _numbers(self, wanted: Mapping[str, Tensor]) -> Tensor:
        """Numbers of tokens among those of all modalities."""
        ends = accumulate(self.num_tokens.values())
        return torch.cat(
            [
                wanted[name] + end - count
                for (name, count), end in zip(self.num_tokens.items(), ends, strict=True)
            ],
            1,
        )

    def _by_modality(self, x_BND: Tensor, lengths: Mapping[str, int]) -> dict[str, Tensor]:
        parts = x_BND.split(list(lengths.values()), dim=1)
        return dict(zip(self.num_tokens, parts, strict=True))


class GraphMasking(nn.Module):
    """Hide sensors, encode the graph, reconstruct what they were (GraphMAE).

    Args:
        config: The graph.
        width: Width of the nodes.
        num_last_heads: Heads of the decoder's layer (`gat`, `dotgat`).
    """

    def __init__(self, config: GraphConfig, width: int, num_last_heads: int = 1) -> None:
        super().__init__()
        self.mask_token_1D = nn.Parameter(torch.zeros(1, width))
        self.bridge = nn.Linear(config.width, config.width, bias=False)
        self.decoder = SensorGraph(
            config.net, (config.width, width), hidden=config.width, num_heads=config.num_heads,
            num_last_heads=num_last_heads, dropout=config.dropout, ends_plain=True,
            attention_dropout=config.attention_dropout, self_weight=config.self_weight,
        )  # fmt: skip

    def forward(
        self, encoder: SensorGraph, nodes_BSD: Tensor, masked_BS: Tensor, sensor_mask_BS: Tensor
    ) -> Tensor:
        """Return reconstructed nodes [B, S, D].

        Args:
            encoder: The graph encoder.
            nodes_BSD: Nodes.
            masked_BS: bool, True = hidden.
            sensor_mask_BS: bool, True = the sensor is there.
        """
        hidden = masked_BS[:, :, None]
        seen = torch.where(hidden, self.mask_token_1D.to(nodes_BSD.dtype), nodes_BSD)
        bridged = self.bridge(encoder(seen, sensor_mask_BS))
        return self.decoder(bridged.masked_fill(hidden, 0.0), sensor_mask_BS)
