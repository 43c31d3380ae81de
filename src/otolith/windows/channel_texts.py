"""Channel texts: what a text encoder is told about a channel.

A text reads "<about the data set> <about the channel> (sampled at 50Hz, 1.0s window)".
"""

# B batch, C channels

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from otolith.core.errors import DataError
from otolith.windows.batch import StreamBatch

PAD_TEXT = "[PAD]"


@dataclass(frozen=True, kw_only=True)
class DescribedChannels:
    """The texts of a batch, each different one once.

    Args:
        texts: Different texts.
        index_BC: int64, number of each channel's text; padded channels point at "[PAD]".
    """

    texts: tuple[str, ...]
    index_BC: Tensor


def describe_channels(
    stream: StreamBatch,
    patch_s: Sequence[float],
    *,
    about: Sequence[str] = (),
    add_rate: bool = True,
) -> DescribedChannels:
    """Describe the channels of a batch.

    Args:
        stream: Motion stream [B, T, C] with its channels.
        patch_s: Patch duration of each sample in s.
        about: One text per sample about its data set; empty = none.
        add_rate: Whether rate and patch duration are told.

    Raises:
        DataError: The stream does not name its channels.
    """
    batch, _, width = stream.values.shape
    if len(stream.channels) != batch:
        raise DataError(
            "The batch does not say which channels its motion stream has.",
            "Give `StreamBatch.channels`, one tuple per sample, in column order.",
        )
    rates = stream.rate_hz_B.tolist()
    number: dict[str, int] = {PAD_TEXT: 0}
    index = torch.zeros(batch, width, dtype=torch.int64)
    columns = stream.channel_columns().tolist()
    for i, channels in enumerate(stream.channels):
        before = f"{about[i]} " if len(about) and about[i] else ""
        after = f" (sampled at {rates[i]:.0f}Hz, {patch_s[i]:.1f}s window)" if add_rate else ""
        texts = [f"{before}{c.description or c.name}{after}" for c in channels]
        row = [number.setdefault(text, len(number)) for text in texts]
        index[i, columns[i][: len(row)]] = torch.tensor(row, dtype=torch.int64)
    index_BC = index.to(stream.values.device)
    if stream.channel_mask_BC is not None:
        index_BC = index_BC * stream.channel_mask_BC
    return DescribedChannels(texts=tuple(number), index_BC=index_BC)
