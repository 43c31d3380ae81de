"""Window statistics with a random forest."""

from __future__ import annotations

from otolith.benchmark._settings import Learning
from otolith.benchmark.contestants import Contestant
from otolith.benchmark.contestants._features import FeatureContestant
from otolith.tasks._model import load_model


def make(argument: str, learning: Learning) -> Contestant:
    """Return the contestant.

    Args:
        argument: Axes of the statistics: `device`, `gravity`, `both`; empty = both.
        learning: Settings.

    Raises:
        CheckpointError: There are no such axes.
    """
    name = "statistics_rf" + (f":{argument}" if argument else "")
    model = load_model(f"statistics:{argument or 'both'}")
    return FeatureContestant(name, model, "forest", learning)
