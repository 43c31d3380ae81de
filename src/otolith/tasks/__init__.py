"""What a model is good for: zero_shot, few_shot, probe, fine_tune, knn, label; fit, predict, evaluate."""

from otolith.core.registry import Registry

TASKS = Registry("otolith.tasks", "task")
