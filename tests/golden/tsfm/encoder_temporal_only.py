"""TSFM encoder, kind `encoder_temporal_only`."""

from tests.golden.tsfm._encoder import run

__all__ = ["run"]
