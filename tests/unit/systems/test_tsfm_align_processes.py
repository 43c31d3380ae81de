"""Two processes give the loss, the gradients and the queue of one."""

import json
import socket

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from tests.support.tsfm_align import make_batch, make_system, rows

SHARES = [[0, 1, 2], [3]]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def step(share):
    """Loss and queue of this process's share; gradients are averaged over the processes."""
    torch.set_num_threads(1)
    system = make_system(head={"per_patch": True}, queue_size=40, encoder={"dropout": 0.0})
    for module in system.modules():
        if isinstance(getattr(module, "dropout", None), float):
            module.dropout = 0.0
    system.train()
    batch = rows(make_batch(), share)
    out = system.loss(batch)
    out.total.backward()
    system.after_step(batch)
    return system, out


def work(rank, port, path):
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    system, out = step(SHARES[rank])
    sums = {}
    for name, parameter in system.named_parameters():
        grad = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        dist.all_reduce(grad)
        sums[name] = float(grad.double().norm() / 2)
    queue = system.queue.active().imu_QD.double().sum().item()
    text = json.dumps({"loss": out.total.item(), "sums": sums, "queue": queue})
    (path / f"{rank}.json").write_text(text)
    dist.destroy_process_group()


def test_two_processes_equal_one(tmp_path):
    mp.spawn(work, args=(free_port(), tmp_path), nprocs=2)
    got = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2)]
    assert got[0] == got[1]
    system, out = step([0, 1, 2, 3])
    torch.testing.assert_close(got[0]["loss"], out.total.item(), atol=1e-5, rtol=1e-5)
    queue = system.queue.active().imu_QD.double().sum().item()
    torch.testing.assert_close(got[0]["queue"], queue, atol=1e-4, rtol=1e-4)
    for name, parameter in system.named_parameters():
        expected = 0.0 if parameter.grad is None else parameter.grad.double().norm().item()
        torch.testing.assert_close(got[0]["sums"][name], expected, atol=1e-4, rtol=1e-3, msg=name)
