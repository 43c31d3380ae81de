"""A signal that belongs to a map."""

import torch

from otolith.signals import spectrogram as s
from otolith.signals.spectrogram_inverse import signal_from_map

CONFIG = s.Config(mean_db=(-10.0,), std_db=(20.0,))


def test_the_map_of_a_signal_gives_the_signal_back():
    times = torch.arange(320) / 160.0
    tones = [torch.sin(2 * torch.pi * f * times) for f in (3.0, 7.0)]
    signal = torch.stack([9.8 + tones[0], tones[0] * tones[1]])[None]
    image = s.spectrogram(signal, 160.0, CONFIG)
    again = signal_from_map(image, signal, CONFIG)
    assert again.shape == signal.shape
    inner = (..., slice(40, 280))
    assert (again - signal)[inner].abs().max() < 0.2


def test_a_louder_map_gives_a_louder_signal():
    signal = torch.randn(1, 2, 320, generator=torch.Generator().manual_seed(0))
    image = s.denormalise(s.spectrogram(signal, 160.0, CONFIG), CONFIG)
    louder = s.normalise(image + 20.0, CONFIG)
    once, again = (signal_from_map(m, signal, CONFIG) for m in (s.normalise(image, CONFIG), louder))
    assert 8.0 < float(again.std() / once.std()) < 12.0
