"""Which channels form one sensor, and what they are called on the other side of the body."""

# C channels

from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache

import numpy as np

from otolith.recordings.recording import Channel
from otolith.signals.rotations import mirror_left_right

_SIDES = {"left": "right", "right": "left", "Left": "Right", "Right": "Left"}
_SIDE = re.compile(r"(?<![A-Za-z])(left|right|Left|Right)(?![A-Za-z])")


@lru_cache(maxsize=4096)
def sensors(channels: tuple[Channel, ...]) -> tuple[np.ndarray, int]:
    """Return the number of each channel's sensor, int64 [C], and how many sensors there are."""
    numbers = {name: i for i, name in enumerate(dict.fromkeys(c.triad for c in channels))}
    return np.asarray([numbers[c.triad] for c in channels], np.int64), len(numbers)


@lru_cache(maxsize=4096)
def mirrored(
    channels: tuple[Channel, ...], lateral_axis: str
) -> tuple[np.ndarray, tuple[Channel, ...]]:
    """Return what mirroring left and right does: the sign of each channel, and its new words.

    Args:
        channels: The channels.
        lateral_axis: Sensor axis that points to the side of the body.

    Returns:
        Signs float32 [C], and the channels with left and right exchanged in name, placement and
        description.
    """
    ones = np.ones((1, len(channels)), np.float32)
    signs = mirror_left_right(ones, [c.name for c in channels], lateral_axis=lateral_axis)[0]
    words = tuple(
        replace(
            c,
            name=_other_side(c.name),
            placement=_other_side(c.placement),
            description=_other_side(c.description),
        )
        for c in channels
    )
    return signs, words


def _other_side(text: str) -> str:
    return _SIDE.sub(lambda match: _SIDES[match[1]], text)
