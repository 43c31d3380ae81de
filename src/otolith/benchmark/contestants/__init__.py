"""Contestants: what stands in the rows of a table, one file each.

A contestant is written `name`, or `name:argument` (`statistics_lr:gravity`,
`scratch:imu_tsfm`). Its file holds `make(argument, learning) -> Contestant`. Any other word is a
model that `otolith.load_model` understands; it gets a logistic regression on its frozen features.
"""

# N windows, D width, K classes

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from otolith.core.registry import Registry

if TYPE_CHECKING:
    from otolith.tasks._model import Model
    from otolith.windows.dataset import WindowDataset

CONTESTANTS = Registry("otolith.benchmark.contestants", "contestant")


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """What to learn from one data set.

    Args:
        inputs: What `Contestant.inputs` made of its windows.
        label_N: int64, class of every window of the data set.
        person_N: Person of every window.
        train: int64 positions to learn from.
        validation: int64 positions of other people, to choose by; may be empty.
        unlabelled: int64 positions of windows of all people who are not tested, whose labels must
            not be read; for contestants that learn without labels first.
    """

    inputs: Any
    label_N: np.ndarray
    person_N: np.ndarray
    train: np.ndarray
    validation: np.ndarray
    unlabelled: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))


class Fitted(ABC):
    """A contestant after its lessons.

    Attributes:
        num_parameters: Numbers that were learned or loaded.
        chosen: What was chosen on the validation people, such as a penalty.
    """

    num_parameters: int = 0
    chosen: dict[str, float]

    @abstractmethod
    def scores(self, inputs: Any, rows: np.ndarray) -> np.ndarray:
        """Return probabilities [N, K], float64, of the windows at positions `rows`."""

    @abstractmethod
    def features(self, inputs: Any, rows: np.ndarray) -> np.ndarray:
        """Return scaled features [N, D] of the windows at positions `rows`."""


class Contestant(ABC):
    """A way to learn activities from windows.

    Attributes:
        name: How it stands in tables.
        identity: Text that changes when the results could: name, weights, settings.
        device: Where it computes.
        model: The loaded model behind it, whose provenance the leak guards read; None for those
            that learn from nothing but their lessons.
    """

    name: str
    identity: str
    device: str = "cpu"
    model: Model | None = None

    @abstractmethod
    def inputs(self, windows: WindowDataset) -> Any:
        """Prepare the windows of a data set once, such as by embedding them."""

    @abstractmethod
    def fit(self, lessons: Sequence[Lesson], num_classes: int, seed: int) -> Fitted:
        """Learn from one or more data sets.

        Args:
            lessons: What to learn from; classes are numbered alike in all of them.
            num_classes: K.
            seed: Seed of everything that is drawn.

        Raises:
            DataError: There is nothing to learn from.
        """
