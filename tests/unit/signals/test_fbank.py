import math

import numpy as np
import pytest
import torch

from otolith.core.config import parse
from otolith.core.errors import ConfigError, DataError
from otolith.signals.fbank import Config, fbank, stretch


def tone(frequency_hz, rate_hz, seconds, amplitude=1.0):
    times = np.arange(round(rate_hz * seconds)) / rate_hz
    return torch.from_numpy(amplitude * np.sin(2 * np.pi * frequency_hz * times)).float()[None]


def by_definition(x_M, settings):
    """The power spectrum of one signal, frame by frame, with a transform of the full length."""
    window = np.zeros(settings.fft_size)
    left = (settings.fft_size - settings.window_samples) // 2
    n = np.arange(settings.window_samples)
    window[left : left + settings.window_samples] = 0.5 - 0.5 * np.cos(
        2 * np.pi * n / settings.window_samples
    )
    half = settings.fft_size // 2
    padded = np.pad(x_M, (half, half), mode="reflect")
    frames = [
        np.abs(np.fft.rfft(padded[i : i + settings.fft_size] * window)) ** 2
        for i in range(0, len(x_M) + 1, settings.hop_samples)
    ]
    levels = 10 * np.log10(np.maximum(np.array(frames), settings.floor))
    return levels[: settings.num_frames, : settings.num_bins]


def test_it_equals_the_transform_by_definition():
    signal = np.random.default_rng(0).normal(size=320)
    settings = Config(subtract_mean=False)
    got = fbank(torch.from_numpy(signal).float()[None], settings)[0]
    np.testing.assert_allclose(got, by_definition(signal, settings), atol=0.02)


@pytest.mark.parametrize("hop", [2, 5])
def test_a_hop_takes_every_so_many_frames(hop):
    signal = torch.randn(1, 320, generator=torch.Generator().manual_seed(0))
    dense = fbank(signal, Config())
    sparse = fbank(signal, Config(hop_samples=hop))
    count = 320 // hop
    torch.testing.assert_close(sparse[:, :count], dense[:, ::hop][:, :count])


@pytest.mark.parametrize("length", [37, 60, 100, 128, 320, 400, 719])
def test_every_length_gives_the_same_shape(length):
    maps = fbank(torch.randn(3, length), Config())
    assert maps.shape == (3, 320, 128)
    assert torch.isfinite(maps).all()


def test_a_batch_is_its_rows():
    signals = torch.randn(5, 90)
    together = fbank(signals, Config())
    alone = torch.cat([fbank(row[None], Config()) for row in signals])
    # tiny powers hold rounding alone
    loud = alone > -30.0
    torch.testing.assert_close(together[loud], alone[loud], atol=0.01, rtol=0)
    assert loud.float().mean() > 0.5


def test_the_mean_and_silence_lie_at_the_floor():
    maps = fbank(torch.full((1, 100), 8.0), Config())
    torch.testing.assert_close(maps, torch.full_like(maps, -100.0))


def test_padding_is_silent_by_default_and_loud_on_request():
    signal = torch.randn(1, 719)
    silent, loud = fbank(signal, Config()), fbank(signal, Config(padding_db=0.0))
    assert stretch(signal, Config()).shape[1] == 317
    assert (silent[:, 318:] == -100.0).all()
    assert (loud[:, 318:] == 0.0).all()
    torch.testing.assert_close(silent[:, :318], loud[:, :318])


def test_at_a_physical_rate_a_tone_lies_at_its_frequency():
    settings = Config(rate_hz=100.0, window_s=0.64, hop_s=0.1, num_frames=30)
    assert (settings.window_length, settings.hop_length) == (64, 10)
    for rate_hz in (50.0, 120.0):
        maps = fbank(tone(10.0, rate_hz, 4.0), settings, rate_hz)
        loudest = int(maps[0, 10:20].mean(0).argmax())
        assert settings.frequencies_hz(4.0)[loudest] == pytest.approx(10.0, abs=1.0)


def test_stretched_bins_depend_on_the_length():
    assert Config().frequencies_hz(2.0)[1] == pytest.approx(160 / 256)
    assert Config(rate_hz=50.0).frequencies_hz(2.0)[1] == pytest.approx(50 / 256)


def test_the_unit_shifts_the_map():
    signal = 5 * torch.randn(1, 320)
    shift = fbank(signal, Config()) - fbank(signal, Config(unit_m_s2=9.80665))
    torch.testing.assert_close(
        shift, torch.full_like(shift, 20 * math.log10(9.80665)), atol=1e-3, rtol=0
    )


def test_normalisation_range_and_amplitude():
    signal = 10 * torch.randn(1, 320)
    plain = fbank(signal, Config())
    scaled = fbank(signal, Config(mean_db=-20.0, std_db=5.0))
    torch.testing.assert_close(scaled, (plain + 20.0) / 5.0)
    narrow = fbank(signal, Config(range_db=30.0))
    assert narrow.max() - narrow.min() == pytest.approx(30.0, abs=1e-3)
    amplitude = fbank(signal, Config(power=1, db_per_decade=20.0, floor=1e-5))
    torch.testing.assert_close(amplitude, plain, atol=1e-3, rtol=0)


def test_gradient_reaches_the_signal():
    signal = torch.randn(2, 60, requires_grad=True)
    fbank(signal, Config()).sum().backward()
    assert torch.isfinite(signal.grad).all()
    assert signal.grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"window_s": 0.1}, "need rate_hz"),
        ({"window_samples": 300}, "not be longer"),
        ({"num_bins": 200}, "129 bins"),
    ],
)
def test_settings_that_contradict_are_refused(settings, words):
    with pytest.raises(ConfigError, match=words):
        parse(Config, settings)


@pytest.mark.parametrize(
    ("signal", "settings", "words"),
    [
        (torch.zeros(1, 50), Config(rate_hz=100.0), "not given"),
        (torch.zeros(1, 40_000), Config(), "cannot be shrunk"),
        (torch.zeros(1, 8), Config(rate_hz=10.0), "shorter than half a window"),
    ],
)
def test_impossible_segments_are_one_sentence(signal, settings, words):
    rate = 10.0 if "shorter" in words else None
    with pytest.raises(DataError, match=words):
        fbank(signal, settings, rate)
