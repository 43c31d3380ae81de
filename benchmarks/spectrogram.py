"""Spectrograms of 2 s at 50 Hz: a batch at once, against window by window with a fast Fourier transform."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from _measure import parse_arguments, report

from otolith.signals import spectrogram

CONFIG = spectrogram.Config(mean_db=(-30.0,), std_db=(27.0,))
RATE_HZ = 50.0


def main() -> None:
    """Run the benchmark; `--size` is the number of channels (3 or 12)."""
    options = parse_arguments(__doc__ or "", size="3", batch_size=32)
    torch.manual_seed(0)
    x = torch.randn(options.batch_size, int(options.size), 100) + 9.8

    def whole() -> None:
        spectrogram.spectrogram(x, RATE_HZ, CONFIG)

    def one_by_one() -> None:
        for window in x:
            plain_spectrogram(window)

    plain = one_by_one if options.plain else None
    report("spectrogram", options, whole, options.batch_size, plain)


def plain_spectrogram(x_CT: torch.Tensor) -> torch.Tensor:
    """The usual way: resample, transform padded frames, resize, decibels."""
    sizes = spectrogram.transform_sizes(CONFIG)
    signal = spectrogram.resample_sinc(x_CT, RATE_HZ, CONFIG.rate_hz)
    parts = torch.stft(
        signal, sizes.num_fft, sizes.hop, sizes.frame, torch.hann_window(sizes.frame),
        return_complex=True,
    )  # fmt: skip
    power = parts.abs().pow(2.0)
    size = (CONFIG.num_rows or power.shape[1], CONFIG.num_columns or power.shape[2])
    power = F.interpolate(power[None], size, mode="bilinear", antialias=True)[0]
    decibels = 10.0 * torch.log10(power.clamp(min=CONFIG.floor_power))
    return (decibels - CONFIG.mean_db[0]) / CONFIG.std_db[0]


if __name__ == "__main__":
    main()
