"""Killed writers and damaged folders: nothing half-written opens, every damage is named."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from otolith.core.errors import DataError, FileFormatError
from otolith.recordings.recording import Channel, ImuStream, Recording
from otolith.recordings.store import DataFolder, write_data_folder

SRC = Path(__file__).resolve().parents[2] / "src"
ENDLESS_WRITER = """
import sys
import numpy as np
from otolith.recordings.recording import Channel, ImuStream, Recording
from otolith.recordings.store import write_data_folder

def recordings():
    number = 0
    while True:
        samples = np.full((50, 3), number, np.float32)
        channels = tuple(Channel.from_name(f"acc_{a}") for a in "xyz")
        stream = ImuStream(name="imu", samples_TC=samples, rate_hz=50.0, channels=channels)
        yield Recording(id=str(number), streams={"imu": stream})
        number += 1
        if number == 500:
            print("writing", flush=True)

write_data_folder(sys.argv[1], recordings(), name="x", card={}, overwrite=True, shard_bytes=20_000)
"""


def make(path, ids=("a", "b"), **kwargs):
    channels = tuple(Channel.from_name(f"acc_{a}") for a in "xyz")
    recordings = (
        Recording(id=i, streams={"imu": ImuStream(
            name="imu", samples_TC=np.ones((100, 3), np.float32), rate_hz=50.0, channels=channels)})
        for i in ids
    )  # fmt: skip
    return write_data_folder(path, recordings, name="park", card={}, progress=False, **kwargs)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
@pytest.mark.parametrize("existed", [False, True])
def test_a_killed_writer_leaves_nothing_that_opens(tmp_path, existed):
    target = tmp_path / "park"
    if existed:
        make(target)
    environment = {**os.environ, "PYTHONPATH": str(SRC)}
    with subprocess.Popen(
        [sys.executable, "-c", ENDLESS_WRITER, str(target)],
        stdout=subprocess.PIPE, env=environment,
    ) as writer:  # fmt: skip
        assert writer.stdout.readline() == b"writing\n"
        time.sleep(0.05)
        writer.kill()
    assert writer.returncode == -signal.SIGKILL
    rest = [p for p in tmp_path.iterdir() if p != target]
    assert len(rest) == 1
    with pytest.raises(DataError, match="never finished"):
        DataFolder.open(rest[0])
    assert DataFolder.open(target).recording_ids == ("a", "b") if existed else not target.exists()
    assert make(target, ids=("c",), overwrite=existed).recording_ids == ("c",)


def shard_of(folder):
    return folder.path / "signals" / "imu-00000.safetensors"


def test_a_truncated_shard_is_refused_and_named(tmp_path):
    folder = make(tmp_path / "park")
    shard = shard_of(folder)
    os.truncate(shard, shard.stat().st_size - 4)
    again = DataFolder.open(folder.path)
    with pytest.raises(FileFormatError, match=r"imu-00000.safetensors is truncated"):
        again.recording("a")
    assert sum("imu-00000.safetensors" in p for p in again.verify(hashes=False)) == 2


@pytest.mark.parametrize("content", [b"", b"\0" * 200, b"\xff" * 200, b"\2\0\0\0\0\0\0\0[]"])
def test_a_shard_without_header_is_refused(tmp_path, content):
    folder = make(tmp_path / "park")
    shard_of(folder).write_bytes(content)
    with pytest.raises(FileFormatError, match="no readable header"):
        DataFolder.open(folder.path).recording("a")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b'"F32"', b'"I32"', "not float32"),
        (b"[200, 3]", b"[200, 4]", "contradicts itself"),
        (b'"imu": {', b'"IMU": {', "does not hold the rows"),
        (b"[200, 3], ", b"[300, 2], ", "does not hold the rows"),
        (b"[200, 3], ", b"[9, 2, 3],", "not float32"),
    ],
)
def test_a_header_that_lies_is_refused(tmp_path, old, new, message):
    folder = make(tmp_path / "park")
    data = shard_of(folder).read_bytes()
    assert data.count(old) == 1
    shard_of(folder).write_bytes(data.replace(old, new))
    with pytest.raises(FileFormatError, match=message):
        DataFolder.open(folder.path).recording("a")
    assert len(folder.verify()) == 2


def test_a_flipped_byte_in_the_samples_is_found(tmp_path):
    folder = make(tmp_path / "park")
    data = bytearray(shard_of(folder).read_bytes())
    data[-7] ^= 1
    shard_of(folder).write_bytes(data)
    assert folder.verify(hashes=False) == []
    problems = folder.verify()
    assert len(problems) == 1
    assert "imu-00000.safetensors has changed" in problems[0]


@pytest.mark.parametrize("table", ["recordings", "streams", "annotations"])
def test_a_missing_or_corrupt_table_is_one_clear_error(tmp_path, table):
    folder = make(tmp_path / "park")
    path = folder.path / f"{table}.parquet"
    data = path.read_bytes()
    path.write_bytes(data[:100])
    with pytest.raises(FileFormatError, match="not a readable Parquet"):
        getattr(DataFolder.open(folder.path), table)
    path.unlink()
    with pytest.raises(FileFormatError, match=rf"{table}.parquet is missing"):
        DataFolder.open(folder.path)
    assert any(f"{table}.parquet is missing" in p for p in folder.verify())


def test_a_table_of_another_form_is_refused(tmp_path):
    folder = make(tmp_path / "park")
    path = folder.path / "streams.parquet"
    path.write_bytes((folder.path / "recordings.parquet").read_bytes())
    with pytest.raises(FileFormatError, match="has no column stream"):
        DataFolder.open(folder.path).recording("a")


def test_every_flipped_byte_of_any_file_is_found(tmp_path):
    folder = make(tmp_path / "park")
    rng = np.random.default_rng(0)
    files = [p for p in sorted(folder.path.rglob("*")) if p.is_file()]
    assert len(files) == 6
    for path in files:
        data = path.read_bytes()
        for position in rng.integers(0, len(data), 8):
            broken = bytearray(data)
            broken[position] ^= 1 << int(rng.integers(7))
            path.write_bytes(broken)
            if path.name != "MANIFEST.json":
                assert folder.verify(), f"{path.name} byte {position}"
        path.write_bytes(data)
    assert folder.verify() == []


def test_a_damaged_manifest_and_extra_files_are_named(tmp_path):
    folder = make(tmp_path / "park")
    (folder.path / "notes.txt").write_text("hello")
    assert folder.verify() == ["notes.txt is not in the manifest."]
    (folder.path / "MANIFEST.json").write_text("{")
    assert "MANIFEST.json is damaged" in folder.verify()[0]
    (folder.path / "MANIFEST.json").unlink()
    assert "never finished" in folder.verify()[0]
