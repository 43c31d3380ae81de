"""EVI-MAE gives the authors' numbers on every stored case."""

import json

import pytest
import torch

from otolith.systems import evi_mae, evi_mae_classifier
from tests.golden.harness import GOLDEN, SHARED, find_cases, handlers, run_case

SYSTEM = "evi_mae"
CASES = find_cases(SYSTEM)
KEYS = SHARED / "golden" / SYSTEM / "full_keys.json"


@pytest.mark.skipif(not GOLDEN.is_dir(), reason="no golden numbers on this machine")
def test_there_are_cases():
    assert CASES


@pytest.mark.parametrize("folder", CASES, ids=lambda p: p.name)
def test_case(folder):
    run_case(folder, handlers(SYSTEM))


@pytest.mark.skipif(not KEYS.is_file(), reason="no lists of official keys on this machine")
@pytest.mark.parametrize(("section", "module"), [(0, evi_mae), (1, evi_mae_classifier)])
def test_every_key_of_the_published_size_is_taken(section, module):
    listed = list(json.loads(KEYS.read_text(encoding="utf-8")).values())[section]
    official = {
        f"module.{name}": torch.empty(shape, dtype=getattr(torch, dtype), device="meta")
        for name, (shape, dtype) in listed.items()
    }
    with torch.device("meta"):
        system, report = module.System.from_official(official, {})
    assert not report.missing
    assert not report.unexpected
    assert not report.ignored
    back = system.to_official()
    assert {k: (list(v.shape), str(v.dtype)) for k, v in back.items()} == {
        f"module.{k}": (shape, f"torch.{dtype}") for k, (shape, dtype) in listed.items()
    }
