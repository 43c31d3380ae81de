"""Window statistics as a model: a fixed feature extractor that stands in every comparison.

With logistic regression or a forest on top (see the tasks `probe` and `few_shot`) it is the
baseline that a learned model has to beat. Scale the features before a linear classifier.
"""

# B batch, D width

from __future__ import annotations

from dataclasses import field
from typing import Any

import torch
from torch import Tensor

from otolith.core.config import component, config, select
from otolith.core.errors import TrainingError
from otolith.encoders import ENCODERS
from otolith.objectives import LossOutput
from otolith.systems import System as BaseSystem
from otolith.windows.batch import Batch


@config
class Config:
    """Settings.

    Args:
        encoder: What computes the statistics.
    """

    encoder: component(ENCODERS) = field(  # pyrefly: ignore  # the field type is made at run time
        default_factory=lambda: select(ENCODERS, "imu_statistics")
    )


class System(BaseSystem):
    """Statistics of motion windows; `embed` is all it does.

    Args:
        config: Settings.
    """

    trainable = False

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.encoder = config.encoder.module.Encoder(config.encoder.config)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Name of every component of an embedding."""
        return self.encoder.names

    @torch.no_grad()
    def embed(self, batch: Batch) -> Tensor:
        """Return the statistics of every sample [B, D], float32, finite."""
        return self.encoder(batch).pooled_BD

    def loss(self, batch: Batch) -> LossOutput:
        """Refuse: there is nothing to train.

        Raises:
            TrainingError: Always.
        """
        raise TrainingError(
            'The system "statistics" has nothing to train.',
            "Use it as it is, for example in `otolith evaluate probe --model statistics`.",
        )

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return no groups: there are no parameters."""
        return []
