"""`torchrun ... otolith train` on a machine without an accelerator: one run, shared by two."""

import os
import socket
import subprocess
import sys

import pytest
from tests.support.command_line import otolith, walk_csv
from tests.support.processes import ROOT

from otolith.training.logs import read_records

CHANGES = (
    "data.datasets=[{name: mine}]",
    "data.window={window_s: 2.0, stride_s: 2.0}",
    "system.encoder.dropout=0.0",
    "training.epochs=1",
    "training.batch_size=8",
    "training.num_workers=0",
    "training.plots_every_epochs=null",
)


def launch(*arguments):
    """Start two processes as torchrun does."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", port,
               "-m", "otolith.cli.main", *arguments]  # fmt: skip
    return subprocess.run(
        [sys.executable, *map(str, command)],
        env=os.environ | {"PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )


@pytest.mark.slow
def test_two_launched_processes_share_one_run(tmp_path, monkeypatch):
    monkeypatch.setenv("OTOLITH_HOME", str(tmp_path / "home"))
    (tmp_path / "files").mkdir()
    for person in range(4):
        walk_csv(tmp_path / "files" / f"walk{person}.csv", seed=person, subject=f"p{person}")
    assert otolith("data", "import", tmp_path / "files", "--name", "mine").code == 0
    one, two = tmp_path / "one", tmp_path / "two"
    assert otolith("train", "tsfm/pretrain_debug", *CHANGES, "--folder", one).code == 0
    done = launch("train", "tsfm/pretrain_debug", *CHANGES, "--folder", two)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("finished") == 1, "the main process alone speaks"
    alone, shared = read_records(one), read_records(two)
    assert len(alone) == len(shared) > 3
    for a, b in zip(alone, shared, strict=True):
        if a["kind"] == "step":
            assert b["loss"] == pytest.approx(a["loss"], rel=1e-4)
