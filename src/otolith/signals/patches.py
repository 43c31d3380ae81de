"""Patches: cut a signal into pieces of equal duration, resize them, normalise them.

A patch lasts a fixed number of seconds, whatever the sampling rate, and is resized to a fixed
number of samples, so that one encoder reads every device. `sample_patches` does it for a whole
batch of different rates at once; `cut_patches` and `resize_patches` are the same steps apart, for
one signal.
"""

# B batch, T time, C channels, P patches, N samples of a patch

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from otolith.core.errors import DataError

Resize = Literal["linear", "nearest"]
Normalisation = Literal["zscore", "minmax", "none"]
_FLOOR = 1e-8
_ROUNDING = 1e-6  # 0.29 s at 100 Hz are 29 samples although 0.29 * 100 < 29 in floating point


class Normalised(NamedTuple):
    """Normalised patches and what is needed to undo it.

    Args:
        values: Patches of the same shape as given.
        offset: What was subtracted, [..., C]: the mean (zscore), the minimum (minmax) or zero.
        scale: What was divided by, [..., C]: the standard deviation, the range or one.
    """

    values: Tensor
    offset: Tensor
    scale: Tensor


def samples_of(seconds: Tensor | float, rate_hz: Tensor | float) -> Tensor:
    """Return how many whole samples fit into a duration, int64, at least 1.

    Args:
        seconds: Duration in s.
        rate_hz: Sampling rate in Hz.
    """
    product = torch.as_tensor(seconds, dtype=torch.float64) * torch.as_tensor(rate_hz)
    return torch.floor(product + _ROUNDING).long().clamp(min=1)


def cut_patches(
    signal_TC: Tensor, rate_hz: float, patch_s: float, stride_s: float | None = None
) -> Tensor:
    """Cut one signal into patches; a rest that fills no patch is left out.

    Args:
        signal_TC: Signal [T, C].
        rate_hz: Its sampling rate in Hz.
        patch_s: Duration of a patch in s.
        stride_s: Distance of the starts of neighbouring patches in s; None = `patch_s`.

    Returns:
        Patches [P, N, C], a view of the signal.

    Raises:
        DataError: The signal is shorter than one patch.
    """
    size = int(samples_of(patch_s, rate_hz))
    stride = size if stride_s is None else int(samples_of(stride_s, rate_hz))
    if len(signal_TC) < size:
        raise DataError(
            f"A signal of {len(signal_TC)} samples is shorter than a patch of {size} samples.",
            "Use shorter patches.",
        )
    return signal_TC.unfold(0, size, stride).transpose(1, 2)


def resize_patches(patches_PNC: Tensor, size: int, method: Resize = "linear") -> Tensor:
    """Resize patches of one length along time.

    Args:
        patches_PNC: Patches [..., N, C].
        size: Number of samples afterwards.
        method: `linear` (centres at half-integers, ends held) or `nearest` (the sample to the left).

    Returns:
        Patches [..., size, C]; the same values when N = size already.
    """
    length = torch.tensor(patches_PNC.shape[-2], device=patches_PNC.device)
    left, right, weight = _taps(length, size, method)
    first = patches_PNC.index_select(-2, left)
    if method == "nearest":
        return first
    return torch.lerp(
        first, patches_PNC.index_select(-2, right), weight.to(first.dtype).unsqueeze(-1)
    )


def sample_patches(
    signal_BTC: Tensor,
    start_BP: Tensor,
    length_B: Tensor,
    size: int,
    method: Resize = "linear",
) -> Tensor:
    """Cut and resize patches of a whole batch; every sample has its own patch length.

    Args:
        signal_BTC: Signals [B, T, C].
        start_BP: int64, first row of every patch.
        length_B: int64, samples per patch before resizing.
        size: Number of samples per patch afterwards.
        method: As in `resize_patches`.

    Returns:
        Patches [B, P, size, C]. Rows past the end of the signal repeat its last row; the caller
        masks patches that reach there.
    """
    last = max(signal_BTC.shape[1] - 1, 0)
    batch = torch.arange(len(signal_BTC), device=signal_BTC.device)[:, None, None]
    left, right, weight = _taps(length_B[:, None, None], size, method)
    first = signal_BTC[batch, (start_BP[..., None] + left).clamp(max=last)]
    if method == "nearest":
        return first
    second = signal_BTC[batch, (start_BP[..., None] + right).clamp(max=last)]
    return torch.lerp(first, second, weight.to(first.dtype).unsqueeze(-1))


def normalise_patches(patches_PNC: Tensor, method: Normalisation = "zscore") -> Normalised:
    """Normalise every patch and channel by itself over its time.

    Args:
        patches_PNC: Patches [..., N, C].
        method: `zscore` (mean 0, population standard deviation 1), `minmax` (0..1) or `none`.
            Deviation and range are at least 1e-8, so a constant channel becomes zeros.
    """
    if method == "none":
        offset = torch.zeros_like(patches_PNC[..., 0, :])
        return Normalised(patches_PNC, offset, torch.ones_like(offset))
    if method == "minmax":
        offset = patches_PNC.amin(-2)
        scale = (patches_PNC.amax(-2) - offset).clamp(min=_FLOOR)
        return Normalised((patches_PNC - offset.unsqueeze(-2)) / scale.unsqueeze(-2), offset, scale)
    offset = patches_PNC.mean(-2)
    centred = patches_PNC - offset.unsqueeze(-2)
    scale = centred.square().mean(-2).clamp(min=_FLOOR**2).sqrt()  # finite gradient at 0
    return Normalised(centred / scale.unsqueeze(-2), offset, scale)


def covered(mask_BT: Tensor, start_BP: Tensor, length_B: Tensor) -> Tensor:
    """Return which patches lie on real samples only, bool [B, P].

    Args:
        mask_BT: bool, True = real sample.
        start_BP: int64, first row of every patch.
        length_B: int64, samples per patch.
    """
    real_BT1 = F.pad(mask_BT.long().cumsum(1), (1, 0))
    end_BP = start_BP + length_B[:, None]
    inside_BP = end_BP <= mask_BT.shape[1]
    last = mask_BT.shape[1]
    count_BP = real_BT1.gather(1, end_BP.clamp(max=last)) - real_BT1.gather(
        1, start_BP.clamp(max=last)
    )
    return inside_BP & (count_BP == length_B[:, None])


def _taps(length: Tensor, size: int, method: Resize) -> tuple[Tensor, Tensor, Tensor]:
    """Left row, right row and weight of the right row for `size` outputs; last axis = outputs."""
    steps = torch.arange(size, dtype=torch.float64, device=length.device)
    if method == "nearest":
        left = torch.floor(steps * length / size).long()
        return left, left, torch.zeros_like(left, dtype=torch.float64)
    position = ((steps + 0.5) * length / size - 0.5).clamp(min=0.0)
    left = torch.minimum(position.floor().long(), length - 1)
    return left, torch.minimum(left + 1, length - 1), position - left
