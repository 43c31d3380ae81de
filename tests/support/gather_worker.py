"""One of two processes: losses of half a global batch, gradients averaged as the loop does."""

import sys
from pathlib import Path

import torch
import torch.distributed as dist

from otolith.objectives import masked_reconstruction, patch_contrastive
from otolith.objectives._balance import BalancedSum

MASK = torch.tensor([[True, True, False], [True, True, True], [True, False, False]])


def make_model() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Linear(5, 6)


def make_inputs() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    first, second = torch.randn(2, 3, 3, 5, generator=generator)
    target = torch.randn(3, 3, 6, 1, generator=generator)
    return first, second, target


def total_loss(model, rows) -> torch.Tensor:
    """Balanced sum of both objectives on some samples."""
    first, second, target = (x[rows] for x in make_inputs())
    mask = MASK[rows]
    contrast = patch_contrastive.Objective(patch_contrastive.Config())
    rebuild = masked_reconstruction.Objective(masked_reconstruction.Config())
    losses = {
        "contrast": contrast(model(first), model(second), mask).total,
        "reconstruction": rebuild(
            model(first).unsqueeze(-1), target, masked_BP=mask, mask_BP=mask
        ).total,
    }
    balance = BalancedSum(("contrast", "reconstruction")).train()
    balance(losses, {"contrast": 1.0, "reconstruction": 0.5})
    return balance(losses, {"contrast": 1.0, "reconstruction": 0.5})


def main() -> None:
    rank, meeting, out = int(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=2)
    model = make_model()
    loss = total_loss(model, [[0, 2], [1]][rank])
    loss.backward()
    for p in model.parameters():
        dist.all_reduce(p.grad)
        p.grad /= 2
    value = loss.detach().clone()
    dist.all_reduce(value)
    torch.save({"loss": value / 2, "grads": [p.grad for p in model.parameters()]}, out)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
