"""Turns a motion stream of any rate and channels into views and statistics; has no weights."""

# B batch, T time, C channels, S statistics, O orientation, G samples of a group

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import pad

from otolith.core.errors import DataError
from otolith.recordings.recording import Channel
from otolith.signals._arrays import fill_missing
from otolith.signals.motion_statistics import motion_statistics
from otolith.signals.motion_views import MIN_ROWS, MotionViews, motion_views
from otolith.signals.resampling import resample
from otolith.signals.triads import wearing_site
from otolith.windows.batch import GRAVITY_REMOVED, Batch, StreamBatch

_AXES = ("x", "y", "z")
_MIN_SCALE = 1e-3
_WINDOWS_PER_CHUNK = 256  # so that temporaries stay in the cache


@dataclass(frozen=True, kw_only=True)
class MotionInputs:
    """What is known about the motion of every sample, whatever its rate and mounting.

    Args:
        signals_BCT: Signals for a network, see `motion_views.CHANNELS`; zero where masked.
        imu_BCT: Acceleration in m/s^2 and angular rate in rad/s (x, y, z) in the sensor's own
            axes; zero where masked or missing.
        mask_BT: bool, True = real row at the common rate.
        statistics_BS: Statistics, see `motion_statistics.STATISTICS`; those of a missing
            gyroscope are 0, as are all of a sample without rows.
        orientation_BO: Absolute direction of gravity in the sensor's axes; 0 if unknown.
        has_gyro_B: bool, whether all axes of a gyroscope hold values.
        has_gravity_B: bool, whether the acceleration contains gravity.
        has_orientation_B: bool, whether it does and all its three axes hold values.
        placements: Where the sensor is worn, in words; empty if unknown.
    """

    signals_BCT: Tensor
    imu_BCT: Tensor
    mask_BT: Tensor
    statistics_BS: Tensor
    orientation_BO: Tensor
    has_gyro_B: Tensor
    has_gravity_B: Tensor
    has_orientation_B: Tensor
    placements: tuple[str, ...]

    @property
    def flags(self) -> Tensor:
        """has_gyro, has_gravity and has_orientation as numbers [B, 3]."""
        flags = (self.has_gyro_B, self.has_gravity_B, self.has_orientation_B)
        return torch.stack(flags, dim=1).to(self.statistics_BS)


def hide_orientation(inputs: MotionInputs, is_hidden_B: Tensor) -> MotionInputs:
    """Return inputs of which some samples do not say how the sensor is turned.

    Args:
        inputs: What `motion_inputs` returned.
        is_hidden_B: bool, which samples.
    """
    return replace(
        inputs,
        orientation_BO=inputs.orientation_BO.masked_fill(is_hidden_B[:, None], 0.0),
        has_orientation_B=inputs.has_orientation_B & ~is_hidden_B,
    )


def only_motion_stream(batch: Batch, wanted: str) -> tuple[str, StreamBatch]:
    """Return name and values of a motion stream.

    Args:
        batch: Samples.
        wanted: Name; empty = the only motion stream of the batch.

    Raises:
        DataError: The stream is missing or ambiguous.
    """
    motion = [name for name, stream in batch.streams.items() if stream.channels]
    if (wanted and wanted not in motion) or not motion:
        raise DataError(
            f"The batch has no motion stream {wanted or 'at all'}.",
            f"Set stream to one of: {', '.join(motion) or '(none)'}.",
        )
    if not wanted and len(motion) > 1:
        raise DataError(
            f"The batch has {len(motion)} motion streams and the settings name none.",
            f"Set stream to one of: {', '.join(sorted(motion))}.",
        )
    name = wanted or motion[0]
    return name, batch.streams[name]


def measure_scaling(
    statistics_NS: Tensor, needs_gyro_S: Tensor, has_gyro_N: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Return mean [S] and scale [S] of statistics, float64.

    Args:
        statistics_NS: Raw statistics of training windows.
        needs_gyro_S: bool, which of them describe a gyroscope.
        has_gyro_N: bool, whether a window has one, without which such statistics do not count;
            None = all have one.

    Raises:
        DataError: There is no window.
    """
    if not len(statistics_NS):
        raise DataError("There is no window to scale by.", "Give training windows.")
    x = statistics_NS.double()
    counts = torch.ones_like(x)
    if has_gyro_N is not None:
        counts = torch.where(needs_gyro_S.to(x.device) & ~has_gyro_N[:, None], 0.0, counts)
    number = counts.sum(0).clamp(min=1)
    mean = (x * counts).sum(0) / number
    deviation = (((x - mean) * counts).square().sum(0) / number).sqrt()
    return mean, torch.where(counts.sum(0) > 0, deviation, 1.0) + _MIN_SCALE


def motion_inputs(
    stream: StreamBatch, rate_hz: float, min_gravity_g: float, name: str
) -> MotionInputs:
    """Choose a sensor, resample and describe the windows of a batch.

    Of several sensors of a sample it takes the first whole accelerometer and the gyroscope worn
    at the same place. Missing rows between real ones are bridged linearly, a missing axis is 0,
    a gyroscope that lacks an axis, or holds nothing but zeros, counts as none. Samples of equal rate and number of rows are
    handled together; no sample changes the result of another.

    Args:
        stream: Signals [B, T, C] of any rates, in m/s^2 and rad/s.
        rate_hz: Common rate in Hz.
        min_gravity_g: Shortest mean acceleration in g that counts as gravity where the stream does
            not say that it was removed (a mean that is shorter is one of a fall).
        name: Name of the stream, for messages.

    Raises:
        DataError: A sample has channels but no accelerometer.
    """
    with torch.autocast(stream.values.device.type, enabled=False):
        values_BT6, is_known_B6, placements = _select(stream, name)
        is_known_B6 = is_known_B6 & stream.mask_BT.any(1, keepdim=True)
        is_known_B6[:, 3:] &= _turns(values_BT6)[:, None]
        has_gyro_B = is_known_B6[:, 3:].all(1)
        gravity_B = stream.gravity_B
        is_removed_B = None if gravity_B is None else gravity_B == GRAVITY_REMOVED
        order, parts = [], []
        for rows, own_rate_hz, imu in _groups(values_BT6, stream):
            imu = _at_rate(imu, own_rate_hz, rate_hz)
            views = motion_views(
                imu,
                has_gyro_B=has_gyro_B[rows],
                is_removed_B=None if is_removed_B is None else is_removed_B[rows],
                min_gravity_g=min_gravity_g,
            )
            parts.append((views, motion_statistics(views, rate_hz)[0], imu.transpose(1, 2)))
            order.append(rows)
        return _joined(order, parts, is_known_B6, placements)


def _turns(values_BT6: Tensor) -> Tensor:
    """Whether the gyroscope holds anything but zeros [B]; real ones show noise, files of none zeros."""
    return (values_BT6[:, :, 3:].nan_to_num() != 0).any(2).any(1)


def _joined(
    order: Sequence[Tensor],
    parts: Sequence[tuple[MotionViews, Tensor, Tensor]],
    is_known_B6: Tensor,
    placements: tuple[str, ...],
) -> MotionInputs:
    """Put the samples of all groups back in their order, padded to one length."""
    back = torch.cat(list(order)).argsort()
    longest = max(imu.shape[2] for *_, imu in parts)
    signals, imus, masks = [], [], []
    for views, _, imu_GCT in parts:
        channels_GCT = views.channels
        lacks = longest - channels_GCT.shape[2]
        signals.append(pad(channels_GCT, (0, lacks)))
        imus.append(pad(imu_GCT, (0, lacks)))
        masks.append(pad(torch.ones_like(channels_GCT[:, 0], dtype=torch.bool), (0, lacks)))
    is_there_B = is_known_B6.any(1)

    def together(tensors: Sequence[Tensor]) -> Tensor:
        joined = torch.cat(list(tensors))[back]
        is_there = is_there_B.reshape(-1, *[1] * (joined.ndim - 1))
        return torch.where(is_there, joined, torch.zeros_like(joined))

    has_gravity_B = together([views.has_gravity_B for views, *_ in parts])
    has_orientation_B = has_gravity_B & is_known_B6[:, :3].all(1)
    orientation_BO = together([views.orientation_B3 for views, *_ in parts])
    return MotionInputs(
        signals_BCT=together(signals),
        imu_BCT=together(imus),
        mask_BT=together(masks),
        statistics_BS=together([statistics for _, statistics, _ in parts]),
        orientation_BO=torch.where(has_orientation_B[:, None], orientation_BO, 0.0),
        has_gyro_B=is_known_B6[:, 3:].all(1),
        has_gravity_B=has_gravity_B,
        has_orientation_B=has_orientation_B,
        placements=placements,
    )


def _groups(values_BT6: Tensor, stream: StreamBatch) -> Iterator[tuple[Tensor, float, Tensor]]:
    """Yield rows, rate and windows [G, T, 6] of samples with equal rate and real span."""
    mask_BT = stream.mask_BT
    rows_T = torch.arange(mask_BT.shape[1], device=mask_BT.device)
    end_B = torch.where(mask_BT, rows_T + 1, 0).amax(1)
    start_B = torch.where(mask_BT, rows_T, mask_BT.shape[1]).amin(1)
    start_B = torch.minimum(start_B, end_B)
    length_B = (end_B - start_B).clamp(min=1)  # a sample without rows is one row of zeros
    keys = torch.stack([stream.rate_hz_B.double(), length_B.double()], dim=1)
    keys, inverse_B = keys.unique(dim=0, return_inverse=True)
    for index, (rate_hz, length) in enumerate(keys.tolist()):
        members = (inverse_B == index).nonzero()[:, 0]
        for rows in members.split(_WINDOWS_PER_CHUNK):
            if len(rows) == len(values_BT6) and int(length) == values_BT6.shape[1]:
                yield rows, rate_hz, values_BT6
                continue
            taken_GT = start_B[rows, None] + rows_T[: int(length)]
            yield rows, rate_hz, values_BT6[rows[:, None], taken_GT]


def _at_rate(imu_GT6: Tensor, own_rate_hz: float, rate_hz: float) -> Tensor:
    """Windows at the common rate without gaps, at least `MIN_ROWS` long (the last row holds)."""
    filled, _ = fill_missing(resample(imu_GT6, own_rate_hz, rate_hz))
    lacks = MIN_ROWS - filled.shape[1]
    if lacks <= 0:
        return filled
    return torch.cat([filled, filled[:, -1:].expand(-1, lacks, -1)], dim=1)


def _select(stream: StreamBatch, name: str) -> tuple[Tensor, Tensor, tuple[str, ...]]:
    """One sensor's axes [B, T, 6] (NaN = missing row, 0 = missing axis), which are known, where."""
    if stream.values.ndim != 3:
        raise DataError(
            f'Stream "{name}" has shape {tuple(stream.values.shape)}.',
            "Choose a motion stream [batch, time, channels].",
        )
    known: dict[tuple[Channel, ...], tuple[list[int], str]] = {}
    for channels in stream.channels:
        if channels not in known:
            known[channels] = _resolve(channels, name)
    device = stream.values.device
    wanted_B6 = torch.tensor([known[c][0] for c in stream.channels], device=device)
    columns_B6 = stream.channel_columns().gather(1, wanted_B6.clamp(min=0))
    is_known_B6 = wanted_B6 >= 0
    if stream.channel_mask_BC is not None:
        is_known_B6 = is_known_B6 & stream.channel_mask_BC.gather(1, columns_B6)
    index = columns_B6[:, None].expand(-1, stream.values.shape[1], -1)
    values = stream.values.float().gather(2, index)
    is_real = torch.isfinite(values) & stream.mask_BT[:, :, None]
    is_known_B6 = is_known_B6 & is_real.any(1)
    values = torch.where(is_real, values, torch.nan)
    values = torch.where(is_known_B6[:, None], values, 0.0)
    return values, is_known_B6, tuple(known[c][1] for c in stream.channels)


def _resolve(channels: Sequence[Channel], name: str) -> tuple[list[int], str]:
    """Columns of accelerometer and gyroscope (x, y, z; -1 = none), and where they are worn."""
    if not channels:
        return [-1] * 6, ""
    columns: dict[str, dict[str, int]] = {}
    first: dict[str, Channel] = {}
    for column, channel in enumerate(channels):
        if channel.sensor in ("acc", "gyro") and channel.axis in _AXES:
            columns.setdefault(channel.triad, {})[channel.axis] = column
            first.setdefault(channel.triad, channel)
    found = [triad for triad in columns if first[triad].sensor == "acc"]
    if not found:
        raise DataError(
            f'Stream "{name}" has no accelerometer among the channels '
            f"{', '.join(c.name for c in channels)}.",
            "Choose a stream or a sensor with acceleration.",
        )
    acc = next((triad for triad in found if len(columns[triad]) == 3), found[0])
    gyro = _partner(first[acc], [c for c in first.values() if c.sensor == "gyro"])
    axes = columns[acc], columns.get(gyro, {})
    return [own.get(axis, -1) for own in axes for axis in _AXES], first[acc].placement


def _partner(acc: Channel, gyros: Sequence[Channel]) -> str:
    """Triad of the gyroscope worn with an accelerometer: by its name, else its placement."""
    here = [g for g in gyros if g.placement == acc.placement]
    site = wearing_site(acc.triad)
    by_name = [g for g in here if wearing_site(g.triad) == site]
    chosen = by_name or (here if acc.placement else [])
    return chosen[0].triad if chosen else ""
