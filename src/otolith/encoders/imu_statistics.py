"""Statistics of motion windows as features (nothing to train): the line to beat first.

See `otolith.signals.statistics` for the definitions. The layout of the features is fixed by the
settings alone, so that recordings with and without a gyroscope can be mixed: what a sample
does not have is 0, and a flag per triad says whether it was there.
"""

# B batch, T time, C channels, S selected columns, F features

from __future__ import annotations

import torch
from torch import Tensor, nn

from otolith.core.config import config
from otolith.core.errors import DataError
from otolith.encoders import Grid, Tokens
from otolith.encoders._sensor_axes import AXES, select_axes
from otolith.signals.statistics import BANDS_HZ, Frame, window_statistics
from otolith.windows.batch import Batch, StreamBatch


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
        self._columns = tuple(f"{triad}_{axis}" for triad in config.triads for axis in AXES)
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
        values, has_BS = select_axes(name, stream, self.config.triads, needs_whole=True)
        values = torch.where(has_BS[:, None], values, torch.nan)
        real_BTK = torch.isfinite(values).unflatten(2, (-1, 3)).all(-1) & stream.mask_BT[..., None]
        return values, real_BTK.any(dim=1).float()
