"""What EVI-MAE hides: tokens of each modality, and sensors of the graph.

All draws come from the samples' keys, so a sample hides the same whatever batch or process it is in.
"""

# B batch, N tokens, K visible tokens, M hidden tokens, S sensors, R rows, C columns, P places

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
from otolith.encoders._tubelets import tube_mask

Ratio = Annotated[float, Field(ge=0, lt=1)]
_BEHIND_ALL = 1.1
_SHARE_OF_BOTH = 0.7


@config
class Config:
    """How much is hidden, and how.

    Args:
        imu_ratio: Share of the motion tokens that is hidden.
        imu_kind: `unstructured`; `time` and `frequency` hide whole columns and rows of the map
            first, `time_frequency` some of both.
        video_ratio: Share of the video tokens that is hidden.
        video_kind: `tube` hides the same places in all time slots, as the authors' loader does;
            `unstructured` is what their model really used.
        node_ratio: Share of the sensors of the graph that is hidden.
        nodes_per: `sample` hides the share in every sample; `batch`, as the authors do, in the
            batch as a whole, so that it depends on how samples are spread over processes.
    """

    imu_ratio: Ratio = 0.75
    imu_kind: Literal["unstructured", "time", "frequency", "time_frequency"] = "unstructured"
    video_ratio: Ratio = 0.9
    video_kind: Literal["tube", "unstructured"] = "tube"
    node_ratio: Ratio = 0.5
    nodes_per: Literal["sample", "batch"] = "sample"


@dataclass(frozen=True, kw_only=True)
class TokenMask:
    """Visible and hidden tokens of one modality; the same number in every sample.

    Args:
        keep_BK: int64 numbers of the visible tokens.
        hidden_BM: int64 numbers of the hidden tokens.
    """

    keep_BK: Tensor
    hidden_BM: Tensor

    @property
    def hidden_table(self) -> Tensor:
        """Which tokens are hidden, bool [B, N]."""
        count = self.keep_BK.shape[1] + self.hidden_BM.shape[1]
        mask = torch.zeros(len(self.keep_BK), count, dtype=torch.bool, device=self.keep_BK.device)
        return mask.scatter(1, self.hidden_BM, value=True)

    @property
    def restore_order(self) -> Tensor:
        """Where each token lies among visible and hidden ones, in that order, int64 [B, N]."""
        return torch.cat([self.keep_BK, self.hidden_BM], 1).argsort(1)


@dataclass(frozen=True, kw_only=True)
class Masks:
    """What is hidden in a batch.

    Args:
        tokens: Mask of each modality.
        nodes_BS: bool, True = hidden sensor; None without a graph.
    """

    tokens: dict[str, TokenMask]
    nodes_BS: Tensor | None = None


def require_both_parts(mask: TokenMask, setting: str) -> None:
    """Refuse settings that hide everything or nothing.

    Args:
        mask: Any mask that the settings give.
        setting: Name of the setting, for the message.

    Raises:
        ConfigError: No token is visible, or none is hidden.
    """
    visible, hidden = mask.keep_BK.shape[1], mask.hidden_BM.shape[1]
    if not visible or not hidden:
        raise ConfigError(
            f"{setting} leaves {visible} of {visible + hidden} tokens visible.",
            "Choose a share that hides some and leaves some.",
        )


def from_noise(noise_BN: Tensor, ratio: float) -> TokenMask:
    """Keep the tokens with the smallest noise: floor(N (1 - ratio)), by rising noise."""
    num_kept = int(noise_BN.shape[1] * (1 - ratio))
    order_BN = noise_BN.argsort(1)
    return TokenMask(keep_BK=order_BN[:, :num_kept], hidden_BM=order_BN[:, num_kept:])


def from_hidden(hidden_BN: Tensor) -> TokenMask:
    """Make a mask of a table that hides the same number of tokens in every sample."""
    order_BN = hidden_BN.to(torch.int8).argsort(dim=1, stable=True)
    num_kept = int((~hidden_BN[0]).sum())
    return TokenMask(keep_BK=order_BN[:, :num_kept], hidden_BM=order_BN[:, num_kept:])


def draw_imu(keys_B: np.ndarray, grid: tuple[int, int], c: Config) -> TokenMask:
    """Draw the mask of motion tokens on a grid of frequency x time.

    Where rows and columns hide more than the share, some of theirs are visible, chosen at random.
    """
    rows, columns = grid
    noise_BRC = randomness.uniform(keys_B, "evi_mae/imu", grid)
    scale = _SHARE_OF_BOTH if c.imu_kind == "time_frequency" else 1.0
    chosen_BRC = np.zeros_like(noise_BRC, dtype=bool)
    if c.imu_kind in {"time", "time_frequency"}:
        order_BC = randomness.uniform(keys_B, "evi_mae/columns", (columns,)).argsort(1).argsort(1)
        chosen_BRC |= (order_BC < int(columns * c.imu_ratio * scale))[:, None, :]
    if c.imu_kind in {"frequency", "time_frequency"}:
        order_BR = randomness.uniform(keys_B, "evi_mae/rows", (rows,)).argsort(1).argsort(1)
        chosen_BRC |= (order_BR < int(rows * c.imu_ratio * scale))[:, :, None]
    noise_BN = (noise_BRC + _BEHIND_ALL * chosen_BRC).reshape(len(keys_B), -1)
    return from_noise(torch.from_numpy(noise_BN), c.imu_ratio)


def draw_video(keys_B: np.ndarray, grid: tuple[int, int, int], c: Config) -> TokenMask:
    """Draw the mask of video tokens on a grid of time x row x column."""
    steps, rows, columns = grid
    if c.video_kind == "unstructured":
        noise_BN = randomness.uniform(keys_B, "evi_mae/video", (steps * rows * columns,))
        return from_noise(torch.from_numpy(noise_BN), c.video_ratio)
    noise_BP = randomness.uniform(keys_B, "evi_mae/tubes", (rows * columns,))
    order_BP = torch.from_numpy(noise_BP.argsort(1).argsort(1))
    return from_hidden(tube_mask(order_BP, steps, c.video_ratio))


def draw_nodes(keys_B: np.ndarray, sensor_mask_BS: Tensor, c: Config) -> Tensor:
    """Draw the hidden sensors, bool [B, S]; missing sensors are never among them.

    Per sample a sensor stays visible where there is one alone.
    """
    there_BS = sensor_mask_BS.cpu().numpy()
    draw_BS = randomness.uniform(keys_B, "evi_mae/nodes", there_BS.shape[1:])
    draw_BS = np.where(there_BS, draw_BS, np.inf)
    if c.nodes_per == "batch":
        rank = draw_BS.ravel().argsort(kind="stable").argsort(kind="stable")
        hidden = (rank < int(c.node_ratio * there_BS.sum())).reshape(there_BS.shape)
    else:
        rank_BS = draw_BS.argsort(1, kind="stable").argsort(1, kind="stable")
        hidden = rank_BS < np.floor(c.node_ratio * there_BS.sum(1) + 1e-9)[:, None]
    return torch.from_numpy(hidden & there_BS).to(sensor_mask_BS.device)
