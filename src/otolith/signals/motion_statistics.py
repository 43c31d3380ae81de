"""Statistics of motion that no mounting changes: for few labels and sensors worn anywhere.

All but the `log_std`, `log_mean` and `mean_norm` describe shape, not strength. Levels are natural
logarithms with a floor of 0.001 (g or rad/s), so that a still sensor gives finite numbers.

| statistic | definition |
|---|---|
| step/lag_s, step/regularity, stride/regularity | lag of the highest autocorrelation of the vertical between 0.25 and 0.8 s, its height, and the height at twice the lag |
| S/log_std, S/log_mean | logarithm of the standard deviation, of the mean |
| S/skewness, S/log_kurtosis | third moment (within 4), logarithm of fourth moment + 1, of (value - mean) / deviation |
| S/p05 ... p95 | percentiles of (value - mean) / deviation |
| S/log_share_A_Bhz | logarithm of the share of power between A and B Hz (+ 0.001) |
| S/log_jerk | logarithm of the deviation of the differences between neighbours over that of the signal |
| S/jerk_skewness | third moment of these differences over their deviation (within 4) |
| mean_norm, principal_share, gyro_principal_share, tilt | see `MotionViews` |
| log_std_ratio | log_std of the vertical in the first half less that in the second |
| corr_* | Pearson correlation of two signals; `abs` where an axis has no sign |
| gait/* | shares of power at multiples of the step frequency, phases; see `_gait` |
"""

# B batch, T time, S signals, F frequencies, Q percentiles, N statistics

from __future__ import annotations

import itertools
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from otolith.signals._arrays import sort_last
from otolith.signals._gait import GAIT_NAMES, gait_statistics
from otolith.signals._spectra import power_of
from otolith.signals.motion_views import SIGNALS, MotionViews

PERCENTS = (5, 25, 50, 75, 95)
EDGES_HZ = (0.3, 0.7, 1.2, 1.7, 2.2, 2.8, 3.5, 4.5, 6.0, 8.0, 10.1)
LAGS_S = (0.25, 0.8)
_SHAPED = SIGNALS[:5]  # signals whose sign means something
_LEVELS = ("horizontal", "gyro_norm", "gyro_horizontal")  # lengths, which have a mean
_CORRELATIONS = (
    ("vertical", "gyro_principal", "abs"),
    ("vertical", "horizontal", ""),
    ("vertical", "gyro_norm", ""),
    ("horizontal_principal", "gyro_principal", "abs"),
)
_FLOOR = 1e-3
_MIN_DEVIATION = 1e-3
_MIN_DIFFERENCE = 1e-4
_SILENCE = 1e-9
_MOST_UNBIAS = 3.0  # far lags rest on few samples and may not be scaled up without limit
_LIMIT = 4.0


@torch.no_grad()
def motion_statistics(views: MotionViews, rate_hz: float) -> tuple[Tensor, tuple[str, ...]]:
    """Describe motion windows of one rate and length.

    Defined for windows of 2 s and more at 20 Hz; shorter ones give finite numbers.

    Args:
        views: Signals [B, S, T] from `motion_views`.
        rate_hz: Their rate in Hz; at 20 Hz the bands reach half of the rate.

    Returns:
        Statistics [B, N], finite, 0 for those of the gyroscope (names with `gyro`) where there is
        none; and their names.
    """
    x = views.signals_BST
    centred = x - x.mean(2, keepdim=True)
    std = centred.square().mean(2).sqrt()
    parts = [
        _steps(centred[:, 0], rate_hz),
        _log(std),
        _shape(centred, std),
        _log_shares(centred, rate_hz),
        _jerk(x, std),
        _log(torch.stack([views.signal(name).mean(1) for name in _LEVELS], dim=1)),
        _of_views(views),
        _correlations(centred, std),
        gait_statistics(centred, rate_hz),
    ]
    statistics = torch.cat(parts, dim=1)
    needs_gyro = torch.as_tensor(is_gyro_statistic(STATISTICS), device=x.device)
    is_unknown = needs_gyro & ~views.has_gyro_B[:, None]
    return torch.where(is_unknown, 0.0, statistics), STATISTICS


def is_gyro_statistic(names: tuple[str, ...]) -> np.ndarray:
    """Return for every name whether the statistic needs a gyroscope, bool [N]."""
    return np.array(["gyro" in name for name in names], dtype=bool)


def _names() -> tuple[str, ...]:
    """Names in the order of the parts of `motion_statistics`."""
    names = ["step/lag_s", "step/regularity", "stride/regularity"]
    names += [f"{s}/log_std" for s in SIGNALS]
    names += [f"{s}/skewness" for s in _SHAPED] + [f"{s}/log_kurtosis" for s in SIGNALS]
    names += [f"{s}/p{q:02d}" for s in _SHAPED for q in PERCENTS]
    bands = list(itertools.pairwise(EDGES_HZ))
    names += [f"{s}/log_share_{a:g}_{b:g}hz" for s in SIGNALS for a, b in bands]
    names += [f"{s}/log_jerk" for s in SIGNALS] + [f"{s}/jerk_skewness" for s in SIGNALS]
    names += [f"{s}/log_mean" for s in _LEVELS]
    names += ["mean_norm", "principal_share", "gyro_principal_share", "log_std_ratio", "tilt"]
    names += ["_".join(filter(None, ("corr", a, b, how))) for a, b, how in _CORRELATIONS]
    return (*names, *GAIT_NAMES)


STATISTICS = _names()


def _log(values: Tensor) -> Tensor:
    return (values + _FLOOR).log()


def _steps(vertical_BT: Tensor, rate_hz: float) -> Tensor:
    """Step lag in s, and the autocorrelation at it and at twice of it, [B, 3]."""
    num = vertical_BT.shape[1]
    power = power_of(torch.fft.rfft(vertical_BT, n=2 * num))
    auto = torch.fft.irfft(power, n=2 * num)[:, :num]
    total = auto[:, :1]
    unbias = num / torch.arange(num, 0, -1, device=auto.device, dtype=auto.dtype)
    auto = auto / total.clamp(min=_SILENCE) * unbias.clamp(max=_MOST_UNBIAS)
    auto = torch.where(total < _SILENCE, 0.0, auto)
    low, high = (min(round(s * rate_hz), num - 1) for s in LAGS_S)
    lag = auto[:, low : high + 1].argmax(1, keepdim=True) + low
    heights = [auto.gather(1, lag), auto.gather(1, (2 * lag).clamp(max=num - 1))]
    return torch.cat([lag / rate_hz, *heights], dim=1)


def _shape(centred_BST: Tensor, std_BS: Tensor) -> Tensor:
    """Skewness, log kurtosis and percentiles of normalised signals."""
    z = centred_BST / std_BS.clamp(min=_MIN_DEVIATION)[:, :, None]
    num_shaped = len(_SHAPED)
    square = z.square()
    skewness = (square * z)[:, :num_shaped].mean(2).clamp(-_LIMIT, _LIMIT)
    kurtosis = (square.square().mean(2) + 1).log()
    ordered = sort_last(z[:, :num_shaped])
    position = np.array(PERCENTS) / 100 * (z.shape[2] - 1)
    low = np.floor(position).astype(np.int64)
    high = np.minimum(low + 1, z.shape[2] - 1)
    weight = torch.as_tensor(position - low).to(z)
    quantiles = torch.lerp(ordered[:, :, low], ordered[:, :, high], weight)
    return torch.cat([skewness, kurtosis, quantiles.flatten(1)], dim=1)


def _log_shares(centred_BST: Tensor, rate_hz: float) -> Tensor:
    """Logarithm of the share of power in every band, [B, S * bands]."""
    num = centred_BST.shape[2]
    window, bands = (torch.as_tensor(a).to(centred_BST) for a in _tables(num, rate_hz))
    power = power_of(torch.fft.rfft(centred_BST * window))
    total = power[..., 1:].sum(2, keepdim=True) + _SILENCE
    return _log((power @ bands) / total).flatten(1)


@lru_cache(maxsize=64)
def _tables(num: int, rate_hz: float) -> tuple[np.ndarray, np.ndarray]:
    """Hann window [T], and which frequency lies in which band, [F, bands]."""
    freq = np.fft.rfftfreq(num, 1 / rate_hz)[:, None]
    low, high = np.array(EDGES_HZ[:-1]), np.array(EDGES_HZ[1:])
    return np.hanning(num), ((freq >= low) & (freq < high)).astype(np.float64)


def _jerk(signals_BST: Tensor, std_BS: Tensor) -> Tensor:
    """Size of the differences against the signal, and their skewness, [B, 2 S]."""
    difference = signals_BST.diff(dim=2)
    deviation = difference.std(2, correction=0)
    z = difference / deviation.clamp(min=_MIN_DIFFERENCE)[:, :, None]
    skewness = (z.square() * z).mean(2).clamp(-_LIMIT, _LIMIT)
    return torch.cat([_log(deviation) - _log(std_BS), skewness], dim=1)


def _of_views(views: MotionViews) -> Tensor:
    """Numbers that the views know, and how steady the vertical is, [B, 5]."""
    vertical = views.signal("vertical")
    half = vertical.shape[1] // 2
    first, second = (v.std(1, correction=0) for v in (vertical[:, :half], vertical[:, half:]))
    columns = [
        views.mean_norm_B,
        views.principal_share_B,
        views.gyro_principal_share_B,
        _log(first) - _log(second),
        views.tilt_B,
    ]
    return torch.stack(columns, dim=1)


def _correlations(centred_BST: Tensor, std_BS: Tensor) -> Tensor:
    """Correlations [B, 4] of pairs of signals; near 0 where one of them is constant."""
    left, right = ([SIGNALS.index(pair[k]) for pair in _CORRELATIONS] for k in (0, 1))
    product = (centred_BST[:, left] * centred_BST[:, right]).mean(2)
    value = product / (std_BS[:, left] * std_BS[:, right]).clamp(min=_MIN_DIFFERENCE)
    is_abs = torch.tensor([how == "abs" for *_, how in _CORRELATIONS], device=value.device)
    return torch.where(is_abs, value.abs(), value)
