"""See `_finetune`."""

from tests.golden.evi_mae._finetune import run as run
