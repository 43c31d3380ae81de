"""Forward of TSFM Stage 2 small_deep per patch, from ready patches and channel texts of 24 tokens."""

from __future__ import annotations

import torch
from _measure import autocast, parse_arguments, report
from _tsfm_data import NUM_CHANNELS, make_patches
from _tsfm_plain_stage2 import PlainAlign

from otolith.systems.tsfm_align import Config, System

NUM_TOKENS, NUM_WINDOWS = 24, 32


def main() -> None:
    """Run the benchmark; 32 windows unless `--batch-size` says otherwise."""
    options = parse_arguments(__doc__ or "", batch_size=NUM_WINDOWS, size="small_deep")
    torch.manual_seed(0)
    config = Config(preset=options.size, queue_size=0)
    system = System(config).eval().requires_grad_(False)
    plain = PlainAlign(config).eval().requires_grad_(False)
    patches = make_patches(options.batch_size)
    text_LTD = torch.randn(NUM_CHANNELS, NUM_TOKENS, config.channel_fusion.text_width)
    mask_LT = torch.ones(NUM_CHANNELS, NUM_TOKENS, dtype=torch.bool)
    index_BC = torch.arange(NUM_CHANNELS).expand(options.batch_size, -1)
    text_BCTD = text_LTD[index_BC]

    @torch.inference_mode()
    def embed() -> None:
        with autocast(options):
            system.embed_patched(patches, (text_LTD, mask_LT, index_BC))

    @torch.inference_mode()
    def plain_embed() -> None:
        with autocast(options):
            plain(patches.values_BPNC, text_BCTD)

    report(
        "tsfm_stage2", options, embed, options.batch_size, plain_embed if options.plain else None
    )


if __name__ == "__main__":
    main()
