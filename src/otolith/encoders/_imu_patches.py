"""Turns a motion stream into patches; saved with the weights as part of the encoder's settings."""

# B batch, T time, C channels, P patches, N samples of a patch

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from otolith.core import randomness
from otolith.core.config import config
from otolith.core.errors import DataError
from otolith.signals.patches import (
    Normalisation,
    Resize,
    covered,
    normalise_patches,
    sample_patches,
    samples_of,
)
from otolith.windows.batch import StreamBatch


@config
class PatchRange:
    """Patch durations to draw from while training.

    Args:
        min_s: Shortest patch in s.
        max_s: Longest patch in s.
        step_s: Distance of the durations in s.
    """

    min_s: float
    max_s: float
    step_s: float

    def __post_init__(self) -> None:
        """Check that the range is not empty."""
        if not (0 < self.min_s <= self.max_s and self.step_s > 0):
            raise ValueError("a patch range needs 0 < min_s <= max_s and step_s > 0")


@config
class Config:
    """How a motion stream is patched.

    Args:
        patch_s: Duration of a patch in s.
        patch_s_by_dataset: Other durations for some data sets, in s.
        patch_range: Durations to draw from while training; None = always `patch_s`.
        patch_range_by_dataset: Other ranges for some data sets.
        stride_s: Distance of the starts of neighbouring patches in s; None = no overlap.
        patch_size: Samples per patch after resizing.
        max_patches: Most patches of a window.
        on_long_window: What to do about a window with more patches: refuse it, or `cut` it to the
            first `max_patches`, as the authors do.
        resize: How patches are resized.
        normalisation: How every patch and channel is normalised.
    """

    patch_s: float = 1.0
    patch_s_by_dataset: Mapping[str, float] = field(default_factory=dict)
    patch_range: PatchRange | None = None
    patch_range_by_dataset: Mapping[str, PatchRange] = field(default_factory=dict)
    stride_s: float | None = None
    patch_size: int = 64
    max_patches: int = 48
    on_long_window: Literal["refuse", "cut"] = "refuse"
    resize: Resize = "linear"
    normalisation: Normalisation = "zscore"

    def __post_init__(self) -> None:
        """Check that durations and sizes are positive."""
        durations = [self.patch_s, *self.patch_s_by_dataset.values()]
        durations += [] if self.stride_s is None else [self.stride_s]
        if min(durations) <= 0 or min(self.patch_size, self.max_patches) < 1:
            raise ValueError("patch_s, stride_s, patch_size and max_patches must be positive")


@dataclass(frozen=True, kw_only=True)
class Patches:
    """Patches of a batch.

    Args:
        values_BPNC: Normalised patches; zero where masked.
        mask_BP: bool, True = real patch.
        channel_mask_BC: bool, True = real channel.
        patch_s_B: float64, duration of a patch in s.
        stride_s_B: float64, distance of the starts of neighbouring patches in s.
        levels_BPC2: Mean of each patch in tens of its unit, and logarithm of its deviation, which
            normalising takes away; zero where masked, None = not known.
    """

    values_BPNC: Tensor
    mask_BP: Tensor
    channel_mask_BC: Tensor
    patch_s_B: Tensor
    stride_s_B: Tensor
    levels_BPC2: Tensor | None = None

    def joined(self, values_BPNC: Tensor) -> Patches:
        """Return a batch of twice the size: these patches, then others with the same masks."""
        twice = {
            name: torch.cat([getattr(self, name)] * 2)
            for name in ("mask_BP", "channel_mask_BC", "patch_s_B", "stride_s_B", "levels_BPC2")
            if getattr(self, name) is not None
        }
        return Patches(values_BPNC=torch.cat([self.values_BPNC, values_BPNC]), **twice)

    def require_real(self, names: Sequence[str] = ()) -> None:
        """Refuse windows that hold not one complete patch.

        Args:
            names: Names of the windows, for the message.

        Raises:
            DataError: There is such a window.
        """
        is_real_B = self.mask_BP.any(1)
        if bool(is_real_B.all()):
            return
        empty = int((~is_real_B).nonzero()[0])
        name = names[empty] if names else f"number {empty}"
        raise DataError(
            f"Window {name} has not one complete patch.",
            "Leave out windows with missing samples (min_measured), or use shorter patches.",
        )

    def with_values(self, values_BPNC: Tensor) -> Patches:
        """Return the same patches with other values."""
        return replace(self, values_BPNC=values_BPNC)


class PatchProcessor:
    """Maps a motion stream to patches; has no weights, its `config` is saved with them."""

    def __init__(self, config: Config) -> None:
        self.config = config

    def __call__(
        self,
        stream: StreamBatch,
        datasets: Sequence[str] = (),
        keys_B: np.ndarray | None = None,
    ) -> Patches:
        """Cut, resize and normalise.

        A window shorter than one patch becomes one patch of its whole length. A patch counts as
        real only if all its samples are.

        Args:
            stream: Signals [B, T, C] with mask and rates.
            datasets: Data set of every sample, for durations that differ between data sets.
            keys_B: Keys to draw patch durations from; None = no drawing (evaluation).

        Raises:
            DataError: The stream is not of the form [B, T, C].
        """
        signal_BTC, mask_BT = stream.values, stream.mask_BT
        if signal_BTC.ndim != 3:
            raise DataError(
                f"Patches need a motion stream [batch, time, channels], not {tuple(signal_BTC.shape)}.",
                "Choose another stream.",
            )
        device, channels = signal_BTC.device, signal_BTC.shape[2]
        rate_hz_B = stream.rate_hz_B.double()
        rows = torch.arange(1, mask_BT.shape[1] + 1, device=device)
        extent_B = (rows * mask_BT).amax(1) if len(rows) else mask_BT.sum(1)
        patch_s_B = self._durations(datasets, (extent_B / rate_hz_B).cpu().numpy(), keys_B)
        patch_s_B = patch_s_B.to(device)
        length_B = torch.minimum(samples_of(patch_s_B, rate_hz_B), extent_B.clamp(min=1))
        stride_B = length_B
        if self.config.stride_s is not None:
            stride_B = samples_of(self.config.stride_s, rate_hz_B)
        count_B = self._limited(((extent_B - length_B) // stride_B + 1).clamp(min=0))
        num_patches = max(int(count_B.max()), 1) if len(count_B) else 1
        steps_P = torch.arange(num_patches, device=device)
        start_BP = steps_P * stride_B[:, None]
        mask_BP = covered(mask_BT, start_BP, length_B) & (steps_P < count_B[:, None])
        values = sample_patches(
            signal_BTC, start_BP, length_B, self.config.patch_size, self.config.resize
        )
        levels_BPC2 = _levels(values)
        values = normalise_patches(values, self.config.normalisation).values
        channel_mask_BC = stream.channel_mask_BC
        if channel_mask_BC is None:
            channel_mask_BC = mask_BT.new_ones(len(signal_BTC), channels)
        real_BPC = mask_BP[:, :, None] & channel_mask_BC[:, None, :]
        return Patches(
            values_BPNC=values.masked_fill(~real_BPC.unsqueeze(2), 0.0),
            mask_BP=mask_BP,
            channel_mask_BC=channel_mask_BC,
            levels_BPC2=levels_BPC2.masked_fill(~real_BPC.unsqueeze(-1), 0.0),
            patch_s_B=length_B / rate_hz_B,
            stride_s_B=stride_B / rate_hz_B,
        )

    def _limited(self, count_B: Tensor) -> Tensor:
        """Numbers of patches, cut to the limit or refused."""
        limit, most = self.config.max_patches, int(count_B.max()) if len(count_B) else 0
        if most > limit and self.config.on_long_window == "refuse":
            raise DataError(
                f"A window has {most} patches but max_patches is {limit}.",
                'Use shorter windows, raise max_patches, or set on_long_window to "cut".',
            )
        return count_B.clamp(max=limit)

    def _durations(
        self, datasets: Sequence[str], extent_s_B: np.ndarray, keys_B: np.ndarray | None
    ) -> Tensor:
        """Patch duration of every sample in s, float64 [B]."""
        names = list(datasets) or [""] * len(extent_s_B)
        settings = self.config
        fixed = [settings.patch_s_by_dataset.get(n, settings.patch_s) for n in names]
        if keys_B is None:
            return torch.tensor(fixed, dtype=torch.float64)
        ranges = [settings.patch_range_by_dataset.get(n, settings.patch_range) for n in names]
        limits = np.asarray(
            [(r.min_s, r.max_s, r.step_s) if r else (s, s, 1.0) for r, s in zip(ranges, fixed)],  # noqa: B905  # both have one entry per name
            dtype=np.float64,
        ).reshape(-1, 3)
        low, high, step = limits.T
        choices = np.floor((np.minimum(high, extent_s_B) - low) / step + 1e-6) + 1
        drawn = randomness.integers(keys_B, "patch_s", np.maximum(choices, 1).astype(np.int64))
        return torch.from_numpy(low + drawn * step)


def _levels(values_BPNC: Tensor) -> Tensor:
    """Mean (in tens of the unit) and log10 of the deviation of every patch, [B, P, C, 2]."""
    variance, mean = torch.var_mean(values_BPNC, dim=2, correction=0)
    return torch.stack([mean / 10.0, torch.log10(variance + 1e-4) / 2.0], dim=-1)
