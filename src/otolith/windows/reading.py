"""Read the rows of a batch of windows into padded arrays."""

# B batch, T time, C channels, V streams (of all parts)

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from otolith.recordings.recording import Channel, VideoStream
from otolith.windows.batch import GRAVITY_UNKNOWN, StreamBatch
from otolith.windows.sources import Folder, Part
from otolith.windows.spec import WindowSpec
from otolith.windows.streams import IMU, VIDEO, Layout, StreamInfo

_VIDEOS_KEPT = 64


class StreamReader:
    """Reads one stream of every sample of a batch; streams of all parts have one numbering.

    Args:
        parts: The parts.
        infos: Their streams, in the same order.
        spec: Says how frames are scaled.
    """

    def __init__(
        self, parts: Sequence[Part], infos: Sequence[StreamInfo], spec: WindowSpec
    ) -> None:
        self._folders: tuple[Folder, ...] = tuple(part.folder for part in parts)
        self._size_px = spec.video_size_px
        self._base_P = np.cumsum([0, *(len(i.layout_V) for i in infos)])
        first_layout = np.cumsum([0, *(len(i.layouts) for i in infos)])
        self._layouts: tuple[Layout, ...] = tuple(x for info in infos for x in info.layouts)
        self._layout_V = np.concatenate(
            [
                np.where(i.layout_V < 0, -1, i.layout_V + f)
                for i, f in zip(infos, first_layout, strict=False)
            ]
        )
        self._offset_s_V = np.concatenate([i.offset_s_V for i in infos])
        self._clock_hz_V = np.concatenate([i.clock_hz_V for i in infos])
        self._rate_hz_V = np.concatenate([i.rate_hz_V for i in infos])
        self._gravity_V = np.concatenate([i.gravity_V for i in infos])
        self._videos: OrderedDict[int, VideoStream] = OrderedDict()

    def looks(
        self, part_N: np.ndarray, stream_row_N: np.ndarray
    ) -> tuple[tuple[Layout, ...], float]:
        """Return the distinct layouts of windows [N] of one stream, and its most common rate.

        Args:
            part_N: Part of each window.
            stream_row_N: Row in the part's `streams` table; -1 = absent.
        """
        at = (self._base_P[part_N] + stream_row_N)[stream_row_N >= 0]
        layouts = tuple(self._layouts[i] for i in np.unique(self._layout_V[at]))
        rates, counts = np.unique(self._rate_hz_V[at], return_counts=True)
        return layouts, float(rates[counts.argmax()]) if len(rates) else 1.0

    def read(
        self,
        part_B: np.ndarray,
        stream_row_B: np.ndarray,
        start_row_B: np.ndarray,
        num_rows_B: np.ndarray,
        window_start_s_B: np.ndarray,
        usual: Layout,
        usual_hz: float,
    ) -> StreamBatch:
        """Read one stream of a batch of windows.

        Args:
            part_B: Part of each window.
            stream_row_B: Row in the part's `streams` table; -1 = absent.
            start_row_B: First row.
            num_rows_B: Number of rows; 0 where absent.
            window_start_s_B: Start of the window, for windows without the stream.
            usual: Width and kind where the stream is absent.
            usual_hz: Rate where the stream is absent.
        """
        is_there = stream_row_B >= 0
        at_B = np.where(is_there, self._base_P[part_B] + stream_row_B, -1)
        layouts = [self._layouts[i] if there else None for i, there in self._layout_pairs(at_B)]
        time = int(max(num_rows_B.max(initial=0), 1))
        width_B = np.asarray([x.width if x else 0 for x in layouts])
        shape = (len(at_B), time, int(width_B.max(initial=0)) or usual.width)
        first_s_B = self._offset_s_V[at_B] + start_row_B / self._clock_hz_V[at_B]
        mask_BT = np.arange(time) < num_rows_B[:, None]
        if usual.kind == VIDEO:
            first_s_B = first_s_B + usual.lead_s
            values = self._frames(part_B, stream_row_B, first_s_B, num_rows_B, at_B, time)
        else:
            values = self._rows(part_B, stream_row_B, start_row_B, num_rows_B, layouts, shape)
        channels: tuple[tuple[Channel, ...], ...] = ()
        channel_mask = gravity = None
        if usual.kind == IMU:
            channels = tuple(x.channels if x else () for x in layouts)
            channel_mask_BC = np.arange(shape[2]) < width_B[:, None]
            _fill_missing(values, mask_BT, channel_mask_BC)
            channel_mask = torch.from_numpy(channel_mask_BC)
            found_B = np.where(is_there, self._gravity_V[at_B], GRAVITY_UNKNOWN)
            gravity = torch.from_numpy(found_B.astype(np.int8))
        return StreamBatch(
            values=torch.from_numpy(values),
            mask_BT=torch.from_numpy(mask_BT),
            rate_hz_B=_float64(np.where(is_there, self._rate_hz_V[at_B], usual_hz)),
            start_s_B=_float64(np.where(is_there, first_s_B, window_start_s_B)),
            channel_mask_BC=channel_mask,
            channels=channels,
            gravity_B=gravity,
        )

    def _layout_pairs(self, at_B: np.ndarray) -> list[tuple[int, bool]]:
        return list(zip(self._layout_V[at_B].tolist(), (at_B >= 0).tolist(), strict=True))

    def _rows(
        self,
        part_B: np.ndarray,
        stream_row_B: np.ndarray,
        start_row_B: np.ndarray,
        num_rows_B: np.ndarray,
        layouts: Sequence[Layout | None],
        shape: tuple[int, int, int],
    ) -> np.ndarray:
        # One memcpy per window; a gather over all windows of a shard was not faster (measured).
        values = np.zeros(shape, np.float32)
        places = zip(
            part_B.tolist(),
            stream_row_B.tolist(),
            start_row_B.tolist(),
            num_rows_B.tolist(),
            layouts,
            values,
            strict=True,
        )
        for part, row, start, count, layout, target in places:
            if layout is None:
                continue
            rows = self._folders[part].rows(row, start, start + count)
            if layout.columns is not None:
                rows = rows[:, layout.columns]
            target[:count, : layout.width] = rows
        return values

    def _frames(
        self,
        part_B: np.ndarray,
        stream_row_B: np.ndarray,
        first_s_B: np.ndarray,
        num_rows_B: np.ndarray,
        at_B: np.ndarray,
        time: int,
    ) -> np.ndarray:
        """Decode the frames [B, T, H, W, 3] at the middles of the rows."""
        from otolith.recordings.video import read_frames

        values = np.zeros((len(part_B), time, *self._size_px, 3), np.uint8)
        for i, count in enumerate(num_rows_B.tolist()):
            if count:
                stream = self._video(int(part_B[i]), int(stream_row_B[i]))
                times_s = first_s_B[i] + np.arange(count) / self._clock_hz_V[at_B[i]]
                values[i, :count] = read_frames(stream, times_s, size=self._size_px)
        return values

    def _video(self, part: int, row: int) -> VideoStream:
        """The video of a stream row; the last ones used are kept."""
        key = int(self._base_P[part]) + row
        if key not in self._videos:
            table = self._folders[part].streams
            recording = self._folders[part].recording(table["recording_id"][row].as_py())
            stream = recording.streams[table["stream"][row].as_py()]
            assert isinstance(stream, VideoStream)  # noqa: S101  # the layout says so
            self._videos[key] = stream
            if len(self._videos) > _VIDEOS_KEPT:
                self._videos.popitem(last=False)
        self._videos.move_to_end(key)
        return self._videos[key]


def _float64(values: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, np.float64))


def _fill_missing(values_BTC: np.ndarray, mask_BT: np.ndarray, channel_mask_BC: np.ndarray) -> None:
    """Deal with missing values (NaN) in place.

    Time steps without any value are masked; a channel without any value is masked; a single
    missing value repeats the last measured one of its channel, or at the start the next one.
    """
    if not np.isnan(values_BTC.sum()):
        return
    is_real = mask_BT[:, :, None] & channel_mask_BC[:, None, :]
    is_known = is_real & ~np.isnan(values_BTC)
    mask_BT &= is_known.any(2)
    channel_mask_BC &= is_known.any(1)
    time = np.arange(values_BTC.shape[1])[None, :, None]
    last = np.maximum.accumulate(np.where(is_known, time, -1), axis=1)
    later = np.where(is_known, time, values_BTC.shape[1])
    following = np.minimum.accumulate(later[:, ::-1], axis=1)[:, ::-1]
    source = np.clip(np.where(last >= 0, last, following), 0, values_BTC.shape[1] - 1)
    filled = np.take_along_axis(values_BTC, source, axis=1)
    keep = mask_BT[:, :, None] & channel_mask_BC[:, None, :]
    values_BTC[...] = np.where(keep, filled, 0.0)
