"""Spectrograms: equal to a plain form, units, bands, statistics, mistakes."""

import math
from fractions import Fraction

import pytest
import torch
import torch.nn.functional as F

from otolith.core.config import parse
from otolith.core.errors import ConfigError, DataError
from otolith.signals import spectrogram as s

DEFAULT = s.Config()


def signals(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def plain_power(x, sizes):
    """The same through torch's short-time transform, in float64."""
    flat = x.double().reshape(-1, x.shape[-1])
    window = torch.hann_window(sizes.frame, dtype=torch.float64)
    parts = torch.stft(
        flat, sizes.num_fft, sizes.hop, sizes.frame, window, return_complex=True, center=True
    )
    return parts.abs().square().view(*x.shape[:-1], *parts.shape[-2:])


@pytest.mark.parametrize("frame", [24, 17, 1, 33, 64, 65, 100])
@pytest.mark.parametrize("hop", [1, 3])
def test_power_is_that_of_a_short_time_transform(frame, hop):
    """Frames of up to 64 samples go another way than longer ones."""
    rate = 160.0
    config = s.Config(
        rate_hz=rate, frame_s=frame / rate, hop_s=hop / rate, bin_hz=rate / 128,
        num_rows=None, num_columns=None,
    )  # fmt: skip
    x = signals(2, 3, 200) + 9.8
    expected = plain_power(x, s.transform_sizes(config))
    found = s.power_map(x, rate, config)
    assert found.shape == expected.shape
    torch.testing.assert_close(found.double(), expected, rtol=1e-3, atol=1e-5)
    direct = s.power_spectrogram(x, s.transform_sizes(config))
    torch.testing.assert_close(direct.double(), expected, rtol=2e-3, atol=1e-4)


def test_quiet_rows_beside_a_loud_one_stay_quiet():
    """Gravity must not spill into high frequencies through rounding."""
    config = s.Config(num_rows=None, num_columns=None)
    x = torch.full((1, 100), 9.8) + 1e-3 * signals(1, 100)
    resampled = s.resample_sinc(x.double(), 50.0, 160.0)
    expected = s.to_decibels(plain_power(resampled, s.transform_sizes(config)))
    found = s.to_decibels(s.power_map(x, 50.0, config)).double()
    inner = (slice(None), slice(60, 129), slice(80, 240))
    assert expected.max() - expected[inner].min() > 60
    assert (found - expected)[inner].abs().mean() < 0.5


def test_resized_map_is_the_usual_one():
    x = signals(4, 100)
    sizes = s.transform_sizes(DEFAULT)
    power = plain_power(s.resample_sinc(x.double(), 50.0, 160.0), sizes)
    expected = F.interpolate(power[:, None], (128, 320), mode="bilinear", antialias=True)[:, 0]
    torch.testing.assert_close(
        s.power_map(x, 50.0, DEFAULT).double(), expected, rtol=1e-4, atol=1e-5
    )


def test_a_batch_gives_what_single_windows_give():
    x = signals(5, 3, 100)
    together = s.spectrogram(x, 50.0, DEFAULT)
    alone = torch.stack([s.spectrogram(w, 50.0, DEFAULT) for w in x])
    torch.testing.assert_close(together, alone, atol=1e-3, rtol=1e-4)
    assert together.shape == (5, 3, 128, 320)
    assert together.dtype == torch.float32


@pytest.mark.parametrize("frequency_hz", [5.0, 10.0, 20.0])
def test_a_tone_stands_at_its_frequency(frequency_hz):
    times = torch.arange(100) / 50.0
    tone = torch.sin(2 * math.pi * frequency_hz * times)[None]
    image = s.spectrogram(tone, 50.0, DEFAULT)[0, :, 100:220].mean(1)
    assert abs(int(image.argmax()) * 80.0 / 128 - frequency_hz) < 1.5


@pytest.mark.parametrize(
    ("rate", "new"), [(50, 160), (800, 50), (100, 100), (52.5, 160), (100, 60)]
)
def test_resampling_keeps_a_slow_tone_and_has_the_right_length(rate, new):
    count = int(2 * rate)
    times = torch.arange(count, dtype=torch.float64) / rate
    found = s.resample_sinc(torch.sin(2 * math.pi * 2 * times)[None], rate, new)[0]
    assert abs(len(found) - math.ceil(count * new / rate)) <= 1
    wanted = torch.sin(2 * math.pi * 2 * torch.arange(len(found)) / new)
    inner = slice(len(found) // 4, -len(found) // 4)
    assert (found[inner] - wanted[inner]).abs().max() < 0.03


def test_map_size_is_known_before():
    for config in (DEFAULT, s.Config(num_rows=None, num_columns=None), s.Config(hop_s=0.02)):
        for num in (100, 130, 81):
            image = s.spectrogram(signals(1, num), 50.0, config)
            assert s.map_size(num, 50.0, config) == tuple(image.shape[-2:])


def test_statistics_are_per_channel_and_undone_again():
    config = s.Config(mean_db=(-10.0, -20.0, -30.0), std_db=(5.0, 10.0, 20.0))
    x = signals(7, 3, 100)
    raw = s.spectrogram(x, 50.0, DEFAULT)
    found = s.spectrogram(x, 50.0, config)
    for i, (mean, std) in enumerate(zip(config.mean_db, config.std_db, strict=True)):
        torch.testing.assert_close(found[:, i], (raw[:, i] - mean) / std, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(s.denormalise(found, config), raw, atol=1e-3, rtol=1e-4)
    torch.testing.assert_close(s.normalise(raw, config), found, atol=1e-4, rtol=1e-4)


def test_one_pair_serves_all_channels():
    one = s.spectrogram(signals(2, 4, 100), 50.0, s.Config(mean_db=(-3.0,), std_db=(2.0,)))
    raw = s.spectrogram(signals(2, 4, 100), 50.0, DEFAULT)
    torch.testing.assert_close(one, (raw + 3.0) / 2.0, atol=1e-4, rtol=1e-4)


def test_measured_statistics_make_maps_of_mean_0_and_deviation_1():
    x = signals(9, 2, 100) * torch.tensor([1.0, 30.0])[:, None]
    mean, std = s.measure_decibels(s.spectrogram(x, 50.0, DEFAULT))
    found = s.spectrogram(x, 50.0, s.Config(mean_db=mean, std_db=std))
    for channel in found.transpose(0, 1):
        assert abs(float(channel.mean())) < 1e-3
        assert abs(float(channel.std()) - 1) < 1e-3
    assert mean[1] > mean[0] + 20


def test_bands_are_silent_in_all_channels_and_drawn_per_sample():
    draws = torch.tensor([[0.5, 0.25, 0.5, 0.5], [0.0, 0.0, 0.0, 0.0]])
    rows, columns = s.band_masks(draws, (128, 320), 48, 60)
    assert rows[0].nonzero().squeeze(1).tolist() == list(range(26, 50))
    assert columns[0].sum() == 30
    assert not rows[1].any()
    image = s.spectrogram(
        signals(2, 3, 100), 50.0, DEFAULT, band_draws=draws, band_rows=48, band_columns=60
    )
    assert image[0, :, rows[0]].max() < -99.9
    assert image[0, :, :, columns[0]].max() < -99.9
    torch.testing.assert_close(image[1], s.spectrogram(signals(2, 3, 100), 50.0, DEFAULT)[1])


def test_gradient_reaches_the_signal():
    x = signals(2, 3, 100).requires_grad_()
    s.spectrogram(x, 50.0, s.Config(mean_db=(-3.0,), std_db=(2.0,))).sum().backward()
    assert torch.isfinite(x.grad).all()
    assert x.grad.abs().sum() > 0


def test_a_missing_value_stays_in_its_channel():
    x = signals(1, 3, 100)
    x[0, 1, 50] = torch.nan
    image = s.spectrogram(x, 50.0, DEFAULT)
    assert image[0, 1].isnan().any()
    assert torch.isfinite(image[0, [0, 2]]).all()


def test_mistakes_are_named():
    with pytest.raises(DataError, match="without samples"):
        s.spectrogram(torch.zeros(3, 0), 50.0, DEFAULT)
    with pytest.raises(DataError, match="too short"):
        s.spectrogram(torch.zeros(1, 3), 50.0, DEFAULT)
    with pytest.raises(DataError, match="rate"):
        s.resample_sinc(torch.zeros(1, 3), 0.0, 50.0)
    with pytest.raises(DataError, match="2 channels"):
        s.spectrogram(signals(3, 100), 50.0, s.Config(mean_db=(1.0, 2.0), std_db=(1.0, 2.0)))
    with pytest.raises(ConfigError, match="longer than"):
        parse(s.Config, {"frame_s": 2.0})
    with pytest.raises(ConfigError, match="same number"):
        parse(s.Config, {"mean_db": [1.0]})


def test_resampling_keeps_full_precision_under_autocast():
    x = 9.8 + 0.01 * torch.randn(2, 3, 800, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = s.resample_sinc(x, 800.0, 50.0)
    assert torch.equal(found, s.resample_sinc(x, 800.0, 50.0))


@pytest.mark.parametrize("rate_hz", [99.73, 51.2, 49.97, 160.1])
def test_an_odd_ratio_needs_no_kernel_larger_than_the_window(rate_hz):
    """Against the sum over all samples, at the exact times."""
    x = torch.randn(2, 210, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = s.resample_sinc(x, rate_hz, 50.0)
    ratio = Fraction(50.0 / rate_hz).limit_denominator(10_000)
    low = min(ratio, 1) * 0.99
    assert found.shape[1] == math.ceil(210 * ratio)
    at = torch.arange(found.shape[1], dtype=torch.float64) / float(ratio)
    t = ((torch.arange(210)[:, None] - at) * float(low)).clamp(-6, 6)
    weights = torch.sinc(t) * torch.cos(t * math.pi / 12).square() * float(low)
    torch.testing.assert_close(found, x @ weights)
    kernels = s._sinc_kernel.cache_info()
    s.resample_sinc(x, rate_hz, 50.0)
    assert s._sinc_kernel.cache_info().hits == kernels.hits + 1
    up, down = ratio.numerator, ratio.denominator
    inputs = min(210, down) if up >= found.shape[1] else down
    kernel, half = s._sinc_kernel(up, down, 6, 0.99, inputs, min(up, found.shape[1]))
    assert kernel.size <= 2 * (210 + 2 * half) * 210
