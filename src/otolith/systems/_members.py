"""Small networks side by side that see different parts of the input while they learn."""

# M members, B batch, F inputs, H hidden units, C outputs

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Members(nn.Module):
    """Several networks with one hidden layer as one batched product.

    Args:
        number: Networks.
        num_inputs: Inputs of each.
        hidden_width: Hidden units of each.
        num_outputs: Outputs of each.
        input_dropout: Share of inputs that a network does not see in a training step.
        dropout: Dropout of hidden units.
    """

    def __init__(
        self,
        number: int,
        num_inputs: int,
        hidden_width: int,
        num_outputs: int,
        input_dropout: float,
        dropout: float,
    ) -> None:
        super().__init__()
        self.input_dropout, self.dropout = input_dropout, dropout
        self.weight_in = nn.Parameter(_uniform(number, num_inputs, hidden_width))
        self.bias_in = nn.Parameter(torch.zeros(number, 1, hidden_width))
        self.weight_out = nn.Parameter(_uniform(number, hidden_width, num_outputs))
        self.bias_out = nn.Parameter(torch.zeros(number, 1, num_outputs))

    def forward(self, x_BF: Tensor) -> Tensor:
        """Return the outputs of all networks [M, B, C]; each drops inputs of its own."""
        x_MBF = x_BF.expand(len(self.weight_in), -1, -1)
        x_MBF = F.dropout(x_MBF, self.input_dropout, self.training)
        hidden = F.gelu(torch.baddbmm(self.bias_in, x_MBF, self.weight_in))
        hidden = F.dropout(hidden, self.dropout, self.training)
        return torch.baddbmm(self.bias_out, hidden, self.weight_out)


def _uniform(number: int, rows: int, columns: int) -> Tensor:
    """Weights as `nn.Linear` draws them."""
    bound = 1 / math.sqrt(rows)
    return torch.empty(number, rows, columns).uniform_(-bound, bound)
