"""Three convolutions over time whose padding changes nothing."""

# B batch, C channels, T time, G groups, N tokens, D width

from __future__ import annotations

import itertools
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

STRIDE = 4  # rows per token


class MotionConv(nn.Module):
    """Convolution, masked normalisation and GELU, three times, with two halvings of time.

    Args:
        in_channels: Signals.
        width: Channels of the first layer; the second and third have twice as many.
        kernel: Samples that a layer sees at once, odd.
        groups: Groups of channels that are normalised together.
        norm: `group` normalises every sample by itself, which takes its strength away; `batch`
            normalises all samples alike.
    """

    def __init__(
        self,
        in_channels: int,
        width: int,
        kernel: int,
        groups: int,
        norm: Literal["group", "batch"] = "group",
    ) -> None:
        super().__init__()
        widths = (in_channels, width, 2 * width, 2 * width)
        layers = itertools.pairwise(widths)
        self.convs = nn.ModuleList(nn.Conv1d(a, b, kernel, padding=kernel // 2) for a, b in layers)
        self.norms = nn.ModuleList(
            MaskedGroupNorm(groups, w) if norm == "group" else MaskedBatchNorm(w)
            for w in widths[1:]
        )

    def forward(self, x_BCT: Tensor, mask_BT: Tensor) -> tuple[Tensor, Tensor]:
        """Return tokens [B, N, D], zero where masked, and their mask [B, N].

        Args:
            x_BCT: Signals of at least 4 rows, zero where masked.
            mask_BT: bool, True = real; real rows come first.
        """
        for index, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            if index:
                num = mask_BT.shape[1] // 2 * 2
                x_BCT = F.max_pool1d(x_BCT, 2)
                mask_BT = mask_BT[:, 1:num:2]  # a half pair at the end is dropped
                x_BCT = x_BCT * mask_BT[:, None]
            x_BCT = F.gelu(norm(conv(x_BCT), mask_BT)) * mask_BT[:, None]
        return x_BCT.transpose(1, 2), mask_BT


class MaskedGroupNorm(nn.Module):
    """Group normalisation over the real rows of each sample.

    Args:
        groups: Groups of channels.
        width: Channels.
        epsilon: Added to the variance.
    """

    def __init__(self, groups: int, width: int, epsilon: float = 1e-5) -> None:
        super().__init__()
        self.groups, self.epsilon = groups, epsilon
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x_BCT: Tensor, mask_BT: Tensor) -> Tensor:
        """Normalise; what lies at masked rows is arbitrary.

        Args:
            x_BCT: Values.
            mask_BT: bool, True = real.
        """
        if bool(mask_BT.all()):
            x = x_BCT.float()  # torch's own, two times as fast
            return F.group_norm(x, self.groups, self.weight, self.bias, self.epsilon)
        x = x_BCT.float().unflatten(1, (self.groups, -1))
        real = mask_BT[:, None, None].to(x)
        number = (real.sum((2, 3), keepdim=True) * x.shape[2]).clamp(min=1)
        mean = (x * real).sum((2, 3), keepdim=True) / number
        centred = (x - mean) * real
        variance = centred.square().sum((2, 3), keepdim=True) / number
        normal = (centred * (variance + self.epsilon).rsqrt()).flatten(1, 2)
        return normal * self.weight[:, None] + self.bias[:, None]


class MaskedBatchNorm(nn.Module):
    """Batch normalisation over the real rows of all samples.

    Args:
        width: Channels.
        epsilon: Added to the variance.
        momentum: Share of a training batch in the running mean and variance.
    """

    running_mean: Tensor
    running_variance: Tensor

    def __init__(self, width: int, epsilon: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__()
        self.epsilon, self.momentum = epsilon, momentum
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))
        self.register_buffer("running_mean", torch.zeros(width))
        self.register_buffer("running_variance", torch.ones(width))

    def forward(self, x_BCT: Tensor, mask_BT: Tensor) -> Tensor:
        """Normalise; what lies at masked rows is arbitrary.

        Args:
            x_BCT: Values.
            mask_BT: bool, True = real.
        """
        x = x_BCT.float()
        is_measured = self.training and int(mask_BT.sum()) > 1
        if not is_measured or bool(mask_BT.all()):
            return self._norm(x, is_measured)
        rows_RC = self._norm(x.transpose(1, 2)[mask_BT], is_measured)
        normal_BTC = torch.zeros_like(x.transpose(1, 2))
        normal_BTC[mask_BT] = rows_RC
        return normal_BTC.transpose(1, 2)

    def _norm(self, x: Tensor, is_measured: bool) -> Tensor:
        """Normalise with the batch's own mean and variance, or with the running ones."""
        return F.batch_norm(
            x, self.running_mean, self.running_variance, self.weight, self.bias,
            is_measured, self.momentum, self.epsilon,
        )  # fmt: skip
