"""LIMU-BERT: masked reconstruction of motion steps, without labels (Xu et al., SenSys 2021).

Spans of steps are hidden and predicted from the others; the loss is the mean squared error of the
predicted steps, in g and rad/s. Axes that a sample lacks are not predicted. `embed` is the mean of
the step embeddings. LIMU-BERT-X is the same model with pieces of one second.
"""

# B batch, N steps, C channels, D width

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from otolith.core.config import config
from otolith.core.errors import DataError
from otolith.encoders import Tokens, imu_limu_bert
from otolith.encoders.imu_limu_bert import NORM_EPS
from otolith.objectives import LossOutput, masked_reconstruction
from otolith.systems import KeyReport, _limu_bert_masks
from otolith.systems import System as BaseSystem
from otolith.systems import _limu_bert_official as official
from otolith.systems._limu_bert_masks import draw_masks
from otolith.systems._official import (
    convert_from_official,
    convert_to_official,
    require_all,
    strip_wrappers,
)
from otolith.windows.batch import Batch


@config
class Config:
    """Settings.

    Args:
        encoder: The encoder; `encoder.preset` chooses LIMU-BERT or LIMU-BERT-X.
        masking: What is hidden and predicted.
        official_data: Data sets that converted weights were trained on; empty = own weights.
    """

    encoder: imu_limu_bert.Config = field(default_factory=imu_limu_bert.Config)
    masking: _limu_bert_masks.Config = field(default_factory=_limu_bert_masks.Config)
    official_data: tuple[str, ...] = ()


class System(BaseSystem):
    """Encoder with a head that reconstructs the input of a step.

    Args:
        config: Settings.
    """

    official_key_prefix = "transformer.embed.pos_embed."

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.official_training_data = config.official_data  # pyrefly: ignore  # differs between the published weights
        width = config.encoder.width
        self.encoder = imu_limu_bert.Encoder(config.encoder)
        self.hidden = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width, eps=NORM_EPS)
        self.output = nn.Linear(width, config.encoder.num_channels)
        self.objective = masked_reconstruction.Objective(
            masked_reconstruction.Config(is_target_normalised=False)
        )

    def embed(self, batch: Batch) -> Tensor:
        """Return the mean embedding of the real steps of every sample [B, D], float32.

        Raises:
            DataError: A sample has no real step.
        """
        return self.tokens(batch).pooled_BD.float()

    def tokens(self, batch: Batch) -> Tokens:
        """Return the step embeddings of every sample.

        Raises:
            DataError: A sample has no real step.
        """
        tokens = self.encoder(batch)
        _require_real(tokens.mask_BN, batch)
        return tokens

    def reconstruct(self, features_BND: Tensor) -> Tensor:
        """Return what the input of every step was, [B, N, C]."""
        return self.output(self.norm(F.gelu(self.hidden(features_BND))))

    def loss(self, batch: Batch) -> LossOutput:
        """Return the reconstruction error; what is hidden is drawn from `batch.keys_B`."""
        steps = self.encoder.prepare(batch)
        masks = draw_masks(
            batch.keys_B, steps.mask_BN, self.config.encoder.window_steps, self.config.masking
        )
        seen = steps.values_BNC.masked_fill(masks.hidden_BN.unsqueeze(-1), 0.0)
        prediction = self.reconstruct(self.encoder.encode(seen, steps.mask_BN))
        # A step is a patch of one sample.
        out = self.objective(
            prediction.unsqueeze(2),
            steps.values_BNC.unsqueeze(2),
            masked_BP=masks.predicted_BN,
            mask_BP=steps.mask_BN,
            channel_mask_BC=steps.channel_mask_BC,
        )
        return LossOutput(
            total=out.total, parts=out.parts, per_sample_B=out.per_sample_B, is_global=True
        )

    @classmethod
    def from_official(
        cls, state: Mapping[str, Tensor], settings: Mapping[str, Any]
    ) -> tuple[System, KeyReport]:
        """Build the system from an encoder of the authors.

        Args:
            state: Weights with the authors' keys.
            settings: `n_heads` and `n_layers`, if not 4; `trained_on`, which of the published
                weights these are: uci, hhar, motion, shoaib or x.

        Raises:
            CheckpointError: The weights are no LIMU-BERT.
        """
        state = strip_wrappers(state)
        encoder = official.encoder_config(state, settings)
        data = official.training_data(encoder.window_steps, settings)
        system = cls(Config(encoder=encoder, official_data=data))
        found, report = convert_from_official(
            state, system.state_dict(), official.names, official.IGNORED
        )
        require_all(report, "limu_bert")
        system.load_state_dict(found)
        return system, report

    def to_official(self) -> dict[str, Tensor]:
        """Return the weights under the authors' keys.

        `fc`, which their model has but never uses, is the identity, so that they can load it.
        """
        width = self.config.encoder.width
        unused = {"fc.weight": torch.eye(width), "fc.bias": torch.zeros(width)}
        return {**convert_to_official(self.state_dict(), official.names), **unused}


def _require_real(mask_BN: Tensor, batch: Batch) -> None:
    """Refuse samples without a real step."""
    empty = (~mask_BN.any(1)).nonzero()
    if len(empty):
        which = int(empty[0])
        raise DataError(
            f"Window {batch.names[which] if batch.names else which} has not one measured step.",
            "Leave out windows with missing samples (min_measured).",
        )
