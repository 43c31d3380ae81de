"""See `_graph`."""

from tests.golden.evi_mae._graph import run as run
