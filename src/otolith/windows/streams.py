"""Streams of one part as arrays: on which clock their rows lie, and what their channels are."""

# V streams (rows of streams.parquet)

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from otolith.core.errors import DataError
from otolith.recordings.recording import Channel, FeatureStream, ImuStream, Stream, VideoStream
from otolith.windows.batch import GRAVITY_CODES, GRAVITY_UNKNOWN
from otolith.windows.columns import codes, compute, number_column, text_column
from otolith.windows.sources import Part
from otolith.windows.spec import WindowSpec

IMU, FEATURES, VIDEO = 0, 1, 2
_KINDS: tuple[type[Stream], ...] = (ImuStream, FeatureStream, VideoStream)


@dataclass(frozen=True, kw_only=True)
class Layout:
    """What streams with the same columns share.

    Args:
        kind: `IMU`, `FEATURES` or `VIDEO`.
        channels: Channels that are kept; empty if the stream has none.
        columns: Columns to read; None = all of them.
        width: Number of values per row after the choice of columns.
        lead_s: Time from the start of a row to the moment it stands for, in s.
    """

    kind: int
    channels: tuple[Channel, ...]
    columns: np.ndarray | None
    width: int
    lead_s: float


@dataclass(frozen=True, kw_only=True)
class StreamInfo:
    """Streams of one data folder, one entry per row of its `streams` table.

    Args:
        recording_V: Number of the recording within the part; -1 = not in the part.
        name_V: Name of the stream.
        layout_V: Number of the layout; -1 = not in the part.
        kind_V: `IMU`, `FEATURES` or `VIDEO`; -1 = not in the part.
        lead_s_V: Time from the start of a row to the moment it stands for, in s.
        layouts: The layouts.
        num_rows_V: Rows; for video the frames at the chosen frame rate.
        offset_s_V: Time of row 0 on the recording's clock in s.
        rate_hz_V: Nominal rows per second.
        clock_hz_V: Rows per second of the recording's clock (corrected for drift).
        end_s_V: Time at which the stream ends on the recording's clock in s.
        is_gappy_V: Whether values are missing.
        gravity_V: Whether acceleration contains gravity, int8; see `StreamBatch.gravity_B`.
    """

    recording_V: np.ndarray
    name_V: np.ndarray
    layout_V: np.ndarray
    kind_V: np.ndarray
    lead_s_V: np.ndarray
    layouts: tuple[Layout, ...]
    num_rows_V: np.ndarray
    offset_s_V: np.ndarray
    rate_hz_V: np.ndarray
    clock_hz_V: np.ndarray
    end_s_V: np.ndarray
    is_gappy_V: np.ndarray
    gravity_V: np.ndarray


def read_streams(part: Part, spec: WindowSpec) -> StreamInfo:
    """Read what cutting needs to know about the streams of a part.

    Args:
        part: The part; only its recordings are looked at.
        spec: Decides which channels are kept and how often video is looked at.

    Raises:
        DataError: A stream has no channel that fits `spec.channels`.
    """
    table = part.folder.streams
    recording_V = codes(table["recording_id"], part.recording_ids)
    inside_V = recording_V >= 0
    layout_V, layouts = _layouts(part, table, inside_V, spec)
    kinds = np.asarray([*(layout.kind for layout in layouts), -1])[layout_V]
    rates = np.where(kinds == VIDEO, spec.video_fps, number_column(table, "rate_hz", 1.0))
    drift_V = 1.0 + number_column(table, "drift_ppm", 0.0) * 1e-6
    offset_V = number_column(table, "offset_s", 0.0)
    num_rows_V = number_column(table, "num_rows", 0.0).astype(np.int64)
    duration_V = num_rows_V / rates * drift_V
    leads = np.asarray([*(layout.lead_s for layout in layouts), 0.0])[layout_V]
    features = (kinds == FEATURES) & (num_rows_V > 0)
    duration_V[features] += ((2.0 * leads - 1.0 / rates) * drift_V)[features]
    for row in np.flatnonzero(kinds == VIDEO):
        video = _stream(part, table, int(row))
        duration_V[row] = video.duration_s
        num_rows_V[row] = int(video.duration_s / drift_V[row] * spec.video_fps + 1e-6)
    quality = table["quality"].cast(pa.string())
    is_whole = compute.match_substring_regex(quality, r'"valid_fraction":\s*1(\.0*)?\s*[,}]')
    return StreamInfo(
        recording_V=recording_V,
        name_V=text_column(table, "stream"),
        layout_V=layout_V,
        kind_V=kinds,
        lead_s_V=leads,
        layouts=layouts,
        num_rows_V=num_rows_V,
        offset_s_V=offset_V,
        rate_hz_V=rates,
        clock_hz_V=rates / drift_V,
        end_s_V=offset_V + duration_V,
        gravity_V=_gravity(table),
        is_gappy_V=~compute.fill_null(is_whole, True).to_numpy(zero_copy_only=False).astype(bool),
    )


def _gravity(table: pa.Table) -> np.ndarray:
    words = text_column(table, "gravity")
    found = [GRAVITY_CODES.get(word, GRAVITY_UNKNOWN) for word in words.tolist()]
    return np.asarray(found, np.int8)


def _layouts(
    part: Part, table: pa.Table, inside_V: np.ndarray, spec: WindowSpec
) -> tuple[np.ndarray, tuple[Layout, ...]]:
    """Number the distinct (kind, width, channels, extra), read each from one example."""
    columns = [table[name].cast(pa.string()) for name in ("kind", "width", "channels", "extra")]
    joined = compute.binary_join_element_wise(
        *columns, "\n", null_handling="replace", null_replacement=""
    ).combine_chunks()
    is_video = compute.equal(columns[0].combine_chunks(), "video")
    # A video's extra facts (its file) differ in every recording and do not matter here.
    joined = compute.if_else(is_video, "video", joined).dictionary_encode()
    number_V = joined.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    layout_V = np.full(len(number_V), -1, np.int64)
    used, first, inverse = np.unique(number_V[inside_V], return_index=True, return_inverse=True)
    layout_V[inside_V] = inverse
    examples = np.flatnonzero(inside_V)[first]
    layouts = [_layout(_stream(part, table, int(row)), part.name, spec) for row in examples]
    return layout_V, tuple(layouts) if len(used) else ()


def _stream(part: Part, table: pa.Table, row: int) -> Stream:
    recording = part.folder.recording(table["recording_id"][row].as_py())
    return recording.streams[table["stream"][row].as_py()]


def _layout(stream: Stream, dataset: str, spec: WindowSpec) -> Layout:
    kind = next(i for i, cls in enumerate(_KINDS) if isinstance(stream, cls))
    if isinstance(stream, ImuStream):
        channels, columns = _chosen(stream, dataset, spec.channels)
        return Layout(
            kind=kind,
            channels=channels,
            columns=columns,
            width=len(channels),
            lead_s=0.0,
        )
    if isinstance(stream, FeatureStream):
        return Layout(
            kind=kind,
            channels=(),
            columns=None,
            width=stream.values_ND.shape[1],
            lead_s=stream.window_s / 2,
        )
    fps = spec.video_fps
    return Layout(kind=kind, channels=(), columns=None, width=3, lead_s=0.5 / fps)


def _chosen(
    stream: ImuStream, dataset: str, patterns: Sequence[str]
) -> tuple[tuple[Channel, ...], np.ndarray | None]:
    """Channels whose name fits a pattern, and their columns."""
    if not patterns:
        return stream.channels, None
    keep = [
        i
        for i, channel in enumerate(stream.channels)
        if any(fnmatch.fnmatchcase(channel.name, p) for p in patterns)
    ]
    if not keep:
        raise DataError(
            f'No channel of stream "{stream.name}" of {dataset} fits {", ".join(patterns)}.',
            f"Its channels are {', '.join(c.name for c in stream.channels)}.",
        )
    return tuple(stream.channels[i] for i in keep), np.asarray(keep)
