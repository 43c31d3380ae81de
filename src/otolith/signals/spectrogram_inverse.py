"""Spectrogram -> signal: what a map of decibels sounds like, so to speak.

A map has lost the phase. It is found by iteration (Griffin & Lim, IEEE TASSP 32(2), 1984), starting
from the phase of a guide, such as the signal of which a part of the map was replaced.
"""

# C channels (any leading axes), R rows, L columns, T samples, F bins, N frames

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from otolith.signals.spectrogram import Config, denormalise, transform_sizes


def signal_from_map(
    map_CRL: Tensor, guide_CT: Tensor, config: Config, *, num_iterations: int = 32
) -> Tensor:
    """Return a signal whose spectrogram is close to a map.

    Args:
        map_CRL: Map [..., C, R, L] as `spectrogram` makes it.
        guide_CT: Signal [..., C, T] at `config.rate_hz` whose phase is the start, in the unit of the
            result.
        config: Settings of the map.
        num_iterations: Rounds of finding the phase.

    Returns:
        Signal [..., C, T] at `config.rate_hz`.
    """
    sizes = transform_sizes(config)
    guide = guide_CT.float().reshape(-1, guide_CT.shape[-1])
    power = 10.0 ** (denormalise(map_CRL.float(), config) / 10.0)
    shape = (sizes.num_fft // 2 + 1, guide.shape[-1] // sizes.hop + 1)
    power = F.interpolate(
        power.reshape(-1, 1, *power.shape[-2:]), shape, mode="bilinear", align_corners=False
    )
    magnitude = power.squeeze(1).sqrt()
    window = torch.hann_window(sizes.frame, device=guide.device)
    common = {"n_fft": sizes.num_fft, "hop_length": sizes.hop, "win_length": sizes.frame}
    signal = guide
    for _ in range(max(1, num_iterations)):
        spectrum = torch.stft(signal, **common, window=window, return_complex=True)
        spectrum = torch.polar(magnitude, spectrum.angle())
        signal = torch.istft(spectrum, **common, window=window, length=guide.shape[-1])
    return signal.view(guide_CT.shape)
