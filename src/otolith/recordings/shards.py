"""Shards: safetensors files that grow row by row, and memory-mapped views of them.

A shard is a safetensors file with one tensor [rows, width]. The header of that format stands
in front and names the number of rows, so the writer reserves room for it, appends rows to the
file, and fills the header in when the shard is full: memory use does not depend on the amount
of data. Reading parses the header once and maps the tensor: a random window of 250 x 6 takes
0.3 us as a view and 1.3 us as a copy, with `safetensors.safe_open(...).get_slice` 3.1 us.
"""

# R rows, W width

from __future__ import annotations

import json
import os
import struct
from collections import OrderedDict
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from otolith.core.errors import FileFormatError

_LENGTH_BYTES = 8
_ALIGN_BYTES = 64
_MAX_HEADER_BYTES = 100_000_000
_CHUNK_BYTES = 1 << 24
_DTYPES = {"F32": np.dtype("<f4"), "F64": np.dtype("<f8")}
_CODES = {np.dtype(np.float32): "F32", np.dtype(np.float64): "F64"}


@dataclass(frozen=True)
class Place:
    """Where the rows of a stream lie: file below the data folder, tensor name, first row."""

    shard: str
    tensor: str
    row_start: int


@dataclass
class _Shard:
    """A shard that is being written."""

    name: str
    path: Path
    tensor: str
    code: str
    width: int
    metadata: dict[str, str]
    num_rows: int = 0
    file: BinaryIO | None = None

    @property
    def row_bytes(self) -> int:
        return self.width * _DTYPES[self.code].itemsize

    def header(self, num_rows: int) -> bytes:
        """Header of the safetensors format for `num_rows` rows, without padding."""
        entry = {
            "dtype": self.code,
            "shape": [num_rows, self.width],
            "data_offsets": [0, num_rows * self.row_bytes],
        }
        return json.dumps({"__metadata__": self.metadata, self.tensor: entry}).encode()

    @property
    def data_start(self) -> int:
        """Byte at which the rows begin: behind the longest header that can be needed."""
        longest = _LENGTH_BYTES + len(self.header(1 << 40))
        return -(-longest // _ALIGN_BYTES) * _ALIGN_BYTES


class ShardWriter:
    """Appends rows to shards; rows of one layout share a shard until it is full.

    Args:
        folder: Data folder being written.
        shard_bytes: Size above which a new shard is begun. The rows of one stream are never
            divided, so a longer stream gets a larger shard of its own.
        max_open_files: How many shards are kept open at once.
    """

    def __init__(self, folder: Path, *, shard_bytes: int, max_open_files: int = 64) -> None:
        self._folder = folder
        self._shard_bytes = shard_bytes
        self._max_open_files = max_open_files
        self._shards: OrderedDict[Hashable, _Shard] = OrderedDict()
        self._count = 0
        (folder / "signals").mkdir()

    def append(
        self, layout: Hashable, rows_RW: np.ndarray, *, kind: str, metadata: Mapping[str, str]
    ) -> Place:
        """Append rows to the shard of a layout.

        Args:
            layout: Rows of equal layout may share a tensor (same width and type required).
            rows_RW: float32 or float64 [R, W]; R and W may be 0.
            kind: First part of the shard's file name, and name of its tensor.
            metadata: Texts for the header of the shard, such as the channel names.

        Returns:
            Where the rows lie.
        """
        shard = self._shards.get(layout)
        if shard and self._is_full(shard, rows_RW.nbytes):
            self._finish(self._shards.pop(layout))
            shard = None
        if shard is None:
            shard = self._begin(rows_RW, kind, metadata)
            self._shards[layout] = shard
        self._shards.move_to_end(layout)
        place = Place(shard.name, shard.tensor, shard.num_rows)
        self._write(shard, rows_RW)
        return place

    def close(self) -> None:
        """Fill in the headers of all shards and flush them to disk."""
        while self._shards:
            self._finish(self._shards.popitem()[1])

    def abort(self) -> None:
        """Close the files without finishing them."""
        for shard in self._shards.values():
            if shard.file:
                shard.file.close()
        self._shards.clear()

    def _is_full(self, shard: _Shard, more_bytes: int) -> bool:
        size = shard.data_start + shard.num_rows * shard.row_bytes + more_bytes
        return shard.num_rows > 0 and size > self._shard_bytes

    def _begin(self, rows_RW: np.ndarray, kind: str, metadata: Mapping[str, str]) -> _Shard:
        name = f"signals/{kind}-{self._count:05d}.safetensors"
        self._count += 1
        code = _CODES[rows_RW.dtype.newbyteorder("=")]
        shard = _Shard(
            name, self._folder / name, kind, code, rows_RW.shape[1], {**metadata, "format": "np"}
        )
        shard.path.write_bytes(b"\0" * shard.data_start)
        return shard

    def _write(self, shard: _Shard, rows_RW: np.ndarray) -> None:
        shard.num_rows += len(rows_RW)
        if rows_RW.size == 0:
            return
        file = self._open(shard)
        step = max(1, _CHUNK_BYTES // shard.row_bytes)
        for start in range(0, len(rows_RW), step):
            chunk = np.ascontiguousarray(rows_RW[start : start + step], dtype=_DTYPES[shard.code])
            file.write(chunk.data)

    def _open(self, shard: _Shard) -> BinaryIO:
        if shard.file is None:
            others = [s for s in self._shards.values() if s.file and s is not shard]
            if len(others) >= self._max_open_files:
                _close(others[0])
            shard.file = shard.path.open("r+b")
            shard.file.seek(0, os.SEEK_END)
        return shard.file

    def _finish(self, shard: _Shard) -> None:
        file = self._open(shard)
        header = shard.header(shard.num_rows).ljust(shard.data_start - _LENGTH_BYTES)
        file.seek(0)
        file.write(struct.pack("<Q", len(header)) + header)
        file.flush()
        os.fsync(file.fileno())
        _close(shard)


def _close(shard: _Shard) -> None:
    if shard.file:
        shard.file.close()
        shard.file = None


def map_tensors(path: Path) -> dict[str, np.ndarray]:
    """Map the tensors of a shard.

    Args:
        path: A safetensors file whose tensors are float32 or float64 [R, W].

    Returns:
        Read-only views [R, W] on the memory map, by tensor name.

    Raises:
        FileFormatError: The file is missing, truncated or not of that form.
    """
    try:
        with path.open("rb") as file:
            size_bytes = os.fstat(file.fileno()).st_size
            header, data_start = _read_header(file, size_bytes)
    except FileNotFoundError:
        raise FileFormatError(f"The shard {path} is missing.", "Restore the folder.") from None
    except (OSError, ValueError) as error:
        raise FileFormatError(
            f"The shard {path} has no readable header ({error}).", "Restore or rewrite the folder."
        ) from None
    entries = {k: v for k, v in header.items() if k != "__metadata__"}
    return {k: _map_tensor(path, k, v, data_start, size_bytes) for k, v in entries.items()}


def _read_header(file: BinaryIO, size_bytes: int) -> tuple[dict, int]:
    raw = file.read(_LENGTH_BYTES)
    if len(raw) < _LENGTH_BYTES:
        raise ValueError("it is shorter than 8 bytes")
    length = struct.unpack("<Q", raw)[0]
    if length > min(size_bytes - _LENGTH_BYTES, _MAX_HEADER_BYTES):
        raise ValueError("it is cut off or was never finished")
    header = json.loads(file.read(length))
    if not isinstance(header, dict):
        raise ValueError("it holds no mapping")
    return header, _LENGTH_BYTES + length


def _map_tensor(path: Path, name: str, entry: dict, data_start: int, size_bytes: int) -> np.ndarray:
    try:
        dtype = _DTYPES[entry["dtype"]]
        num_rows, width = (int(n) for n in entry["shape"])
        first, end = (int(n) for n in entry["data_offsets"])
    except (KeyError, TypeError, ValueError):
        raise FileFormatError(
            f'Tensor "{name}" of {path} is not float32 or float64 [rows, width].',
            "Restore or rewrite the folder.",
        ) from None
    if min(num_rows, width, first) < 0 or end - first != num_rows * width * dtype.itemsize:
        raise FileFormatError(
            f'The header of {path} contradicts itself about "{name}".',
            "Restore or rewrite the folder.",
        )
    if data_start + end > size_bytes:
        raise FileFormatError(
            f"The shard {path} is truncated: {size_bytes} bytes instead of {data_start + end}.",
            "Restore or rewrite the folder.",
        )
    if end == first:
        return np.empty((num_rows, width), dtype)
    mapped = np.memmap(path, dtype, mode="r", offset=data_start + first, shape=(num_rows, width))
    # A plain array: every slice of a np.memmap runs Python code of the subclass.
    return np.asarray(mapped)
