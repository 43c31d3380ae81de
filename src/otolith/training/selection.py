"""Which epoch is the best, and when to stop early."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from otolith.core.errors import TrainingError, suggest
from otolith.training.config import TrainingConfig
from otolith.training.logs import flatten
from otolith.training.state import LoopState


def best_metric(config: TrainingConfig, *, has_validation: bool) -> str:
    """Return the name of the metric that selects the best epoch."""
    if config.best.metric != "auto":
        return config.best.metric
    return "validation/loss" if has_validation else "train/loss"


def judge_epoch(
    record: Mapping[str, Any], state: LoopState, config: TrainingConfig, *, has_validation: bool
) -> bool:
    """Update the memory of best and early stop in `state`.

    Args:
        record: Record of the epoch with `train` and, if it was validated, `validation`.
        state: Changed: best value and epoch, patience, `is_stopped_early`.
        config: Settings.
        has_validation: Whether the run has validation data.

    Returns:
        Whether this epoch is the best so far.

    Raises:
        TrainingError: A metric does not exist.
    """
    name = best_metric(config, has_validation=has_validation)
    is_known, value = _metric(record, name, has_validation)
    is_best = _is_better(value, state.best_value, config.best.goal)
    if is_best:
        state.best_value, state.best_epoch = value, record["epoch"]
    stop = config.early_stop
    if stop is not None:
        goal = config.best.goal
        if stop.metric != "auto":
            goal = stop.goal
            is_known, value = _metric(record, stop.metric, has_validation)
        if _is_better(value, state.watched_value, goal, stop.min_delta):
            state.watched_value, state.num_bad_epochs = value, 0
        elif is_known:
            state.num_bad_epochs += 1
        state.is_stopped_early = state.num_bad_epochs >= stop.patience
    return is_best


def _metric(
    record: Mapping[str, Any], name: str, has_validation: bool
) -> tuple[bool, float | None]:
    """Whether the record should have a metric, and its value; None if it is not finite."""
    flat = flatten(record)
    if name in flat:
        return True, flat[name]
    if name.startswith("validation/") and has_validation and "validation" not in record:
        return False, None
    raise TrainingError(
        f'There is no metric "{name}" to select or stop by.',
        suggest(name, [n for n in flat if n.startswith(("train/", "validation/"))]),
    )


def _is_better(value: float | None, old: float | None, goal: str, min_delta: float = 0.0) -> bool:
    if value is None or old is None:
        return value is not None
    return value < old - min_delta if goal == "min" else value > old + min_delta
