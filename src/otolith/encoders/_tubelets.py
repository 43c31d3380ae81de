"""Tubelets of video and patches of maps: cutting, undoing it, embedding, tube masks.

A tubelet is a box of a few frames and a square of pixels; a map has one frame. Tokens are ordered
time, row, column; the values of a token frame, row, column, channel.
"""

# B batch, T frames, H rows, W columns, C channels, N tokens, V values of a token, D width, P places

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from otolith.core.errors import DataError

Size = tuple[int, int, int]


def to_tubelets(video_BTHWC: Tensor, size: Size) -> Tensor:
    """Cut video into tubelets.

    Args:
        video_BTHWC: Frames; every axis is a multiple of the tubelet's.
        size: Frames, rows and columns of a tubelet.

    Returns:
        Values [B, N, V].

    Raises:
        DataError: An axis cannot be divided.
    """
    batch, *axes, channels = video_BTHWC.shape
    if any(axis % part for axis, part in zip(axes, size, strict=True)):
        raise DataError(
            f"Video of {axes[0]} frames of {axes[1]} x {axes[2]} cannot be cut into boxes of "
            f"{size[0]} x {size[1]} x {size[2]}.",
            "Choose a size that divides it.",
        )
    split = video_BTHWC.reshape(
        batch, axes[0] // size[0], size[0], axes[1] // size[1], size[1], axes[2] // size[2],
        size[2], channels,
    )  # fmt: skip
    ordered = split.permute(0, 1, 3, 5, 2, 4, 6, 7)
    return ordered.reshape(batch, -1, math.prod(size) * channels)


def from_tubelets(values_BNV: Tensor, size: Size, grid: Size) -> Tensor:
    """Put tubelets together again.

    Args:
        values_BNV: Values as `to_tubelets` gives them.
        size: Frames, rows and columns of a tubelet.
        grid: Tubelets along time, rows and columns.

    Returns:
        Video [B, T, H, W, C].
    """
    split = values_BNV.reshape(len(values_BNV), *grid, *size, -1)
    ordered = split.permute(0, 1, 4, 2, 5, 3, 6, 7)
    lengths = [count * part for count, part in zip(grid, size, strict=True)]
    return ordered.reshape(len(values_BNV), *lengths, -1)


class TubeletEmbedding(nn.Module):
    """A convolution whose stride is its kernel, as one product with the values of tubelets.

    The weight has the shape of the convolution's, so that checkpoints fit.

    Args:
        width: Token width D.
        num_channels: Channels C.
        size: Kernel: (rows, columns) for maps, (frames, rows, columns) for video.
    """

    def __init__(self, width: int, num_channels: int, size: tuple[int, ...]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(width, num_channels, *size))
        self.bias = nn.Parameter(torch.zeros(width))
        # Xavier on the flattened kernel, as for a linear layer
        nn.init.xavier_uniform_(self.weight.view(width, -1))

    def forward(self, values_BNV: Tensor) -> Tensor:
        """Return tokens [..., D] of values [..., V] whose last axis ends with the channel."""
        matrix = self.weight.movedim(1, -1).flatten(1)
        return F.linear(values_BNV.to(matrix.dtype), matrix, self.bias)


def tube_mask(order_P: Tensor, num_steps: int, mask_ratio: float) -> Tensor:
    """Hide the same places in every time slot (VideoMAE).

    Args:
        order_P: A permutation of the P places of one time slot, int64 [..., P]; the places that
            come first stay.
        num_steps: Time slots.
        mask_ratio: Share of the places to hide.

    Returns:
        bool [..., num_steps * P], True = hidden.
    """
    num_hidden = int(mask_ratio * order_P.shape[-1])
    hidden = order_P >= order_P.shape[-1] - num_hidden
    return hidden.repeat(*[1] * (hidden.ndim - 1), num_steps)
