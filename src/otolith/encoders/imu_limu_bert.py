"""LIMU-BERT and LIMU-BERT-X: a small transformer on steps of 1/20 s with one shared block.

Xu et al., LIMU-BERT (SenSys 2021), and LIMU-BERT-X (MobiCom 2025). The block is applied
`num_layers` times with the same weights; its first residual adds the attention's output, not the
block's input, as in the authors' code. The input is acceleration in g including gravity, then
angular rate in rad/s, each as x, y, z of the sensor.

Signals of any rate are resampled to 20 Hz. A window longer than `window_steps` is cut into pieces
of that length, one after the other; a last piece, or a window, that is shorter is encoded at its
own length, with the positions from 0 on. Masked steps are not attended to. Axes that a sample lacks
are zero.
"""

# B batch, N steps, C channels, D width, M pieces, L steps of a piece

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import pydantic
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from otolith.core.config import config
from otolith.core.errors import DataError
from otolith.encoders import Tokens
from otolith.encoders._imu_steps import mean_over, motion_stream, time_grid, to_rate
from otolith.encoders._presets import fill_from_preset
from otolith.encoders._sensor_axes import select_axes
from otolith.windows.batch import Batch

PRESETS: dict[str, dict[str, Any]] = {
    "debug": {"window_steps": 20, "width": 16, "feedforward_width": 32, "num_heads": 2,
              "num_layers": 2},
    "limu_bert": {"window_steps": 120},
    "limu_bert_x": {"window_steps": 20},
}  # fmt: skip
NORM_EPS = 1e-12
Positive = Annotated[int, Field(gt=0)]


@config
class Config:
    """Settings of the encoder.

    Args:
        preset: Size that fills the settings that are not given: limu_bert, limu_bert_x or debug;
            empty = the defaults below, which are those of `limu_bert`.
        stream: Name of the motion stream to read.
        triads: Three-axis sensors in the order of the input: accelerometer, gyroscope. A triad's
            name, or a kind of sensor, which means the only triad of that kind.
        rate_hz: Steps per second.
        window_steps: Longest piece that is encoded as a whole, and number of positions.
        gravity_m_s2: Acceleration is divided by this.
        width: Width D.
        num_heads: Attention heads.
        num_layers: How often the block is applied.
        feedforward_width: Hidden width of the block's feed-forward part.
    """

    preset: str = ""
    stream: str = "imu"
    triads: tuple[str, ...] = ("acc", "gyro")
    rate_hz: Annotated[float, Field(gt=0)] = 20.0
    window_steps: Positive = 120
    gravity_m_s2: Annotated[float, Field(gt=0)] = 9.8
    width: Positive = 72
    num_heads: Positive = 4
    num_layers: Positive = 4
    feedforward_width: Positive = 144

    @pydantic.model_validator(mode="before")
    @classmethod
    def _fill_from_preset(cls, data: Any) -> Any:
        """Add the preset's values for keys that are not given."""
        return fill_from_preset(data, PRESETS)

    def __post_init__(self) -> None:
        """Check that the sizes fit together."""
        if self.width % self.num_heads:
            raise ValueError(f"width {self.width} must be a multiple of num_heads")
        if len(self.triads) not in (1, 2):
            raise ValueError("triads must name the accelerometer and, if used, the gyroscope")

    @property
    def num_channels(self) -> int:
        """Channels of the input."""
        return 3 * len(self.triads)


@dataclass(frozen=True, kw_only=True)
class Steps:
    """A batch in the form that the model reads.

    Args:
        values_BNC: Acceleration in g, angular rate in rad/s; zero where masked or missing.
        mask_BN: bool, True = real step.
        channel_mask_BC: bool, True = the sample has this axis.
    """

    values_BNC: Tensor
    mask_BN: Tensor
    channel_mask_BC: Tensor


class Encoder(nn.Module):
    """One token per step of 1/20 s.

    Input: a stream with channels, in m/s^2 and rad/s, acceleration including gravity. Output:
    `Tokens` [B, N, D]; pooled = mean of the real steps.

    Args:
        config: Settings.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.embed = nn.Linear(config.num_channels, config.width)
        self.position = nn.Parameter(torch.randn(config.window_steps, config.width))
        self.embed_norm = nn.LayerNorm(config.width, eps=NORM_EPS)
        self.block = _Block(config)

    def prepare(self, batch: Batch) -> Steps:
        """Select the axes, resample, and scale the acceleration.

        Raises:
            DataError: The batch has no such stream, or a sample has no accelerometer.
        """
        name = self.config.stream
        stream = motion_stream(batch.streams, name)
        values, has_BC = select_axes(name, stream, self.config.triads, needs_whole=False)
        lacking = (~has_BC[:, :3].any(1)).nonzero()
        if len(lacking):
            which = int(lacking[0])
            raise DataError(
                f"Window {batch.names[which] if batch.names else which} has no accelerometer.",
                "LIMU-BERT needs one; the gyroscope may be missing.",
            )
        values = values.masked_fill(~has_BC.unsqueeze(1), 0.0)
        values, mask_BN = to_rate(values, stream.mask_BT, stream.rate_hz_B, self.config.rate_hz)
        acc, rest = values[..., :3] / self.config.gravity_m_s2, values[..., 3:]
        return Steps(values_BNC=torch.cat([acc, rest], -1), mask_BN=mask_BN, channel_mask_BC=has_BC)

    def forward(self, batch: Batch) -> Tokens:
        """Encode the stream of a batch."""
        steps = self.prepare(batch)
        return self.tokens(self.encode(steps.values_BNC, steps.mask_BN), steps.mask_BN)

    def tokens(self, features_BND: Tensor, mask_BN: Tensor) -> Tokens:
        """Wrap features as `Tokens`."""
        return Tokens(
            features_BND=features_BND,
            mask_BN=mask_BN,
            grid=time_grid(features_BND.shape[1], self.config.rate_hz),
            pooled_BD=mean_over(features_BND, mask_BN),
        )

    def encode(self, values_BNC: Tensor, mask_BN: Tensor) -> Tensor:
        """Encode steps, in pieces of at most `window_steps`.

        Args:
            values_BNC: Acceleration in g, angular rate in rad/s.
            mask_BN: bool, True = real.

        Returns:
            Features [B, N, D]; zero where masked.
        """
        batch, num_steps, _ = values_BNC.shape
        length = min(self.config.window_steps, max(num_steps, 1))
        behind = -num_steps % length
        values = F.pad(values_BNC, (0, 0, 0, behind)).unflatten(1, (-1, length)).flatten(0, 1)
        mask_ML = F.pad(mask_BN, (0, behind)).unflatten(1, (-1, length)).flatten(0, 1)
        used = mask_ML.any(1).nonzero().squeeze(1)
        features = self.encode_pieces(values[used], mask_ML[used])
        features = features * mask_ML[used].unsqueeze(-1).to(features.dtype)
        all_MLD = features.new_zeros(len(mask_ML), length, self.config.width)
        all_MLD = all_MLD.index_copy(0, used, features)
        return all_MLD.view(batch, -1, self.config.width)[:, :num_steps]

    def encode_pieces(self, values_MLC: Tensor, mask_ML: Tensor) -> Tensor:
        """Encode pieces of at most `window_steps` steps, each with a real one; [M, L, D]."""
        x = self.embed_norm(self.embed(values_MLC)) + self.position[: values_MLC.shape[1]]
        x = self.embed_norm(x)
        visible = None if bool(mask_ML.all()) else mask_ML[:, None, None, :]
        for _ in range(self.config.num_layers):
            x = self.block(x, visible)
        return x


class _Block(nn.Module):
    """Attention and feed-forward part, both with a norm behind them."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        width = config.width
        self.num_heads = config.num_heads
        self.query_key_value = nn.Linear(width, 3 * width)
        self.mix = nn.Linear(width, width)
        self.mix_norm = nn.LayerNorm(width, eps=NORM_EPS)
        self.expand = nn.Linear(width, config.feedforward_width)
        self.contract = nn.Linear(config.feedforward_width, width)
        self.out_norm = nn.LayerNorm(width, eps=NORM_EPS)

    def forward(self, x_MLD: Tensor, visible: Tensor | None) -> Tensor:
        """Return [M, L, D]; `visible` is bool [M, 1, 1, L], None = everything."""
        heads = self.query_key_value(x_MLD).unflatten(-1, (3, self.num_heads, -1))
        query, key, value = heads.permute(2, 0, 3, 1, 4)
        read = F.scaled_dot_product_attention(query, key, value, attn_mask=visible)
        read = read.transpose(1, 2).flatten(2)
        h = self.mix_norm(read + self.mix(read))
        return self.out_norm(h + self.contract(F.gelu(self.expand(h))))
