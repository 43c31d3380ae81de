"""TSFM encoder, kind `encoder_spectral`."""

from tests.golden.tsfm._encoder import run

__all__ = ["run"]
