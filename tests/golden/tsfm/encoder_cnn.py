"""TSFM encoder, kind `encoder_cnn`."""

from tests.golden.tsfm._encoder import run

__all__ = ["run"]
