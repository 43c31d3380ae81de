"""Rows of WEAR's processed feature files: motion windows and video features side by side."""

# N rows, C channels, T samples of a window

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from otolith.core.errors import DataError

NUM_CHANNELS = 12
RATE_HZ = 50.0
VIDEO_WIDTH = 2048
LIMBS = ("right arm", "right leg", "left leg", "left arm")


def split_row(rows_ND: np.ndarray, num_samples: int) -> tuple[np.ndarray, np.ndarray]:
    """Divide rows of combined or inertial features.

    Args:
        rows_ND: Rows [N, 12 * num_samples (+ 2048)], channel by channel, then video.
        num_samples: Samples of a window.

    Returns:
        Motion windows [N, 12, num_samples] and video features [N, 2048] (or [N, 0]), not copied.

    Raises:
        DataError: The rows have another width.
    """
    motion = NUM_CHANNELS * num_samples
    if rows_ND.ndim != 2 or rows_ND.shape[1] not in (motion, motion + VIDEO_WIDTH):
        raise DataError(
            f"Rows of shape {rows_ND.shape} hold no windows of {num_samples} samples.",
            f"Give rows of {motion} or {motion + VIDEO_WIDTH} values.",
        )
    return rows_ND[:, :motion].reshape(-1, NUM_CHANNELS, num_samples), rows_ND[:, motion:]


def subjects_of(annotations: Mapping[str, Any], subset: str) -> tuple[str, ...]:
    """Return the people of a subset ("Training", "Validation") in the order of the file."""
    people = annotations.get("database", {})
    return tuple(name for name, facts in people.items() if facts.get("subset") == subset)
