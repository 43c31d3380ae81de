"""Whole Stage 2, kind `stage2_session`."""

from tests.golden.tsfm._stage2 import run

__all__ = ["run"]
