"""Walk golden cases, run the handler of each kind, compare every listed output.

A case is a folder with a `config.json`. Its handler is chosen by `config["kind"]`; a case
without a handler fails. Handlers get a `Case` and return the computed values by output name.
"""

import importlib
import json
import os
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

ROOT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("OTOLITH_SHARED", ROOT.parent / "shared"))
GOLDEN = Path(os.environ.get("OTOLITH_GOLDEN", SHARED / "golden"))
_COMPARISON = {
    "output", "file", "atol", "rtol", "mean_atol", "equal_nan", "columns", "rows",
    "where", "where_expected_at_least", "information_only",
}  # fmt: skip
_DESCRIPTION = {"what", "variant", "from", "masks", "list", "parameter", "mode", "quirk"}


@dataclass
class Case:
    """One golden case: its settings, tensors and weights."""

    folder: Path
    config: dict[str, Any]
    io: dict[str, torch.Tensor] = field(default_factory=dict)
    weights: dict[str, torch.Tensor] = field(default_factory=dict)

    @property
    def settings(self) -> dict[str, Any]:
        """Everything that is needed to rebuild the module or call the function."""
        return self.config["settings"]

    def json(self, name: str) -> Any:
        """Read a JSON file of the case."""
        return json.loads((self.folder / name).read_text(encoding="utf-8"))

    def section(self, prefix: str) -> dict[str, torch.Tensor]:
        """Weights whose name starts with `prefix`, without the prefix."""
        return {k.removeprefix(prefix): v for k, v in self.weights.items() if k.startswith(prefix)}


Handler = Callable[[Case], dict[str, Any]]


def read_case(folder: Path) -> Case:
    """Read a case folder."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    case = Case(folder, config)
    if (folder / "io.safetensors").exists():
        case.io = load_file(folder / "io.safetensors")
    for name in config["weights"]:
        case.weights |= load_file(folder / name)
    return case


def find_cases(system: str) -> list[Path]:
    """Folders below `$OTOLITH_GOLDEN/<system>` that hold a case."""
    return sorted(p.parent for p in (GOLDEN / system).rglob("config.json"))


def handlers(package: str) -> dict[str, Handler]:
    """Functions `run` of the modules in `tests/golden/<package>`, by module name = kind."""
    found = {}
    base = Path(__file__).parent / package
    for info in pkgutil.iter_modules([str(base)]):
        if not info.name.startswith("_"):
            found[info.name] = importlib.import_module(f"tests.golden.{package}.{info.name}").run
    return found


def run_case(folder: Path, table: dict[str, Handler]) -> None:
    """Run one case and fail with every output that differs."""
    case = read_case(folder)
    kind = case.config["kind"]
    if kind not in table:
        pytest.fail(f'no handler for kind "{kind}" ({folder})')
    torch.manual_seed(0)
    got = table[kind](case)
    checks = [c for c in case.config["checks"] if not c.get("information_only")]
    assert checks, f"{folder} lists no checks"
    problems = [p for check in checks if (p := compare(case, check, got))]
    assert not problems, "\n".join(problems)


def compare(case: Case, check: dict[str, Any], got: dict[str, Any]) -> str:
    """Return an empty text if `got` fulfils one entry of `checks`, else what differs."""
    name = check["output"]
    if unknown := sorted(set(check) - _COMPARISON - _DESCRIPTION):
        return f"{name}: the comparison {', '.join(unknown)} is not known"
    if name not in got:
        return f"{name}: the handler gives no such output"
    if "file" in check:
        return _compare_json(name, _at(case.json(check["file"]), name), got[name], check)
    expected = case.io[name]
    return _compare_arrays(case, check, _array(got[name]), _array(expected))


def _compare_arrays(
    case: Case, check: dict[str, Any], value: np.ndarray, expected: np.ndarray
) -> str:
    name = check["output"]
    if "columns" in check:
        first, end = check["columns"]
        value, expected = value[:, first:end], expected[:, first:end]
    if check.get("rows") == "first":
        value = value[: len(expected)]
    if value.shape != expected.shape:
        return f"{name}: shape {value.shape}, expected {expected.shape}"
    if check["atol"] == 0 and check["rtol"] == 0 and value.dtype.kind in "biu":
        wrong = value != expected
    else:
        value, expected = value.astype(np.float64), expected.astype(np.float64)
        wrong = ~(np.abs(value - expected) <= check["atol"] + check["rtol"] * np.abs(expected))
        same = value == expected
        if check.get("equal_nan"):
            same |= np.isnan(value) & np.isnan(expected)
        wrong &= ~same
    keep = np.ones_like(wrong)
    if "where" in check:
        where = _array(case.io[check["where"]]) != 0
        keep &= where.reshape(*where.shape, *([1] * (wrong.ndim - where.ndim)))
    if "where_expected_at_least" in check:
        keep &= expected >= check["where_expected_at_least"]
    if not keep.any() and wrong.size:
        return f"{name}: nothing left to compare"
    wrong &= keep
    difference = np.abs(value.astype(np.float64) - expected.astype(np.float64))[keep]
    if "mean_atol" in check and difference.mean() > check["mean_atol"]:
        return f"{name}: mean difference {difference.mean():.3g}"
    if wrong.any():
        return f"{name}: {int(wrong.sum())} of {wrong.size} differ, at most {np.nanmax(difference):.3g}"
    return ""


def _compare_json(name: str, expected: Any, value: Any, check: dict[str, Any]) -> str:
    if isinstance(expected, dict | list):
        pairs = expected.items() if isinstance(expected, dict) else enumerate(expected)
        if len(expected) != len(value):
            return f"{name}: {len(value)} entries, expected {len(expected)}"
        for key, item in pairs:
            if problem := _compare_json(f"{name}/{key}", item, value[key], check):
                return problem
        return ""
    if isinstance(expected, bool | str) or expected is None:
        return "" if value == expected else f"{name}: {value!r}, expected {expected!r}"
    close = abs(value - expected) <= check["atol"] + check["rtol"] * abs(expected)
    return "" if close else f"{name}: {value}, expected {expected}"


def _at(data: Any, path: str) -> Any:
    for position, part in enumerate(path.split("/")):
        if part == "*":
            rest = "/".join(path.split("/")[position + 1 :])
            items = data.values() if isinstance(data, dict) else data
            return [_at(item, rest) if rest else item for item in items]
        data = data[int(part)] if isinstance(data, list) else data[part]
    return data


def _array(value: Any) -> np.ndarray:
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu()
        return (value.float() if value.dtype == torch.bfloat16 else value).numpy()
    return np.asarray(value)
