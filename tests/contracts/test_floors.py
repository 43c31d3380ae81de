"""A folder imports only from folders above it; there are no circles."""

import ast
from pathlib import Path

import pytest

SRC = Path(__file__).resolve().parents[2] / "src" / "otolith"
FLOORS = [
    "core", "signals", "recordings", "datasets", "windows", "encoders", "heads", "objectives",
    "systems", "metrics", "training", "tasks", "recipes", "benchmark", "reports", "serving", "api",
    "cli",
]  # fmt: skip
EXTRA_WORDS = {"__init__", "__main__"}


def imported_folders(path: Path) -> set[str]:
    """Folders of ours that a file imports, also inside functions and under TYPE_CHECKING."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names = [node.module, *(f"{node.module}.{a.name}" for a in node.names)]
        elif isinstance(node, ast.ImportFrom) and node.level:
            pytest.fail(f"{path}: write absolute imports")
        elif isinstance(node, ast.Import):
            names = [a.name for a in node.names]
        else:
            continue
        found |= {n.split(".")[1] for n in names if n.startswith("otolith.")}
    return {f for f in found if f in FLOORS}


FILES = sorted(SRC.rglob("*.py"))


def test_every_folder_has_a_floor():
    folders = {p.relative_to(SRC).parts[0].removesuffix(".py") for p in FILES}
    assert folders - EXTRA_WORDS <= set(FLOORS)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SRC)))
def test_arrows_point_up(path):
    folder = path.relative_to(SRC).parts[0].removesuffix(".py")
    if folder in EXTRA_WORDS:
        return
    wrong = {f for f in imported_folders(path) if FLOORS.index(f) > FLOORS.index(folder)}
    assert not wrong, f"{folder} must not import {sorted(wrong)}"


def test_the_check_can_fail(tmp_path):
    bad = tmp_path / "bad.py"
    bad.write_text("def f():\n    from otolith.cli import main\n")
    assert imported_folders(bad) == {"cli"}
