"""Stage 2 of TSFM written plainly, as a yardstick: modules of torch, one text per channel."""

# B batch, P patches, N samples, C channels, T text tokens, D width

from __future__ import annotations

import torch
import torch.nn.functional as F
from _tsfm_plain import PlainBlock
from torch import Tensor, nn

from otolith.encoders._tsfm_positions import TimePosition
from otolith.systems.tsfm_align import Config


class PlainPooling(nn.Module):
    """Learned queries over a set, through `nn.MultiheadAttention`."""

    def __init__(self, width: int, num_heads: int, num_queries: int, *, talks: bool) -> None:
        super().__init__()
        self.queries = nn.Parameter(torch.randn(num_queries, width) * 0.02)
        self.cross = nn.MultiheadAttention(width, num_heads, batch_first=True)
        self.own = nn.MultiheadAttention(width, num_heads, batch_first=True) if talks else None
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.output = nn.Sequential(
            nn.Linear(num_queries * width, width), nn.GELU(), nn.Linear(width, width)
        )

    def forward(self, tokens: Tensor) -> Tensor:
        """Map [N, L, D] to [N, D]."""
        queries = self.queries.expand(len(tokens), -1, -1)
        read = self.norms[0](queries + self.cross(queries, tokens, tokens)[0])
        if self.own is not None:
            read = self.norms[1](read + self.own(read, read, read)[0])
        return self.output(read.flatten(1)) + read.mean(1)


class PlainTokenizer(nn.Module):
    """Convolutions over the samples beside a network on the spectrum."""

    def __init__(self, width: int, samples: int) -> None:
        super().__init__()
        spectral = width // 4
        self.convolutions = nn.Sequential(
            *(nn.Conv1d(1, 32, 5, padding=2, bias=False), nn.GroupNorm(1, 32), nn.GELU()),
            *(nn.Conv1d(32, 64, 5, padding=2, bias=False), nn.GroupNorm(1, 64), nn.GELU()),
        )
        self.projection = nn.Linear(64, width - spectral)
        self.spectrum = nn.Sequential(
            nn.Linear(samples // 2 + 1, 2 * spectral), nn.GELU(), nn.Linear(2 * spectral, spectral)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(w) for w in (width - spectral, spectral))

    def forward(self, signals_MN: Tensor) -> Tensor:
        """Map [M, N] to [M, D]."""
        temporal = self.projection(self.convolutions(signals_MN[:, None]).mean(-1))
        spectral = self.spectrum(torch.fft.rfft(signals_MN).abs())
        return torch.cat([self.norms[0](temporal), self.norms[1](spectral)], -1)


class PlainAlign(nn.Module):
    """Encoder, channel-text fusion and per-patch head."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        head, fusion, width = config.head, config.channel_fusion, config.encoder.width
        self.tokenizer = PlainTokenizer(width, config.encoder.processor.patch_size)
        self.time_position = TimePosition(config.encoder.max_positions, width)
        self.blocks = nn.Sequential(
            *(PlainBlock(config.encoder) for _ in range(config.encoder.num_layers))
        )
        same = fusion.text_width == width
        self.text_in = nn.Identity() if same else nn.Linear(fusion.text_width, width)
        self.text = PlainPooling(width, fusion.num_heads, fusion.num_queries, talks=False)
        self.gate = nn.Linear(2 * width, width)
        self.input = nn.Linear(width, head.fused_width)
        self.channels = PlainPooling(
            head.fused_width, head.num_heads, head.num_fusion_queries, talks=True
        )
        wide = 2 * head.fused_width
        self.projection = nn.Sequential(
            *(nn.Linear(head.fused_width, wide), nn.GELU(), nn.Linear(wide, wide), nn.GELU()),
            nn.Linear(wide, head.out_width),
        )

    def forward(self, values_BPNC: Tensor, text_BCTD: Tensor) -> Tensor:
        """Map patches and channel texts to unit vectors [B, P, E]."""
        batch, patches, samples, channels = values_BPNC.shape
        signals_MN = values_BPNC.transpose(2, 3).reshape(-1, samples)
        tokens = self.tokenizer(signals_MN).view(batch, patches, channels, -1)
        tokens = self.blocks(tokens + self.time_position(patches))
        text = self.text(self.text_in(text_BCTD).flatten(0, 1))
        text = text.view(batch, 1, channels, -1).expand_as(tokens)
        gate = torch.sigmoid(self.gate(torch.cat([tokens, text], -1)))
        fused = self.channels(self.input(tokens + gate * text).flatten(0, 1))
        return F.normalize(self.projection(fused).view(batch, patches, -1), dim=-1)
