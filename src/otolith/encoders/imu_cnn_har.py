"""CNN-HAR: a plain convolutional network for activity recognition, to be trained with labels.

Layers of Yang et al., Deep CNNs on Multichannel Time Series for Human Activity Recognition (IJCAI
2015): 50, 40 and 20 filters of 5, 5 and 3 steps per channel with pooling between them, then one layer
of 400 units over all channels. With 6 channels and a linear layer for 5 classes this has 63 165
parameters; WHAR Arena gives 63.2 k for its CNN-HAR. Differences on purpose: ends are padded, so that
windows of any length fit; the 400 units are averaged over time; there is no local normalisation.
"""

# B batch, N steps, C channels, D width

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

import pydantic
from pydantic import Field
from torch import nn

from otolith.core.config import config
from otolith.encoders import Tokens
from otolith.encoders._imu_convolutions import Convolutions, FixedChannels, check_layers
from otolith.encoders._imu_steps import mean_over, time_grid
from otolith.encoders._presets import fill_from_preset
from otolith.windows.batch import Batch

PRESETS: dict[str, dict[str, Any]] = {
    "debug": {"conv_filters": (8, 8), "kernel_sizes": (5, 3), "width": 16},
    "yang2015": {},
}
Positive = Annotated[int, Field(gt=0)]


@config
class Config:
    """Settings of the encoder.

    Args:
        preset: Size that fills the settings that are not given: yang2015 or debug; empty = the
            defaults below, which are those of `yang2015`.
        stream: Name of the motion stream to read.
        num_channels: Columns of the stream.
        rate_hz: Rate in Hz that windows are resampled to; None = native rate.
        conv_filters: Filters of the convolution layers.
        kernel_sizes: Their lengths in steps.
        pool_size: Steps that are pooled between two layers.
        width: Width D of the layer over all channels.
        dropout: Share of its dropped units while training.
    """

    preset: str = ""
    stream: str = "imu"
    num_channels: Positive = 6
    rate_hz: Annotated[float, Field(gt=0)] | None = None
    conv_filters: tuple[Positive, ...] = (50, 40, 20)
    kernel_sizes: tuple[Positive, ...] = (5, 5, 3)
    pool_size: Positive = 2
    width: Positive = 400
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0

    @pydantic.model_validator(mode="before")
    @classmethod
    def _fill_from_preset(cls, data: Any) -> Any:
        """Add the preset's values for keys that are not given."""
        return fill_from_preset(data, PRESETS)

    def __post_init__(self) -> None:
        """Check that the layers fit together."""
        check_layers(self.conv_filters, self.kernel_sizes)


class Encoder(nn.Module):
    """Convolutions per channel, then one layer over all channels.

    Input: a stream of `num_channels` columns, always the same sensors. Output: `Tokens` [B, N', D],
    one per pooled step; pooled = mean of the real ones.

    Args:
        config: Settings.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.input = FixedChannels(config.stream, config.num_channels, config.rate_hz)
        self.convolutions = Convolutions(config.conv_filters, config.kernel_sizes, config.pool_size)
        self.unify = nn.Linear(config.conv_filters[-1] * config.num_channels, config.width)
        self.dropout = nn.Dropout(config.dropout)

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
        features = self.dropout(self.unify(self.convolutions(values, real_BNC)).relu())
        mask_BN = self.convolutions.pooled_mask(mask_BN)
        features = features * mask_BN.unsqueeze(-1).to(features.dtype)
        rate_hz = self.input.output_rate_hz(batch)
        stride = self.config.pool_size ** (len(self.config.conv_filters) - 1)
        return Tokens(
            features_BND=features,
            mask_BN=mask_BN,
            grid=time_grid(features.shape[1], None if rate_hz is None else rate_hz / stride),
            pooled_BD=mean_over(features, mask_BN),
        )
