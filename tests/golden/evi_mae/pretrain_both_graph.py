"""See `_pretrain`."""

from tests.golden.evi_mae._pretrain import run as run
