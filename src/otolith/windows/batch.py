"""The batch: one type for windows and whole recordings, any modality.

Padded and missing parts are masked, and a masked part never changes another part's result.
Times are seconds, never frame counts.
"""

# B batch, T time, C channels, ... further axes of a modality (H, W for frames, D for features)

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace

import numpy as np
import torch
from torch import Tensor

from otolith.recordings.recording import Channel, Gravity

GRAVITY_UNKNOWN, GRAVITY_REMOVED, GRAVITY_INCLUDED = -1, 0, 1
GRAVITY_CODES: dict[str, int] = {
    Gravity.UNKNOWN.value: GRAVITY_UNKNOWN,
    Gravity.REMOVED.value: GRAVITY_REMOVED,
    Gravity.INCLUDED.value: GRAVITY_INCLUDED,
}


@dataclass(frozen=True, kw_only=True)
class Ragged:
    """Rows of different length, concatenated.

    Args:
        values: Tensor [sum of lengths, ...].
        lengths_B: int64 [B].
    """

    values: Tensor
    lengths_B: Tensor

    def __getitem__(self, index: int) -> Tensor:
        """Return the rows of sample `index`."""
        start = int(self.lengths_B[:index].sum())
        return self.values[start : start + int(self.lengths_B[index])]

    def to(self, device: torch.device | str) -> Ragged:
        """Return a copy on `device`."""
        return Ragged(values=self.values.to(device), lengths_B=self.lengths_B.to(device))


@dataclass(frozen=True, kw_only=True)
class StreamBatch:
    """One stream of every sample of a batch.

    Args:
        values: [B, T, ...]: motion [B, T, C] in m/s^2 and rad/s, frames [B, T, H, W, 3] uint8,
            features [B, T, D]; zero where masked.
        mask_BT: bool, True = real in time.
        rate_hz_B: float64, samples (frames, feature rows) per second.
        start_s_B: float64, time of row 0 on the recording's clock in s.
        channel_mask_BC: bool, True = real channel; None for streams without channels.
        channels: Per sample the channels, in column order; empty if none. A named channel whose
            `channel_mask_BC` is False holds no value in this sample.
        gravity_B: int8, whether acceleration contains gravity: `GRAVITY_INCLUDED`,
            `GRAVITY_REMOVED` or `GRAVITY_UNKNOWN`; None for streams without channels, and where
            it was not looked up (unknown).
    """

    values: Tensor
    mask_BT: Tensor
    rate_hz_B: Tensor
    start_s_B: Tensor
    channel_mask_BC: Tensor | None = None
    channels: tuple[tuple[Channel, ...], ...] = ()
    gravity_B: Tensor | None = None

    def to(self, device: torch.device | str) -> StreamBatch:
        """Return a copy on `device`."""
        return _moved(self, device)

    def channel_columns(self) -> Tensor:
        """Return the column of every channel, int64 [B, C]: entry j belongs to `channels[b][j]`.

        The channels lie in the real columns where there are as many of them, else (some hold no
        value) in the first columns. Entries behind the named channels mean nothing.
        """
        num_samples, width = self.values.shape[0], self.values.shape[2]
        first_BC = torch.arange(width, device=self.values.device).expand(num_samples, width)
        if self.channel_mask_BC is None:
            return first_BC
        real_first_BC = (~self.channel_mask_BC).to(torch.int8).argsort(dim=1, stable=True)
        named_B = torch.tensor([len(own) for own in self.channels], device=self.values.device)
        is_spread_B = self.channel_mask_BC.sum(1) == named_B
        return torch.where(is_spread_B[:, None], real_first_BC, first_BC)


@dataclass(frozen=True, kw_only=True)
class Batch:
    """A batch of samples.

    Args:
        streams: Stream name -> values.
        targets: Target name -> tensor [B, ...] or `Ragged` (intervals, spans). Class targets are
            int64 with -1 = unknown, multi-label targets float32 [B, K].
        texts: Text name -> per sample a tuple of texts (several narrations, label names).
        ids: Sample ids [B], int64; unique within the data.
        names: Per sample a readable name (`dataset/recording@start_s`).
        datasets: Per sample the dataset name, for per-dataset losses.
        weights_B: float32 sample weights; ones if not given.
        keys_B: uint64 numpy keys for `otolith.core.randomness`, a function of (seed, epoch, id).
    """

    streams: dict[str, StreamBatch]
    targets: dict[str, Tensor | Ragged] = field(default_factory=dict)
    texts: dict[str, tuple[tuple[str, ...], ...]] = field(default_factory=dict)
    ids: Tensor
    names: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()
    weights_B: Tensor | None = None
    keys_B: np.ndarray = field(default_factory=lambda: np.zeros(0, np.uint64))

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.ids)

    def to(self, device: torch.device | str) -> Batch:
        """Return a copy with all tensors on `device`."""
        return _moved(self, device)

    def take(self, rows: np.ndarray) -> Batch:
        """Return the samples at positions `rows` [B], int64, in that order; padding stays.

        Raises:
            TypeError: The batch has targets of rows of different length.
        """
        at = torch.from_numpy(np.asarray(rows, np.int64)).to(self.ids.device)
        return _taken(self, at)

    def pin_memory(self) -> Batch:
        """Return a copy in page-locked memory (called by `DataLoader`)."""
        return _mapped(self, lambda t: t.pin_memory())


def _taken(value, at: Tensor):  # noqa: ANN001, ANN202  # same type as value
    """Samples of everything in a batch whose first axis is the batch."""
    if isinstance(value, Tensor):
        return value.index_select(0, at)
    if isinstance(value, np.ndarray):
        return value[at.cpu().numpy()] if len(value) else value
    if isinstance(value, tuple):
        return tuple(value[i] for i in at.tolist()) if value else value
    if isinstance(value, Mapping):
        return {k: _taken(v, at) for k, v in value.items()}
    if isinstance(value, Ragged):
        raise TypeError("samples of ragged targets cannot be taken")
    if isinstance(value, Batch | StreamBatch):
        return replace(value, **{f.name: _taken(getattr(value, f.name), at) for f in fields(value)})
    return value


def _moved(value: object, device: torch.device | str):  # noqa: ANN202  # same type as value
    return _mapped(value, lambda t: t.to(device, non_blocking=True))


def _mapped(value, change: Callable[[Tensor], Tensor]):  # noqa: ANN001, ANN202  # same type as value
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, Mapping):
        return {k: _mapped(v, change) for k, v in value.items()}
    if isinstance(value, Batch | StreamBatch | Ragged):
        return replace(
            value, **{f.name: _mapped(getattr(value, f.name), change) for f in fields(value)}
        )
    return value
