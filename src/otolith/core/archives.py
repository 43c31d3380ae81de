"""Unpack archives of others safely: no path outside the target, no links, limits on size.

Supports zip and tar (plain, gz, bz2, xz). The archive is unpacked into a temporary folder
beside the target and renamed at the end, so that a refused archive leaves nothing.
"""

from __future__ import annotations

import lzma
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO

from otolith.core.errors import ArchiveError

MAX_BYTES = 64 * 1024**3
MAX_FILES = 1_000_000
_CHUNK_BYTES = 1 << 20
_MAX_PADDING = 1 << 24
# zipfile says RuntimeError to a password and to a compression that it does not know.
_DAMAGE = (
    zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, OSError, RuntimeError,
)  # fmt: skip


@dataclass(frozen=True)
class _Member:
    name: str
    is_folder: bool
    is_plain: bool
    handle: object


def unpack(
    archive: Path, target: Path, *, max_bytes: int = MAX_BYTES, max_files: int = MAX_FILES
) -> Path:
    """Unpack `archive` into the new folder `target`.

    Args:
        archive: A zip or tar file.
        target: Folder to create; must not exist.
        max_bytes: Largest sum of unpacked sizes, counted while writing.
        max_files: Largest number of members.

    Returns:
        `target`.

    Raises:
        ArchiveError: The archive is damaged, holds a link, a device, an absolute path or one
            with "..", two members of one name, or goes beyond a limit; nothing is left behind.
    """
    if target.exists():
        raise ArchiveError(f"{target} exists already.", "Remove it or choose another folder.")
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        _extract(archive, temporary, max_bytes, max_files)
        temporary.rename(target)
    except _DAMAGE as error:
        raise ArchiveError(f"{archive} cannot be unpacked ({error}).", "Fetch it again.") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return target


def is_archive(path: Path) -> bool:
    """Return whether a file ends and begins like an archive that `unpack` knows."""
    return zipfile.is_zipfile(path) or tarfile.is_tarfile(path)


def _extract(archive: Path, folder: Path, max_bytes: int, max_files: int) -> None:
    """Write all members below `folder`, checking each."""
    written = 0
    seen: set[str] = set()
    for member, source in _members(archive):
        path = _safe_path(archive, member)
        if len(seen) >= max_files:
            raise ArchiveError(
                f"{archive} holds more than {max_files} files.",
                "Unpack it by hand if you trust it.",
            )
        key = path.as_posix().casefold()
        if key in seen and not member.is_folder:
            raise ArchiveError(f"{archive} holds {member.name} twice.", "Do not use this archive.")
        seen.add(key)
        destination = folder / path
        if member.is_folder:
            destination.mkdir(parents=True, exist_ok=True)
            continue
        destination.parent.mkdir(parents=True, exist_ok=True)
        if source is None:
            raise ArchiveError(f"{member.name} in {archive} cannot be read.", "Fetch it again.")
        with source, destination.open("xb") as file:
            while chunk := source.read(_CHUNK_BYTES):
                written += len(chunk)
                if written > max_bytes:
                    raise ArchiveError(
                        f"{archive} unpacks to more than {max_bytes} bytes.",
                        "Unpack it by hand if you trust it.",
                    )
                file.write(chunk)


def _members(archive: Path) -> Iterator[tuple[_Member, IO[bytes] | None]]:
    """Yield members with an open reader for plain files."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as bundle:
            for info in bundle.infolist():
                mode = info.external_attr >> 16
                plain = (
                    not mode or stat.S_ISREG(mode) or stat.S_ISDIR(mode) or not stat.S_IFMT(mode)
                )
                member = _Member(info.filename, info.is_dir(), plain, info)
                yield member, bundle.open(info) if plain and not info.is_dir() else None
    elif tarfile.is_tarfile(archive):
        with tarfile.open(archive) as bundle:
            for info in bundle:
                member = _Member(info.name, info.isdir(), info.isfile() or info.isdir(), info)
                yield member, bundle.extractfile(info) if info.isfile() else None
            _read_to_end(archive, bundle)
    else:
        raise ArchiveError(f"{archive} is neither zip nor tar.", "Fetch it again.")


def _read_to_end(archive: Path, bundle: tarfile.TarFile) -> None:
    """Read what stands behind the last member; only there compressed files check their sums."""
    assert bundle.fileobj is not None  # noqa: S101  # it is open
    for _ in range(_MAX_PADDING // _CHUNK_BYTES):
        if not bundle.fileobj.read(_CHUNK_BYTES):
            return
    raise ArchiveError(f"{archive} goes on behind its end.", "Do not use this archive.")


def _safe_path(archive: Path, member: _Member) -> PurePosixPath:
    """Return the relative path of a member, or refuse it."""
    path = PurePosixPath(member.name.replace("\\", "/"))
    outside = path.is_absolute() or ".." in path.parts or bool(PureWindowsPath(member.name).drive)
    if outside or not path.parts or "\0" in member.name:
        raise ArchiveError(
            f'{archive} holds the path "{member.name}", which leads outside.',
            "Do not use this archive.",
        )
    if not member.is_plain:
        raise ArchiveError(
            f'{archive} holds "{member.name}", which is a link or device.',
            "Do not use this archive.",
        )
    return path
