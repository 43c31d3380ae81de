"""Small video transformer over tubelets (VideoMAE-S, Tong et al., NeurIPS 2022; as in EVI-MAE)."""

# B batch, T frames, H rows, W columns, C channels, N tokens, K kept tokens, V values, D width

from __future__ import annotations

from typing import Annotated, Any, Literal

import pydantic
import torch
from pydantic import Field
from torch import Tensor, nn

from otolith.core.config import config
from otolith.core.errors import DataError
from otolith.encoders import Grid, Tokens
from otolith.encoders._evi_blocks import Block, sinusoid_table, take_rows, xavier
from otolith.encoders._evi_crops import centre_boxes, crop, random_boxes
from otolith.encoders._mae import select_tokens
from otolith.encoders._presets import fill_from_preset
from otolith.encoders._tubelets import TubeletEmbedding, to_tubelets
from otolith.windows.batch import Batch, StreamBatch
from otolith.windows.needed import needed_stream

Count = Annotated[int, Field(gt=0)]
Colour = tuple[float, float, float]
PRESETS: dict[str, dict[str, Any]] = {
    "debug": {"width": 16, "num_heads": 2, "depth": 2, "size_px": 32},
    "published": {},
}


@config
class Config:
    """Settings of the encoder.

    Args:
        preset: `debug` or `published` fills the settings that are not given; empty = the defaults
            below, which are the published ones.
        stream: Name of the video stream.
        num_frames: Frames of a clip; a window with more gives evenly spread ones.
        short: What happens to a window with fewer: `refuse` it, or `repeat` its last frame.
        size_px: Height and width of a frame.
        tubelet: Frames, rows and columns of a tubelet.
        crop: While training `random` boxes of several scales, or always the `centre`.
        crop_scales: Sides of random boxes as a share of the short side.
        mean: Mean of each colour, 0..1.
        std: Standard deviation of each colour.
        width: Token width D.
        depth: Blocks.
        num_heads: Heads.
        mlp_ratio: Hidden width of the feed-forward parts as a multiple of D.
        eps: Added to the variance in norms.
        upstream_quirks: Behaviour of the authors' code that is kept only on request:
            `random_crop_in_validation` crops at random in evaluation mode too.
    """

    preset: str = ""
    stream: str = "camera"
    num_frames: Count = 16
    short: Literal["refuse", "repeat"] = "refuse"
    size_px: Count = 224
    tubelet: tuple[Count, Count, Count] = (2, 16, 16)
    crop: Literal["random", "centre"] = "random"
    crop_scales: tuple[Annotated[float, Field(gt=0, le=1)], ...] = (1.0, 0.875, 0.75, 0.66)
    mean: Colour = (0.485, 0.456, 0.406)
    std: Colour = (0.229, 0.224, 0.225)
    width: Count = 384
    depth: Count = 12
    num_heads: Count = 6
    mlp_ratio: float = 4.0
    eps: float = 1e-5
    upstream_quirks: tuple[Literal["random_crop_in_validation"], ...] = ()

    @pydantic.model_validator(mode="before")
    @classmethod
    def _fill_preset(cls, data: Any) -> Any:
        return fill_from_preset(data, PRESETS)

    @pydantic.model_validator(mode="after")
    def _divides(self) -> Config:
        frames, rows, columns = self.tubelet
        if self.num_frames % frames or self.size_px % rows or self.size_px % columns:
            raise ValueError("tubelet must divide num_frames and size_px")
        return self

    @property
    def grid(self) -> tuple[int, int, int]:
        """Tubelets along time, rows and columns."""
        frames, rows, columns = self.tubelet
        return self.num_frames // frames, self.size_px // rows, self.size_px // columns


class Encoder(nn.Module):
    """Encode frames [B, T, H, W, 3] uint8; output tokens [B, N, D] on the grid time x row x column.

    Args:
        config: See `Config`.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.num_tokens = config.grid[0] * config.grid[1] * config.grid[2]
        self.embed = TubeletEmbedding(config.width, 3, config.tubelet)
        self.modality_11D = nn.Parameter(0.02 * torch.randn(1, 1, config.width))
        self.blocks = nn.ModuleList(
            Block(
                config.width, config.num_heads, mlp_ratio=config.mlp_ratio, eps=config.eps,
                bias="query_value",
            )
            for _ in range(config.depth)
        )  # fmt: skip
        positions = sinusoid_table(self.num_tokens, config.width)
        self.register_buffer("position_ND", positions, persistent=False)
        xavier(self.blocks)

    def forward(self, batch: Batch) -> Tokens:
        """Return tokens [B, N, D] and their mean."""
        features = self.encode(self.prepare(batch))
        return Tokens(
            features_BND=features,
            mask_BN=torch.ones(features.shape[:2], dtype=torch.bool, device=features.device),
            grid=Grid(axes=("time", "row", "column"), sizes=self.config.grid),
            pooled_BD=features.mean(1),
        )

    def prepare(self, batch: Batch) -> Tensor:
        """Return the normalised values of all tubelets [B, N, V]; crops are drawn from the keys.

        Raises:
            DataError: The stream is missing, or a window has too few frames.
        """
        settings = self.config
        stream = needed_stream(batch, settings.stream)
        frames = self._frames(stream, batch.names)
        height, width = frames.shape[2:4]
        is_random = settings.crop == "random" and (
            self.training or "random_crop_in_validation" in settings.upstream_quirks
        )
        if is_random:
            boxes = random_boxes(batch.keys_B, height, width, settings.crop_scales)
        else:
            boxes = centre_boxes(len(frames), height, width)
        with torch.autocast(frames.device.type, enabled=False):
            return self.tubelets(crop(frames, boxes, settings.size_px) / 255.0)

    def tubelets(self, video_BTHWC: Tensor) -> Tensor:
        """Return the normalised values [B, N, V] of frames with colours in 0..1."""
        mean = torch.tensor(self.config.mean, device=video_BTHWC.device)
        std = torch.tensor(self.config.std, device=video_BTHWC.device)
        return to_tubelets((video_BTHWC - mean) / std, self.config.tubelet)

    def encode(self, values_BNV: Tensor, keep_BK: Tensor | None = None) -> Tensor:
        """Return features [B, K, D] of the tubelets with the given numbers; None = all."""
        chosen = values_BNV if keep_BK is None else select_tokens(values_BNV, keep_BK)
        x = self.embed(chosen) + take_rows(self.position_ND, keep_BK) + self.modality_11D
        for block in self.blocks:
            x = block(x)
        return x

    def _frames(self, stream: StreamBatch, names: tuple[str, ...]) -> Tensor:
        """The frames of a clip, evenly spread over the real ones, [B, num_frames, H, W, 3]."""
        wanted = self.config.num_frames
        count_B = stream.mask_BT.sum(1)
        needed = wanted if self.config.short == "refuse" else 1
        if bool((count_B < needed).any()):
            lost = int((count_B < needed).nonzero()[0])
            name = names[lost] if names else str(lost)
            raise DataError(
                f"Sample {name} has {int(count_B[lost])} video frames, fewer than {needed}.",
                "Choose longer windows or a higher data.window.video_fps.",
            )
        if stream.values.shape[1] == wanted and bool((count_B == wanted).all()):
            return stream.values
        step_N = torch.arange(wanted, device=count_B.device)
        spread_BN = step_N * count_B[:, None] // wanted
        short_BN = step_N.minimum(count_B[:, None] - 1)
        real_BN = torch.where(count_B[:, None] < wanted, short_BN, spread_BN)
        # masked frames go behind the real ones, which stay in order
        order_BT = (~stream.mask_BT).to(torch.int8).argsort(dim=1, stable=True)
        index_BN = order_BT.gather(1, real_BN)
        rows_B = torch.arange(len(index_BN), device=index_BN.device)
        return stream.values[rows_B[:, None], index_BN]
