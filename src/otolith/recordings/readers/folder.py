"""A folder of table files: which are read, and which are left out."""

from __future__ import annotations

from pathlib import Path

from otolith.core.errors import DataError, FileFormatError
from otolith.recordings.inference.notes import some
from otolith.recordings.options import ReadOptions
from otolith.recordings.readers.gopro import SUFFIXES as VIDEO_SUFFIXES
from otolith.recordings.readers.table import SUFFIXES
from otolith.recordings.recording import Finding


def list_tables(path: Path, options: ReadOptions) -> tuple[list[Path], tuple[Finding, ...]]:
    """List the table files of a folder and its sub-folders, or the one file.

    A folder without tables may hold videos instead.

    Args:
        path: File or folder.
        options: Uses `on_other_file`.

    Returns:
        Paths in order of their names, and findings about files that are not read.

    Raises:
        FileFormatError: Nothing is there.
        DataError: The folder holds no table, or other files and the policy refuses them.
    """
    if path.is_file():
        return [path], ()
    if not path.is_dir():
        raise FileFormatError(f"There is no file or folder {path}.", "Check the path.")
    files = sorted(p for p in path.rglob("*") if p.is_file() and not _is_hidden(p, path))
    tables = [p for p in files if p.suffix.lower() in SUFFIXES]
    tables = tables or [p for p in files if p.suffix.lower() in VIDEO_SUFFIXES]
    others = [p.relative_to(path).as_posix() for p in files if p not in set(tables)]
    if not tables:
        raise DataError(
            f"The folder {path} holds no table and no video.",
            f"Put {', '.join(SUFFIXES)} files there.",
        )
    if others and options.on_other_file == "refuse":
        raise DataError(
            f"The folder {path} holds other files: {some(others)}.",
            "Move them away, or pass on_other_file='skip'.",
        )
    found = Finding(
        check="folder.other_files",
        status="inferred",
        fact="Files of other kinds were not read.",
        evidence=some(others, 8),
    )
    return tables, (found,) if others else ()


def _is_hidden(path: Path, root: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(root).parts)
