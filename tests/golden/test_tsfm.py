"""TSFM gives the authors' numbers on every stored case."""

import pytest

from tests.golden.harness import GOLDEN, find_cases, handlers, run_case

SYSTEM = "tsfm"
CASES = find_cases(SYSTEM)


@pytest.mark.skipif(not GOLDEN.is_dir(), reason="no golden numbers on this machine")
def test_there_are_cases():
    assert CASES


@pytest.mark.parametrize("folder", CASES, ids=lambda p: p.name)
def test_case(folder):
    run_case(folder, handlers(SYSTEM))
