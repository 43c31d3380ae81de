"""Checks a data folder: files against the manifest, and whether its parts fit together."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from otolith.core.errors import OtolithError
from otolith.core.files import MANIFEST, check_manifest, read_json, sha256_file
from otolith.recordings import store_tables as tables
from otolith.recordings.shards import map_tensors


def check_data_folder(path: Path, *, hashes: bool = True) -> list[str]:
    """Name every difference between a data folder and what was written.

    Unlike opening, this also works on a damaged folder.

    Args:
        path: The folder.
        hashes: Whether to read all files, and videos with a recorded hash, and compare their
            sha256 (else only sizes).

    Returns:
        One sentence per difference; empty if all is well.
    """
    try:
        problems = check_manifest(path, hashes=hashes)
        problems += _extra_files(path)
    except (OtolithError, KeyError, TypeError, AttributeError) as error:
        problems = [f"{MANIFEST} is damaged ({error})."]
    found: dict[str, pa.Table] = {}
    for name, schema in tables.TABLES.items():
        problems += _caught(lambda n=name, s=schema: _read(path, n, s, found))
    if len(found) == len(tables.TABLES):
        problems += _check_ids(found)
        problems += _check_rows(path, found["streams"])
        problems += _check_videos(path, found["streams"], hashes=hashes)
    return list(dict.fromkeys(problems))


def _extra_files(path: Path) -> list[str]:
    if not (path / MANIFEST).is_file():
        return []
    known = {MANIFEST, *read_json(path / MANIFEST)["files"]}
    present = (p.relative_to(path).as_posix() for p in sorted(path.rglob("*")) if p.is_file())
    return [f"{name} is not in the manifest." for name in present if name not in known]


def _read(path: Path, name: str, schema: pa.Schema, found: dict[str, pa.Table]) -> Iterator[str]:
    found[name] = tables.read_table(path / f"{name}.parquet", schema)
    yield from ()


def _check_ids(found: dict[str, pa.Table]) -> Iterator[str]:
    ids = set(found["recordings"]["recording_id"].to_pylist())
    if len(ids) != len(found["recordings"]):
        yield "recordings.parquet names a recording twice."
    for name in ("streams", "annotations"):
        unknown = sum(i not in ids for i in found[name]["recording_id"].to_pylist())
        if unknown:
            yield f"{name}.parquet has {unknown} rows of unknown recordings."


def _check_rows(path: Path, streams: pa.Table) -> list[str]:
    """Check that every shard holds the rows that the table names."""
    shards = np.asarray(streams["shard"].to_pylist(), dtype=object)
    return [
        problem
        for shard in dict.fromkeys(shards)
        for problem in _caught(
            lambda s=shard: _check_shard(path, s, streams.take(np.flatnonzero(shards == s)))
        )
    ]


def _check_shard(path: Path, shard: str, streams: pa.Table) -> Iterator[str]:
    tensors = map_tensors(path / shard)
    names = np.asarray(streams["tensor"].to_pylist(), dtype=object)
    ends = streams["row_start"].to_numpy() + streams["num_rows"].to_numpy()
    widths = streams["width"].to_numpy()
    for name in dict.fromkeys(names):
        mine = names == name
        shape = tensors[name].shape if name in tensors else (0, -1)
        if ends[mine].max() > shape[0] or (widths[mine] != shape[1]).any():
            yield f'{shard} does not hold the rows of tensor "{name}" that streams.parquet names.'


def _check_videos(path: Path, streams: pa.Table, *, hashes: bool) -> Iterator[str]:
    kinds = np.asarray(streams["kind"].to_pylist(), dtype=object)
    texts = streams["extra"].take(np.flatnonzero(kinds == "video")).to_pylist()
    entries = {e["path"]: e for e in (tables.from_json(t, "extra") for t in dict.fromkeys(texts))}
    for name, entry in entries.items():
        yield from _check_video(path / name, entry, hashes=hashes)


def _check_video(video: Path, entry: dict[str, Any], *, hashes: bool) -> Iterator[str]:
    if not video.is_file():
        yield f"The video {video} is missing or was moved."
    elif video.stat().st_size != entry["num_bytes"]:
        size = video.stat().st_size
        yield f"The video {video} has {size} bytes instead of {entry['num_bytes']}."
    elif hashes and entry["sha256"] and sha256_file(video) != entry["sha256"]:
        yield f"The video {video} has changed (sha256 differs)."


def _caught(check: Callable[[], Iterator[str]]) -> list[str]:
    """Run a check; an error that stops it is one of its results."""
    problems = []
    try:
        problems.extend(check())
    except OtolithError as error:
        problems.append(error.fact)
    return problems
