"""Two processes give the scale, the loss and the gradients of one."""

import json
import socket

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from tests.support.motion_data import walk
from tests.support.otolith_data import batch_of, small

SHARES = [[0, 1, 2, 3, 4], [5]]
TARGETS = [0, 1, 4, 3, -1, 2]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def step(share):
    """Scale, loss and gradients of this process's share of the windows."""
    torch.set_num_threads(1)
    system = small(dropout=0.0, input_dropout=0.0)
    batch = batch_of(walk(6, 250, 50.0)[share], [TARGETS[i] for i in share])
    system.warm_up(iter([batch]))
    output = system.loss(batch)
    output.total.backward()
    return system, output


def work(rank, port, path):
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    system, output = step(SHARES[rank])
    sums = {}
    for name, parameter in system.named_parameters():
        grad = parameter.grad if parameter.grad is not None else torch.zeros_like(parameter)
        dist.all_reduce(grad)
        sums[name] = float((grad / 2).abs().sum())
    total = output.total.detach().clone()
    dist.all_reduce(total)
    if rank == 0:
        found = {
            "total": float(total / 2),
            "gradients": sums,
            "mean": system.encoder.mean.tolist(),
        }
        path.write_text(json.dumps(found))
    dist.destroy_process_group()


def test_two_processes_learn_as_one(tmp_path):
    path = tmp_path / "two.json"
    mp.spawn(work, args=(free_port(), path), nprocs=2)
    two = json.loads(path.read_text())
    system, output = step(range(6))
    torch.testing.assert_close(torch.tensor(two["mean"]), system.encoder.mean)
    torch.testing.assert_close(torch.tensor(two["total"]), output.total.detach())
    for name, parameter in system.named_parameters():
        one = 0.0 if parameter.grad is None else parameter.grad.abs().sum().item()
        assert abs(two["gradients"][name] - one) <= 1e-4 + 1e-3 * one, name
