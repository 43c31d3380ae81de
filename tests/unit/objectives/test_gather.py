import os
import subprocess
import sys
from pathlib import Path

import torch
from tests.support import gather_worker

from otolith.objectives._gather import gather_rows, global_mean, num_processes, sum_over_processes

ROOT = Path(__file__).resolve().parents[3]


def test_one_process_needs_no_group():
    rows = torch.randn(3, 4, requires_grad=True)
    gathered, start = gather_rows(rows)
    assert gathered is rows
    assert start == 0
    assert num_processes() == 1
    assert sum_over_processes(torch.tensor(2.0)) == 2.0
    assert global_mean(torch.tensor(6.0), torch.tensor(3)) == 2.0
    assert global_mean(torch.tensor(0.0), torch.tensor(0)) == 0.0


def test_two_uneven_processes_give_loss_and_gradient_of_the_global_batch(tmp_path):
    paths = [str(ROOT / "src"), str(ROOT), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tests.support.gather_worker"]
    outs = [tmp_path / f"{rank}.pt" for rank in range(2)]
    workers = [
        subprocess.Popen(
            [*command, str(rank), str(tmp_path / "meeting"), str(outs[rank])],
            env=environment,
            cwd=ROOT,
        )
        for rank in range(2)
    ]
    assert [worker.wait(timeout=120) for worker in workers] == [0, 0]
    model = gather_worker.make_model()
    loss = gather_worker.total_loss(model, [0, 1, 2])
    loss.backward()
    for out in outs:
        result = torch.load(out, weights_only=True)
        torch.testing.assert_close(result["loss"], loss.detach())
        for got, parameter in zip(result["grads"], model.parameters(), strict=True):
            torch.testing.assert_close(got, parameter.grad, atol=1e-6, rtol=1e-4)
