"""Find the tables of RealWorld (HAR): in archives, in archives inside archives, or unpacked."""

from __future__ import annotations

import io
import re
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from otolith.core.errors import FileFormatError

MAX_TABLE_BYTES = 1 << 30
_SENSORS = {"acc": "acc", "gyroscope": "gyro", "magneticfield": "mag"}
_ARCHIVES = {"acc": "acc", "gyr": "gyro", "mag": "mag"}
_DAMAGE = (zipfile.BadZipFile, EOFError, zlib.error, OSError, RuntimeError, NotImplementedError)


@dataclass(frozen=True, kw_only=True)
class Table:
    """One sensor of one phone during one part of an activity.

    Args:
        sensor: "acc", "gyro" or "mag".
        activity: The publishers' word.
        part: Number of the part, from 1.
        placement: The publishers' word.
        path: The archive or table on disk.
        inside: Names of an inner archive (or none) and of the table, from outside to inside;
            empty for a table on disk.
    """

    sensor: str
    activity: str
    part: int
    placement: str
    path: Path
    inside: tuple[str, ...] = ()

    @property
    def where(self) -> str:
        """Where the table lies, for messages."""
        return " in ".join([*reversed(self.inside), str(self.path)])

    def read(self) -> bytes:
        """Return the text of the table.

        Raises:
            FileFormatError: An archive is damaged, or the table is far too large.
        """
        if not self.inside:
            return self.path.read_bytes()
        try:
            with zipfile.ZipFile(self.path) as outer:
                if len(self.inside) == 1:
                    return _member(outer, self.inside[0], self.where)
                inner = io.BytesIO(_member(outer, self.inside[0], self.where))
            with zipfile.ZipFile(inner) as archive:
                return _member(archive, self.inside[1], self.where)
        except _DAMAGE as error:
            raise _damaged(self.path, error) from None


def find_tables(
    folder: Path, activities: tuple[str, ...], placements: tuple[str, ...]
) -> list[Table]:
    """List the tables of one person.

    Archives come first; an unpacked table counts only if no archive holds it.

    Args:
        folder: The folder `data` of the person.
        activities: Known activities.
        placements: Known placements.

    Raises:
        FileFormatError: An archive is damaged, or holds a table twice.
    """
    shape = re.compile(
        rf"({'|'.join(_SENSORS)})_({'|'.join(activities)})(?:_(\d+))?_({'|'.join(placements)})\.csv",
        re.IGNORECASE,
    )
    packed: dict[tuple, Table] = {}
    for path in sorted(folder.rglob("*.zip")):
        if not re.fullmatch(rf"({'|'.join(_ARCHIVES)})_\w+_csv\.zip", path.name):
            continue
        for inside in _tables_inside(path):
            table = _table(shape, path, inside)
            if table is not None:
                _add(packed, table)
    loose: dict[tuple, Table] = {}
    for path in sorted(folder.rglob("*.csv")):
        table = None if path.name.startswith(".") else _table(shape, path, ())
        if table is not None:
            _add(loose, table)
    return list((loose | packed).values())


def _tables_inside(path: Path) -> Iterator[tuple[str, ...]]:
    """Names that lead to each table of an archive."""
    try:
        with zipfile.ZipFile(path) as outer:
            for name in _real_names(outer):
                if name.endswith(".csv"):
                    yield (name,)
                elif name.endswith(".zip"):
                    with zipfile.ZipFile(io.BytesIO(_member(outer, name, f"{name} in {path}"))) as inner:  # fmt: skip
                        yield from ((name, n) for n in _real_names(inner) if n.endswith(".csv"))
    except _DAMAGE as error:
        raise _damaged(path, error) from None


def _table(shape: re.Pattern[str], path: Path, inside: tuple[str, ...]) -> Table | None:
    """The table that a name stands for; None, with a warning, if it is not the publishers'."""
    name = PurePosixPath(inside[-1]).name if inside else path.name
    match = shape.fullmatch(name)
    if match is None:
        warnings.warn(f"{name} in {path} is no table of this data set; left out.", stacklevel=2)
        return None
    holder = inside[0] if len(inside) > 1 else path.parent.name
    number = match[3] or _number(holder)
    return Table(
        sensor=_SENSORS[match[1].lower()],
        activity=match[2].lower(),
        part=int(number),
        placement=match[4].lower(),
        path=path,
        inside=inside,
    )


def _number(holder: str) -> str:
    """Number of the part in the name of an inner archive or its unpacked folder."""
    match = re.search(r"_(\d+)_csv(?:\.zip)?$", holder)
    return match[1] if match else "1"


def _add(tables: dict[tuple, Table], table: Table) -> None:
    key = (table.sensor, table.activity, table.part, table.placement)
    if key in tables:
        raise FileFormatError(
            f"{table.where} holds the same part as {tables[key].where}.", "Remove one of them."
        )
    tables[key] = table


def _real_names(archive: zipfile.ZipFile) -> list[str]:
    """Members that are no leftovers of a file browser."""
    return [
        name
        for name in archive.namelist()
        if not name.startswith("__MACOSX/") and not PurePosixPath(name).name.startswith(".")
    ]


def _member(archive: zipfile.ZipFile, name: str, where: str) -> bytes:
    if archive.getinfo(name).file_size > MAX_TABLE_BYTES:
        raise FileFormatError(f"{where} is larger than {MAX_TABLE_BYTES} bytes.", "Fetch it again.")
    return archive.read(name)


def _damaged(path: Path, error: BaseException) -> FileFormatError:
    return FileFormatError(f"{path} is no whole archive ({error}).", "Fetch it again.")
