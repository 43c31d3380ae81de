"""Draws of one step of an augmentation, and which samples it may move in time."""

# B batch, T time

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from otolith.core.randomness import noise
from otolith.recordings.recording import Channel
from otolith.windows.batch import StreamBatch


@dataclass(frozen=True)
class Draws:
    """Draws of one step: common to all streams of a sample, or of one stream.

    Args:
        keys_B: Keys of the samples.
        purpose: Purpose of the whole augmentation.
        step: Name of the step.
        stream: Name of the stream.
        chosen_B: Which samples undergo the step.
    """

    keys_B: np.ndarray
    purpose: str
    step: str
    stream: str
    chosen_B: np.ndarray

    @property
    def common(self) -> str:
        """Purpose of draws that all streams of a sample share."""
        return f"{self.purpose}/{self.step}"

    @property
    def own(self) -> str:
        """Purpose of draws of this stream alone."""
        return f"{self.purpose}/{self.step}/{self.stream}"

    def keep(self, values: np.ndarray, neutral: float) -> np.ndarray:
        """Return the values of the chosen samples, `neutral` for the others."""
        chosen = self.chosen_B.reshape(-1, *([1] * (values.ndim - 1)))
        return np.where(chosen, values, neutral)


def movable(stream: StreamBatch, chosen_B: np.ndarray, shortest: int) -> tuple[Tensor, Tensor]:
    """Return the number of rows of each sample, and which chosen ones may be moved in time.

    Args:
        stream: The stream.
        chosen_B: Chosen samples.
        shortest: Samples with fewer rows are not moved; nor are samples with holes in time.
    """
    count_B = stream.mask_BT.sum(1)
    time = torch.arange(stream.mask_BT.shape[1])
    extent_B = torch.where(stream.mask_BT, time + 1, 0).amax(1)
    movable_B = (count_B == extent_B) & (count_B >= shortest) & torch.from_numpy(chosen_B)
    return extent_B, movable_B


def by_layout(
    stream: StreamBatch, chosen_B: np.ndarray
) -> Iterator[tuple[tuple[Channel, ...], Tensor]]:
    """Yield the channels that chosen samples share, with the numbers of these samples."""
    groups: dict[int, list[int]] = {}
    for i in np.flatnonzero(chosen_B).tolist():
        groups.setdefault(id(stream.channels[i]), []).append(i)
    for members in groups.values():
        if stream.channels[members[0]]:
            yield stream.channels[members[0]], torch.as_tensor(members)


def flat_noise(stream: StreamBatch, draws: Draws) -> Tensor:
    """Return noise [B, T, C] whose numbers do not depend on the padding: own channels, row by row."""
    num_B, time, width = stream.values.shape
    width_B = np.asarray([max(len(own), 1) for own in stream.channels])
    flat = noise(draws.keys_B, draws.own, time * int(width_B.max()))
    if (width_B == width).all():
        return torch.from_numpy(flat.reshape(num_B, time, width))
    place = np.arange(time)[:, None] * width_B[:, None, None] + np.arange(width)
    place = np.minimum(place, flat.shape[1] - 1).reshape(num_B, -1)
    return torch.from_numpy(np.take_along_axis(flat, place, 1).reshape(num_B, time, width))
