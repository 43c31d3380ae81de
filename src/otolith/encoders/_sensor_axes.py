"""Which columns of a motion stream are the axes of the wanted three-axis sensors."""

# B batch, T time, S selected columns (three per triad)

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from otolith.core.errors import DataError
from otolith.recordings.recording import Channel
from otolith.windows.batch import StreamBatch

AXES = ("x", "y", "z")


def select_axes(
    name: str, stream: StreamBatch, triads: Sequence[str], *, needs_whole: bool
) -> tuple[Tensor, Tensor]:
    """Return the axes of some triads of every sample, in the order x, y, z of each triad.

    Args:
        name: Name of the stream, for messages.
        stream: Signals [B, T, C] with channels.
        triads: A triad's name (`wrist_acc`), or a kind of sensor (`acc`, `gyro`, `mag`), which
            means the only triad of that kind.
        needs_whole: Whether a triad that lacks an axis counts as absent altogether.

    Returns:
        Values [B, T, S]; those of axes that a sample lacks mean nothing. And which axes a sample
        has, bool [B, S].

    Raises:
        DataError: A sample names none of the triads, or a kind of sensor has several triads.
    """
    device = stream.values.device
    known: dict[tuple[Channel, ...], list[int]] = {}
    for channels in stream.channels:
        if channels not in known:
            known[channels] = _columns(name, channels, triads, needs_whole)
    wanted_BS = torch.tensor([known[c] for c in stream.channels], device=device)
    has_BS = wanted_BS >= 0
    columns_BS = stream.channel_columns().gather(1, wanted_BS.clamp(min=0))
    if stream.channel_mask_BC is not None:
        has_BS = has_BS & stream.channel_mask_BC.gather(1, columns_BS)
    index = columns_BS[:, None].expand(-1, stream.values.shape[1], -1)
    return stream.values.gather(2, index), has_BS


def _columns(
    stream: str, channels: Sequence[Channel], wanted: Sequence[str], needs_whole: bool
) -> list[int]:
    """Column of every axis of the wanted triads; -1 where there is none."""
    triads: dict[str, dict[str, int]] = {}
    sensors: dict[str, list[str]] = {}
    for column, channel in enumerate(channels):
        if channel.axis in AXES:
            triads.setdefault(channel.triad, {})[channel.axis] = column
            names = sensors.setdefault(channel.sensor, [])
            if channel.triad not in names:
                names.append(channel.triad)
    columns = []
    for name in wanted:
        same = [name] if name in triads else sensors.get(name, [])
        if len(same) > 1:
            raise DataError(
                f'Stream "{stream}" has {len(same)} triads of kind "{name}".',
                f"Name those to describe, for example triads=[{', '.join(same)}].",
            )
        axes = triads[same[0]] if same else {}
        is_used = not needs_whole or set(axes) == set(AXES)
        columns += [axes.get(axis, -1) if is_used else -1 for axis in AXES]
    if channels and max(columns) < 0:
        raise DataError(
            f'Stream "{stream}" has none of the triads {", ".join(wanted)}.',
            f"Set triads to some of: {', '.join(sorted(triads)) or '(none)'}.",
        )
    return columns
