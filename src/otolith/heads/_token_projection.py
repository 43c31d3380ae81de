"""Two-layer projection of tokens, and its mean over channels without the cost of all channels."""

# B batch, P patches, C channels, D width, E projected width

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class TokenProjection(nn.Module):
    """Linear, ReLU, linear.

    Args:
        width: Token width D.
        hidden_width: Width between the layers.
        out_width: Projected width E.
    """

    def __init__(self, width: int, hidden_width: int, out_width: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(width, hidden_width)
        self.output = nn.Linear(hidden_width, out_width)

    def forward(self, features: Tensor) -> Tensor:
        """Map [..., D] to [..., E]."""
        return self.output(F.relu(self.hidden(features)))

    def mean_over_channels(self, features_BPCD: Tensor, channel_mask_BC: Tensor) -> Tensor:
        """Return the mean of the projections over the real channels, [B, P, E].

        The second layer is linear, so it may follow the mean: the same result for 1/C of its work.
        """
        hidden = F.relu(self.hidden(features_BPCD))
        weight_BC = channel_mask_BC.to(hidden.dtype)
        weight_BC = weight_BC / weight_BC.sum(1, keepdim=True).clamp(min=1.0)
        mean_BPD = (weight_BC[:, None, None, :] @ hidden).squeeze(2)
        return self.output(mean_BPD)
