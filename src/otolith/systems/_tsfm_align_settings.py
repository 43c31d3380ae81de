"""Settings of the Stage-2 system and its sizes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any, Literal

import pydantic
from pydantic import Field
from pydantic_core import ArgsKwargs

from otolith.core.config import component, config, select
from otolith.encoders import ENCODERS, imu_tsfm
from otolith.encoders._presets import fill_from_preset
from otolith.heads.channel_text_fusion import Config as ChannelFusionConfig
from otolith.heads.label_bank import Config as LabelBankConfig
from otolith.heads.semantic_head import Config as HeadConfig
from otolith.objectives.semantic_alignment import Config as ObjectiveConfig

MPNET = {"name": "text_transformer", "source": "sentence-transformers/all-mpnet-base-v2"}


def _size(
    encoder: str,
    fused: int,
    layers: int,
    queries: int,
    *,
    bank_queries: int,
    text: int = 384,
    heads: int = 4,
    per_patch: bool = True,
) -> dict[str, Any]:
    """One size; widths and heads of the parts follow from the encoder's."""
    size = imu_tsfm.PRESETS[encoder]
    width = size["width"]
    return {
        "encoder": {"preset": encoder, "channel_text_width": None},
        "head": {
            "width": width,
            "fused_width": fused,
            "out_width": text,
            "num_layers": layers,
            "num_heads": size["num_heads"],
            "num_fusion_queries": queries,
            "num_pool_queries": queries,
            "per_patch": per_patch,
        },
        "channel_fusion": {"width": width, "text_width": text, "num_heads": heads},
        "label_bank": {"width": text, "num_heads": heads, "num_queries": bank_queries},
        "text": {"name": "text_minilm"} if text == 384 else MPNET,
    }


PRESETS: dict[str, dict[str, Any]] = {
    "debug": _size("debug", 32, 1, 2, bank_queries=1),
    "tiny": _size("tiny", 192, 2, 4, bank_queries=4),
    "small": _size("small", 384, 2, 4, bank_queries=4, per_patch=False),
    "small_deep": _size("small_deep", 384, 4, 6, bank_queries=6),
    "medium": _size("medium", 512, 4, 6, bank_queries=6, text=768),
    "large": _size("large", 512, 6, 8, bank_queries=8, text=768, heads=8),
}


@config
class Config:
    """Settings.

    Args:
        preset: Size that fills what is not given: debug, tiny, small, small_deep, medium or
            large; empty = the defaults of the parts.
        encoder: Sensor encoder; without channel positions, channels are told apart by their texts.
        head: From tokens to embeddings.
        channel_fusion: Conditioning of tokens on channel texts.
        label_bank: From label texts to embeddings.
        objective: Loss.
        text: Frozen text encoder; its width must be `label_bank.width`.
        has_channel_text: Whether tokens are conditioned on channel texts.
        adds_rate_text: Whether channel texts tell rate and patch duration.
        dataset_texts: Data set -> what channel texts say about it; a data set that is not listed
            is described by its card.
        label_text: Name of the text in the batch that holds the class names.
        label_augmentation_rate: Share of labels that are reworded while training.
        soft_targets_from: `frozen`: similarity of labels as the text encoder sees them; `learned`:
            as the label bank does.
        queue_size: Pairs in the memory bank; 0 = none.
    """

    preset: str = "small_deep"
    encoder: imu_tsfm.Config = Field(
        default_factory=lambda: imu_tsfm.Config(channel_text_width=None)
    )
    head: HeadConfig = Field(default_factory=HeadConfig)
    channel_fusion: ChannelFusionConfig = Field(default_factory=ChannelFusionConfig)
    label_bank: LabelBankConfig = Field(default_factory=LabelBankConfig)
    objective: ObjectiveConfig = Field(default_factory=ObjectiveConfig)
    text: component(ENCODERS) = Field(  # pyrefly: ignore  # a field type made at run time
        default_factory=lambda: select(ENCODERS, "text_minilm")
    )
    has_channel_text: bool = True
    adds_rate_text: bool = True
    dataset_texts: Mapping[str, str] = field(default_factory=dict)
    label_text: str = "label"
    label_augmentation_rate: float = Field(default=0.8, ge=0.0, le=1.0)
    soft_targets_from: Literal["frozen", "learned"] = "frozen"
    queue_size: int = Field(default=512, ge=0)

    @pydantic.model_validator(mode="before")
    @classmethod
    def _fill_from_preset(cls, data: Any) -> Any:
        """Lay what is given over the preset's values, part by part."""
        given = data.kwargs if isinstance(data, ArgsKwargs) else data
        given = dict(given) if isinstance(given, Mapping) else {}
        name = str(given.get("preset", "small_deep"))
        return fill_from_preset({**given, "preset": name}, PRESETS)

    def __post_init__(self) -> None:
        """Check that the parts fit together."""
        widths = {
            "head.width": (self.head.width, self.encoder.width),
            "channel_fusion.width": (self.channel_fusion.width, self.encoder.width),
            "label_bank.width": (self.label_bank.width, self.head.out_width),
            "channel_fusion.text_width": (self.channel_fusion.text_width, self.label_bank.width),
        }
        wrong = [f"{k} is {a}, must be {b}" for k, (a, b) in widths.items() if a != b]
        if wrong:
            raise ValueError("; ".join(wrong))
