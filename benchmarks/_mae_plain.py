"""HIMU-MAE as it is usually written: hidden patches embedded, rolled windows, bias in every block."""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor

from otolith.encoders._mae import Attention, Block
from otolith.systems.himu_mae import System


def plain_loss(system: System, image_BCHW: Tensor, noise_BN: Tensor, share: float) -> Tensor:
    """Return the pretraining loss of a system from maps, one operation after the other.

    Args:
        system: The model whose weights are used.
        image_BCHW: Maps.
        noise_BN: Noise of the masks.
        share: Share of hidden tokens.
    """
    encoder, decoder = system.encoder, system.decoder
    side = encoder.config.patch_px
    embedding = encoder.patch_embedding
    x = F.conv2d(image_BCHW, embedding.weight, embedding.bias, stride=side)
    x = x.flatten(2).transpose(1, 2) + encoder.positions_1ND[:, 1:]
    batch, count, width = x.shape
    order = noise_BN.argsort(1)
    restore = order.argsort(1)
    kept = int(count * (1 - share))
    x = x.gather(1, order[:, :kept, None].expand(-1, -1, width))
    x = torch.cat([(encoder.cls_token + encoder.positions_1ND[:, :1]).expand(batch, -1, -1), x], 1)
    for block in cast("list[Block]", list(encoder.blocks)):
        x = x + _attend(block.attention, block.attention_norm(x))
        x = x + block.feedforward(block.feedforward_norm(x))
    x = decoder.embedding(encoder.norm(x) if encoder.norm is not None else x)
    hidden = decoder.mask_token.expand(batch, count - kept, -1)
    x = torch.cat([x[:, 1:], hidden], 1).gather(1, restore[..., None].expand(-1, -1, x.shape[2]))
    x = x + decoder.positions_1ND[:, 1:]
    for block in decoder.blocks:
        x = block(x)
    predicted = decoder.prediction(decoder.norm(x))
    target = encoder.patches(image_BCHW)
    mean, var = target.mean(-1, keepdim=True), target.var(-1, keepdim=True)
    error = (predicted - (target - mean) / (var + 1e-6).sqrt()).square().mean(-1)
    mask = torch.ones(batch, count)
    mask[:, :kept] = 0
    mask = mask.gather(1, restore)
    return (error * mask).sum() / mask.sum()


def _attend(attention: Attention, x: Tensor) -> Tensor:
    """Attention with its scores written out."""
    batch, length, width = x.shape
    heads = attention.num_heads
    qkv = attention.qkv(x).reshape(batch, length, 3, heads, width // heads).permute(2, 0, 3, 1, 4)
    q, k, v = qkv.unbind(0)
    scores = (q @ k.transpose(-2, -1)) * (width // heads) ** -0.5
    return attention.out((scores.softmax(-1) @ v).transpose(1, 2).reshape(batch, length, width))
