"""Transformer over filter-bank maps of many motion sensors (EVI-MAE, Zhang et al., ECCV 2024).

Every three-axis sensor gives a map of three channels; maps are cut into patches, embedded with shared
weights and averaged over the sensors that are there, so any number of sensors gives the same tokens.
`sensor_nodes` runs every sensor alone and gives one vector per sensor for the sensor graph.
"""

# B batch, T time, C channels, F frequency bins, S sensors, R sensors that are there, N tokens
# K kept tokens, V values, D width

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import numpy as np
import pydantic
import torch
from pydantic import Field
from torch import Tensor, nn

from otolith.core import randomness
from otolith.core.config import config
from otolith.core.errors import DataError
from otolith.encoders import Grid, Tokens
from otolith.encoders._evi_blocks import (
    IMU,
    JOINT,
    VIDEO,
    Block,
    Pack,
    sinusoid_table,
    take_rows,
    xavier,
)
from otolith.encoders._mae import select_tokens
from otolith.encoders._presets import fill_from_preset
from otolith.encoders._tubelets import TubeletEmbedding, to_tubelets
from otolith.signals import fbank
from otolith.windows.batch import Batch, StreamBatch
from otolith.windows.needed import needed_stream

PRESETS: dict[str, dict[str, Any]] = {
    "debug": {
        "width": 32,
        "num_heads": 2,
        "depth": 2,
        "signals": {"num_frames": 64, "num_bins": 32},
    },
    "published": {},
}
Count = Annotated[int, Field(gt=0)]


@config
class Config:
    """Settings of the encoder.

    Args:
        preset: `debug` or `published` fills the settings that are not given; empty = the defaults
            below, which are the published ones.
        streams: Motion streams whose channels are joined, in this order.
        channels_per_sensor: Neighbouring channels that make one sensor.
        signals: The filter bank.
        statistics: `measured`: maps are normalised by mean and standard deviation of the maps of
            the first training batches, which are part of the weights; `fixed`: only by
            `signals.mean_db` and `signals.std_db`.
        patch: Bins and frames of a patch.
        width: Token width D.
        depth: Blocks.
        num_heads: Heads.
        mlp_ratio: Hidden width of the feed-forward parts as a multiple of D.
        noise: While training, uniform noise of a strength drawn from [0, noise] is added to maps.
        eps: Added to the variance in norms.
    """

    preset: str = ""
    streams: Annotated[tuple[str, ...], Field(min_length=1)] = ("imu",)
    channels_per_sensor: Count = 3
    signals: fbank.Config = field(default_factory=fbank.Config)
    statistics: Literal["measured", "fixed"] = "measured"
    patch: tuple[Count, Count] = (16, 16)
    width: Count = 768
    depth: Count = 11
    num_heads: Count = 12
    mlp_ratio: float = 4.0
    noise: Annotated[float, Field(ge=0)] = 0.1
    eps: float = 1e-5

    @pydantic.model_validator(mode="before")
    @classmethod
    def _fill_preset(cls, data: Any) -> Any:
        return fill_from_preset(data, PRESETS)

    @pydantic.model_validator(mode="after")
    def _divides(self) -> Config:
        if self.signals.num_bins % self.patch[0] or self.signals.num_frames % self.patch[1]:
            raise ValueError("patch must divide signals.num_bins and signals.num_frames")
        return self

    @property
    def grid(self) -> tuple[int, int]:
        """Patches along frequency and along time."""
        return (
            self.signals.num_bins // self.patch[0],
            self.signals.num_frames // self.patch[1],
        )


@dataclass(frozen=True, kw_only=True)
class ImuMaps:
    """Maps of a batch.

    Args:
        values_BCTF: Filter-bank maps, normalised; zero where the sensor is missing.
        sensor_mask_BS: bool, True = the sensor is there; channels of a sensor are neighbours.
    """

    values_BCTF: Tensor
    sensor_mask_BS: Tensor


class Encoder(nn.Module):
    """Encode motion streams [B, T, C]; output tokens [B, N, D] on the grid frequency x time.

    Args:
        config: See `Config`.
    """

    statistics_3: Tensor | None

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.num_tokens = config.grid[0] * config.grid[1]
        self.embed = TubeletEmbedding(config.width, config.channels_per_sensor, config.patch)
        self.modality_11D = nn.Parameter(0.02 * torch.randn(1, 1, config.width))
        self.blocks = nn.ModuleList(
            Block(
                config.width, config.num_heads, mlp_ratio=config.mlp_ratio, eps=config.eps,
                norms=(JOINT,), unused_norms=(IMU, VIDEO),
            )
            for _ in range(config.depth)
        )  # fmt: skip
        positions = sinusoid_table(self.num_tokens, config.width)
        self.register_buffer("position_ND", positions, persistent=False)
        # number of values, mean, standard deviation; 0 values = not measured yet
        unmeasured = torch.tensor([0.0, 0.0, 1.0])
        self.register_buffer(
            "statistics_3", unmeasured if config.statistics == "measured" else None
        )
        xavier(self.blocks)

    def forward(self, batch: Batch) -> Tokens:
        """Return tokens [B, N, D] and their mean."""
        maps = self.prepare(batch)
        features = self.encode(self.patches(maps), maps.sensor_mask_BS)
        return Tokens(
            features_BND=features,
            mask_BN=torch.ones(features.shape[:2], dtype=torch.bool, device=features.device),
            grid=Grid(axes=("frequency", "time"), sizes=self.config.grid),
            pooled_BD=features.mean(1),
        )

    def prepare(self, batch: Batch) -> ImuMaps:
        """Return the maps of a batch; while training with noise drawn from its keys.

        Raises:
            DataError: A stream is missing, its channels do not make whole sensors, or a sample
                has no whole sensor.
        """
        pieces = [self._stream_maps(batch, name) for name in self.config.streams]
        values = torch.cat([maps for maps, _ in pieces], 1)
        if self.statistics_3 is not None:
            values = (values - self.statistics_3[1]) / self.statistics_3[2]
        present_BC = torch.cat([mask for _, mask in pieces], 1)
        per_sensor = self.config.channels_per_sensor
        sensor_mask_BS = present_BC.unflatten(1, (-1, per_sensor)).all(2)
        if not bool(sensor_mask_BS.any(1).all()):
            lost = int((~sensor_mask_BS.any(1)).nonzero()[0])
            name = batch.names[lost] if batch.names else str(lost)
            raise DataError(
                f"Sample {name} has no sensor with all {per_sensor} channels.",
                "Leave it out, or set channels_per_sensor.",
            )
        if self.training and self.config.noise:
            values = values + self._noise(batch.keys_B, values)
        keep_BC11 = sensor_mask_BS.repeat_interleave(per_sensor, 1)[:, :, None, None]
        return ImuMaps(values_BCTF=values * keep_BC11, sensor_mask_BS=sensor_mask_BS)

    def moments(self, batch: Batch) -> Tensor:
        """Return number, sum and sum of squares of the values of a batch's maps, float64 [3].

        The maps are those before `statistics_3` and without noise; missing sensors do not count.
        """
        pieces = [self._stream_maps(batch, name) for name in self.config.streams]
        values = torch.cat([maps for maps, _ in pieces], 1)
        present_BC = torch.cat([mask for _, mask in pieces], 1)
        real = values[present_BC].double()
        count = torch.tensor(float(real.numel()), dtype=torch.float64, device=real.device)
        return torch.stack([count, real.sum(), real.square().sum()])

    def patches(self, maps: ImuMaps) -> Tensor:
        """Return the values of patches [B, N, V], frequency first; channels of all sensors last."""
        images_B1FTC = maps.values_BCTF.permute(0, 3, 2, 1).unsqueeze(1)
        return to_tubelets(images_B1FTC, (1, *self.config.patch))

    def encode(
        self, patches_BNV: Tensor, sensor_mask_BS: Tensor, keep_BK: Tensor | None = None
    ) -> Tensor:
        """Return features of the patches averaged over sensors.

        Args:
            patches_BNV: Values of all patches.
            sensor_mask_BS: bool, True = the sensor is there.
            keep_BK: Numbers of the patches to encode; None = all.

        Returns:
            Features [B, K, D].
        """
        return self._run([self._mean_tokens(patches_BNV, sensor_mask_BS, keep_BK)])[0]

    def sensor_nodes(self, patches_BNV: Tensor, sensor_mask_BS: Tensor) -> Tensor:
        """Return one vector per sensor, the mean over its tokens: [B, S, D]."""
        alone_RND = self._sensor_tokens(patches_BNV, sensor_mask_BS)
        return _placed(self._run([alone_RND], only_mean={0})[0], sensor_mask_BS)

    def encode_with_nodes(
        self, patches_BNV: Tensor, sensor_mask_BS: Tensor, keep_BK: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return what `encode` and `sensor_nodes` return, from one pass through the blocks."""
        parts = [
            self._mean_tokens(patches_BNV, sensor_mask_BS, keep_BK),
            self._sensor_tokens(patches_BNV, sensor_mask_BS),
        ]
        features, nodes = self._run(parts, only_mean={1})
        return features, _placed(nodes, sensor_mask_BS)

    def _run(self, parts: Sequence[Tensor], only_mean: Collection[int] = ()) -> list[Tensor]:
        """Sets of sequences [B, N, D] behind the blocks; of some only the mean token [B, 1, D]."""
        pack = Pack.of(parts)
        for number, block in enumerate(self.blocks, start=1):
            assert isinstance(block, Block)  # noqa: S101  # the type of every block
            pack = block.packed(pack, only_mean=only_mean if number == len(self.blocks) else ())
        return pack.parts()

    def _mean_tokens(
        self, patches_BNV: Tensor, sensor_mask_BS: Tensor, keep_BK: Tensor | None
    ) -> Tensor:
        """Embedded patches [B, K, D], averaged over the sensors that are there."""
        chosen = patches_BNV if keep_BK is None else select_tokens(patches_BNV, keep_BK)
        # embedding is linear, so the mean over sensors comes first and is embedded once
        per_sensor_BKVSC = self._by_sensor(chosen, sensor_mask_BS)
        weight = sensor_mask_BS.to(chosen.dtype)
        weight = weight / weight.sum(1, keepdim=True)
        mean_BKV = torch.einsum("bkvsc,bs->bkvc", per_sensor_BKVSC, weight).flatten(2)
        return self._embedded(mean_BKV, keep_BK)

    def _sensor_tokens(self, patches_BNV: Tensor, sensor_mask_BS: Tensor) -> Tensor:
        """Embedded patches of every sensor that is there, one sequence each."""
        every_BSNV = self._by_sensor(patches_BNV, sensor_mask_BS).movedim(3, 1).flatten(3)
        if bool(sensor_mask_BS.all()):
            return self._embedded(every_BSNV.flatten(0, 1), None)
        return self._embedded(every_BSNV[sensor_mask_BS], None)

    def _embedded(self, patches_BKV: Tensor, keep_BK: Tensor | None) -> Tensor:
        return self.embed(patches_BKV) + take_rows(self.position_ND, keep_BK) + self.modality_11D

    def _by_sensor(self, patches_BKV: Tensor, sensor_mask_BS: Tensor) -> Tensor:
        """Patches with the channels of every sensor apart, [B, K, V / C, S, C]."""
        per_sensor = self.config.channels_per_sensor
        return patches_BKV.unflatten(2, (-1, sensor_mask_BS.shape[1], per_sensor))

    def _stream_maps(self, batch: Batch, name: str) -> tuple[Tensor, Tensor]:
        """Maps [B, C, T, F] of one stream, and which channels are there [B, C]."""
        stream = needed_stream(batch, name)
        width = stream.values.shape[2]
        if width % self.config.channels_per_sensor:
            raise DataError(
                f'Stream "{name}" has {width} channels, which make no whole number of sensors of '
                f"{self.config.channels_per_sensor}.",
                "Choose channels with data.window.channels, or set channels_per_sensor.",
            )
        # half precision would drown quiet bands
        with torch.autocast(stream.values.device.type, enabled=False):
            return _maps(stream, self.config.signals, batch.names), _present(stream)

    def _noise(self, keys_B: np.ndarray, values: Tensor) -> Tensor:
        strength = randomness.uniform(keys_B, "evi_mae/noise strength") * self.config.noise
        draws = randomness.uniform(keys_B, "evi_mae/noise", values.shape[1:])
        draws *= strength.reshape(-1, 1, 1, 1)
        return torch.from_numpy(draws.astype(np.float32)).to(values)


def _placed(nodes_R1D: Tensor, sensor_mask_BS: Tensor) -> Tensor:
    """Vectors of the sensors that are there, in their places [B, S, D]; 0 elsewhere."""
    if bool(sensor_mask_BS.all()):
        return nodes_R1D.view(*sensor_mask_BS.shape, -1)
    empty = nodes_R1D.new_zeros(*sensor_mask_BS.shape, nodes_R1D.shape[2])
    return empty.masked_scatter(sensor_mask_BS[:, :, None], nodes_R1D)


def _present(stream: StreamBatch) -> Tensor:
    has_rows_B1 = stream.mask_BT.any(1, keepdim=True)
    if stream.channel_mask_BC is None:
        return has_rows_B1.expand(-1, stream.values.shape[2])
    return stream.channel_mask_BC & has_rows_B1


def _maps(stream: StreamBatch, settings: fbank.Config, names: tuple[str, ...]) -> Tensor:
    """Maps [B, C, T, F]; samples of the same length and rate at once."""
    real = stream.values * stream.mask_BT[:, :, None]
    if stream.channel_mask_BC is not None:
        real = real * stream.channel_mask_BC[:, None, :]
    # masked rows go behind the real ones, which stay in order
    order_BT = (~stream.mask_BT).to(torch.int8).argsort(dim=1, stable=True)
    rows = real.gather(1, order_BT[:, :, None].expand_as(real)).transpose(1, 2).float()
    rates = stream.rate_hz_B if settings.rate_hz else torch.zeros_like(stream.rate_hz_B)
    looks = torch.stack([stream.mask_BT.sum(1).to(rates), rates], 1)
    kinds, kind_B = looks.unique(dim=0, return_inverse=True)
    maps = rows.new_zeros(*rows.shape[:2], settings.num_frames, settings.num_bins)
    for number, (length, rate) in enumerate(kinds.tolist()):
        if not length:
            continue
        mine = (kind_B == number).nonzero()[:, 0]
        signals = rows[mine, :, : int(length)]
        try:
            made = fbank.fbank(signals.flatten(0, 1), settings, rate or None)
        except DataError as error:
            name = names[int(mine[0])] if names else int(mine[0])
            raise DataError(f"Sample {name}: {error.fact}", error.remedy) from None
        maps = maps.index_copy(0, mine, made.view(*signals.shape[:2], *made.shape[1:]))
    return maps
