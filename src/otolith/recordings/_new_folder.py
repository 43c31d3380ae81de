"""A folder that is whole or absent: written beside its target and renamed at the end."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from otolith.core.errors import DataError


@contextmanager
def new_folder(target: Path, *, overwrite: bool, marker: str) -> Iterator[Path]:
    """Give a temporary folder; on success it becomes `target`, else it is removed.

    Args:
        target: Final path; the folders above it are created.
        overwrite: Whether an existing folder of the same kind may be replaced.
        marker: File name by which a folder of this kind is recognised; a folder that holds
            other things is never replaced.

    Yields:
        An empty folder beside the target.

    Raises:
        DataError: The target exists and may not be replaced.
    """
    _check_target(target, overwrite=overwrite, marker=marker)
    target.parent.mkdir(parents=True, exist_ok=True)
    token = secrets.token_hex(6)
    temporary = target.with_name(f".{target.name}.{token}.tmp")
    temporary.mkdir()
    try:
        yield temporary
        _check_target(target, overwrite=overwrite, marker=marker)
        _swap(temporary, target, target.with_name(f".{target.name}.{token}.old"))
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _check_target(target: Path, *, overwrite: bool, marker: str) -> None:
    if not target.exists():
        return
    if not target.is_dir():
        raise DataError(f"{target} is a file.", "Give the path of a folder.")
    if not any(target.iterdir()):
        return
    if not (target / marker).is_file():
        raise DataError(
            f"{target} exists and holds no {marker}, so it was not written by Otolith.",
            "Give another path, or remove the folder yourself.",
        )
    if not overwrite:
        raise DataError(f"{target} exists already.", "Pass overwrite=True, or give another path.")


def _swap(temporary: Path, target: Path, aside: Path) -> None:
    """Rename `temporary` to `target`; what was there is put back if that fails."""
    replaced = target.exists()
    if replaced:
        target.rename(aside)
    try:
        temporary.rename(target)
    except OSError:
        if replaced:
            aside.rename(target)
        raise
    sync(target.parent)
    if replaced:
        shutil.rmtree(aside, ignore_errors=True)


def sync(path: Path) -> None:
    """Flush a file, or the entries of a folder, to disk where the system allows it."""
    with suppress(OSError):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
