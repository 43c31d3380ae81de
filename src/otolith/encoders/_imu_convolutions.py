"""What the convolutional peers share: input of fixed channels, convolutions over time per channel."""

# B batch, T time in, N steps, C channels, F filters

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from otolith.core.errors import DataError
from otolith.encoders._imu_steps import motion_stream, shared_rate_hz, to_rate
from otolith.encoders._standardiser import Standardiser
from otolith.windows.batch import Batch


class FixedChannels(nn.Module):
    """Standardised motion windows of a fixed number of channels, always in the same columns.

    Args:
        stream: Name of the motion stream.
        num_channels: Columns that the stream must have.
        rate_hz: Rate to resample to; None = native rate.
    """

    def __init__(self, stream: str, num_channels: int, rate_hz: float | None) -> None:
        super().__init__()
        self.stream, self.num_channels, self.rate_hz = stream, num_channels, rate_hz
        self.standardise = Standardiser(num_channels)

    def fit(self, batches: Iterable[Batch]) -> None:
        """Fit the standardisation to the windows of all given batches."""
        self.standardise.fit(self._read(batch)[:2] for batch in batches)

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Return values [B, N, C], bool [B, N, C] and bool [B, N]; values are zero unless real.

        Raises:
            DataError: There is no such stream, or it has another number of channels.
        """
        values, real_BNC, mask_BN = self._read(batch)
        return self.standardise(values, real_BNC), real_BNC, mask_BN

    def output_rate_hz(self, batch: Batch) -> float | None:
        """Steps per second; None if the samples differ."""
        return self.rate_hz or shared_rate_hz(batch.streams[self.stream].rate_hz_B)

    def _read(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Values on the time grid, which of them are real, and which steps are."""
        stream = motion_stream(batch.streams, self.stream)
        width = stream.values.shape[2]
        if width != self.num_channels:
            raise DataError(
                f'Stream "{self.stream}" has {width} channels and the encoder {self.num_channels}.',
                "Set num_channels, or choose the channels of the windows (window.channels).",
            )
        mask_BC = stream.channel_mask_BC
        if mask_BC is None:
            mask_BC = stream.mask_BT.new_ones(len(stream.values), width)
        values = stream.values.masked_fill(~mask_BC.unsqueeze(1), 0.0)
        values, mask_BN = to_rate(values, stream.mask_BT, stream.rate_hz_B, self.rate_hz)
        return values, mask_BN.unsqueeze(-1) & mask_BC.unsqueeze(1), mask_BN


class Convolutions(nn.Module):
    """Convolutions over time with the same filters for every channel, rectified.

    Ends are padded with zeros, and what is masked stays zero behind every layer.

    Args:
        filters: Filters of every layer.
        kernel_sizes: Odd lengths in steps.
        pool_size: Largest of so many steps behind every layer but the last; 1 = no pooling.
    """

    def __init__(
        self, filters: Sequence[int], kernel_sizes: Sequence[int], pool_size: int = 1
    ) -> None:
        super().__init__()
        self.pool_size = pool_size
        inputs = (1, *filters[:-1])
        self.layers = nn.ModuleList(
            nn.Conv2d(before, after, (1, size), padding=(0, size // 2))
            for before, after, size in zip(inputs, filters, kernel_sizes, strict=True)
        )

    def forward(self, values_BNC: Tensor, real_BNC: Tensor) -> Tensor:
        """Return features [B, N', F * C]; N' is N divided by the pooling, rounded up."""
        x = values_BNC.transpose(1, 2).unsqueeze(1)
        real = real_BNC.transpose(1, 2).unsqueeze(1).to(x.dtype)
        for number, layer in enumerate(self.layers):
            if number:
                x, real = self.pool(x), self.pool(real)
            x = layer(x).relu() * real
        return x.permute(0, 3, 1, 2).flatten(2)

    def pool(self, x: Tensor) -> Tensor:
        """Pool the last axis; rectified features make masked zeros harmless."""
        if self.pool_size == 1:
            return x
        return F.max_pool2d(x, (1, self.pool_size), ceil_mode=True)

    def pooled_mask(self, mask_BN: Tensor) -> Tensor:
        """Return the mask [B, N'] of the features."""
        mask = mask_BN[:, None, None].float()
        for _ in self.layers[1:]:
            mask = self.pool(mask)
        return mask[:, 0, 0] > 0


def check_layers(filters: Sequence[int], kernel_sizes: Sequence[int]) -> None:
    """Refuse layers that contradict each other.

    Raises:
        ValueError: They do.
    """
    if not filters or len(filters) != len(kernel_sizes):
        raise ValueError("conv_filters and kernel_sizes must name the same layers, at least one")
    if any(size % 2 == 0 for size in kernel_sizes):
        raise ValueError(f"kernel_sizes {tuple(kernel_sizes)} must be odd")
