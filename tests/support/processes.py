"""Programs and forked processes, for tests of what only several processes can show."""

import json
import os
import socket
import subprocess
import sys
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def run_program(module, *arguments):
    """Run a module of ours in an interpreter of its own; return the JSON of its last line."""
    paths = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    done = subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.strip().splitlines()[-1])


def fork(call) -> int:
    """Run a function in a child, in a process group of its own; return the child's id."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        os.setpgrp()
        call()
        code = 0
    except Exception:  # noqa: BLE001  # the parent sees the code, a reader the text
        traceback.print_exc()
    finally:
        os._exit(code)


def fork_pair(call) -> list[int]:
    """Run `call(rank)` in two children that a launcher would have tied together."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def process(rank):
        numbers = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "LOCAL_WORLD_SIZE": 2}
        os.environ |= {name: str(value) for name, value in numbers.items()}
        os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        call(rank)

    return [fork(lambda rank=rank: process(rank)) for rank in (0, 1)]


def wait(*pids) -> None:
    """Wait for children and check that all went well."""
    codes = [os.waitpid(pid, 0)[1] for pid in pids]
    assert not any(codes), f"children ended with {codes}"
