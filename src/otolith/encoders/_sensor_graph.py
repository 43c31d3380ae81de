"""Networks on the graph of a person's sensors: GIN, GCN, GAT, dot-product GAT, in plain torch.

The nodes are the sensors of one sample, a handful, so a graph is a dense adjacency matrix and a
batch of graphs a batch of matrices: message passing is one product. Sensors that are missing have no
edges and take no part in batch statistics. The layers compute the same as those of GraphMAE (Hou et
al., KDD 2022) on DGL.
"""

# B batch, S sensors (nodes), D width, H heads

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Net = Literal["gin", "gcn", "gat", "dotgat"]


def adjacency(sensor_mask_BS: Tensor) -> Tensor:
    """Return the full graph without loops between the sensors that are there, float [B, S, S]."""
    both = sensor_mask_BS[:, :, None] & sensor_mask_BS[:, None, :]
    loops = torch.eye(both.shape[1], dtype=torch.bool, device=both.device)
    return (both & ~loops).float()


class NodeNorm(nn.BatchNorm1d):
    """Batch norm over the nodes of all samples; missing nodes are left out."""

    def forward(self, input: Tensor, mask_BS: Tensor | None = None) -> Tensor:
        """Return normalised nodes [B, S, D]; the mask is bool [B, S], None = all are there."""
        if mask_BS is None or bool(mask_BS.all()):
            return super().forward(input.flatten(0, 1)).view(input.shape)
        normed = super().forward(input[mask_BS])
        return torch.zeros_like(input, dtype=normed.dtype).masked_scatter(
            mask_BS[:, :, None], normed
        )


class GraphLayer(nn.Module, ABC):
    """What all layers share: dropout before, batch norm and PReLU behind.

    Args:
        width: Width of the output.
        dropout: Share of the input that is dropped while training.
        is_last: Whether neither norm nor activation follows.
    """

    def __init__(self, width: int, dropout: float, *, is_last: bool) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.norm = None if is_last else NodeNorm(width)
        self.act = None if is_last else nn.PReLU()

    def forward(self, x_BSD: Tensor, adjacency_BSS: Tensor, mask_BS: Tensor | None) -> Tensor:
        """Return nodes [B, S, D]; rows of the adjacency receive."""
        y = self.exchange(self.dropout(x_BSD), adjacency_BSS.to(x_BSD.dtype), mask_BS)
        if self.norm is not None and self.act is not None:
            y = self.act(self.norm(y, mask_BS))
        return y

    @abstractmethod
    def exchange(self, x_BSD: Tensor, adjacency_BSS: Tensor, mask_BS: Tensor | None) -> Tensor:
        """Pass messages between nodes."""


class GinLayer(GraphLayer):
    """Graph isomorphism layer (Xu et al., ICLR 2019): a small network on the sum of neighbours.

    On a full graph with `self_weight` 0 every node of a sample receives the same sum, so all
    sensors of a sample come out alike; a positive `self_weight` tells them apart.

    Args:
        width_in: Width of the input.
        width: Width of the output.
        hidden: Width between the two linear layers.
        dropout: See `GraphLayer`.
        is_last: See `GraphLayer`.
        self_weight: What is added to the weight 1 of the node itself; not learned.
    """

    def __init__(
        self, width_in: int, width: int, hidden: int, dropout: float, *, is_last: bool,
        self_weight: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__(width, dropout, is_last=is_last)
        self.register_buffer("eps", torch.full((1,), self_weight))
        self.expand = nn.Linear(width_in, hidden)
        self.hidden_norm = NodeNorm(hidden)
        self.hidden_act = nn.PReLU()
        self.contract = nn.Linear(hidden, width)

    def exchange(self, x_BSD: Tensor, adjacency_BSS: Tensor, mask_BS: Tensor | None) -> Tensor:
        """Return the network of the weighted sum."""
        total = (1 + self.eps) * x_BSD + adjacency_BSS @ x_BSD
        return self.contract(self.hidden_act(self.hidden_norm(self.expand(total), mask_BS)))


class GcnLayer(GraphLayer):
    """Graph convolution (Kipf and Welling, ICLR 2017) without loops.

    Args:
        width_in: Width of the input.
        width: Width of the output.
        dropout: See `GraphLayer`.
        is_last: See `GraphLayer`.
    """

    def __init__(self, width_in: int, width: int, dropout: float, *, is_last: bool) -> None:
        super().__init__(width, dropout, is_last=is_last)
        self.linear = nn.Linear(width_in, width)

    def exchange(self, x_BSD: Tensor, adjacency_BSS: Tensor, mask_BS: Tensor | None) -> Tensor:
        """Return the degree-normalised sum of neighbours, mapped."""
        scale = adjacency_BSS.sum(2, keepdim=True).clamp(min=1).rsqrt()
        return self.linear(adjacency_BSS @ (x_BSD * scale)) * scale


class GatLayer(GraphLayer):
    """Graph attention (Velickovic et al., ICLR 2018), heads concatenated; `dot` scores by product.

    Args:
        width_in: Width of the input.
        width: Width of the output, of all heads together.
        num_heads: Heads.
        dropout: See `GraphLayer`.
        attention_dropout: Share of attention weights that is dropped while training.
        is_last: See `GraphLayer`.
        is_dot: Whether the score is the scaled product of the mapped nodes.
        negative_slope: Slope of the leaky ReLU below zero.
    """

    def __init__(
        self, width_in: int, width: int, num_heads: int, dropout: float,
        attention_dropout: float, *, is_last: bool, is_dot: bool, negative_slope: float = 0.2,
    ) -> None:  # fmt: skip
        super().__init__(width, dropout, is_last=is_last)
        self.num_heads, self.negative_slope = num_heads, negative_slope
        self.linear = nn.Linear(width_in, width, bias=False)
        self.attention_dropout = nn.Dropout(attention_dropout)
        self.from_weight = self.to_weight = self.bias = None
        if not is_dot:
            shape = (1, num_heads, width // num_heads)
            self.from_weight = nn.Parameter(nn.init.xavier_normal_(torch.empty(shape)))
            self.to_weight = nn.Parameter(nn.init.xavier_normal_(torch.empty(shape)))
            self.bias = nn.Parameter(torch.zeros(width))

    def exchange(self, x_BSD: Tensor, adjacency_BSS: Tensor, mask_BS: Tensor | None) -> Tensor:
        """Return the attended sum of neighbours; a node without any receives zero."""
        nodes_BHSE = self.linear(x_BSD).unflatten(2, (self.num_heads, -1)).transpose(1, 2)
        if self.from_weight is None or self.to_weight is None:
            scores = nodes_BHSE @ nodes_BHSE.transpose(2, 3) / nodes_BHSE.shape[3] ** 0.5
        else:
            # [1, H, E] weights as [H, E, 1] columns: what a node sends and what it asks for
            sent = nodes_BHSE @ self.from_weight[0, :, :, None]
            asked = nodes_BHSE @ self.to_weight[0, :, :, None]
            scores = F.leaky_relu(asked + sent.transpose(2, 3), self.negative_slope)
        hidden = adjacency_BSS[:, None] == 0
        weights = scores.masked_fill(hidden, -torch.inf).softmax(3).masked_fill(hidden, 0.0)
        mixed = (self.attention_dropout(weights) @ nodes_BHSE).transpose(1, 2).flatten(2)
        return mixed if self.bias is None else mixed + self.bias


class SensorGraph(nn.Module):
    """Layers of one kind.

    Args:
        net: Kind of layer.
        widths: Width of the input and of the output of every layer.
        hidden: Width inside GIN layers.
        num_heads: Heads of GAT layers.
        num_last_heads: Heads of the last GAT layer.
        dropout: Share of the input of every layer that is dropped while training.
        attention_dropout: Share of attention weights that is dropped while training.
        ends_plain: Whether the last layer has neither norm nor activation.
        self_weight: See `GinLayer`.
    """

    def __init__(
        self,
        net: Net,
        widths: tuple[int, ...],
        *,
        hidden: int,
        num_heads: int = 2,
        num_last_heads: int = 2,
        dropout: float = 0.2,
        attention_dropout: float = 0.1,
        ends_plain: bool = False,
        self_weight: float = 0.0,
    ) -> None:
        super().__init__()
        last = len(widths) - 2

        def layer(i: int) -> GraphLayer:
            before, behind, is_last = widths[i], widths[i + 1], ends_plain and i == last
            if net == "gin":
                return GinLayer(
                    before, behind, hidden, dropout, is_last=is_last, self_weight=self_weight
                )
            if net == "gcn":
                return GcnLayer(before, behind, dropout, is_last=is_last)
            heads = num_last_heads if i == last else num_heads
            return GatLayer(
                before, behind, heads, dropout, attention_dropout, is_last=is_last,
                is_dot=net == "dotgat",
            )  # fmt: skip

        self.layers = nn.ModuleList(layer(i) for i in range(last + 1))

    def forward(
        self,
        x_BSD: Tensor,
        mask_BS: Tensor | None = None,
        *,
        watch: Callable[[Tensor], None] | None = None,
    ) -> Tensor:
        """Return nodes [B, S, D of the last layer].

        Args:
            x_BSD: Nodes.
            mask_BS: bool, True = the sensor is there; None = all are.
            watch: Is given the output of every layer.
        """
        present_BS = (
            x_BSD.new_ones(x_BSD.shape[:2], dtype=torch.bool) if mask_BS is None else mask_BS
        )
        edges_BSS = adjacency(present_BS)
        for layer in self.layers:
            x_BSD = layer(x_BSD, edges_BSS, mask_BS)
            if watch is not None:
                watch(x_BSD)
        return x_BSD


def node_mean(x_BSD: Tensor, mask_BS: Tensor | None = None) -> Tensor:
    """Return the mean over the nodes that are there, [B, D]."""
    if mask_BS is None:
        return x_BSD.mean(1)
    weight = mask_BS[:, :, None].to(x_BSD.dtype)
    return (x_BSD * weight).sum(1) / weight.sum(1).clamp(min=1)
