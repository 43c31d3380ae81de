"""Motion in the sensor's own axes: a small convolutional network beside statistics.

For data sets whose sensors are worn alike: in the sensor's axes a network sees how the body is
held and how that changes. Statistics that no mounting changes (see `imu_motion`) and statistics of
the sensor's axes stand beside it. While training, mounting, offset and noise are changed a little.
"""

# B batch, T time, C axes, S statistics, N tokens, K slots, D width

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from itertools import islice
from typing import Annotated

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from otolith.core.config import config
from otolith.core.randomness import noise, normal
from otolith.encoders import Grid, Tokens
from otolith.encoders._motion_conv import STRIDE, MotionConv
from otolith.encoders._motion_inputs import measure_scaling, motion_inputs, only_motion_stream
from otolith.signals.device_statistics import AXES, DEVICE_STATISTICS, device_statistics
from otolith.signals.motion_statistics import STATISTICS, is_gyro_statistic
from otolith.signals.units import STANDARD_GRAVITY_M_S2
from otolith.windows.batch import Batch

_ALL = (*STATISTICS, *DEVICE_STATISTICS)
Size = Annotated[int, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]


@config
class Config:
    """Settings.

    Args:
        rate_hz: Rate in Hz to which every stream is taken.
        stream: Motion stream; empty = the only one of the batch.
        conv_width: Channels of the network's first layer; the others have twice as many.
        conv_kernel: Samples that each layer sees at once; odd.
        slots: Parts of the window whose features are kept apart.
        signal_width: Width of the network's vector.
        dropout: Share of the network's features that is dropped before this vector.
        gyro_scale: What angular rates in rad/s are multiplied by for the network.
        clip: Largest standardised statistic.
        min_gravity_g: Shortest mean acceleration of a window in g that counts as gravity.
        turn_rad: Deviation of the random turn about each axis while training, in rad.
        offset: Deviation of a random constant on each of the network's signals.
        noise: Deviation of white noise on them.
        scaling_batches: Batches of training windows that the scale of the statistics is measured by.
    """

    rate_hz: Annotated[float, Field(gt=0)] = 20.0
    stream: str = ""
    conv_width: Size = 32
    conv_kernel: Size = 5
    slots: Size = 15
    signal_width: Size = 64
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.4
    gyro_scale: Annotated[float, Field(gt=0)] = 0.5
    clip: Annotated[float, Field(gt=0)] = 5.0
    min_gravity_g: NotNegative = 0.3
    turn_rad: NotNegative = 0.12
    offset: NotNegative = 0.02
    noise: NotNegative = 0.02
    scaling_batches: Size = 500

    def __post_init__(self) -> None:
        """Check the kernel."""
        if self.conv_kernel % 2 == 0:
            raise ValueError("conv_kernel must be odd")


@dataclass(frozen=True, kw_only=True)
class DeviceMotion:
    """What the encoder reads of every sample.

    Args:
        signals_BCT: Acceleration in g and scaled angular rate in the sensor's axes; zero where
            masked or missing.
        mask_BT: bool, True = real row at the common rate.
        statistics_BS: Raw statistics; 0 where there is no gyroscope or no row.
        has_gyro_B: bool, whether there is a gyroscope.
    """

    signals_BCT: Tensor
    mask_BT: Tensor
    statistics_BS: Tensor
    has_gyro_B: Tensor

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.mask_BT)

    def select(self, rows: Tensor | np.ndarray) -> DeviceMotion:
        """Return some of the samples, in the order of `rows`."""
        index = torch.as_tensor(rows, device=self.mask_BT.device)
        return DeviceMotion(**{f.name: getattr(self, f.name)[index] for f in fields(self)})

    def to(self, device: str) -> DeviceMotion:
        """Return a copy on `device`."""
        return DeviceMotion(**{f.name: getattr(self, f.name).to(device) for f in fields(self)})


def join(parts: Sequence[DeviceMotion]) -> DeviceMotion:
    """Put samples one behind the other; shorter windows are padded."""
    longest = max(part.mask_BT.shape[1] for part in parts)

    def together(name: str) -> Tensor:
        tensors = [getattr(part, name) for part in parts]
        if name in ("signals_BCT", "mask_BT"):
            tensors = [F.pad(x, (0, longest - x.shape[-1])) for x in tensors]
        return torch.cat(tensors)

    return DeviceMotion(**{f.name: together(f.name) for f in fields(DeviceMotion)})


class Encoder(nn.Module):
    """Turn the motion stream of a batch into tokens of a network and one vector.

    Tokens are [B, N, 2 * conv_width], four rows of the common rate each. `pooled_BD` joins
    standardised statistics and the network's vector, which knows when in the window things happen.

    Args:
        config: Settings.

    Attributes:
        num_statistics: How many components of `pooled_BD` are statistics; they come first.
    """

    num_statistics = len(_ALL)

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("mean", torch.zeros(len(_ALL)))
        self.register_buffer("scale", torch.ones(len(_ALL)))
        self.register_buffer("is_scaled", torch.tensor(False))  # a tensor's value
        needs_gyro = torch.as_tensor(is_gyro_statistic(_ALL))
        self.register_buffer("needs_gyro", needs_gyro, persistent=False)
        width = config.conv_width
        self.conv = MotionConv(len(AXES), width, config.conv_kernel, 1, norm="batch")
        self.dropout = nn.Dropout(config.dropout)
        self.join_slots = nn.Linear(2 * width * config.slots, config.signal_width)

    @property
    def width(self) -> int:
        """Number of components of `pooled_BD`."""
        return self.num_statistics + self.config.signal_width

    @property
    def is_fitted(self) -> bool:
        """Whether the scale of the statistics has been measured."""
        return bool(self.is_scaled)

    def views(self, batch: Batch) -> DeviceMotion:
        """Return signals and raw statistics of a batch.

        Raises:
            DataError: The stream is missing or ambiguous, or has no accelerometer.
        """
        settings = self.config
        name, stream = only_motion_stream(batch, settings.stream)
        found = motion_inputs(stream, settings.rate_hz, settings.min_gravity_g, name)
        device_BS = _of_each_length(found.imu_BCT, found.mask_BT)
        statistics = torch.cat([found.statistics_BS, device_BS.to(found.statistics_BS)], dim=1)
        factor_C = statistics.new_tensor(
            [1 / STANDARD_GRAVITY_M_S2] * 3 + [settings.gyro_scale] * 3
        )
        is_unknown = self.needs_gyro & ~found.has_gyro_B[:, None]
        return DeviceMotion(
            signals_BCT=found.imu_BCT * factor_C[:, None],
            mask_BT=found.mask_BT,
            statistics_BS=torch.where(is_unknown, 0.0, statistics),
            has_gyro_B=found.has_gyro_B,
        )

    @torch.no_grad()
    def fit_scaling(self, inputs: DeviceMotion) -> None:
        """Measure mean and scale of the statistics on training windows.

        Raises:
            DataError: There is no window.
        """
        mean, scale = measure_scaling(inputs.statistics_BS, self.needs_gyro, inputs.has_gyro_B)
        self.mean.copy_(mean)
        self.scale.copy_(scale)
        self.is_scaled.fill_(True)

    @torch.no_grad()
    def fit_input(self, batches: Iterable[Batch]) -> None:
        """Measure mean and scale of the statistics on the first batches of the training data."""
        few = islice(batches, self.config.scaling_batches)
        self.fit_scaling(join([self.views(batch) for batch in few]))

    def jittered(self, inputs: DeviceMotion, keys_B: np.ndarray) -> DeviceMotion:
        """Change mounting, offset and noise of the network's signals a little.

        Args:
            inputs: Samples.
            keys_B: Keys for the draws.
        """
        settings, x = self.config, inputs.signals_BCT
        turn = settings.turn_rad * torch.from_numpy(normal(keys_B, "turn", (3,))).to(x)
        sensors = x.unflatten(1, (2, 3))
        # To first order; the angles are small.
        sensors = sensors + torch.cross(turn[:, None, :, None].expand_as(sensors), sensors, dim=2)
        constant = torch.from_numpy(normal(keys_B, "offset", (len(AXES), 1))).to(x)
        white = torch.from_numpy(noise(keys_B, "noise", x[0].numel())).to(x).view_as(x)
        added = settings.offset * constant + settings.noise * white
        is_real = inputs.mask_BT[:, None] & _has_sensor(inputs)
        return replace(inputs, signals_BCT=torch.where(is_real, sensors.flatten(1, 2) + added, 0.0))

    def standardised(self, inputs: DeviceMotion) -> Tensor:
        """Return statistics [B, S] over mean and scale, clipped; 0 where there is no gyroscope."""
        clip = self.config.clip
        z = ((inputs.statistics_BS - self.mean) / self.scale).clamp(-clip, clip)
        return torch.where(self.needs_gyro & ~inputs.has_gyro_B[:, None], 0.0, z)

    def forward(self, batch: Batch) -> Tokens:
        """Encode a batch; changed a little while training.

        Raises:
            DataError: See `views`.
        """
        return self.encode(self.prepared(batch))

    def prepared(self, batch: Batch) -> DeviceMotion:
        """Return what `encode` reads, changed a little while training."""
        inputs = self.views(batch)
        return self.jittered(inputs, batch.keys_B) if self.training else inputs

    def encode(self, inputs: DeviceMotion) -> Tokens:
        """Encode what `views` returned, which may have been kept."""
        features_BND, mask_BN = self.conv(inputs.signals_BCT, inputs.mask_BT)
        slots_BKD = slot_means(features_BND, mask_BN, self.config.slots)
        signal_BD = F.gelu(self.join_slots(self.dropout(slots_BKD.flatten(1))))
        step_s = STRIDE / self.config.rate_hz
        return Tokens(
            features_BND=features_BND,
            mask_BN=mask_BN,
            grid=Grid(axes=("time",), sizes=(features_BND.shape[1],), seconds_per_step=step_s),
            pooled_BD=torch.cat([self.standardised(inputs), signal_BD.float()], dim=1),
        )


def slot_means(features_BND: Tensor, mask_BN: Tensor, slots: int) -> Tensor:
    """Divide the real tokens of every sample into equal parts in time and average each.

    Args:
        features_BND: Tokens, zero where masked.
        mask_BN: bool, True = real; real tokens come first.
        slots: K.

    Returns:
        Means [B, K, D]; a token at a border counts in both parts by its shares. Zero without tokens.
    """
    count_B1 = mask_BN.sum(1, keepdim=True)
    bounds_K = torch.linspace(0, 1, slots + 1, device=mask_BN.device)
    low_BK, high_BK = count_B1 * bounds_K[:-1], count_B1 * bounds_K[1:]
    token_N = torch.arange(mask_BN.shape[1], device=mask_BN.device)
    begin_BKN = torch.maximum(low_BK[:, :, None], token_N)
    end_BKN = torch.minimum(high_BK[:, :, None], token_N + 1)
    share_BKN = (end_BKN - begin_BKN).clamp(min=0) / (count_B1[:, :, None] / slots).clamp(min=1e-6)
    return share_BKN.to(features_BND) @ features_BND


def _of_each_length(imu_BCT: Tensor, mask_BT: Tensor) -> Tensor:
    """Device statistics [B, S] of windows whose real rows come first; 0 without rows."""
    found = imu_BCT.new_zeros(len(imu_BCT), len(DEVICE_STATISTICS))
    length_B = mask_BT.sum(1)
    for length in length_B.unique().tolist():
        if length:
            rows = (length_B == length).nonzero()[:, 0]
            found[rows] = device_statistics(imu_BCT[rows, :, :length])
    return found


def _has_sensor(inputs: DeviceMotion) -> Tensor:
    """Which axes a sample has, bool [B, 6, 1]: a gyroscope that is not there gets no noise."""
    has_acc = torch.ones_like(inputs.has_gyro_B)
    has = torch.stack([has_acc] * 3 + [inputs.has_gyro_B] * 3, dim=1)
    return has[:, :, None]
