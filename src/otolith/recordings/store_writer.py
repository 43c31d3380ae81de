"""Writes recordings into an (unfinished) data folder: shards, tables, `dataset.json`."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from otolith.core.config import to_plain
from otolith.core.errors import DataError
from otolith.core.files import sha256_file, sync, write_json, write_manifest
from otolith.recordings import store_tables as tables
from otolith.recordings.recording import (
    FeatureStream,
    ImuStream,
    Recording,
    Stream,
    VideoStream,
)
from otolith.recordings.shards import Place, ShardWriter


class FolderWriter:
    """Appends recordings to a new folder; `finish` makes it complete.

    Args:
        folder: Empty folder.
        shard_bytes: Size above which a new shard is begun.
        copy_video: Whether video files are copied into the folder.
        hash_video: Whether the sha256 of video files is recorded.
    """

    def __init__(
        self, folder: Path, *, shard_bytes: int, copy_video: bool, hash_video: bool
    ) -> None:
        self._folder = folder
        self._shards = ShardWriter(folder, shard_bytes=shard_bytes)
        self._tables = {
            name: tables.TableWriter(folder / f"{name}.parquet", schema)
            for name, schema in tables.TABLES.items()
        }
        self._videos = _VideoFiles(folder, copy=copy_video, hashes=hash_video)
        self._ids: set[str] = set()
        self._subjects: set[str] = set()
        self._channels: dict[str, None] = {}
        self._duration_s = 0.0

    def append(self, recording: Recording) -> None:
        """Append one recording.

        Raises:
            DataError: Its id is taken, or it holds something that cannot be stored.
        """
        if recording.id in self._ids:
            raise DataError(
                f'Two recordings are called "{recording.id}".', "Give each recording its own id."
            )
        where = f'Recording "{recording.id}"'
        for name, stream in recording.streams.items():
            if name != stream.name:
                raise DataError(
                    f'{where} lists stream "{stream.name}" under "{name}".', "Use one name."
                )
            self._tables["streams"].append(self._stream_row(recording.id, stream))
        for annotation in recording.annotations:
            self._tables["annotations"].append(tables.annotation_row(recording.id, annotation))
        self._tables["recordings"].append(
            (
                recording.id,
                recording.subject,
                recording.dataset,
                recording.duration_s,
                tables.to_json(recording.attributes, f"{where}: attributes"),
                tables.findings_to_json(recording.findings),
            )
        )
        self._ids.add(recording.id)
        self._subjects.add(recording.subject)
        self._duration_s += recording.duration_s

    def finish(self, name: str, card: Mapping[str, Any], splits: Mapping[str, Any]) -> None:
        """End all files, write `dataset.json` and, last, the manifest."""
        self._shards.close()
        for table in self._tables.values():
            table.close()
        info = {
            "format": tables.FORMAT_VERSION,
            "name": name,
            "card": to_plain(card),
            "splits": to_plain(splits),
            "channels": list(self._channels),
            "num_recordings": len(self._ids),
            "num_subjects": len(self._subjects - {""}),
            "num_streams": self._tables["streams"].num_rows,
            "num_annotations": self._tables["annotations"].num_rows,
            "duration_s": self._duration_s,
        }
        tables.to_json(info, "The card or the splits")
        write_json(self._folder / tables.INFO_FILE, info)
        for path in self._folder.rglob("*"):
            sync(path)
        write_manifest(self._folder)

    def abort(self) -> None:
        """Close all files; what was written stays unfinished."""
        self._shards.abort()
        for table in self._tables.values():
            table.abort()

    def _stream_row(self, recording_id: str, stream: Stream) -> tuple:
        """Store the samples of a stream and return its row of the table."""
        where = f'Stream "{stream.name}" of recording "{recording_id}"'
        kind, rate_hz, gravity, channels, extra = "", 0.0, "", "[]", {}
        names: tuple[str, ...] = ()
        match stream:
            case ImuStream():
                kind, rate_hz, values_RW = "imu", stream.rate_hz, stream.samples_TC
                gravity, channels = stream.gravity.value, tables.channels_to_json(stream.channels)
                names = tuple(c.name for c in stream.channels)
                self._channels.update(dict.fromkeys(names))
            case FeatureStream():
                kind, rate_hz, values_RW = "features", _rate_hz(stream, where), stream.values_ND
                extra = {
                    "extractor": stream.extractor,
                    "window_s": stream.window_s,
                    "stride_s": stream.stride_s,
                }
                names = (stream.extractor,)
            case VideoStream():
                kind, rate_hz, values_RW = "video", stream.fps, stream.frame_times_s[:, None]
                extra = self._videos.describe(stream, where)
            case _:
                raise DataError(
                    f"{where} is a {type(stream).__name__}.", "Use a stream type of Otolith."
                )
        _check_values(values_RW, np.float64 if kind == "video" else np.float32, where)
        place = self._place(kind, names, values_RW)
        return (
            recording_id, stream.name, kind, rate_hz, *values_RW.shape, place.shard, place.tensor,
            place.row_start, stream.offset_s, stream.drift_ppm, gravity, channels,
            tables.quality_to_json(tables.measured_quality(stream)), tables.to_json(extra, where),
        )  # fmt: skip

    def _place(self, kind: str, names: tuple[str, ...], values_RW: np.ndarray) -> Place:
        layout = (kind, names, values_RW.shape[1])
        metadata = {"columns": tables.to_json(list(names), "The channel names")}
        return self._shards.append(layout, values_RW, kind=kind, metadata=metadata)


class _VideoFiles:
    """Records where video files are, or copies each of them once."""

    def __init__(self, folder: Path, *, copy: bool, hashes: bool) -> None:
        self._folder = folder
        self._copy = copy
        self._hashes = hashes
        self._known: dict[Path, dict[str, Any]] = {}

    def describe(self, stream: VideoStream, where: str) -> dict[str, Any]:
        source = stream.path.absolute()
        if not source.is_file():
            raise DataError(f"{where} names {source}, which is missing.", "Correct its path.")
        if stream.num_bytes and stream.num_bytes != source.stat().st_size:
            raise DataError(
                f"{where} names {source}, which has changed since it was opened.", "Open it again."
            )
        if source not in self._known:
            self._known[source] = self._file_entry(source)
        return self._known[source] | {"width_px": stream.width_px, "height_px": stream.height_px}

    def _file_entry(self, source: Path) -> dict[str, Any]:
        path = source.as_posix()
        if self._copy:
            path = f"videos/{len(self._known):05d}{source.suffix.lower()}"
            (self._folder / "videos").mkdir(exist_ok=True)
            shutil.copyfile(source, self._folder / path)
        entry = {"path": path, "num_bytes": source.stat().st_size, "file_name": source.name}
        return entry | {"sha256": sha256_file(source) if self._hashes else ""}


def _rate_hz(stream: FeatureStream, where: str) -> float:
    if not stream.stride_s > 0:
        raise DataError(f"{where} has a stride of {stream.stride_s} s.", "Give a positive stride.")
    return 1.0 / stream.stride_s


def _check_values(values_RW: np.ndarray, dtype: type, where: str) -> None:
    if values_RW.ndim != 2 or values_RW.dtype != dtype:
        raise DataError(
            f"{where} has values of shape {values_RW.shape} and type {values_RW.dtype}.",
            f"Give {np.dtype(dtype)} values, one row per time.",
        )
