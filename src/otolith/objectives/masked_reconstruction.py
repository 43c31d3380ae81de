"""Masked reconstruction: mean squared error of hidden patches, per channel.

The target is normalised per patch and channel (He et al. 2022, "norm_pix"). Errors are averaged
over time, then over the channels that count, then over the patches that count.
"""

# B batch, P patches, N samples of a patch, C channels

from __future__ import annotations

import torch
from torch import Tensor, nn

from otolith.core.config import config
from otolith.objectives import LossOutput
from otolith.objectives._gather import global_mean


@config
class Config:
    """Settings.

    Args:
        is_target_normalised: Whether the target is normalised per patch and channel.
        reconstructs_dropped_channels: Whether a dropped channel is to be predicted from the
            others; the authors' code leaves dropped channels out of the loss.
    """

    is_target_normalised: bool = True
    reconstructs_dropped_channels: bool = True


class Objective(nn.Module):
    """Loss of hidden patches.

    Args:
        config: Settings.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config

    def selection(
        self,
        masked_BP: Tensor,
        mask_BP: Tensor,
        channel_mask_BC: Tensor | None = None,
        dropped_BC: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return which (patch, channel) count, bool [B, P, C], and which patches, bool [B, P].

        Args:
            masked_BP: bool, True = hidden patch.
            mask_BP: bool, True = real patch.
            channel_mask_BC: bool, True = real channel; None = all (then C may be 1).
            dropped_BC: bool, True = hidden channel; None = none.
        """
        patches_BP = masked_BP & mask_BP
        counted_BPC = patches_BP.unsqueeze(-1)
        if dropped_BC is not None and self.config.reconstructs_dropped_channels:
            counted_BPC = counted_BPC | (dropped_BC.unsqueeze(1) & mask_BP.unsqueeze(-1))
        elif dropped_BC is not None:
            counted_BPC = counted_BPC & ~dropped_BC.unsqueeze(1)
        if channel_mask_BC is not None:
            counted_BPC = counted_BPC & channel_mask_BC.unsqueeze(1)
        return counted_BPC, patches_BP | counted_BPC.any(-1)

    def forward(
        self,
        prediction_BPNC: Tensor,
        target_BPNC: Tensor,
        *,
        masked_BP: Tensor,
        mask_BP: Tensor,
        channel_mask_BC: Tensor | None = None,
        dropped_BC: Tensor | None = None,
    ) -> LossOutput:
        """Return the loss; zero if nothing is hidden.

        Args:
            prediction_BPNC: Predicted (normalised) samples.
            target_BPNC: Patches before masking.
            masked_BP: As in `selection`.
            mask_BP: As in `selection`.
            channel_mask_BC: As in `selection`.
            dropped_BC: As in `selection`.
        """
        target = target_BPNC.float()
        if self.config.is_target_normalised:
            target = normalised_target(target)
        error_BPC = (prediction_BPNC.float() - target).square().mean(2)
        counted_BPC, patches_BP = self.selection(masked_BP, mask_BP, channel_mask_BC, dropped_BC)
        weight_BPC = counted_BPC.to(error_BPC.dtype).expand(error_BPC.shape)
        error_BP = (error_BPC * weight_BPC).sum(-1) / weight_BPC.sum(-1).clamp(min=1.0)
        counts_B = patches_BP.sum(1)
        errors_B = torch.where(patches_BP, error_BP, 0.0).sum(1)
        total = global_mean(errors_B.sum(), counts_B.sum())
        per_sample_B = (errors_B / counts_B.clamp(min=1)).detach()
        return LossOutput(
            total=total, parts={"reconstruction": total.detach()}, per_sample_B=per_sample_B
        )


def normalised_target(patches_BPNC: Tensor) -> Tensor:
    """Return patches with mean 0 and population standard deviation 1 per patch and channel.

    Args:
        patches_BPNC: Patches; the deviation is at least 1e-6, so a constant becomes zeros.
    """
    centred = patches_BPNC - patches_BPNC.mean(2, keepdim=True)
    return centred / centred.square().mean(2, keepdim=True).clamp(min=1e-12).sqrt()
