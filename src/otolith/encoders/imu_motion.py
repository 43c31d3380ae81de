"""Motion in few numbers: statistics that no mounting changes, and a small convolutional network.

The processor takes one sensor of each sample at any rate to a common one, finds the vertical by
gravity, and makes signals and statistics of it (`otolith.signals.motion_views`,
`otolith.signals.motion_statistics`). Sensors without a gyroscope, and accelerations without
gravity, are told apart by flags.
"""

# B batch, T time, C channels, S statistics, N tokens, D width, K samples

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from otolith.core.config import config
from otolith.core.errors import DataError
from otolith.encoders import Grid, Tokens
from otolith.encoders._motion_conv import STRIDE, MotionConv
from otolith.encoders._motion_inputs import (
    MotionInputs,
    measure_scaling,
    motion_inputs,
    only_motion_stream,
)
from otolith.signals.motion_statistics import STATISTICS, is_gyro_statistic
from otolith.signals.motion_views import CHANNELS
from otolith.windows.batch import Batch

ORIENTATION = ("orientation_x", "orientation_y", "orientation_z")
FLAGS = ("has_gyro", "has_gravity", "has_orientation")


@config
class Config:
    """Settings.

    Args:
        rate_hz: Rate in Hz to which every stream is taken.
        stream: Motion stream; empty = the only one of the batch.
        has_conv: Whether there is a network; without it there is nothing to train.
        conv_width: Channels of the network's first layer; the others have twice as many.
        conv_kernel: Samples that each layer sees at once; odd.
        conv_groups: Groups of channels that are normalised together.
        clip: Largest standardised statistic.
        min_gravity_g: Shortest mean acceleration of a window in g that counts as gravity; below,
            the vertical is unknown. 0 = gravity is always included.
    """

    rate_hz: Annotated[float, Field(gt=0)] = 20.0
    stream: str = ""
    has_conv: bool = True
    conv_width: Annotated[int, Field(gt=0)] = 32
    conv_kernel: Annotated[int, Field(gt=0)] = 5
    conv_groups: Annotated[int, Field(gt=0)] = 4
    clip: Annotated[float, Field(gt=0)] = 5.0
    min_gravity_g: Annotated[float, Field(ge=0)] = 0.3

    def __post_init__(self) -> None:
        """Check that kernel and groups fit."""
        if self.conv_kernel % 2 == 0 or self.conv_width % self.conv_groups:
            raise ValueError("conv_kernel must be odd, conv_width a multiple of conv_groups")


class Encoder(nn.Module):
    """Turn the motion stream of a batch into tokens of a network and one vector.

    Tokens are [B, N, 2 * conv_width], four rows of the common rate each; without a network there
    is one token, the vector itself. `pooled_BD` joins standardised statistics, orientation, flags,
    and mean and maximum of the tokens. Gradients flow to the values through the network alone.

    Args:
        config: Settings.

    Attributes:
        names: Name of every component of `pooled_BD`.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("mean", torch.zeros(len(STATISTICS)))
        self.register_buffer("scale", torch.ones(len(STATISTICS)))
        needs_gyro = torch.as_tensor(is_gyro_statistic(STATISTICS))
        self.register_buffer("needs_gyro", needs_gyro, persistent=False)
        self.conv = None
        names = (*STATISTICS, *ORIENTATION, *FLAGS)
        if config.has_conv:
            width = config.conv_width
            self.conv = MotionConv(len(CHANNELS), width, config.conv_kernel, config.conv_groups)
            names += tuple(f"conv_{how}_{i}" for how in ("mean", "max") for i in range(2 * width))
        self.names: tuple[str, ...] = names

    @property
    def width(self) -> int:
        """Number of components of `pooled_BD`."""
        return len(self.names)

    def views(self, batch: Batch) -> MotionInputs:
        """Return signals, raw statistics, orientation and flags of a batch.

        Raises:
            DataError: The stream is missing or ambiguous, or has no accelerometer.
        """
        name, stream = only_motion_stream(batch, self.config.stream)
        return motion_inputs(stream, self.config.rate_hz, self.config.min_gravity_g, name)

    @torch.no_grad()
    def fit_scaling(self, statistics_NS: Tensor, has_gyro_N: Tensor | None = None) -> None:
        """Set mean and scale of the statistics from those of training windows.

        Args:
            statistics_NS: Raw statistics, as in `MotionInputs.statistics_BS`.
            has_gyro_N: bool, whether a window has a gyroscope, without which the statistics of
                the gyroscope do not count; None = all have one.

        Raises:
            DataError: There is no window, or the shape is another.
        """
        if statistics_NS.ndim != 2 or statistics_NS.shape[1] != len(STATISTICS):
            raise DataError(
                f"Statistics have shape {tuple(statistics_NS.shape)}.",
                f"Give them as [windows, {len(STATISTICS)}].",
            )
        mean, scale = measure_scaling(statistics_NS, self.needs_gyro, has_gyro_N)
        self.mean.copy_(mean)
        self.scale.copy_(scale)

    def standardised(self, inputs: MotionInputs) -> Tensor:
        """Return statistics [B, S] over mean and scale, clipped; 0 where there is no gyroscope."""
        clip = self.config.clip
        z = ((inputs.statistics_BS - self.mean) / self.scale).clamp(-clip, clip)
        return torch.where(self.needs_gyro & ~inputs.has_gyro_B[:, None], 0.0, z)

    def forward(self, batch: Batch) -> Tokens:
        """Encode a batch.

        Raises:
            DataError: See `views`.
        """
        return self.encode(self.views(batch))

    def encode(self, inputs: MotionInputs) -> Tokens:
        """Encode what `views` returned, which may have been kept or changed (augmented)."""
        parts = [self.standardised(inputs), inputs.orientation_BO, inputs.flags]
        if self.conv is None:
            pooled = torch.cat(parts, dim=1)
            return Tokens(
                features_BND=pooled[:, None],
                mask_BN=inputs.mask_BT.any(1, keepdim=True),
                grid=Grid(axes=("window",), sizes=(1,)),
                pooled_BD=pooled,
            )
        features_BND, mask_BN = self.conv(inputs.signals_BCT, inputs.mask_BT)
        hidden = ~mask_BN[:, :, None]
        number = mask_BN.sum(1, keepdim=True).clamp(min=1)
        mean = features_BND.sum(1) / number
        highest = features_BND.masked_fill(hidden, -torch.inf).amax(1)
        highest = torch.where(mask_BN.any(1, keepdim=True), highest, 0.0)
        return Tokens(
            features_BND=features_BND,
            mask_BN=mask_BN,
            grid=Grid(
                axes=("time",),
                sizes=(features_BND.shape[1],),
                seconds_per_step=STRIDE / self.config.rate_hz,
            ),
            pooled_BD=torch.cat([*parts, mean, highest], dim=1),
        )
