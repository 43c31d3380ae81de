"""Inputs of the TSFM workloads: ready patches of 9 x 6 x 64, nothing padded."""

from __future__ import annotations

import torch

from otolith.encoders._imu_patches import Patches
from otolith.encoders._tsfm_positions import ChannelTexts

NUM_PATCHES, NUM_SAMPLES, NUM_CHANNELS = 9, 64, 6


def make_patches(batch_size: int) -> Patches:
    """Return random normalised patches."""
    seconds = torch.ones(batch_size, dtype=torch.float64)
    return Patches(
        values_BPNC=torch.randn(batch_size, NUM_PATCHES, NUM_SAMPLES, NUM_CHANNELS),
        mask_BP=torch.ones(batch_size, NUM_PATCHES, dtype=torch.bool),
        channel_mask_BC=torch.ones(batch_size, NUM_CHANNELS, dtype=torch.bool),
        patch_s_B=seconds,
        stride_s_B=seconds,
    )


def make_texts(batch_size: int, width: int = 384) -> ChannelTexts:
    """Return one random sentence embedding per channel."""
    return ChannelTexts(
        embeddings_UE=torch.nn.functional.normalize(torch.randn(NUM_CHANNELS, width), dim=-1),
        index_BC=torch.arange(NUM_CHANNELS).expand(batch_size, -1),
    )
