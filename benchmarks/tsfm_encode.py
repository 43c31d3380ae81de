"""Encoder forward of TSFM in evaluation mode from ready patches."""

from __future__ import annotations

import torch
from _measure import autocast, parse_arguments, report
from _tsfm_data import make_patches, make_texts
from _tsfm_plain import PlainEncoder

from otolith.encoders import imu_tsfm


def main() -> None:
    """Run the benchmark."""
    options = parse_arguments(__doc__ or "")
    torch.manual_seed(0)
    config = imu_tsfm.Config(preset=options.size)
    encoder, plain = imu_tsfm.Encoder(config).eval(), PlainEncoder(config).eval()
    patches, texts = make_patches(options.batch_size), make_texts(options.batch_size)

    @torch.inference_mode()
    def encode() -> None:
        with autocast(options):
            encoder.encode(patches, texts=texts)

    @torch.inference_mode()
    def plain_encode() -> None:
        with autocast(options):
            plain(patches.values_BPNC, texts)

    report(
        "tsfm_encode", options, encode, options.batch_size, plain_encode if options.plain else None
    )


if __name__ == "__main__":
    main()
