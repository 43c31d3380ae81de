"""Handlers of the golden cases of HIMU-MAE, one module per kind."""
