"""Handlers of the TSFM cases: one module per kind, each with `run(case)`."""
