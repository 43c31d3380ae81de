"""Plots, self-contained HTML pages, model and data set cards."""
