"""Memory bank: the last pairs of sensor and text embeddings, as further negatives."""

# Q queue length, N pairs of an update, D width

from __future__ import annotations

import torch
from torch import Tensor, nn

from otolith.core.errors import TrainingError
from otolith.objectives.semantic_alignment import Queue


class MemoryBank(nn.Module):
    """First-in-first-out store; its content is part of the state dict.

    Args:
        size: Pairs that are kept Q.
        width: Embedding width D.
        min_norm: Shortest embedding that is accepted.
    """

    imu_queue: Tensor
    text_queue: Tensor
    position: Tensor
    is_full: Tensor

    def __init__(self, size: int, width: int, *, min_norm: float = 1e-6) -> None:
        super().__init__()
        self.size, self.min_norm = size, min_norm
        self.register_buffer("imu_queue", torch.zeros(size, width))
        self.register_buffer("text_queue", torch.zeros(size, width))
        self.register_buffer("position", torch.zeros((), dtype=torch.int64))
        self.register_buffer("is_full", torch.zeros((), dtype=torch.bool))

    def __len__(self) -> int:
        """Return the number of pairs held."""
        return self.size if bool(self.is_full) else int(self.position)

    @torch.no_grad()
    def update(self, imu_ND: Tensor, text_ND: Tensor) -> None:
        """Add pairs; the oldest make room. Of more than Q pairs the last Q are kept, from row 0.

        Args:
            imu_ND: Sensor embeddings.
            text_ND: Text embeddings, row by row.

        Raises:
            TrainingError: An embedding is not finite or has no length.
        """
        for name, rows in (("sensor", imu_ND), ("text", text_ND)):
            if not bool((rows.norm(dim=-1) > self.min_norm).all() & rows.isfinite().all()):
                raise TrainingError(
                    f"A {name} embedding for the memory bank is not finite or has length zero.",
                    "Lower the learning rate, or look at the input of this batch.",
                )
        num = len(imu_ND)
        if num >= self.size:
            imu_ND, text_ND = imu_ND[num - self.size :], text_ND[num - self.size :]
            self.position.zero_()
        rows = (self.position + torch.arange(len(imu_ND), device=self.position.device)) % self.size
        self.imu_queue[rows] = imu_ND.to(self.imu_queue.dtype)
        self.text_queue[rows] = text_ND.to(self.text_queue.dtype)
        self.is_full |= self.position + len(imu_ND) >= self.size
        self.position.copy_((self.position + len(imu_ND)) % self.size)

    def active(self) -> Queue:
        """Return copies of the pairs held, in storage order (not by age)."""
        held = len(self)
        return Queue(self.imu_queue[:held].clone(), self.text_queue[:held].clone())
