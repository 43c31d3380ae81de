"""Rows of all processes, with gradient; losses that are means over the global batch.

With N processes the training loop averages gradients. A loss that divides its local sum by the
global count and multiplies by the number of processes therefore has the gradient of the mean over
the global batch, however unevenly its rows are spread.
"""

# N rows of this process, M rows of all processes, D width

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


def num_processes() -> int:
    """Return the number of processes that train together; 1 without a process group."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def gather_rows(rows_ND: Tensor) -> tuple[Tensor, int]:
    """Concatenate the rows of all processes in order of rank; gradient flows to their owners.

    Args:
        rows_ND: Rows [N, ...] of this process; N may differ between processes.

    Returns:
        Rows of all processes [M, ...], and the position of this process's first row in them.
    """
    if num_processes() == 1:
        return rows_ND, 0
    counts = _row_counts(rows_ND)
    rank = dist.get_rank()
    return _GatherRows.apply(rows_ND, tuple(counts)), sum(counts[:rank])


def sum_over_processes(value: Tensor) -> Tensor:
    """Return the sum of a detached value over all processes."""
    value = value.detach().clone()
    if num_processes() > 1:
        dist.all_reduce(value)
    return value


def global_mean(local_sum: Tensor, local_count: Tensor) -> Tensor:
    """Return a loss whose mean over the processes is the mean over the global batch.

    Args:
        local_sum: Sum of the losses of this process, with gradient.
        local_count: How many losses it sums.

    Returns:
        local_sum * processes / global count; zero, with gradient path, if there is nothing.
    """
    count = sum_over_processes(local_count.to(local_sum.dtype))
    return local_sum * num_processes() / count.clamp(min=1.0)


def _row_counts(rows: Tensor) -> list[int]:
    own = torch.tensor([len(rows)], device=rows.device)
    counts = [torch.empty_like(own) for _ in range(num_processes())]
    dist.all_gather(counts, own)
    return [int(c) for c in counts]


class _GatherRows(torch.autograd.Function):
    """All-gather with uneven numbers of rows; the backward pass sums what every process sends."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, counts: tuple[int, ...]) -> Tensor:
        ctx.counts = counts
        padded = rows.new_zeros(max(counts), *rows.shape[1:])
        padded[: len(rows)] = rows
        gathered = [torch.empty_like(padded) for _ in counts]
        dist.all_gather(gathered, padded)
        return torch.cat([part[:count] for part, count in zip(gathered, counts, strict=True)])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        gradient = gradients[0].contiguous().clone()
        dist.all_reduce(gradient)
        start = sum(ctx.counts[: dist.get_rank()])
        return gradient[start : start + ctx.counts[dist.get_rank()]], None
