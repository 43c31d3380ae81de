"""DeepConvLSTM: convolutions over time, then two LSTM layers, to be trained with labels.

Ordonez and Roggen, Sensors 16(1):115, 2016: four layers of 64 filters of 5 steps per channel, two LSTM
layers of 128 units, the last step classifies, dropout 0.5. With 6 channels and a linear layer for 5
classes this has 457 925 parameters; WHAR Arena gives 457.9 k. Differences on purpose: ends are padded,
so that windows of any length fit.
"""

# B batch, N steps, C channels, D width

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

import pydantic
import torch
from pydantic import Field
from torch import Tensor, nn

from otolith.core.config import config
from otolith.encoders import Tokens
from otolith.encoders._imu_convolutions import Convolutions, FixedChannels, check_layers
from otolith.encoders._imu_steps import mean_over, time_grid
from otolith.encoders._presets import fill_from_preset
from otolith.windows.batch import Batch

PRESETS: dict[str, dict[str, Any]] = {
    "debug": {"conv_filters": (8, 8), "kernel_sizes": (5, 5), "width": 16, "pooling": "mean"},
    "ordonez2016": {},
}
Positive = Annotated[int, Field(gt=0)]


@config
class Config:
    """Settings of the encoder.

    Args:
        preset: Size that fills the settings that are not given: ordonez2016 or debug; empty = the
            defaults below, which are those of `ordonez2016`.
        stream: Name of the motion stream to read.
        num_channels: Columns of the stream.
        rate_hz: Rate in Hz that windows are resampled to; None = native rate.
        conv_filters: Filters of the convolution layers.
        kernel_sizes: Their lengths in steps.
        width: Units D of an LSTM layer.
        num_lstm_layers: LSTM layers.
        dropout: Share of dropped inputs of every LSTM layer while training.
        pooling: What stands for the window: its `last` real step, as in the paper, or the `mean`.
    """

    preset: str = ""
    stream: str = "imu"
    num_channels: Positive = 6
    rate_hz: Annotated[float, Field(gt=0)] | None = None
    conv_filters: tuple[Positive, ...] = (64, 64, 64, 64)
    kernel_sizes: tuple[Positive, ...] = (5, 5, 5, 5)
    width: Positive = 128
    num_lstm_layers: Positive = 2
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5
    pooling: Literal["last", "mean"] = "last"

    @pydantic.model_validator(mode="before")
    @classmethod
    def _fill_from_preset(cls, data: Any) -> Any:
        """Add the preset's values for keys that are not given."""
        return fill_from_preset(data, PRESETS)

    def __post_init__(self) -> None:
        """Check that the layers fit together."""
        check_layers(self.conv_filters, self.kernel_sizes)


class Encoder(nn.Module):
    """Convolutions per channel, then LSTM layers over time.

    Input: a stream of `num_channels` columns, always the same sensors. Output: `Tokens` [B, N, D], one
    per step; pooled = the last real
    step, or the mean.

    Args:
        config: Settings.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.input = FixedChannels(config.stream, config.num_channels, config.rate_hz)
        self.convolutions = Convolutions(config.conv_filters, config.kernel_sizes)
        self.dropout = nn.Dropout(config.dropout)
        self.lstm = nn.LSTM(
            config.conv_filters[-1] * config.num_channels,
            config.width,
            num_layers=config.num_lstm_layers,
            dropout=config.dropout if config.num_lstm_layers > 1 else 0.0,
            batch_first=True,
        )

    def fit_input(self, batches: Iterable[Batch]) -> None:
        """Fit the standardisation of the input; without it the first training batch does."""
        self.input.fit(batches)

    @property
    def is_fitted(self) -> bool:
        """Whether the standardisation of the input has been fitted."""
        return bool(self.input.standardise.is_fitted)

    def forward(self, batch: Batch) -> Tokens:
        """Encode the stream of a batch."""
        values, real_BNC, mask_BN = self.input(batch)
        features, _ = self.lstm(self.dropout(self.convolutions(values, real_BNC)))
        features = features * mask_BN.unsqueeze(-1).to(features.dtype)
        return Tokens(
            features_BND=features,
            mask_BN=mask_BN,
            grid=time_grid(features.shape[1], self.input.output_rate_hz(batch)),
            pooled_BD=self._pool(features, mask_BN),
        )

    def _pool(self, features_BND: Tensor, mask_BN: Tensor) -> Tensor:
        if self.config.pooling == "mean":
            return mean_over(features_BND, mask_BN)
        steps_N = torch.arange(mask_BN.shape[1], device=mask_BN.device)
        last_B = (steps_N * mask_BN).amax(1)
        return features_BND[torch.arange(len(last_B), device=last_B.device), last_B]
