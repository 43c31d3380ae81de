"""The same Stage-1 model written plainly, as a yardstick for the benchmarks.

Two passes for the two views, separate projections for queries, keys and values, explicit softmax,
convolutions over [signals, filters, samples], torch's dropout, heads on every token.
"""

# B batch, P patches, N samples, C channels, D width

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from otolith.encoders._tsfm_positions import ChannelPosition, ChannelTexts, TimePosition
from otolith.encoders.imu_tsfm import Config


class PlainAttention(nn.Module):
    """Attention over the second axis of [S, L, D]."""

    def __init__(self, width: int, num_heads: int, dropout: float) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.query, self.key = nn.Linear(width, width), nn.Linear(width, width)
        self.value, self.out = nn.Linear(width, width), nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x_SLD: Tensor) -> Tensor:
        """Attend within every sequence."""
        sequences, length, width = x_SLD.shape
        q, k, v = (
            layer(x_SLD).view(sequences, length, self.num_heads, -1).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        weights = self.dropout(torch.softmax(q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5, -1))
        return self.out((weights @ v).transpose(1, 2).reshape(sequences, length, width))


class PlainBlock(nn.Module):
    """Time attention, channel attention, feed-forward."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        width, share = config.width, config.dropout
        self.time = PlainAttention(width, config.num_heads, share)
        self.channel = PlainAttention(width, config.num_heads, share)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.dropout = nn.Dropout(share)
        self.feedforward = nn.Sequential(
            nn.Linear(width, config.feedforward_width),
            nn.GELU(),
            nn.Dropout(share),
            nn.Linear(config.feedforward_width, width),
            nn.Dropout(share),
        )

    def forward(self, x_BPCD: Tensor) -> Tensor:
        """Map [B, P, C, D] to the same shape."""
        batch, patches, channels, width = x_BPCD.shape
        over_time = x_BPCD.transpose(1, 2).reshape(-1, patches, width)
        y = self.time(over_time).view(batch, channels, patches, width).transpose(1, 2)
        x = self.norms[0](x_BPCD + self.dropout(y))
        y = self.channel(x.reshape(-1, channels, width)).view(x.shape)
        x = self.norms[1](x + self.dropout(y))
        return self.norms[2](x + self.dropout(self.feedforward(x)))


class PlainEncoder(nn.Module):
    """Encoder with the CNN tokenizer."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        widths = (1, *config.conv_filters)
        size = config.kernel_sizes[0]
        for num_in, num_out in itertools.pairwise(widths):
            layers += [
                nn.Conv1d(num_in, num_out, size, padding=size // 2, bias=False),
                nn.GroupNorm(1, num_out),
                nn.GELU(),
                nn.Dropout(config.dropout),
            ]
        self.convolutions = nn.Sequential(*layers)
        self.projection = nn.Linear(widths[-1], config.width)
        self.dropout = nn.Dropout(config.dropout)
        self.mask_token = nn.Parameter(torch.zeros(config.width))
        self.time_position = TimePosition(config.max_positions, config.width)
        self.channel_position = ChannelPosition(config.channel_text_width or 384, config.width)
        self.blocks = nn.Sequential(*(PlainBlock(config) for _ in range(config.num_layers)))

    def forward(
        self, values_BPNC: Tensor, texts: ChannelTexts, masked_BP: Tensor | None = None
    ) -> Tensor:
        """Map patches to features [B, P, C, D]."""
        batch, patches, samples, channels = values_BPNC.shape
        signals = values_BPNC.transpose(2, 3).reshape(-1, 1, samples)
        tokens = self.dropout(F.gelu(self.projection(self.convolutions(signals).mean(-1))))
        tokens = tokens.view(batch, patches, channels, -1)
        if masked_BP is not None:
            tokens = torch.where(masked_BP[:, :, None, None], self.mask_token, tokens)
        tokens = tokens + self.time_position(patches) + self.channel_position(texts)
        return self.blocks(tokens)


class PlainPretrain(nn.Module):
    """Stage 1 with two passes of the encoder."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.encoder = PlainEncoder(config)
        self.projection = nn.Sequential(
            nn.Linear(config.width, 512), nn.ReLU(), nn.Linear(512, 256)
        )
        self.reconstruction = nn.Linear(config.width, config.processor.patch_size)

    def loss(
        self, first_BPNC: Tensor, second_BPNC: Tensor, masked_BP: Tensor, texts: ChannelTexts
    ) -> Tensor:
        """Return the sum of both losses; nothing is padded."""
        first = self.encoder(first_BPNC, texts, masked_BP)
        second = self.encoder(second_BPNC, texts)
        target = first_BPNC - first_BPNC.mean(2, keepdim=True)
        target = target / target.square().mean(2, keepdim=True).sqrt().clamp(min=1e-6)
        error = (self.reconstruction(first).transpose(2, 3) - target).square().mean((2, 3))
        vectors = torch.cat([self.projection(x).mean(2).flatten(0, 1) for x in (first, second)])
        vectors = F.normalize(vectors.float(), dim=-1)
        logits = (vectors @ vectors.T / 0.2).fill_diagonal_(-torch.inf)
        half = len(vectors) // 2
        positive = torch.arange(len(vectors)).roll(half)
        return error[masked_BP].mean() + F.cross_entropy(logits, positive)
