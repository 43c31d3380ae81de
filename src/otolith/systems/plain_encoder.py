"""An encoder alone, as the base of a `classifier`: for models that learn from labels from scratch."""

# B batch, D width

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor

from otolith.core.config import component, config
from otolith.core.errors import TrainingError
from otolith.encoders import ENCODERS
from otolith.objectives import LossOutput
from otolith.systems import System as BaseSystem
from otolith.windows.batch import Batch


@config
class Config:
    """Settings.

    Args:
        encoder: The encoder.
    """

    encoder: component(ENCODERS)  # pyrefly: ignore  # the field type is made at run time


class System(BaseSystem):
    """An encoder; `embed` is its pooled vector.

    Args:
        config: Settings.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.encoder = config.encoder.module.Encoder(config.encoder.config)

    def embed(self, batch: Batch) -> Tensor:
        """Return the pooled vector of every sample [B, D], float32."""
        return self.encoder(batch).pooled_BD.float()

    def loss(self, batch: Batch) -> LossOutput:
        """Refuse: nothing can be learned without labels.

        Raises:
            TrainingError: Always.
        """
        raise TrainingError(
            'The system "plain_encoder" has no loss of its own.',
            "Make it the base of the system classifier.",
        )

    def warm_up(self, batches: Iterable[Batch]) -> None:
        """Fit the input of an encoder that standardises it, once, to all training windows."""
        if hasattr(self.encoder, "fit_input") and not self.encoder.is_fitted:
            self.encoder.fit_input(batches)
