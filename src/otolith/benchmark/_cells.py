"""Finished cells on disk: one JSON file each, found by a hash of everything that decides it."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from otolith.benchmark import Cell, Unit
from otolith.core.config import to_plain
from otolith.core.errors import FileFormatError
from otolith.core.files import read_json, write_text

FORMAT = 1
_PACKAGES = ("otolith", "numpy", "torch", "scikit-learn", "scipy")


class CellStore:
    """Cells below a folder.

    Args:
        folder: Where they lie; created when the first is written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "cells"

    def read(self, protocol: str, key: str) -> Cell | None:
        """Return a finished cell, or None if it is not there.

        Raises:
            FileFormatError: Its file is damaged or of another version.
        """
        path = self._path(protocol, key)
        if not path.is_file():
            return None
        data = read_json(path)
        remedy = "Delete that file; the cell is computed again."
        if not isinstance(data, dict) or data.pop("format", None) != FORMAT:
            raise FileFormatError(f"{path} is no cell of format {FORMAT}.", remedy)
        try:
            cell = TypeAdapter(Cell).validate_python(data)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            raise FileFormatError(
                f"{path} holds a damaged cell: {place}: {first['msg']}.", remedy
            ) from None
        if cell.key != key:
            raise FileFormatError(f"{path} holds another cell than its name says.", remedy)
        return cell

    def write(self, cell: Cell) -> None:
        """Write a cell; it is whole or absent."""
        text = json.dumps({"format": FORMAT, **to_plain(cell)}, ensure_ascii=False, allow_nan=False)
        write_text(self._path(cell.protocol, cell.key), text + "\n")

    def _path(self, protocol: str, key: str) -> Path:
        return self._folder / protocol / f"{key}.json"


def cell_key(protocol: str, settings: Any, unit: Unit, identity: str, data: dict[str, str]) -> str:
    """Return the name of a cell: a hash of what its result depends on.

    Args:
        protocol: Protocol.
        settings: Its settings.
        unit: Which cell.
        identity: Of the contestant.
        data: Name -> identity of the data sets that the cell may read.
    """
    content = {
        "format": FORMAT,
        "protocol": protocol,
        "settings": to_plain(settings),
        "unit": to_plain(unit),
        "contestant": identity,
        "data": data,
        "otolith": versions()["otolith"],
    }
    text = json.dumps(content, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def versions() -> dict[str, str]:
    """Return package -> version; empty where a package is not installed."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = ""
    return found
