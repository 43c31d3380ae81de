"""Which patches and channels Stage 1 hides: random patches, spans of patches, whole channels.

All draws come from the samples' keys, so a sample gets the same masks in any batch and on any
number of processes, and padding never changes them.
"""

# B batch, P patches, C channels, K tries

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from otolith.core import randomness
from otolith.core.config import config

Share = Annotated[float, Field(ge=0, le=1)]
_MAX_SPANS = 100
RANDOM, SPAN, CHANNEL = 0, 1, 2


@config
class Config:
    """How much is hidden, and how.

    Args:
        random_share: Probability of hiding random patches.
        span_share: Probability of hiding spans of patches; the rest hides channels.
        mask_share: Share of the patches that is hidden.
        mask_share_with_channels: Share of the patches that is hidden when channels are.
        channel_share: Share of the channels that is hidden; at least one is, one always stays.
        min_span: Shortest span in patches.
        max_span: Longest span in patches.
        kind_per: `sample` draws the kind for every sample; `batch`, as the authors do, uses that
            of the batch's first sample, so it depends on how samples are spread over processes.
    """

    random_share: Share = 0.4
    span_share: Share = 0.4
    mask_share: Share = 0.3
    mask_share_with_channels: Share = 0.15
    channel_share: Share = 0.3
    min_span: Annotated[int, Field(ge=1)] = 2
    max_span: Annotated[int, Field(ge=1)] = 4
    kind_per: Literal["sample", "batch"] = "sample"

    def __post_init__(self) -> None:
        """Check that the probabilities and the spans make sense."""
        if self.random_share + self.span_share > 1 + 1e-9:
            raise ValueError("random_share + span_share must not exceed 1")
        if self.min_span > self.max_span:
            raise ValueError("min_span must not exceed max_span")


@dataclass(frozen=True, kw_only=True)
class Masks:
    """What is hidden in a batch.

    Args:
        masked_BP: bool, True = hidden patch.
        dropped_BC: bool, True = hidden channel.
    """

    masked_BP: Tensor
    dropped_BC: Tensor

    def with_open_view(self) -> Masks:
        """Return masks of a batch of twice the size, whose second half hides nothing."""
        return Masks(
            masked_BP=torch.cat([self.masked_BP, torch.zeros_like(self.masked_BP)]),
            dropped_BC=torch.cat([self.dropped_BC, torch.zeros_like(self.dropped_BC)]),
        )


def draw_masks(keys_B: np.ndarray, mask_BP: Tensor, channel_mask_BC: Tensor, c: Config) -> Masks:
    """Draw what to hide.

    Args:
        keys_B: Keys of the samples.
        mask_BP: bool, True = real patch.
        channel_mask_BC: bool, True = real channel.
        c: Settings.

    Returns:
        Masks on the device of `mask_BP`; padding is never hidden.
    """
    real_BP, real_BC = mask_BP.cpu().numpy(), channel_mask_BC.cpu().numpy()
    kind_B = mask_kinds(keys_B, c)
    share_B = np.where(kind_B == CHANNEL, c.mask_share_with_channels, c.mask_share)
    random_BP = random_patches(keys_B, real_BP, share_B)
    masked_BP = np.where((kind_B == SPAN)[:, None], spans(keys_B, real_BP, c), random_BP)
    dropped_BC = dropped_channels(keys_B, real_BC, c.channel_share) & (kind_B == CHANNEL)[:, None]
    return Masks(
        masked_BP=torch.from_numpy(masked_BP).to(mask_BP.device),
        dropped_BC=torch.from_numpy(dropped_BC).to(mask_BP.device),
    )


def mask_kinds(keys_B: np.ndarray, c: Config) -> np.ndarray:
    """Return the kind of mask of every sample: RANDOM, SPAN or CHANNEL, int64 [B]."""
    draw_B = randomness.uniform(keys_B, "mask/kind")
    if c.kind_per == "batch":
        draw_B = np.repeat(draw_B[:1], len(draw_B))
    return np.searchsorted(np.cumsum([c.random_share, c.span_share]), draw_B, side="right")


def random_patches(keys_B: np.ndarray, real_BP: np.ndarray, share_B: np.ndarray) -> np.ndarray:
    """Hide every real patch with the sample's probability, bool [B, P]."""
    draw_BP = randomness.uniform(keys_B, "mask/patches", real_BP.shape[1:])
    return real_BP & (draw_BP < share_B[:, None])


def spans(keys_B: np.ndarray, real_BP: np.ndarray, c: Config) -> np.ndarray:
    """Hide spans at random starts until the share of the real patches is reached, bool [B, P].

    At least one patch is hidden where there are two; spans may overlap, and at most 100 are tried.
    """
    count_B = real_BP.sum(1)
    target_B = np.floor(c.mask_share * count_B + 1e-9).astype(np.int64)
    target_B = np.where((count_B > 1) & (c.mask_share > 0), np.maximum(target_B, 1), target_B)
    draw = randomness.uniform(keys_B, "mask/spans", (_MAX_SPANS, 2))
    length_BK = c.min_span + np.floor(draw[..., 0] * (c.max_span - c.min_span + 1))
    length_BK = np.minimum(length_BK, count_B[:, None])
    start_BK = np.floor(draw[..., 1] * (count_B[:, None] - length_BK + 1))
    rank_BP = np.cumsum(real_BP, axis=1) - 1
    offset_BKP = rank_BP[:, None, :] - start_BK[:, :, None]
    inside_BKP = (offset_BKP >= 0) & (offset_BKP < length_BK[:, :, None]) & real_BP[:, None, :]
    union_BKP = np.logical_or.accumulate(inside_BKP, axis=1)
    enough_BK = union_BKP.sum(2) >= target_B[:, None]
    last_B = np.where(enough_BK.any(1), enough_BK.argmax(1), _MAX_SPANS - 1)
    hidden_BP = np.take_along_axis(union_BKP, last_B[:, None, None], axis=1)[:, 0]
    return hidden_BP & (target_B > 0)[:, None]


def dropped_channels(keys_B: np.ndarray, real_BC: np.ndarray, share: float) -> np.ndarray:
    """Hide a share of the real channels, at least one, never all, bool [B, C]."""
    count_B = real_BC.sum(1)
    wanted_B = np.maximum(np.floor(share * count_B + 1e-9), 1) if share > 0 else 0 * count_B
    wanted_B = np.minimum(wanted_B, np.maximum(count_B - 1, 0))
    draw_BC = randomness.uniform(keys_B, "mask/channels", real_BC.shape[1:])
    order_BC = np.where(real_BC, draw_BC, np.inf).argsort(1, kind="stable")
    rank_BC = order_BC.argsort(1, kind="stable")
    return real_BC & (rank_BC < wanted_B[:, None])
