"""Large contrastive batches in small memory (Gao et al., RepL4NLP 2021, "GradCache").

Embeddings of all chunks are computed without gradient, one loss is taken over all of them, and
each chunk is encoded again to receive the gradient of its embeddings. The result is that of one
large batch, for one additional forward pass.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import Tensor

from otolith.objectives import LossOutput

T = TypeVar("T")


def chunked_backward(
    chunks: Sequence[T],
    encode: Callable[[T], tuple[Tensor, ...]],
    loss: Callable[..., LossOutput],
    *,
    seed: int,
) -> LossOutput:
    """Run forward and backward of one loss over many chunks; gradients are left in `.grad`.

    Args:
        chunks: Parts of the batch.
        encode: Chunk -> embeddings; each tensor's first axis is the sample.
        loss: The concatenated embeddings, in the order of `encode` -> loss.
        seed: Seed of torch's generator, so that both passes drop out the same units.

    Returns:
        The loss; its `total` carries no graph any more.
    """
    with torch.no_grad():
        cached = [_encode(encode, chunk, seed + i) for i, chunk in enumerate(chunks)]
    joined = [torch.cat(parts).requires_grad_() for parts in zip(*cached, strict=True)]
    result = loss(*joined)
    result.total.backward()
    sizes = [[len(part) for part in parts] for parts in zip(*cached, strict=True)]
    gradients = [torch.split(_grad(x), s) for x, s in zip(joined, sizes, strict=True)]
    for i, chunk in enumerate(chunks):
        again = _encode(encode, chunk, seed + i)
        pairs = [(x, g[i]) for x, g in zip(again, gradients, strict=True) if x.requires_grad]
        torch.autograd.backward([x for x, _ in pairs], [g for _, g in pairs])
    return LossOutput(
        total=result.total.detach(), parts=result.parts, per_sample_B=result.per_sample_B
    )


def _grad(x: Tensor) -> Tensor:
    return torch.zeros_like(x) if x.grad is None else x.grad


def _encode(encode: Callable[[T], tuple[Tensor, ...]], chunk: T, seed: int) -> tuple[Tensor, ...]:
    torch.manual_seed(seed)
    return encode(chunk)
