"""A folder that is whole or absent: written beside its target and renamed at the end."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from otolith.core.errors import DataError
from otolith.core.files import replace_folder


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
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(6)}.tmp")
    temporary.mkdir()
    try:
        yield temporary
        _check_target(target, overwrite=overwrite, marker=marker)
        replace_folder(temporary, target)
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
