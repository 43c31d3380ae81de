"""Transformer blocks with attention in windows of a token grid.

Scaled cosine attention with a position bias from a small network on log-spaced distances, and
normalisation after every part (Liu et al., "Swin Transformer V2", CVPR 2022). The bias depends on
weights alone. Windows of every second block are shifted; tokens that only the shift brings together
do not attend to each other.
"""

# B batch, R rows and L columns of the grid, P rows and Q columns of a window
# A area of a window (P * Q), G windows (all samples), W windows of one sample, H heads, D width
# K any tokens of a sample

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from otolith.core.errors import ConfigError
from otolith.encoders._mae import Feedforward

_LENGTH_FLOOR = 1e-3  # of a query or key; the product of two is at least 1e-6
_TEMPERATURE_FLOOR = 0.01
_APART = -100.0


class PositionBias(nn.Module):
    """Bias of the attention from the distance of two tokens in a window.

    Args:
        window: Rows and columns of a window.
        num_heads: Heads.
        hidden_width: Width of the network.
        dropout: Dropout after both layers while training.
    """

    distances_A2: Tensor

    def __init__(
        self,
        window: tuple[int, int],
        num_heads: int,
        *,
        hidden_width: int = 384,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.hidden = nn.Linear(2, hidden_width)
        self.output = nn.Linear(hidden_width, num_heads)
        self.dropout = dropout
        self.area = window[0] * window[1]
        sides = [torch.arange(side, dtype=torch.float32) for side in window]
        cells = torch.stack(torch.meshgrid(*sides, indexing="ij"), dim=-1).view(-1, 2)
        distance = (cells[:, None] - cells[None, :]).view(-1, 2)
        spaced = distance.sign() * distance.abs().log1p()
        self.register_buffer("distances_A2", spaced, persistent=False)

    def forward(self) -> Tensor:
        """Return the bias [H, A, A]."""
        hidden = F.dropout(F.relu(self.hidden(self.distances_A2)), self.dropout, self.training)
        bias = F.dropout(self.output(hidden), self.dropout, self.training)
        return bias.T.reshape(-1, self.area, self.area)


class WindowAttention(nn.Module):
    """Scaled cosine attention within windows.

    Args:
        width: Width D.
        num_heads: Heads.
        window: Rows and columns of a window.
        position_dropout: Dropout in the network of the position bias.
    """

    def __init__(
        self, width: int, num_heads: int, window: tuple[int, int], position_dropout: float
    ) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.temperature_H = nn.Parameter(torch.ones(num_heads))
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.position_bias = PositionBias(window, num_heads, dropout=position_dropout)

    def forward(self, x_GAD: Tensor, apart_WAA: Tensor | None) -> Tensor:
        """Attend within every window.

        Args:
            x_GAD: Tokens [G, A, D]; the windows of a sample lie together.
            apart_WAA: Added to the scores of every window of one sample [W, A, A]; None = nothing.
        """
        qkv = self.qkv(x_GAD).unflatten(2, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        q, k, v = qkv.contiguous().unbind()
        q_length, k_length = (
            torch.linalg.vector_norm(x, dim=-1).clamp(min=_LENGTH_FLOOR) for x in (q, k)
        )
        scale_H1 = self.temperature_H.clamp(min=_TEMPERATURE_FLOOR)[:, None]
        scores = self._scores(
            q @ k.transpose(-1, -2), (q_length * scale_H1)[..., :, None], k_length[..., None, :],
            apart_WAA,
        )  # fmt: skip
        return self.out((scores.softmax(-1) @ v).transpose(1, 2).flatten(2))

    def _scores(
        self, products_GHAA: Tensor, rows: Tensor, columns: Tensor, apart_WAA: Tensor | None
    ) -> Tensor:
        """Products divided by `rows` and `columns`, plus the bias, all of it in one pass."""
        inverse = (rows.reciprocal() * columns.reciprocal()).to(products_GHAA.dtype)
        bias = self.position_bias().to(products_GHAA.dtype)
        if apart_WAA is None:
            return torch.addcmul(bias, products_GHAA, inverse)
        bias_WHAA = bias + apart_WAA[:, None].to(bias.dtype)
        groups = (-1, len(apart_WAA))
        scores = torch.addcmul(
            bias_WHAA, products_GHAA.unflatten(0, groups), inverse.unflatten(0, groups)
        )
        return scores.flatten(0, 1)


class WindowBlock(nn.Module):
    """Window attention and feed-forward, each normalised before it is added.

    Args:
        width: Width D.
        num_heads: Heads.
        hidden_width: Width of the feed-forward part.
        grid: Rows and columns of the token grid.
        window: Rows and columns of a window; a side longer than the grid takes the grid's.
        shift: By how many rows and columns the windows are moved; not on sides that one window fills.
        position_dropout: Dropout in the network of the position bias.
        norm_eps: Added to the variance of the normalisations.

    Raises:
        ConfigError: The grid cannot be divided into windows.
    """

    apart_WAA: Tensor | None

    def __init__(
        self,
        width: int,
        num_heads: int,
        hidden_width: int,
        grid: tuple[int, int],
        window: tuple[int, int],
        shift: tuple[int, int],
        position_dropout: float = 0.1,
        norm_eps: float = 1e-6,
    ) -> None:
        super().__init__()
        self.grid = grid
        self.window = (min(window[0], grid[0]), min(window[1], grid[1]))
        self.shift = (
            0 if grid[0] <= window[0] else shift[0],
            0 if grid[1] <= window[1] else shift[1],
        )
        if grid[0] % self.window[0] or grid[1] % self.window[1]:
            raise ConfigError(
                f"A grid of {grid[0]} x {grid[1]} tokens cannot be divided into windows of "
                f"{self.window[0]} x {self.window[1]}.",
                "Choose another size of the map, the patch or the window, or the plain decoder.",
            )
        self.attention = WindowAttention(width, num_heads, self.window, position_dropout)
        self.attention_norm = nn.LayerNorm(width, eps=norm_eps)
        self.feedforward = Feedforward(width, hidden_width)
        self.feedforward_norm = nn.LayerNorm(width, eps=norm_eps)
        apart = self._apart() if any(self.shift) else None
        self.register_buffer("apart_WAA", apart, persistent=False)

    def forward(self, x_BND: Tensor) -> Tensor:
        """Transform tokens [B, N, D] in the order of the grid."""
        return self.fed(self.attended(x_BND))

    def attended(self, x_BND: Tensor) -> Tensor:
        """Return the tokens of the grid behind the attention."""
        attended = self._from_windows(self.attention(self._to_windows(x_BND), self.apart_WAA))
        return x_BND + self.attention_norm(attended)

    def fed(self, x_BKD: Tensor) -> Tensor:
        """Return any tokens behind the feed-forward part, which reads each alone."""
        return x_BKD + self.feedforward_norm(self.feedforward(x_BKD))

    def _to_windows(self, x_BND: Tensor) -> Tensor:
        """[B, N, D] -> [G, A, D], shifted."""
        x = x_BND.unflatten(1, self.grid)
        for axis, shift in enumerate(self.shift, start=1):
            x = x.roll(-shift, axis) if shift else x
        x = x.unflatten(2, (-1, self.window[1])).unflatten(1, (-1, self.window[0]))
        return x.transpose(2, 3).flatten(3, 4).flatten(0, 2)

    def _from_windows(self, x_GAD: Tensor) -> Tensor:
        """Undo `_to_windows`."""
        counts = (self.grid[0] // self.window[0], self.grid[1] // self.window[1])
        x = x_GAD.unflatten(1, self.window).unflatten(0, (-1, *counts)).transpose(2, 3)
        x = x.flatten(3, 4).flatten(1, 2)
        for axis, shift in enumerate(self.shift, start=1):
            x = x.roll(shift, axis) if shift else x
        return x.flatten(1, 2)

    def _apart(self) -> Tensor:
        """Scores [W, A, A]: 0 for neighbours, very low for tokens that the shift brings together."""
        region = torch.zeros(self.grid)
        for axis, (size, side, shift) in enumerate(
            zip(self.grid, self.window, self.shift, strict=True)
        ):
            part = torch.zeros(size)
            if shift:
                part[size - side : size - shift], part[size - shift :] = 1.0, 2.0
            region = region * 3 + (part[:, None] if axis == 0 else part[None, :])
        # Regions are those of the grid after the shift, so that only the division is wanted here.
        shift, self.shift = self.shift, (0, 0)
        windows = self._to_windows(region.view(1, -1, 1)).squeeze(2)
        self.shift = shift
        return torch.where(windows[:, :, None] == windows[:, None, :], 0.0, _APART)
