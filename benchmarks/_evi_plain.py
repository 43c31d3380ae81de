"""EVI-MAE's pretraining step in the plain way: all tokens embedded, explicit softmax, heads on all tokens."""

# B batch, N tokens, K kept tokens, D width, S sensors, V values of a token

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from otolith.encoders._evi_blocks import sinusoid_table
from otolith.encoders._sensor_graph import SensorGraph
from otolith.systems.evi_mae import Config


class PlainBlock(nn.Module):
    """Transformer block with attention written out."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.expand, self.contract = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Return tokens of the same shape."""
        batch, num, width = x.shape
        qkv = self.qkv(self.norm1(x)).reshape(batch, num, 3, self.num_heads, -1)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        scores = (query @ key.transpose(2, 3)) * (width // self.num_heads) ** -0.5
        x = x + self.out((scores.softmax(-1) @ value).transpose(1, 2).reshape(x.shape))
        return x + self.contract(F.gelu(self.expand(self.norm2(x))))


def _stack(depth: int, width: int, num_heads: int) -> nn.Sequential:
    return nn.Sequential(*[PlainBlock(width, num_heads) for _ in range(depth)])


def _mask(x: Tensor, ratio: float) -> tuple[Tensor, Tensor, Tensor]:
    batch, num, width = x.shape
    order = torch.rand(batch, num).argsort(1)
    restore = order.argsort(1)
    keep = order[:, : int(num * (1 - ratio))]
    mask = torch.ones(batch, num)
    mask[:, : keep.shape[1]] = 0
    kept = x.gather(1, keep[:, :, None].expand(-1, -1, width))
    return kept, mask.gather(1, restore), restore


def _normalised_error(predicted: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    mean, var = target.mean(-1, keepdim=True), target.var(-1, keepdim=True)
    error = ((predicted - (target - mean) / (var + 1e-6).sqrt()) ** 2).mean(-1)
    return (error * mask).sum() / mask.sum()


class PlainEvi(nn.Module):
    """The published model, GIN graph included.

    Args:
        config: Sizes.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        imu, video, decoder = config.encoder.imu, config.encoder.video, config.decoder
        self.config = config
        self.embed_imu = nn.Conv2d(3, imu.width, imu.patch, imu.patch)
        self.embed_video = nn.Conv3d(3, video.width, video.tubelet, video.tubelet)
        self.imu = _stack(imu.depth, imu.width, imu.num_heads)
        self.video = _stack(video.depth, video.width, video.num_heads)
        self.unified = _stack(1, video.width, config.encoder.num_heads)
        self.norm = nn.LayerNorm(video.width)
        self.to_decoder = nn.Linear(video.width, decoder.width)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, decoder.width))
        self.decoder = _stack(decoder.depth, decoder.width, decoder.num_heads)
        self.head_imu = nn.Linear(decoder.width, imu.patch[0] * imu.patch[1] * 12)
        frames, rows, columns = video.tubelet
        self.head_video = nn.Linear(decoder.width, frames * rows * columns * 3)
        self.graph = SensorGraph("gin", (imu.width, 512, 512), hidden=512)
        self.bridge = nn.Linear(512, 512, bias=False)
        self.graph_decoder = SensorGraph("gin", (512, imu.width), hidden=512, ends_plain=True)

    def loss(self, maps: Tensor, video: Tensor) -> Tensor:
        """Return the loss of maps [B, 12, T, F] and video [B, 3, T, H, W]."""
        batch = len(maps)
        sensors = [maps[:, 3 * s : 3 * s + 3].transpose(2, 3) for s in range(4)]
        embedded = [self.embed_imu(x).flatten(2).transpose(1, 2) for x in sensors]
        tokens = torch.stack(embedded, 1) + sinusoid_table(*embedded[0].shape[1:])
        graph_loss = self._graph(tokens.flatten(0, 1), batch)
        imu, imu_mask, imu_restore = _mask(tokens.mean(1), 0.75)
        frames = self.embed_video(video).flatten(2).transpose(1, 2)
        frames = frames + sinusoid_table(*frames.shape[1:])
        seen, video_mask, video_restore = _mask(frames, 0.9)
        imu = F.avg_pool1d(self.imu(imu), 2)
        seen = self.video(seen)
        latent = self.norm(self.unified(torch.cat([imu, seen], 1)))
        alone = [self.norm(self.unified(x)).mean(1) for x in (imu, seen)]
        similarity = F.normalize(alone[0], dim=-1) @ F.normalize(alone[1], dim=-1).T / 0.05
        contrast = F.cross_entropy(similarity.T, torch.arange(batch))
        parts = self.to_decoder(latent).split([imu.shape[1], seen.shape[1]], 1)
        full = []
        for part, restore in zip(parts, (imu_restore, video_restore), strict=True):
            hidden = self.mask_token.expand(batch, restore.shape[1] - part.shape[1], -1)
            joined = torch.cat([part, hidden], 1)
            index = restore[:, :, None].expand(-1, -1, joined.shape[2])
            full.append(joined.gather(1, index) + sinusoid_table(*joined.shape[1:]))
        decoded = self.decoder(torch.cat(full, 1))
        num = imu_restore.shape[1]
        error = _normalised_error(self.head_imu(decoded[:, :num]), self._patches(maps), imu_mask)
        error = error + _normalised_error(
            self.head_video(decoded[:, num:]), self._tubelets(video), video_mask
        )
        return error + 0.01 * contrast + 10.0 * graph_loss

    def _graph(self, tokens: Tensor, batch: int) -> Tensor:
        nodes = self.imu(tokens).mean(1).view(batch, 4, -1)
        hidden = torch.zeros(batch * 4, dtype=torch.bool)
        hidden[torch.randperm(batch * 4)[: batch * 2]] = True
        hidden = hidden.view(batch, 4)[:, :, None]
        seen = self.bridge(self.graph(nodes.masked_fill(hidden, 0.0)))
        rebuilt = self.graph_decoder(seen.masked_fill(hidden, 0.0))
        return (1 - F.cosine_similarity(rebuilt, nodes, dim=2))[hidden[:, :, 0]].mean()

    def _patches(self, maps: Tensor) -> Tensor:
        rows, columns = self.config.encoder.imu.patch
        batch, channels, time, bins = maps.shape
        x = maps.transpose(2, 3).reshape(
            batch, channels, bins // rows, rows, time // columns, columns
        )
        return torch.einsum("bcfhtw->bfthwc", x).reshape(batch, -1, rows * columns * channels)

    def _tubelets(self, video: Tensor) -> Tensor:
        frames, rows, columns = self.config.encoder.video.tubelet
        batch, colours, time, height, width = video.shape
        x = video.reshape(
            batch, colours, time // frames, frames, height // rows, rows, width // columns, columns
        )
        return torch.einsum("bctfhrwk->bthwfrkc", x).reshape(
            batch, -1, frames * rows * columns * colours
        )
