"""Activities of one kind of sensor, worn alike by everybody: two small networks that vote.

One reads signals in the sensor's axes, the other statistics (see the encoder `imu_device_motion`).
Each learns alone, and their probabilities are multiplied: they err in different windows.
"""

# B batch, S statistics, K classes, D width

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import field
from typing import Annotated, Any

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from otolith.core.config import component, config, select
from otolith.core.randomness import noise
from otolith.encoders import ENCODERS
from otolith.encoders.imu_device_motion import DeviceMotion
from otolith.objectives import LossOutput
from otolith.objectives._gather import global_mean, num_processes, sum_over_processes
from otolith.systems import System as BaseSystem
from otolith.windows.batch import Batch
from otolith.windows.needed import needed_target

Share = Annotated[float, Field(ge=0, lt=1)]


@config
class Config:
    """Settings.

    Args:
        labels: Class names; targets are indices into them.
        encoder: `imu_device_motion` with its settings.
        hidden_width: Hidden units of the network that reads statistics.
        input_dropout: Share of the statistics that it does not see in a training step.
        dropout: Dropout of its hidden units and of the signals' vector.
        statistics_noise: Deviation of noise on standardised statistics while training.
        label_smoothing: Share of the target that is spread over all classes.
        target: Name of the class target in the batch.
    """

    labels: Annotated[tuple[str, ...], Field(min_length=2)]
    encoder: component(ENCODERS) = field(  # pyrefly: ignore  # the field type is made at run time
        default_factory=lambda: select(ENCODERS, "imu_device_motion")
    )
    hidden_width: Annotated[int, Field(gt=0)] = 96
    input_dropout: Share = 0.3
    dropout: Share = 0.4
    statistics_noise: Annotated[float, Field(ge=0)] = 0.1
    label_smoothing: Share = 0.05
    target: str = "label"

    def __post_init__(self) -> None:
        """Check labels and encoder."""
        if len(set(self.labels)) < len(self.labels):
            raise ValueError("labels names a class twice")
        if self.encoder.name != "imu_device_motion":
            raise ValueError(f"encoder is {self.encoder.name}; it must be imu_device_motion")


class System(BaseSystem):
    """Two networks over one encoder; `classify` multiplies their probabilities.

    Args:
        config: See `Config`.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.encoder = config.encoder.module.Encoder(config.encoder.config)
        number = len(config.labels)
        self.hidden = nn.Linear(self.encoder.num_statistics, config.hidden_width)
        self.statistics_head = nn.Linear(config.hidden_width, number)
        self.signal_head = nn.Linear(config.encoder.config.signal_width, number)

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names, in the order of `classify`'s columns."""
        return self.config.labels

    def warm_up(self, batches: Iterable[Batch]) -> None:
        """Measure the scale of the statistics on training windows, once."""
        if not self.encoder.is_fitted:
            self.encoder.fit_input(batches)

    def loss(self, batch: Batch) -> LossOutput:
        """Return the sum of both networks' cross entropies, without unlabelled samples."""
        target = needed_target(batch, self.config.target)
        votes = self.votes(self.encoder.views(batch), batch.keys_B)
        per_sample = self.cross_entropy(votes, target)
        known = target >= 0
        count = sum_over_processes(known.sum()).clamp(min=1)
        right = (joined(*votes).argmax(1) == target)[known].float().sum()
        return LossOutput(
            total=per_sample.sum() * num_processes() / count,
            parts={"accuracy": global_mean(right, known.sum())},
            per_sample_B=per_sample.detach() if bool(known.all()) else None,
            is_global=True,
        )

    def cross_entropy(self, votes: tuple[Tensor, Tensor], target_B: Tensor) -> Tensor:
        """Return the sum of both networks' cross entropies [B]; 0 for the class -1.

        Args:
            votes: Logits of both networks, see `votes`.
            target_B: Class indices.
        """
        smoothing = self.config.label_smoothing
        settings = {"ignore_index": -1, "reduction": "none", "label_smoothing": smoothing}
        first, second = (F.cross_entropy(logits, target_B, **settings) for logits in votes)
        return first + second

    def votes(self, inputs: DeviceMotion, keys_B: np.ndarray) -> tuple[Tensor, Tensor]:
        """Return the logits [B, K] of the networks that read signals and statistics.

        Args:
            inputs: What the encoder's `views` returned.
            keys_B: Keys for the random changes while training.
        """
        if self.training:
            inputs = self.encoder.jittered(inputs, keys_B)
        signal_BD, statistics_BS = self._read(inputs)
        drop = self.config.dropout
        if self.training:
            draws = torch.from_numpy(noise(keys_B, "statistics", statistics_BS.shape[1]))
            statistics_BS = statistics_BS + self.config.statistics_noise * draws.to(statistics_BS)
        hidden_BD = self._hidden(statistics_BS)
        return (
            self.signal_head(F.dropout(signal_BD, drop, self.training)),
            self.statistics_head(F.dropout(hidden_BD, drop, self.training)),
        )

    def classify(self, batch: Batch) -> Tensor:
        """Return logarithms of the joint probabilities [B, K], one column per entry of `labels`."""
        return joined(*self.votes(self.encoder.views(batch), batch.keys_B))

    def embed(self, batch: Batch) -> Tensor:
        """Return what the last layers of both networks see side by side [B, D]."""
        return self.features(self.encoder.views(batch))

    def features(self, inputs: DeviceMotion) -> Tensor:
        """Return what the last layers of both networks see side by side [B, D]."""
        signal_BD, statistics_BS = self._read(inputs)
        return torch.cat([signal_BD, self._hidden(statistics_BS)], dim=1).float()

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return weights that decay and biases and norms that do not."""
        plain = [p for p in self.parameters() if p.requires_grad and p.ndim > 1]
        other = [p for p in self.parameters() if p.requires_grad and p.ndim <= 1]
        return [
            {"name": "weights", "params": plain},
            {"name": "no-decay", "params": other, "weight_decay": 0.0},
        ]

    def _read(self, inputs: DeviceMotion) -> tuple[Tensor, Tensor]:
        """The signals' vector and the standardised statistics."""
        pooled_BD = self.encoder.encode(inputs).pooled_BD
        number = self.encoder.num_statistics
        return pooled_BD[:, number:], pooled_BD[:, :number]

    def _hidden(self, statistics_BS: Tensor) -> Tensor:
        seen = F.dropout(statistics_BS, self.config.input_dropout, self.training)
        return F.gelu(self.hidden(seen))


def joined(signal_BK: Tensor, statistics_BK: Tensor) -> Tensor:
    """Return the normalised logarithms of the product of two networks' probabilities [B, K]."""
    return (signal_BK.log_softmax(1) + statistics_BK.log_softmax(1)).log_softmax(1)
