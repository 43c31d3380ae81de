"""Crops of frames as EVI-MAE makes them: one box of several scales per clip, or the centre.

All frames of a clip share the box. Sides are the short side times a scale; width and height may be one
scale apart; the box lies at one of 13 places. Cropping and bilinear scaling are one step for a batch.
"""

# B batch, T frames, H rows, W columns, C channels, K scales

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from otolith.core import randomness

# (row, column) of the box's corner as a share of the room that it has
_PLACES = np.array(
    [(0, 0), (0, 1), (1, 0), (1, 1), (0.5, 0.5), (0.5, 0), (0.5, 1), (1, 0.5), (0, 0.5),
     (0.25, 0.25), (0.25, 0.75), (0.75, 0.25), (0.75, 0.75)]
)  # fmt: skip


def random_boxes(
    keys_B: np.ndarray, height: int, width: int, scales: tuple[float, ...]
) -> np.ndarray:
    """Draw a box per sample.

    Args:
        keys_B: Keys of the samples.
        height: Rows of a frame.
        width: Columns of a frame.
        scales: Sides as a share of the short side, neighbours in order.

    Returns:
        float64 [B, 4]: first row, first column, rows, columns.
    """
    numbers = np.arange(len(scales))
    pairs = [(i, j) for i in numbers for j in numbers if abs(i - j) <= 1]
    sides = np.asarray(scales)[np.array(pairs)] * min(height, width)
    side_B2 = np.floor(sides)[randomness.integers(keys_B, "crop/scale", len(pairs))]
    place_B2 = _PLACES[randomness.integers(keys_B, "crop/place", len(_PLACES))]
    corner_B2 = np.floor(place_B2 * (np.array([height, width]) - side_B2))
    return np.concatenate([corner_B2, side_B2], 1)


def centre_boxes(count: int, height: int, width: int) -> np.ndarray:
    """Return the largest square in the middle for every sample, float64 [B, 4]."""
    side = min(height, width)
    box = [(height - side) // 2, (width - side) // 2, side, side]
    return np.tile(np.asarray(box, np.float64), (count, 1))


def crop(video_BTHWC: Tensor, boxes_B4: np.ndarray, size_px: int) -> Tensor:
    """Cut boxes out and scale them.

    Args:
        video_BTHWC: Frames, any number type.
        boxes_B4: First row, first column, rows, columns.
        size_px: Height and width of the result.

    Returns:
        float32 [B, T, size_px, size_px, C].
    """
    height, width = video_BTHWC.shape[2:4]
    whole = np.array([0, 0, size_px, size_px])
    if (height, width) == (size_px, size_px) and (boxes_B4 == whole).all():
        return video_BTHWC.float()
    boxes = torch.from_numpy(boxes_B4).to(video_BTHWC.device, torch.float32)
    steps = (torch.arange(size_px, device=boxes.device) + 0.5) / size_px
    rows = (boxes[:, 0, None] + boxes[:, 2, None] * steps) / height * 2 - 1
    columns = (boxes[:, 1, None] + boxes[:, 3, None] * steps) / width * 2 - 1
    grid = torch.stack(
        [
            columns[:, None, :].expand(-1, size_px, -1),
            rows[:, :, None].expand(-1, -1, size_px),
        ],
        3,
    )
    planes = video_BTHWC.permute(0, 1, 4, 2, 3).flatten(1, 2).float()
    cut = F.grid_sample(planes, grid, "bilinear", "border", align_corners=False)
    channels = video_BTHWC.shape[4]
    return cut.unflatten(1, (-1, channels)).permute(0, 1, 3, 4, 2)
