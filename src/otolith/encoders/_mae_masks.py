"""Which tokens of a grid a masked autoencoder hides: random ones, whole rows, columns, or both.

Rows of the grid are frequencies, columns are times. The number of tokens (rows, columns) that are
kept is int(n * (1 - share)) in floating point, as in He et al. (CVPR 2022). All draws come from the
samples' keys, so a sample gets the same masks in any batch and on any number of processes.
"""

# B batch, N tokens (R * L), R rows, L columns, K kept tokens, M hidden tokens

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from otolith.core import randomness
from otolith.core.config import config
from otolith.core.errors import ConfigError

Share = Annotated[float, Field(ge=0, lt=1)]
Kind = Literal["random", "time", "frequency", "grid"]


@config
class Config:
    """How much is hidden, and how.

    Args:
        kind: `random` hides single tokens; `time` whole columns, `frequency` whole rows, `grid` rows
            and columns.
        share: Share of the tokens that `random` hides.
        time_share: Share of the columns that `time` and `grid` hide.
        frequency_share: Share of the rows that `frequency` and `grid` hide.
    """

    kind: Kind = "random"
    share: Share = 0.9
    time_share: Share = 0.5
    frequency_share: Share = 0.5


@dataclass(frozen=True, kw_only=True)
class Masking:
    """A division of the tokens of every sample into kept and hidden ones.

    Args:
        keep_BK: int64, kept tokens in the order in which they are encoded.
        hide_BM: int64, hidden tokens.
    """

    keep_BK: Tensor
    hide_BM: Tensor

    @property
    def order(self) -> Tensor:
        """Kept tokens, then hidden ones, int64."""
        return torch.cat([self.keep_BK, self.hide_BM], dim=1)

    @property
    def restore(self) -> Tensor:
        """Place of every token in `order`, int64."""
        return self.order.argsort(dim=1)

    @property
    def hidden(self) -> Tensor:
        """bool, True = hidden."""
        is_hidden = torch.zeros_like(self.order, dtype=torch.bool)
        return is_hidden.scatter(1, self.hide_BM, value=True)

    def to(self, device: torch.device | str) -> Masking:
        """Return a copy on `device`."""
        return Masking(keep_BK=self.keep_BK.to(device), hide_BM=self.hide_BM.to(device))


def num_kept(count: int, share: float) -> int:
    """Return how many of `count` tokens are kept when a share is hidden."""
    return int(count * (1 - share))


def check_masking(grid: tuple[int, int], config: Config, *, needs_hidden: bool) -> None:
    """Refuse settings that hide everything, or nothing.

    Args:
        grid: Rows and columns of the token grid.
        config: Settings.
        needs_hidden: Whether some token must be hidden.

    Raises:
        ConfigError: No token of the grid is visible, or none is hidden although one must be.
    """
    masking = draw_masking(randomness.sample_keys(0, 0, [0]), grid, config)
    visible, hidden = masking.keep_BK.shape[1], masking.hide_BM.shape[1]
    if not visible or (needs_hidden and not hidden):
        raise ConfigError(
            f"Masks of kind {config.kind} leave {visible} of {visible + hidden} tokens visible.",
            "Choose shares in masking that hide some and leave some.",
        )


def draw_masking(
    keys_B: np.ndarray, grid: tuple[int, int], config: Config, purpose: str = "mae_mask"
) -> Masking:
    """Draw the masks of a batch.

    Args:
        keys_B: Keys of the samples.
        grid: Rows and columns of the token grid.
        config: Settings.
        purpose: What the draws are for; another purpose gives independent ones.
    """
    if config.kind == "random":
        noise = randomness.uniform(keys_B, purpose, (grid[0] * grid[1],))
        return random_masking(torch.from_numpy(noise), config.share)
    rows = torch.from_numpy(randomness.uniform(keys_B, f"{purpose}/rows", (grid[0],)))
    columns = torch.from_numpy(randomness.uniform(keys_B, f"{purpose}/columns", (grid[1],)))
    row_share = 0.0 if config.kind == "time" else config.frequency_share
    column_share = 0.0 if config.kind == "frequency" else config.time_share
    return grid_masking(rows, columns, row_share, column_share)


def random_masking(noise_BN: Tensor, share: float) -> Masking:
    """Keep the tokens with the smallest noise, in ascending order of it.

    Args:
        noise_BN: Noise per token.
        share: Share to hide.
    """
    order = noise_BN.argsort(dim=1, stable=True)
    kept = num_kept(noise_BN.shape[1], share)
    return Masking(keep_BK=order[:, :kept], hide_BM=order[:, kept:])


def grid_masking(
    noise_BR: Tensor,
    noise_BL: Tensor,
    row_share: float,
    column_share: float,
    *,
    order: Literal["raster", "noise"] = "raster",
) -> Masking:
    """Keep the tokens whose row and column both have small noise.

    Args:
        noise_BR: Noise per row.
        noise_BL: Noise per column.
        row_share: Share of the rows to hide.
        column_share: Share of the columns to hide.
        order: Order of the kept tokens: that of the grid, or that of the noise of rows, then columns.
    """
    num_columns = noise_BL.shape[1]
    rows = noise_BR.argsort(dim=1, stable=True)[:, : num_kept(noise_BR.shape[1], row_share)]
    columns = noise_BL.argsort(dim=1, stable=True)[:, : num_kept(num_columns, column_share)]
    keep = (rows[:, :, None] * num_columns + columns[:, None, :]).flatten(1)
    if order == "raster":
        keep = keep.sort(dim=1).values
    is_kept = keep.new_zeros((len(keep), noise_BR.shape[1] * num_columns), dtype=torch.int8)
    is_kept.scatter_(1, keep, 1)
    hide = is_kept.argsort(dim=1, stable=True)[:, : is_kept.shape[1] - keep.shape[1]]
    return Masking(keep_BK=keep, hide_BM=hide)
