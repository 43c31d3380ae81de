"""Input standardisation: mean 0 and deviation 1 per channel, over the training data."""

# B batch, T time, C channels

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.distributed as dist
from torch import Tensor, nn


class Standardiser(nn.Module):
    """Subtract the mean and divide by the deviation of every channel; the numbers are buffers.

    They are fitted once: by `fit`, or else by the first batch in training mode. Until then signals
    pass unchanged. A channel that never varied, or never occurred, is divided by 1.

    Args:
        num_channels: Channels C.
    """

    mean_C: Tensor
    scale_C: Tensor
    is_fitted: Tensor

    def __init__(self, num_channels: int) -> None:
        super().__init__()
        self.register_buffer("mean_C", torch.zeros(num_channels))
        self.register_buffer("scale_C", torch.ones(num_channels))
        self.register_buffer("is_fitted", torch.tensor(False))  # a tensor's value

    def fit(self, signals: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Take mean and deviation of the given signals, of all processes together.

        Args:
            signals: Values [B, T, C], and bool [B, T, C] with True = real.
        """
        # On the CPU, because sums of squares need float64, which MPS lacks.
        sums_3C = torch.zeros(3, len(self.mean_C), dtype=torch.float64)
        for values_BTC, real_BTC in signals:
            real = real_BTC.cpu()
            x = values_BTC.detach().cpu().double().masked_fill(~real, 0.0)
            sums_3C += torch.stack([real.sum((0, 1)), x.sum((0, 1)), x.square().sum((0, 1))])
        if dist.is_available() and dist.is_initialized():
            shared = sums_3C.to(self.mean_C.device)
            dist.all_reduce(shared)
            sums_3C = shared.cpu()
        count_C, sum_C, square_C = sums_3C
        mean_C = sum_C / count_C.clamp(min=1)
        variance_C = square_C / count_C.clamp(min=1) - mean_C.square()
        # The subtraction leaves rounding errors of a constant's square.
        is_constant_C = variance_C <= 1e-12 * (1.0 + mean_C.square())
        self.mean_C.copy_(mean_C)
        self.scale_C.copy_(torch.where(is_constant_C, 1.0, variance_C.clamp(min=0.0).sqrt()))
        self.is_fitted.fill_(bool(count_C.any()))

    def forward(self, values_BTC: Tensor, real_BTC: Tensor) -> Tensor:
        """Return standardised values, zero where `real_BTC` is False."""
        if self.training and not bool(self.is_fitted):
            self.fit([(values_BTC, real_BTC)])
        values = (values_BTC - self.mean_C) / self.scale_C
        return values.masked_fill(~real_BTC, 0.0)
