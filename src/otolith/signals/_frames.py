"""What the ways to a spectrogram share: sizes, window, mirrored ends, resizing, logarithm."""

# F frequency bins, N frames

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from otolith.core.errors import DataError

_MAX_NUMPY_THREADS = 2  # with more, torch's logarithm on all of them is the faster one


@dataclass(frozen=True, kw_only=True)
class TransformSizes:
    """A short-time transform in samples.

    Args:
        num_fft: Length of the padded frame.
        frame: Length of the frame.
        hop: Distance of neighbouring frames.
    """

    num_fft: int
    frame: int
    hop: int


def hann_window(frame: int) -> np.ndarray:
    """Return the periodic Hann window [frame]; a single sample is kept as it is."""
    if frame == 1:
        return np.ones(1)
    return 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(frame) / frame)


def mirrored(num_samples: int, sizes: TransformSizes) -> tuple[int, int]:
    """Return how many samples are mirrored before and behind a signal.

    Raises:
        DataError: The signal is too short for that.
    """
    num_frames = num_samples // sizes.hop + 1
    first = sizes.num_fft // 2 - (sizes.num_fft - sizes.frame) // 2  # inputs before the centre
    last = max(0, (num_frames - 1) * sizes.hop + sizes.frame - first - num_samples)
    if max(first, last) >= num_samples:
        raise DataError(
            f"A window of {num_samples} samples is too short for frames of {sizes.frame}.",
            "Use a longer window or a shorter frame.",
        )
    return first, last


def resize(power_FN: Tensor, num_rows: int | None, num_columns: int | None) -> Tensor:
    """Scale maps [..., F, N] to [..., rows, columns], bilinear and without aliasing; None = keep."""
    size = (num_rows or power_FN.shape[-2], num_columns or power_FN.shape[-1])
    if size == tuple(power_FN.shape[-2:]):
        return power_FN
    flat = power_FN.reshape(-1, 1, *power_FN.shape[-2:])
    scaled = F.interpolate(flat, size, mode="bilinear", antialias=True, align_corners=False)
    return scaled.view(*power_FN.shape[:-2], *size)


def empty_maps(shape: tuple[int, ...]) -> Tensor:
    """Return fresh memory in float32 on the CPU.

    It comes from NumPy, which asks for large pages; with small ones, fetching the memory of a large
    batch takes as long as half of the arithmetic.
    """
    return torch.from_numpy(np.empty(shape, np.float32))


def log2_(x: Tensor) -> Tensor:
    """Overwrite positive values with their binary logarithm, and return them.

    NumPy's logarithm of float32 is several times as fast as torch's on one core of a processor
    whose maker is not that of torch's mathematical library; both are right to the last digits.
    """
    is_plain = x.device.type == "cpu" and x.dtype == torch.float32 and not x.requires_grad
    if not is_plain or torch.get_num_threads() > _MAX_NUMPY_THREADS:
        return x.log2_()
    values = x.numpy()
    with np.errstate(all="ignore"):
        if torch.backends.cpu.get_cpu_capability() == "AVX512":
            np.log2(values, out=values)
        else:  # there NumPy has a fast form of the natural logarithm only
            np.log(values, out=values)
            np.multiply(values, np.float32(1.0 / np.log(2.0)), out=values)
    return x
