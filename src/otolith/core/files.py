"""Files that are whole or absent: atomic writes, hashes, manifests.

Every artefact is written to a temporary name in the target's folder, flushed to disk and
renamed. A folder of artefacts ends with `MANIFEST.json`, written last: without it the folder
is unfinished, with it every file can be checked.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from otolith.core.errors import FileFormatError

MANIFEST = "MANIFEST.json"
_CHUNK_BYTES = 1 << 20


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Give a temporary path; on success it is flushed and renamed to `target`, else removed.

    Args:
        target: Final path; its folder is created.

    Yields:
        Path to write to, with the suffix of `target`.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.stem}.{secrets.token_hex(6)}.tmp{target.suffix}")
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(target)
        sync(target.parent)
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()


def write_bytes(target: Path, data: bytes) -> None:
    """Write bytes atomically."""
    with atomic_path(target) as temporary:
        temporary.write_bytes(data)


def write_text(target: Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    write_bytes(target, text.encode("utf-8"))


def write_json(target: Path, value: Any) -> None:
    """Write plain data as indented JSON atomically; NaN and infinity are refused."""
    write_text(target, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        FileFormatError: The file is missing, cannot be read or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FileFormatError(f"There is no file {path}.", "Check the folder.") from None
    except OSError as error:
        raise FileFormatError(f"{path} cannot be read: {error.strerror}.", "Check it.") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise FileFormatError(f"{path} is not JSON: {error}.", "Restore or rewrite it.") from None


def sha256_file(path: Path) -> str:
    """Return the sha256 of a file as hexadecimal text."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def write_manifest(folder: Path) -> None:
    """Record size and sha256 of every file below `folder`; the last act of writing a folder."""
    files = {
        path.relative_to(folder).as_posix(): {
            "bytes": path.stat().st_size,
            "sha256": sha256_file(path),
        }
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != MANIFEST and ".tmp" not in path.name
    }
    write_json(folder / MANIFEST, {"format": 1, "files": files})


def check_manifest(folder: Path, *, hashes: bool = True) -> list[str]:
    """Compare a folder with its manifest.

    Args:
        folder: Folder that holds `MANIFEST.json`.
        hashes: Whether to read the files and compare sha256 (else only sizes).

    Returns:
        One sentence per difference; empty if all is well.
    """
    if not (folder / MANIFEST).exists():
        return [f"{folder} has no {MANIFEST}, so it was never finished."]
    problems = []
    for name, entry in read_json(folder / MANIFEST)["files"].items():
        path = folder / name
        if not path.is_file():
            problems.append(f"{name} is missing.")
        elif path.stat().st_size != entry["bytes"]:
            problems.append(f"{name} has {path.stat().st_size} bytes instead of {entry['bytes']}.")
        elif hashes and sha256_file(path) != entry["sha256"]:
            problems.append(f"{name} has changed since it was written (sha256 differs).")
    return problems


def replace_folder(new: Path, target: Path) -> None:
    """Rename a finished folder to `target`; what was there is put back if that fails.

    Args:
        new: Folder beside the target.
        target: Final path; a folder that is there is replaced.
    """
    old = new.with_name(f"{new.name}-old")
    was_there = target.exists()
    if was_there:
        target.rename(old)
    try:
        new.rename(target)
    except OSError:
        if was_there:
            old.rename(target)
        raise
    sync(target.parent)
    if was_there:
        shutil.rmtree(old, ignore_errors=True)


def sync(path: Path) -> None:
    """Flush a file, or the entries of a folder, to disk where the system allows it."""
    with suppress(OSError):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
