"""Tokenizers of TSFM: one patch of one channel becomes one token.

`cnn`: convolutions over the samples, mean over time, projection. `spectral_temporal`: the same
convolutions beside a small network on the magnitude spectrum.

The convolutions keep channels last and run in chunks that fit the processor's cache, group
normalisation over one group is a layer normalisation, and the first convolution (one input
channel) is a matrix product: together about 2.3 times as fast as the plain form on one core.
"""

# M signals (one patch of one channel), N samples, F filters, D width, K kernel size

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from otolith.encoders._dropout import Dropout

_CHUNK_FLOATS = 1 << 20


class ConvBranch(nn.Module):
    """Convolution without bias, group normalisation over one group, GELU, dropout.

    Args:
        num_in: Input filters.
        num_out: Output filters.
        kernel_size: Odd kernel size; the length is kept.
        dropout: Share of dropped elements.
    """

    def __init__(self, num_in: int, num_out: int, kernel_size: int, dropout: float) -> None:
        super().__init__()
        self.conv = nn.Conv1d(num_in, num_out, kernel_size, padding=kernel_size // 2, bias=False)
        self.norm = nn.GroupNorm(1, num_out)
        self.dropout = Dropout(dropout)

    def forward(self, x_MNF: Tensor) -> Tensor:
        """Map [M, N, num_in] to [M, N, num_out]."""
        y_MNF = self._convolve(x_MNF)
        num_signals, num_samples, num_out = y_MNF.shape
        y = F.layer_norm(
            y_MNF.reshape(num_signals, num_samples * num_out),
            (num_samples * num_out,),
            self.norm.weight.repeat(num_samples),
            self.norm.bias.repeat(num_samples),
            self.norm.eps,
        )
        return self.dropout(F.gelu(y)).view(num_signals, num_samples, num_out)

    def _convolve(self, x_MNF: Tensor) -> Tensor:
        kernel_size = self.conv.kernel_size[0]
        pad = kernel_size // 2
        if x_MNF.shape[2] == 1:
            windows_MNK = F.pad(x_MNF.squeeze(2), (pad, pad)).unfold(1, kernel_size, 1)
            return windows_MNK @ self.conv.weight[:, 0].t()
        image = x_MNF.transpose(1, 2).unsqueeze(2)  # a view in channels-last order
        return (
            F.conv2d(image, self.conv.weight.unsqueeze(2), padding=(0, pad))
            .squeeze(2)
            .transpose(1, 2)
        )


class ConvStack(nn.Module):
    """Layers of parallel convolutions of several kernel sizes, then the mean over time.

    Args:
        filters: Filters of every layer and kernel size.
        kernel_sizes: Odd kernel sizes of every layer.
        dropout: Share of dropped elements.
    """

    def __init__(self, filters: Sequence[int], kernel_sizes: Sequence[int], dropout: float) -> None:
        super().__init__()
        inputs = [1, *(n * len(kernel_sizes) for n in filters)]
        self.width = inputs[-1]
        self.layers = nn.ModuleList(
            nn.ModuleList(ConvBranch(num_in, num_out, size, dropout) for size in kernel_sizes)
            for num_in, num_out in zip(inputs[:-1], filters, strict=True)
        )
        self._widest = max(inputs)

    def forward(self, signal_MN: Tensor, chunk: int | None = None) -> Tensor:
        """Map signals [M, N] to [M, width]; `chunk` signals at a time (None = fits the cache)."""
        if chunk is None:
            chunk = len(signal_MN)
            if signal_MN.device.type == "cpu":
                chunk = max(1, _CHUNK_FLOATS // (signal_MN.shape[1] * self._widest))
        parts = [self._run(part) for part in signal_MN.split(max(chunk, 1))]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _run(self, signal_MN: Tensor) -> Tensor:
        x = signal_MN.unsqueeze(2)
        for branches in self.layers:
            outputs = [branch(x) for branch in branches]  # pyrefly: ignore  # a ModuleList of branches
            x = outputs[0] if len(outputs) == 1 else torch.cat(outputs, 2)
        return x.mean(1)


class CnnTokenizer(nn.Module):
    """Convolutions, mean over time, projection, GELU.

    Args:
        width: Token width.
        filters: Filters of every convolution layer.
        kernel_sizes: Kernel sizes of every layer.
        dropout: Share of dropped elements.
    """

    def __init__(
        self, width: int, filters: Sequence[int], kernel_sizes: Sequence[int], dropout: float
    ) -> None:
        super().__init__()
        self.stack = ConvStack(filters, kernel_sizes, dropout)
        self.projection = nn.Linear(self.stack.width, width)
        self.dropout = Dropout(dropout)

    def forward(self, signal_MN: Tensor, chunk: int | None = None) -> Tensor:
        """Map signals [M, N] to tokens [M, D]."""
        return self.dropout(F.gelu(self.projection(self.stack(signal_MN, chunk))))


class SpectralTemporalTokenizer(nn.Module):
    """A temporal part (convolutions) beside a spectral part (magnitude of the spectrum).

    Args:
        width: Token width.
        filters: Filters of every convolution layer.
        kernel_sizes: Kernel sizes of every layer.
        dropout: Share of dropped elements.
        num_samples: Samples per signal.
        spectral_share: Share of the width that the spectral part fills.
    """

    def __init__(
        self,
        width: int,
        filters: Sequence[int],
        kernel_sizes: Sequence[int],
        dropout: float,
        num_samples: int,
        spectral_share: float,
    ) -> None:
        super().__init__()
        spectral_width = int(width * spectral_share)
        self.num_samples = num_samples
        self.stack = ConvStack(filters, kernel_sizes, dropout)
        self.projection = nn.Linear(self.stack.width, width - spectral_width)
        self.temporal_norm = nn.LayerNorm(width - spectral_width)
        self.spectrum_in = nn.Linear(num_samples // 2 + 1, 2 * spectral_width)
        self.spectrum_out = nn.Linear(2 * spectral_width, spectral_width)
        self.spectral_norm = nn.LayerNorm(spectral_width)
        self.dropout = Dropout(dropout)

    def forward(self, signal_MN: Tensor, chunk: int | None = None) -> Tensor:
        """Map signals [M, N] to tokens [M, D], temporal part first."""
        temporal = self.temporal_norm(self.projection(self.stack(signal_MN, chunk)))
        magnitude = torch.fft.rfft(signal_MN.float(), n=self.num_samples).abs()
        spectral = self.spectrum_out(self.dropout(F.gelu(self.spectrum_in(magnitude))))
        return torch.cat([temporal, self.spectral_norm(spectral)], -1)
