"""HIMU-MAE gives the authors' numbers on every stored case, and takes every key of their models."""

import json

import pytest
import torch

from otolith.systems import SYSTEMS
from tests.golden.harness import GOLDEN, SHARED, find_cases, handlers, run_case

SYSTEM = "himu_mae"
CASES = find_cases(SYSTEM)
KEYS = SHARED / "golden" / SYSTEM / "full_keys.json"
FULL = json.loads(KEYS.read_text("utf-8")) if KEYS.is_file() else {"checkpoints": {}}


@pytest.mark.skipif(not GOLDEN.is_dir(), reason="no golden numbers on this machine")
def test_there_are_cases():
    assert CASES


@pytest.mark.parametrize("folder", CASES, ids=lambda p: p.name)
def test_case(folder):
    run_case(folder, handlers(SYSTEM))


@pytest.mark.skipif(not KEYS.is_file(), reason="no lists of keys on this machine")
def test_there_are_lists_of_keys():
    assert FULL["checkpoints"]


@pytest.mark.parametrize("name", FULL["checkpoints"])
def test_all_keys_of_a_full_model_are_taken(name):
    listed = FULL["checkpoints"][name]
    kind = "himu_mae" if "mask_token" in listed else "himu_mae_classifier"
    with torch.device("meta"):
        state = {
            key: torch.empty(shape, dtype=getattr(torch, dtype))
            for key, (shape, dtype) in listed.items()
        }
        system, report = SYSTEMS.get(kind).System.from_official(state, {})
        again = system.to_official()
    assert not report.missing
    assert not report.unexpected
    counters = {key for key in listed if key.endswith("num_batches_tracked")}
    assert set(report.ignored) == counters
    assert set(report.loaded) == set(listed) - counters
    assert {k: list(v.shape) for k, v in again.items()} == {
        k: shape for k, (shape, _) in listed.items() if k not in counters
    }
    counts = FULL["parameter_counts"][name]
    tables = {"pos_embed", "decoder_pos_embed"}
    assert sum(v.numel() for k, v in again.items() if not is_statistic(k)) == counts["parameters"]
    trained = sum(v.numel() for k, v in again.items() if not (is_statistic(k) or k in tables))
    ours = sum(p.numel() for p in system.parameters())
    assert ours == trained


def is_statistic(key):
    return "running_" in key
