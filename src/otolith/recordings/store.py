"""The store: a data folder with many recordings, written once and read through memory maps.

`write_data_folder` streams recordings into a folder, `DataFolder` reads it. The form on disk
is described in `docs/architecture.md`; the tables are Parquet, the shards safetensors.
"""

# R rows, W width

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sized
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from otolith.core.errors import DataError, FileFormatError, UnknownNameError, nearest
from otolith.core.files import MANIFEST, read_json
from otolith.core.progress import progress as progress_bar
from otolith.recordings import store_tables as tables
from otolith.recordings._new_folder import new_folder
from otolith.recordings.recording import (
    FeatureStream,
    Gravity,
    ImuStream,
    Recording,
    Stream,
    VideoStream,
)
from otolith.recordings.shards import map_tensors
from otolith.recordings.store_check import check_data_folder
from otolith.recordings.store_writer import FolderWriter

SHARD_BYTES = 256_000_000


def write_data_folder(
    path: Path | str,
    recordings: Iterable[Recording],
    *,
    name: str,
    card: Mapping[str, Any],
    splits: Mapping[str, Any] = {},
    overwrite: bool = False,
    progress: bool = True,
    shard_bytes: int = SHARD_BYTES,
    copy_video: bool = False,
    hash_video: bool = False,
) -> DataFolder:
    """Write recordings into a new data folder; memory use does not grow with their number.

    The folder appears under its name when it is complete. A writer that is killed leaves
    a hidden folder `.<name>.<random>.tmp` beside it, which does not open and may be removed.

    Args:
        path: The folder to write.
        recordings: Recordings with distinct ids; taken one at a time.
        name: Name of the data set.
        card: What a reader needs to know (licence, citation, caveats, ...), plain data.
        splits: Split name -> people or recordings per part, plain data or dataclasses.
        overwrite: Whether an existing data folder may be replaced.
        progress: Whether to show progress when standard error is a terminal.
        shard_bytes: Size above which a new shard is begun; the rows of one stream are never
            divided, so a longer stream gets a larger shard of its own.
        copy_video: Whether to copy video files into the folder (else they are referred to).
        hash_video: Whether to record the sha256 of video files (reads them once).

    Returns:
        The folder, opened.

    Raises:
        DataError: The target may not be replaced, an id occurs twice, or something cannot be
            stored.
    """
    target = Path(path).absolute()
    with new_folder(target, overwrite=overwrite, marker=tables.INFO_FILE) as temporary:
        writer = FolderWriter(
            temporary, shard_bytes=shard_bytes, copy_video=copy_video, hash_video=hash_video
        )
        try:
            total = len(recordings) if isinstance(recordings, Sized) else None
            shown = None if progress else False
            with progress_bar(total, f"writing {name}", show=shown) as bar:
                for recording in recordings:
                    writer.append(recording)
                    bar.advance()
            writer.finish(name, card, splits)
        finally:
            writer.abort()
    return DataFolder.open(target)


def is_data_folder(path: Path | str) -> bool:
    """Return whether `path` is a finished data folder."""
    return (Path(path) / tables.INFO_FILE).is_file() and (Path(path) / MANIFEST).is_file()


class DataFolder:
    """A finished data folder; make one with `DataFolder.open`.

    Opening reads `dataset.json` only. Tables are read and shards are mapped when they are
    first needed. Pickling carries the path alone, so a worker process opens it again; after a
    fork the maps are shared.

    Args:
        path: The folder.
        info: Content of `dataset.json`.
    """

    def __init__(self, path: Path, info: dict[str, Any]) -> None:
        self.path = path
        self.info = info

    @classmethod
    def open(cls, path: Path | str) -> DataFolder:
        """Open a data folder.

        Args:
            path: The folder.

        Raises:
            DataError: There is no such folder, or it was never finished.
            FileFormatError: A table is missing, or another format version wrote it.
        """
        folder = Path(path).absolute()
        if not folder.is_dir():
            raise DataError(f"There is no data folder {folder}.", "Check the path.")
        if not (folder / MANIFEST).is_file():
            raise DataError(
                f"{folder} has no {MANIFEST}, so it is no data folder or was never finished.",
                "Write it again, or give another path.",
            )
        info = read_json(folder / tables.INFO_FILE)
        version = info.get("format") if isinstance(info, dict) else None
        if version != tables.FORMAT_VERSION:
            raise FileFormatError(
                f"{folder / tables.INFO_FILE} says format {version!r}; "
                f"this version of Otolith reads format {tables.FORMAT_VERSION}.",
                "Use the version that wrote the folder, or write it again.",
            )
        for table in tables.TABLES:
            if not (folder / f"{table}.parquet").is_file():
                raise FileFormatError(
                    f"{folder / table}.parquet is missing.", "Restore or rewrite the folder."
                )
        return cls(folder, info)

    def __reduce__(self) -> tuple[Any, ...]:
        return DataFolder.open, (self.path,)

    def __repr__(self) -> str:
        return f"DataFolder({str(self.path)!r})"

    @property
    def name(self) -> str:
        """Name of the data set."""
        return self.info["name"]

    @cached_property
    def recordings(self) -> pa.Table:
        """One row per recording."""
        return self._table("recordings")

    @cached_property
    def streams(self) -> pa.Table:
        """One row per stream, streams of a recording together and in the recording's order."""
        return self._table("streams")

    @cached_property
    def annotations(self) -> pa.Table:
        """One row per annotation; `end_s` is null for a point."""
        return self._table("annotations")

    @cached_property
    def recording_ids(self) -> tuple[str, ...]:
        """Ids of all recordings in the order of writing."""
        return tuple(self._table("recordings", ["recording_id"])["recording_id"].to_pylist())

    def rows(self, stream_row: int, start: int, stop: int) -> np.ndarray:
        """Return rows of a stream.

        Args:
            stream_row: Row of `streams`.
            start: First row, counted from the start of the stream.
            stop: Row behind the last.

        Returns:
            Read-only view [stop - start, W] on the memory map: float32 samples of motion
            streams and features, float64 frame times in s [., 1] of video.

        Raises:
            IndexError: The stream has no such rows.
            FileFormatError: The shard is missing, truncated or corrupt.
        """
        index = self._rows
        if not 0 <= start <= stop <= index.num_rows[stream_row] or stream_row < 0:
            raise IndexError(f"stream row {stream_row} has no rows {start} to {stop}")
        number = index.tensor[stream_row]
        tensor_RW = index.maps[number]
        if tensor_RW is None:
            tensor_RW = index.map(number)
        first = index.row_start[stream_row]
        return tensor_RW[first + start : first + stop]

    def recording(self, recording_id: str) -> Recording:
        """Return a recording; its samples are read-only views on the memory map.

        Args:
            recording_id: Id of the recording.

        Raises:
            UnknownNameError: There is none of that id; the message names the nearest one.
            FileFormatError: A shard or table is missing, truncated or corrupt.
        """
        return self._build(self._row_of(recording_id))

    def iterate(self) -> Iterator[Recording]:
        """Yield all recordings in the order of writing."""
        for row in range(len(self.recording_ids)):
            yield self._build(row)

    def verify(self, hashes: bool = True) -> list[str]:
        """Compare the folder with its manifest and check that its parts fit together.

        Args:
            hashes: Whether to read all files and compare their sha256 (else only sizes).

        Returns:
            One sentence per difference; empty if all is well.
        """
        return check_data_folder(self.path, hashes=hashes)

    def _table(self, name: str, columns: list[str] | None = None) -> pa.Table:
        return tables.read_table(self.path / f"{name}.parquet", tables.TABLES[name], columns)

    @cached_property
    def _rows(self) -> _RowIndex:
        names = ["num_rows", "width", "shard", "tensor", "row_start"]
        return _RowIndex(self.path, self._table("streams", names))

    @cached_property
    def _row_by_id(self) -> dict[str, int]:
        return {recording_id: row for row, recording_id in enumerate(self.recording_ids)}

    @cached_property
    def _stream_groups(self) -> _Groups:
        return _Groups(self.streams, self._row_by_id)

    @cached_property
    def _annotation_groups(self) -> _Groups:
        return _Groups(self.annotations, self._row_by_id)

    def _row_of(self, recording_id: str) -> int:
        row = self._row_by_id.get(recording_id)
        if row is not None:
            return row
        ids = sorted(self.recording_ids)
        # Comparing with all of 160 000 ids takes seconds; the nearest is among the neighbours.
        middle = bisect_left(ids, recording_id)
        close = nearest(recording_id, ids[max(0, middle - 500) : middle + 500])
        raise UnknownNameError(
            f'{self.path} has no recording "{recording_id}".',
            f'Did you mean "{close}"?' if close else f"It holds {len(ids)} others.",
        )

    def _build(self, row: int) -> Recording:
        values = self.recordings.slice(row, 1).to_pylist()[0]
        where = f"{self.path / 'recordings.parquet'} row {row}: attributes"
        stream_rows = self._stream_groups.rows(row)
        found = _take(self.streams, stream_rows)
        streams = [self._stream(n, v) for n, v in zip(stream_rows, found, strict=True)]
        annotations = _take(self.annotations, self._annotation_groups.rows(row))
        return Recording(
            id=values["recording_id"],
            subject=values["subject"],
            dataset=values["dataset"],
            streams={s.name: s for s in streams},
            annotations=tuple(tables.annotation_from_row(a) for a in annotations),
            attributes=tables.from_json(values["attributes"], where),
            findings=tables.findings_from_json(values["findings"]),
        )

    def _stream(self, row: int, values: dict[str, Any]) -> Stream:
        shared = {
            "name": values["stream"],
            "offset_s": values["offset_s"],
            "drift_ppm": values["drift_ppm"],
            "quality": tables.quality_from_json(values["quality"]),
        }
        values_RW = self.rows(row, 0, values["num_rows"])
        where = f"{self.path / 'streams.parquet'} row {row}: extra"
        extra = tables.from_json(values["extra"], where)
        match values["kind"]:
            case "imu":
                return ImuStream(
                    samples_TC=values_RW,
                    rate_hz=values["rate_hz"],
                    channels=tables.channels_from_json(values["channels"]),
                    gravity=Gravity(values["gravity"]),
                    **shared,
                )
            case "features":
                return FeatureStream(values_ND=values_RW, **extra, **shared)
            case "video":
                return VideoStream(
                    path=self.path / extra["path"],
                    fps=values["rate_hz"],
                    frame_times_s=values_RW[:, 0],
                    width_px=extra["width_px"],
                    height_px=extra["height_px"],
                    num_bytes=extra["num_bytes"],
                    **shared,
                )
        raise FileFormatError(
            f'{self.path / "streams.parquet"} row {row} is of the unknown kind "{values["kind"]}".',
            "Restore or rewrite the folder.",
        )


class _RowIndex:
    """Where the rows of every stream lie, and the maps of the tensors opened so far."""

    def __init__(self, folder: Path, table: pa.Table) -> None:
        self._folder = folder
        # Lists, because reading one number of a list is several times faster than of an array.
        self.num_rows: list[int] = table["num_rows"].to_numpy().tolist()
        self.row_start: list[int] = table["row_start"].to_numpy().tolist()
        self._width = table["width"].to_numpy()
        shard, shards = _codes(table["shard"])
        tensor, tensors = _codes(table["tensor"])
        pairs, number = np.unique(shard * len(tensors) + tensor, return_inverse=True)
        self.tensor: list[int] = number.tolist()
        self._names = [(shards[p // len(tensors)], tensors[p % len(tensors)]) for p in pairs]
        self.maps: list[np.ndarray | None] = [None] * len(pairs)

    def map(self, number: int) -> np.ndarray:
        """Map a tensor and check that it holds the rows of all its streams."""
        shard, name = self._names[number]
        tensor_RW = map_tensors(self._folder / shard).get(name)
        mine = np.flatnonzero(np.asarray(self.tensor) == number)
        ends = np.asarray(self.row_start)[mine] + np.asarray(self.num_rows)[mine]
        if (
            tensor_RW is None
            or ends.max() > len(tensor_RW)
            or (self._width[mine] != tensor_RW.shape[1]).any()
        ):
            raise FileFormatError(
                f'The tensor "{name}" of {self._folder / shard} does not hold the rows that '
                "streams.parquet names.",
                "Restore or rewrite the folder.",
            )
        self.maps[number] = tensor_RW
        return tensor_RW


def _codes(column: pa.ChunkedArray) -> tuple[np.ndarray, list[str]]:
    """Distinct texts of a column, and int64 numbers into them."""
    array = column.combine_chunks().dictionary_encode()
    return array.indices.to_numpy().astype(np.int64), array.dictionary.to_pylist()


class _Groups:
    """Rows of a table by the recording they belong to."""

    def __init__(self, table: pa.Table, row_by_id: Mapping[str, int]) -> None:
        ids = table["recording_id"].to_pylist()
        owners = np.asarray([row_by_id.get(i, -1) for i in ids], dtype=np.int64)
        self._order = np.argsort(owners, kind="stable")
        numbers = np.arange(len(row_by_id) + 1)
        self._starts = np.searchsorted(owners[self._order], numbers)

    def rows(self, recording_row: int) -> list[int]:
        """Rows that belong to the recording at `recording_row`, in the table's order."""
        first, end = self._starts[recording_row : recording_row + 2]
        return self._order[first:end].tolist()


def _take(table: pa.Table, rows: list[int]) -> list[dict[str, Any]]:
    """Rows of a table as mappings; rows that lie together are read as one slice."""
    if not rows:
        return []
    if rows[-1] - rows[0] + 1 == len(rows):
        return table.slice(rows[0], len(rows)).to_pylist()
    return table.take(rows).to_pylist()
