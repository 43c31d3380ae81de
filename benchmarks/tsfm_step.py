"""Stage-1 training step of TSFM from ready patches: both views, losses, backward, AdamW."""

from __future__ import annotations

import numpy as np
import torch
from _measure import autocast, parse_arguments, report
from _tsfm_data import make_patches, make_texts
from _tsfm_plain import PlainPretrain

from otolith.core.randomness import sample_keys
from otolith.encoders import imu_tsfm
from otolith.systems._tsfm_masks import Config as MaskConfig
from otolith.systems._tsfm_masks import draw_masks
from otolith.systems.tsfm_pretrain import Config, System


def main() -> None:
    """Run the benchmark."""
    options = parse_arguments(__doc__ or "")
    torch.manual_seed(0)
    encoder = imu_tsfm.Config(preset=options.size)
    system = System(Config(encoder=encoder, channel_text=None)).train()
    system.requires_grad_(True)
    optimizer = torch.optim.AdamW(
        system.parameters(), lr=1e-4, weight_decay=1e-5, fused=options.dtype == "float32"
    )
    patches, texts = make_patches(options.batch_size), make_texts(options.batch_size)
    second = patches.values_BPNC + 0.05 * torch.randn_like(patches.values_BPNC)
    keys_B = sample_keys(0, 0, np.arange(options.batch_size))
    only_patches = MaskConfig(random_share=0.5, span_share=0.5)

    def step() -> None:
        masks = draw_masks(keys_B, patches.mask_BP, patches.channel_mask_BC, only_patches)
        with autocast(options):
            loss = system.compare(patches, second, masks, texts).total
        _update(loss, system, optimizer)

    plain = PlainPretrain(encoder).train()
    plain_optimizer = torch.optim.AdamW(plain.parameters(), lr=1e-4, weight_decay=1e-5)
    masked_BP = draw_masks(keys_B, patches.mask_BP, patches.channel_mask_BC, only_patches).masked_BP

    def plain_step() -> None:
        with autocast(options):
            loss = plain.loss(patches.values_BPNC, second, masked_BP, texts)
        _update(loss, plain, plain_optimizer)

    report("tsfm_step", options, step, options.batch_size, plain_step if options.plain else None)


def _update(loss: torch.Tensor, model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()


if __name__ == "__main__":
    main()
