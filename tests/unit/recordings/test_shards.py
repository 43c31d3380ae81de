"""Shards grow row by row, and anybody's safetensors reader opens them."""

import struct

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from otolith.core.errors import FileFormatError
from otolith.recordings.shards import ShardWriter, map_tensors


def append(writer, layout, rows, columns="acc_x"):
    return writer.append(layout, rows, kind="imu", metadata={"columns": columns})


def test_rows_of_layouts_are_kept_apart_and_found_again(tmp_path):
    writer = ShardWriter(tmp_path, shard_bytes=1_000_000, max_open_files=2)
    rng = np.random.default_rng(0)
    written = []
    for i in range(40):
        rows = rng.normal(size=(i % 5, 1 + i % 4)).astype(np.float32)
        written.append((append(writer, i % 4, rows), rows))
    writer.close()
    for place, rows in written:
        tensor = map_tensors(tmp_path / place.shard)[place.tensor]
        got = tensor[place.row_start : place.row_start + len(rows)]
        np.testing.assert_array_equal(got, rows)
    assert len({place.shard for place, _ in written}) == 4


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_library_reads_them_aligned_and_with_texts(tmp_path, dtype):
    writer = ShardWriter(tmp_path, shard_bytes=10_000)
    rows = np.arange(30, dtype=dtype).reshape(10, 3)
    place = append(writer, 0, rows, "ä" * 200)
    writer.close()
    path = tmp_path / place.shard
    with safe_open(path, "np") as file:
        np.testing.assert_array_equal(file.get_tensor("imu"), rows)
        assert file.metadata()["columns"] == "ä" * 200
    assert (8 + struct.unpack("<Q", path.read_bytes()[:8])[0]) % 64 == 0


def test_shards_of_the_library_are_mapped(tmp_path):
    arrays = {"a": np.ones((3, 2), np.float32), "b": np.zeros((0, 5)), "c": np.ones((4, 1))}
    save_file(arrays, tmp_path / "x.safetensors")
    mapped = map_tensors(tmp_path / "x.safetensors")
    assert set(mapped) == {"a", "b", "c"}
    for name, values in arrays.items():
        np.testing.assert_array_equal(mapped[name], values)
        assert type(mapped[name]) is np.ndarray


def test_other_number_types_are_refused(tmp_path):
    save_file({"a": np.ones((3, 2), np.int64)}, tmp_path / "x.safetensors")
    with pytest.raises(FileFormatError, match="not float32 or float64"):
        map_tensors(tmp_path / "x.safetensors")
    with pytest.raises(FileFormatError, match="is missing"):
        map_tensors(tmp_path / "y.safetensors")


def test_an_unfinished_shard_does_not_open(tmp_path):
    writer = ShardWriter(tmp_path, shard_bytes=10_000)
    place = append(writer, 0, np.ones((10, 3), np.float32))
    writer.abort()
    with pytest.raises(FileFormatError, match="no readable header"):
        map_tensors(tmp_path / place.shard)
