"""Whole Stage 2, kind `stage2_per_patch`."""

from tests.golden.tsfm._stage2 import run

__all__ = ["run"]
