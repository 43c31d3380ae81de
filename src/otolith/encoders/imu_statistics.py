"""Statistics of motion windows as features (nothing to train): the line to beat first.

See `otolith.signals.statistics` for the definitions. The layout of the features is fixed by the
settings alone, so that recordings with and without a gyroscope can be mixed: what a sample
does not have is 0, and a flag per triad says whether it was there.
"""

# B batch, T time, C channels, S selected columns, F features

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from otolith.core.config import config
from otolith.core.errors import DataError
from otolith.encoders import Grid, Tokens
from otolith.recordings.recording import Channel
from otolith.signals.statistics import BANDS_HZ, Frame, window_statistics
from otolith.windows.batch import Batch, StreamBatch

_AXES = ("x", "y", "z")


@config
class Config:
    """Settings.

    Args:
        frame: Sensor axes (`device`), parts along and across gravity (`gravity`), or `both`.
        triads: Three-axis sensors to describe, in order: a triad's name (`wrist_acc`), or a kind
            of sensor (`acc`, `gyro`, `mag`), which means the only triad of that kind.
        streams: Motion streams, in order; empty = the only one of the batch.
        bands_hz: Ascending edges of the frequency bands in Hz.
    """

    frame: Frame = "both"
    triads: tuple[str, ...] = ("acc", "gyro")
    streams: tuple[str, ...] = ()
    bands_hz: tuple[float, ...] = BANDS_HZ


class Encoder(nn.Module):
    """Turn the motion streams of a batch into one token of statistics per sample.

    Input: streams with channels, values [B, T, C] in m/s^2 and rad/s. Output: `Tokens` with one
    token, `pooled_BD` [B, F] float32, finite. Gradients flow to the values.

    Args:
        config: Settings.

    Attributes:
        names: Name of every feature: `triad/series/statistic` and `triad/present`, behind
            `stream:` where several streams are set.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        if not config.triads or len(set(config.triads)) != len(config.triads):
            raise DataError(
                f"Triads {list(config.triads)} are empty or named twice.", "Name each once."
            )
        self.config = config
        self._columns = tuple(f"{triad}_{axis}" for triad in config.triads for axis in _AXES)
        nothing = torch.zeros(0, 1, len(self._columns))
        _, found = window_statistics(
            nothing, None, 1.0, self._columns, config.frame, bands_hz=config.bands_hz
        )
        one = (*found, *(f"{triad}/present" for triad in config.triads))
        several = len(config.streams) > 1
        self.names: tuple[str, ...] = (
            tuple(f"{stream}:{name}" for stream in config.streams for name in one)
            if several
            else one
        )

    @property
    def width(self) -> int:
        """Number of features."""
        return len(self.names)

    def forward(self, batch: Batch) -> Tokens:
        """Compute the features of a batch.

        Raises:
            DataError: A stream or all triads are missing, or a triad is ambiguous.
        """
        parts = [self._describe(name, batch.streams[name]) for name in self._streams(batch)]
        pooled = torch.cat(parts, dim=1)
        return Tokens(
            features_BND=pooled[:, None],
            mask_BN=pooled.new_ones(len(pooled), 1, dtype=torch.bool),
            grid=Grid(axes=("window",), sizes=(1,)),
            pooled_BD=pooled,
        )

    def _streams(self, batch: Batch) -> tuple[str, ...]:
        motion = [name for name, stream in batch.streams.items() if stream.channels]
        missing = [name for name in self.config.streams if name not in motion]
        if missing or not motion:
            raise DataError(
                f"The batch has no motion stream {', '.join(missing) or 'at all'}.",
                f"Set streams to some of: {', '.join(motion) or '(none)'}.",
            )
        if not self.config.streams and len(motion) > 1:
            raise DataError(
                f"The batch has {len(motion)} motion streams and the settings name none.",
                f"Set streams to one or more of: {', '.join(sorted(motion))}.",
            )
        return self.config.streams or tuple(motion)

    def _describe(self, name: str, stream: StreamBatch) -> Tensor:
        """Features and presence flags [B, F] of one stream."""
        values, present = self._select(name, stream)
        features, _ = window_statistics(
            values,
            stream.mask_BT,
            stream.rate_hz_B,
            self._columns,
            self.config.frame,
            bands_hz=self.config.bands_hz,
        )
        return torch.cat([torch.nan_to_num(features.float()), present], dim=1)

    def _select(self, name: str, stream: StreamBatch) -> tuple[Tensor, Tensor]:
        """Columns of the triads [B, T, S], NaN where a sample lacks one, and presence flags."""
        device = stream.values.device
        known: dict[tuple[Channel, ...], list[int]] = {}
        for channels in stream.channels:
            if channels not in known:
                known[channels] = self._resolve(name, channels)
        wanted_BS = torch.tensor([known[c] for c in stream.channels], device=device)
        is_missing_BS = wanted_BS < 0
        columns_BS = stream.channel_columns().gather(1, wanted_BS.clamp(min=0))
        if stream.channel_mask_BC is not None:
            is_missing_BS = is_missing_BS | ~stream.channel_mask_BC.gather(1, columns_BS)
        index = columns_BS[:, None].expand(-1, stream.values.shape[1], -1)
        values = stream.values.gather(2, index)
        values = torch.where(is_missing_BS[:, None], torch.nan, values)
        real_BTK = torch.isfinite(values).unflatten(2, (-1, 3)).all(-1) & stream.mask_BT[..., None]
        return values, real_BTK.any(dim=1).float()

    def _resolve(self, stream: str, channels: Sequence[Channel]) -> list[int]:
        """Column of every axis of the set triads; -1 where there is none."""
        triads: dict[str, dict[str, int]] = {}
        sensors: dict[str, list[str]] = {}
        for column, channel in enumerate(channels):
            if channel.axis in _AXES:
                triads.setdefault(channel.triad, {})[channel.axis] = column
                names = sensors.setdefault(channel.sensor, [])
                if channel.triad not in names:
                    names.append(channel.triad)
        columns = []
        for wanted in self.config.triads:
            same = [wanted] if wanted in triads else sensors.get(wanted, [])
            if len(same) > 1:
                raise DataError(
                    f'Stream "{stream}" has {len(same)} triads of kind "{wanted}".',
                    f"Name those to describe, for example triads=[{', '.join(same)}].",
                )
            axes = triads[same[0]] if same else {}
            whole = set(axes) == set(_AXES)
            columns += [axes[axis] if whole else -1 for axis in _AXES]
        if channels and max(columns) < 0:
            raise DataError(
                f'Stream "{stream}" has none of the triads {", ".join(self.config.triads)}.',
                f"Set triads to some of: {', '.join(sorted(triads)) or '(none)'}.",
            )
        return columns
