"""Motion and video together (EVI-MAE): two encoders, a unified block, a graph of the sensors.

Motion features are averaged in pairs to the width of the video features; the unified block reads the
tokens of both modalities at once, or those of one through norms of its own.
"""

# B batch, S sensors, N tokens, K kept tokens, V values, D width, G width of the graph

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import pydantic
import torch
from pydantic import Field
from torch import Tensor, nn

from otolith.core.config import config
from otolith.encoders import Grid, Tokens, imu_evi_mae, video_evi_mae
from otolith.encoders._evi_blocks import IMU, JOINT, VIDEO, Block, Pack, pair_mean, xavier
from otolith.encoders._presets import fill_from_preset
from otolith.encoders._sensor_graph import Net, SensorGraph, node_mean
from otolith.windows.batch import Batch

Modalities = Literal["both", "imu", "video"]
Count = Annotated[int, Field(gt=0)]
PRESETS: dict[str, dict[str, Any]] = {
    "debug": {
        "imu": {"preset": "debug"},
        "video": {"preset": "debug"},
        "graph": {"width": 16},
        "num_heads": 2,
    },
    "published": {},
}


@config
class GraphConfig:
    """Settings of the sensor graph.

    Args:
        net: Kind of layer; the authors' command line allows `gin` alone.
        width: Width G of the nodes behind the encoder.
        depth: Layers.
        num_heads: Heads of `gat` and `dotgat`.
        dropout: Share of the input of every layer that is dropped while training.
        attention_dropout: Share of attention weights that is dropped while training.
        self_weight: Extra weight of a node in its own sum (`gin`); with 0, as published, all
            sensors of a sample leave the graph alike.
    """

    net: Net = "gin"
    width: Count = 512
    depth: Count = 2
    num_heads: Count = 2
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2
    attention_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    self_weight: float = 0.0


@config
class Config:
    """Settings of the encoder.

    Args:
        preset: `debug` or `published` fills the settings that are not given; empty = the defaults
            below, which are the published ones.
        modalities: What is encoded.
        imu: The motion encoder; its width is that of the video encoder or twice that.
        video: The video encoder.
        graph: The sensor graph; None = none.
        depth: Unified blocks.
        num_heads: Heads of the unified blocks.
        mlp_ratio: Hidden width of their feed-forward parts as a multiple of the width.
        eps: Added to the variance in norms.
        upstream_quirks: Behaviour of the authors' code that is kept only on request:
            `skip_unified_block` leaves one modality alone as its encoder gives it in pretraining,
            so that fine-tuning starts with a unified block that was hardly trained.
    """

    preset: str = ""
    modalities: Modalities = "both"
    imu: imu_evi_mae.Config = field(default_factory=imu_evi_mae.Config)
    video: video_evi_mae.Config = field(default_factory=video_evi_mae.Config)
    graph: GraphConfig | None = field(default_factory=GraphConfig)
    depth: Count = 1
    num_heads: Count = 6
    mlp_ratio: float = 4.0
    eps: float = 1e-5
    upstream_quirks: tuple[Literal["skip_unified_block"], ...] = ()

    @pydantic.model_validator(mode="before")
    @classmethod
    def _fill_preset(cls, data: Any) -> Any:
        return fill_from_preset(data, PRESETS)

    @pydantic.model_validator(mode="after")
    def _fits(self) -> Config:
        if self.imu.width not in {self.video.width, 2 * self.video.width}:
            raise ValueError("imu.width must be video.width or twice that")
        if self.modalities == "video" and self.graph is not None:
            raise ValueError("the graph needs motion sensors: set graph to null")
        return self

    @property
    def width(self) -> int:
        """Width D of the latent tokens."""
        return self.video.width

    @property
    def pooled_width(self) -> int:
        """Width of the pooled vector: tokens and graph joined."""
        return self.width + (self.graph.width if self.graph else 0)


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What the encoder reads.

    Args:
        imu_BNV: Values of the patches of motion maps; None without motion.
        sensor_mask_BS: bool, True = the sensor is there.
        video_BNV: Values of the tubelets; None without video.
    """

    imu_BNV: Tensor | None = None
    sensor_mask_BS: Tensor | None = None
    video_BNV: Tensor | None = None


class Encoder(nn.Module):
    """Encode motion and video; output the latent tokens, motion first.

    Args:
        config: See `Config`.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        has = {IMU: config.modalities != VIDEO, VIDEO: config.modalities != IMU}
        self.imu = imu_evi_mae.Encoder(config.imu) if has[IMU] else None
        self.video = video_evi_mae.Encoder(config.video) if has[VIDEO] else None
        own = [name for name, there in has.items() if there]
        names = [JOINT, *own] if len(own) > 1 else own
        self.unified = nn.ModuleList(
            Block(
                config.width, config.num_heads, mlp_ratio=config.mlp_ratio, eps=config.eps,
                norms=names,
            )
            for _ in range(config.depth)
        )  # fmt: skip
        xavier(self.unified)
        self.norm = nn.ModuleDict({n: nn.LayerNorm(config.width, eps=config.eps) for n in names})
        self.graph = None
        if (g := config.graph) is not None:
            self.graph = SensorGraph(
                g.net, (config.imu.width, *[g.width] * g.depth), hidden=g.width,
                num_heads=g.num_heads, num_last_heads=g.num_heads, dropout=g.dropout,
                attention_dropout=g.attention_dropout, self_weight=g.self_weight,
            )  # fmt: skip

    def forward(self, batch: Batch) -> Tokens:
        """Return latent tokens [B, N, D]; pooled is their mean, joined by that of the graph."""
        inputs = self.prepare(batch)
        features = self.latent(inputs)
        sizes = tuple(part.num_tokens for part in (self.imu, self.video) if part is not None)
        return Tokens(
            features_BND=features,
            mask_BN=torch.ones(features.shape[:2], dtype=torch.bool, device=features.device),
            grid=Grid(axes=("token",), sizes=(sum(sizes),)),
            pooled_BD=self.pool(features, inputs),
        )

    def prepare(self, batch: Batch, wanted: Collection[str] = (IMU, VIDEO)) -> Inputs:
        """Return the patches of maps and the tubelets of a batch.

        Args:
            batch: Samples.
            wanted: What is read of the modalities that the encoder has.
        """
        imu = sensors = None
        if self.imu is not None and IMU in wanted:
            maps = self.imu.prepare(batch)
            imu, sensors = self.imu.patches(maps), maps.sensor_mask_BS
        video = None
        if self.video is not None and VIDEO in wanted:
            video = self.video.prepare(batch)
        return Inputs(imu_BNV=imu, sensor_mask_BS=sensors, video_BNV=video)

    def encode_imu(self, inputs: Inputs, keep_BK: Tensor | None = None) -> Tensor | None:
        """Return motion features [B, K, D], None without motion."""
        if self.imu is None or inputs.imu_BNV is None or inputs.sensor_mask_BS is None:
            return None
        return self._narrowed(self.imu.encode(inputs.imu_BNV, inputs.sensor_mask_BS, keep_BK))

    def encode_imu_and_nodes(
        self, inputs: Inputs, keep_BK: Tensor | None = None
    ) -> tuple[Tensor | None, Tensor | None]:
        """Return motion features [B, K, D] and the graph's nodes [B, S, width of the encoder].

        Both are None without motion, the nodes without a graph. They share one pass through the
        motion encoder, which takes less time than one for each.
        """
        imu, sensors = inputs.imu_BNV, inputs.sensor_mask_BS
        if self.graph is None or self.imu is None or imu is None or sensors is None:
            return self.encode_imu(inputs, keep_BK), None
        features, nodes = self.imu.encode_with_nodes(imu, sensors, keep_BK)
        return self._narrowed(features), nodes

    def encode_video(self, inputs: Inputs, keep_BK: Tensor | None = None) -> Tensor | None:
        """Return video features [B, K, D], None without video."""
        if self.video is None or inputs.video_BNV is None:
            return None
        return self.video.encode(inputs.video_BNV, keep_BK)

    def unify(self, x_BND: Tensor, norm: str) -> Tensor:
        """Run the unified blocks and the last norm, both with the norms called `norm`."""
        return self.unify_sets({norm: x_BND})[norm]

    def unify_sets(self, tokens: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Do the same for several sets of tokens at once, by the name of their norms."""
        pack = Pack.of(list(tokens.values()))
        for block in self.unified:
            assert isinstance(block, Block)  # noqa: S101  # the type of every block
            pack = block.packed(pack, list(tokens))
        return {name: self.norm[name](x) for name, x in zip(tokens, pack.parts(), strict=True)}

    def nodes(self, inputs: Inputs) -> Tensor:
        """Return one vector per sensor before the graph, [B, S, width of the motion encoder]."""
        if self.imu is None or inputs.imu_BNV is None or inputs.sensor_mask_BS is None:
            raise ValueError("the graph needs motion sensors")
        return self.imu.sensor_nodes(inputs.imu_BNV, inputs.sensor_mask_BS)

    def graph_vector(self, inputs: Inputs) -> Tensor | None:
        """Return the mean over the nodes behind the graph [B, G]; None without a graph."""
        if self.graph is None:
            return None
        mask = inputs.sensor_mask_BS
        return node_mean(self.graph(self.nodes(inputs), mask), mask)

    def latent(self, inputs: Inputs) -> Tensor:
        """Return the latent tokens [B, N, D] of everything that is there."""
        found = [x for x in (self.encode_imu(inputs), self.encode_video(inputs)) if x is not None]
        return self.together(torch.cat(found, 1))

    def together(self, tokens_BND: Tensor) -> Tensor:
        """Return the latent tokens of the encoders' tokens, motion first."""
        if self.config.modalities == "both":
            return self.unify(tokens_BND, JOINT)
        if "skip_unified_block" in self.config.upstream_quirks:
            return tokens_BND
        return self.unify(tokens_BND, self.config.modalities)

    def pool(self, latent_BND: Tensor, inputs: Inputs) -> Tensor:
        """Return the mean of the tokens, joined by the vector of the graph."""
        graph = self.graph_vector(inputs)
        mean = latent_BND.mean(1)
        return mean if graph is None else torch.cat([mean, graph], 1)

    def _narrowed(self, features_BKD: Tensor) -> Tensor:
        """Motion features at the width of the video features."""
        if self.config.imu.width > self.config.width:
            return pair_mean(features_BKD)
        return features_BKD
