"""Statistics of motion windows: the features that every learned model has to beat.

All definitions are in seconds and Hz, so that they do not depend on the sampling rate (as long as
it covers the bands). In the *gravity* frame the values do not depend on how the sensor was
turned: signals are split into the part along gravity (vertical) and the length of the rest
(horizontal).

| statistic | definition |
|---|---|
| mean, std, min, max, p05 ... p95 | of the real samples (percentiles interpolated linearly) |
| mad | median of the distances from the median |
| energy | mean square |
| zero_crossings_hz, mean_crossings_hz | sign changes per second of the value and of value - mean |
| jerk | root mean square of the time derivative within the bands, in unit / s |
| spectral_entropy | entropy of the power in cells of 0.5 Hz over its maximum, 0..1 |
| dominant_hz | frequency of the highest peak of the spectrum from 0.25 Hz on |
| log_power_A_Bhz | log10(power between A and B Hz in unit^2 + 1e-6) |
| corr_* | Pearson correlation of two axes, or of vertical and horizontal |
| horizontal_major_std, horizontal_minor_std | deviation along the principal horizontal axes |
| gravity_norm | length of the robust mean acceleration in m/s^2 |
"""

# B batch, T time, C channels, S series, F features

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from otolith.core.errors import DataError
from otolith.signals._arrays import to_tensor
from otolith.signals._spectra import spectral_statistics
from otolith.signals._summaries import (
    Moments,
    correlation,
    moments,
    principal_deviations,
    time_statistics,
)
from otolith.signals.gravity import gravity_rotation, robust_mean
from otolith.signals.triads import find_triads, sensor_name, wearing_site

Frame = Literal["device", "gravity", "both"]
BANDS_HZ = (0.0, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0)
_CHUNK_VALUES = 400_000  # series values per chunk, so that temporaries stay in the cache


def window_statistics(
    imu_BTC: Any,
    mask_BT: Any,
    rate_hz_B: Any,
    channels: Sequence[str],
    frame: Frame = "both",
    *,
    bands_hz: Sequence[float] = BANDS_HZ,
) -> tuple[Any, tuple[str, ...]]:
    """Compute statistics of motion windows.

    A triad gives its axes and its norm in the device frame; norm, vertical and horizontal part
    in the gravity frame, where an accelerometer is worn at the same site. Any other channel
    gives one series. A sample of a triad counts if all its axes are finite. Values are NaN for a
    triad (or channel) without any sample. Padded samples have no influence.

    Args:
        imu_BTC: Windows [B, T, C] in m/s^2 and rad/s, NaN = missing.
        mask_BT: bool [B, T], True = real; None = all.
        rate_hz_B: Rates [B] in Hz, or one number.
        channels: Names of the columns, such as `acc_x`.
        frame: `device`, `gravity` or `both`.
        bands_hz: Ascending edges of the frequency bands in Hz.

    Returns:
        Features [B, F] of the kind of the input, and their names `triad/series/statistic`.

    Raises:
        DataError: Shapes, channels, bands or rates do not fit.
    """
    imu, back = to_tensor(imu_BTC)
    imu = imu.float() if imu.dtype in (torch.float16, torch.bfloat16) else imu
    _check(imu, channels, frame, bands_hz)
    mask = _as_mask(imu, mask_BT)
    rate = torch.as_tensor(rate_hz_B, dtype=torch.float64, device=imu.device).expand(len(imu))
    if not bool((torch.isfinite(rate) & (rate > 0)).all()):
        raise DataError("A rate is not a positive number.", "Give rates in Hz.")
    plan = _plan(channels, frame)
    size = max(1, _CHUNK_VALUES // max(1, imu.shape[1] * len(plan.names)))
    parts = [
        _features(imu[i : i + size], mask[i : i + size], rate[i : i + size], plan, tuple(bands_hz))
        for i in range(0, max(len(imu), 1), size)
    ]
    return back(torch.cat([values for values, _ in parts])), parts[0][1]


def _check(imu: Tensor, channels: Sequence[str], frame: str, bands_hz: Sequence[float]) -> None:
    if imu.ndim != 3 or imu.shape[2] != len(channels) or imu.shape[1] == 0:
        raise DataError(
            f"Windows have shape {tuple(imu.shape)} for {len(channels)} channels.",
            "Give them as [batch, time, channels] with at least one sample.",
        )
    if not channels or len(set(channels)) != len(channels):
        raise DataError("Channels are missing or named twice.", "Give one name per column.")
    if frame not in ("device", "gravity", "both"):
        raise DataError(f'There is no frame "{frame}".', "Allowed: device, gravity, both.")
    edges = list(bands_hz)
    if len(edges) < 2 or edges[0] < 0 or any(b <= a for a, b in itertools.pairwise(edges)):
        raise DataError(f"Bands {edges} do not ascend from 0 on.", "Give edges such as 0, 1, 5.")


def _as_mask(imu: Tensor, mask_BT: Any) -> Tensor:
    if mask_BT is None:
        return imu.new_ones(imu.shape[:2], dtype=torch.bool)
    mask = torch.as_tensor(mask_BT, device=imu.device).bool()
    if mask.shape != imu.shape[:2]:
        raise DataError(
            f"The mask has shape {tuple(mask.shape)} for windows {tuple(imu.shape)}.",
            "Give one value per sample.",
        )
    return mask


@dataclass(frozen=True)
class _Source:
    """A triad or a single channel: its columns and the series made of it."""

    name: str
    columns: tuple[int, ...]
    series: tuple[str, ...]
    acc_columns: tuple[int, ...] = ()  # accelerometer at the same site; empty if none is needed
    is_acc: bool = False


@dataclass(frozen=True)
class _Plan:
    sources: tuple[_Source, ...]

    @property
    def names(self) -> list[str]:
        """Name of every series."""
        return [f"{s.name}/{word}" for s in self.sources for word in s.series]


def _plan(channels: Sequence[str], frame: Frame) -> _Plan:
    """Decide which series are made of which columns."""
    triads = {n: c for n, c in find_triads(channels).items() if sensor_name(n) != "ori"}
    used = {column for columns in triads.values() for column in columns}
    acc = {wearing_site(n): c for n, c in reversed(triads.items()) if sensor_name(n) == "acc"}
    sources = []
    for name, columns in triads.items():
        down = acc.get(wearing_site(name), ()) if frame != "device" else ()
        if sensor_name(name) == "acc":
            down = columns if frame != "device" else ()
        series = ("x", "y", "z", "norm") if frame != "gravity" else ("norm",)
        series += ("vertical", "horizontal") if down else ()
        sources.append(_Source(name, columns, series, down, sensor_name(name) == "acc"))
    rest = [(c, i) for i, c in enumerate(channels) if i not in used]
    sources += [_Source(name, (column,), ("value",)) for name, column in rest]
    return _Plan(tuple(sources))


@dataclass(frozen=True)
class _Made:
    """What one source gives for one chunk.

    Args:
        series: Series [B, T], 0 where masked.
        masks: Mask [B, T] of each series.
        flat_BAT: Two horizontal components of the aligned vectors; None outside the gravity frame.
        gravity_norm_B: Length of the mean acceleration; None unless it is an accelerometer.
    """

    series: list[Tensor]
    masks: list[Tensor]
    flat_BAT: Tensor | None = None
    gravity_norm_B: Tensor | None = None


def _features(
    imu: Tensor, mask: Tensor, rate: Tensor, plan: _Plan, bands_hz: tuple[float, ...]
) -> tuple[Tensor, tuple[str, ...]]:
    """All features of one chunk, and their names."""
    imu_BCT = imu.transpose(1, 2).contiguous()
    gravity = {
        s.acc_columns: robust_mean(imu_BCT[:, list(s.acc_columns)].transpose(1, 2), mask)
        for s in plan.sources
        if s.acc_columns
    }
    made = [_series(imu_BCT, mask, gravity, source) for source in plan.sources]
    series_BST = torch.stack([s for m in made for s in m.series], dim=1)
    mask_BST = torch.stack([s for m in made for s in m.masks], dim=1)
    shared = moments(series_BST, mask_BST)
    found = time_statistics(series_BST, mask_BST, rate.to(imu.dtype), shared)
    found |= spectral_statistics(shared.centred_BST, mask_BST, rate, bands_hz)
    table = torch.stack(list(found.values()), dim=-1)
    table = torch.where(shared.count_BS[..., None] > 0, table, torch.nan)
    names = [f"{series}/{statistic}" for series in plan.names for statistic in found]
    columns, first = [table.flatten(1)], 0
    for source, part in zip(plan.sources, made, strict=True):
        for name, value in _relations(source, part, shared, first).items():
            names.append(f"{source.name}/{name}")
            columns.append(value[:, None])
        first += len(source.series)
    return torch.cat(columns, dim=1), tuple(names)


def _series(
    imu_BCT: Tensor, mask_BT: Tensor, gravity: dict[tuple[int, ...], Tensor], source: _Source
) -> _Made:
    """Make the series of one source."""
    vectors = imu_BCT[:, list(source.columns)]
    real = mask_BT & torch.isfinite(vectors).all(dim=1)
    vectors = torch.where(real[:, None], vectors, 0.0)
    if source.series == ("value",):
        return _Made([vectors[:, 0]], [real])
    series = list(vectors.unbind(1)) if "x" in source.series else []
    series.append(_length(vectors))
    masks = [real] * len(series)
    if not source.acc_columns:
        return _Made(series, masks)
    mean = gravity[source.acc_columns]
    aligned = gravity_rotation(mean) @ vectors
    series += [aligned[:, 2], _length(aligned[:, :2])]
    # Without acceleration nobody knows where down is.
    has_down = (mask_BT & torch.isfinite(imu_BCT[:, list(source.acc_columns)]).all(1)).any(1)
    masks += [real & has_down[:, None]] * 2
    return _Made(series, masks, aligned[:, :2], mean.norm(dim=1) if source.is_acc else None)


def _length(vectors_BAT: Tensor) -> Tensor:
    """Length of vectors [B, T]; exactly 0, with gradient 0, for the zero vector."""
    square = vectors_BAT.square().sum(1)
    if not square.requires_grad:
        return square.sqrt()
    none = square == 0
    return torch.where(none, 0.0, torch.where(none, 1.0, square).sqrt())


def _relations(source: _Source, made: _Made, shared: Moments, first: int) -> dict[str, Tensor]:
    """Statistics [B] that join several series of one source; its series start at `first`."""
    position = {word: first + i for i, word in enumerate(source.series)}
    known = {word: shared.count_BS[:, i] > 0 for word, i in position.items()}

    def joined(a: str, b: str) -> Tensor:
        value = correlation(shared.centred_BST[:, position[a]], shared.centred_BST[:, position[b]])
        return torch.where(known[a], value, torch.nan)

    out = {}
    if "x" in position:
        out = {f"corr_{a}{b}": joined(a, b) for a, b in ("xy", "xz", "yz")}
    if made.flat_BAT is None:
        return out
    out["corr_vertical_horizontal"] = joined("vertical", "horizontal")
    flat = moments(made.flat_BAT, made.masks[-1][:, None].expand_as(made.flat_BAT))
    a_BT, b_BT = flat.centred_BST.unbind(1)
    deviations = principal_deviations(a_BT, b_BT, flat.count_BS[:, 0])
    for word, value in zip(("major", "minor"), deviations, strict=True):
        out[f"horizontal_{word}_std"] = torch.where(known["vertical"], value, torch.nan)
    if made.gravity_norm_B is not None:
        out["gravity_norm"] = torch.where(known["vertical"], made.gravity_norm_B, torch.nan)
    return out
