"""Heads on top of features: projectors, probes, prototypes, label bank, fusion."""

from otolith.core.registry import Registry

HEADS = Registry("otolith.heads", "head")
