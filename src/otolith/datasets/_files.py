"""Find and read the text files of official releases, with errors that name file and source."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np

from otolith.core.errors import DataError, FileFormatError
from otolith.datasets import Source


def where_to_get(source: Source) -> str:
    """Return one sentence that says how to obtain a data set."""
    places = []
    if source.package:
        places.append(f"install the package {source.package}")
    places.append(f"get the release from {source.homepage}")
    text = " or ".join(places)
    return f"{text[0].upper()}{text[1:]} and give its folder as root."


def need(path: Path, dataset: str, source: Source) -> Path:
    """Return `path` if it exists.

    Raises:
        DataError: It does not; the message names it and says where to get the data set.
    """
    if not path.exists():
        raise DataError(f"{path} of {dataset} is missing.", where_to_get(source))
    return path


def find_root(root: Path, nested: tuple[str, ...], dataset: str, source: Source) -> Path:
    """Return the release folder: `root`, or the folder in it that a release's archive makes.

    Args:
        root: What the user gave.
        nested: Relative names to look for inside `root`, in order.
        dataset: Name of the data set.
        source: Where the data set comes from.

    Raises:
        DataError: `root` does not exist.
    """
    need(root, dataset, source)
    return next((root / name for name in nested if (root / name).is_dir()), root)


def find_in_package(
    root: Path | None, package: str, inner: str, dataset: str, source: Source
) -> Path:
    """Return a file or folder that an installed package carries, without importing the package.

    Args:
        root: Folder given by the user instead of the package; None = look for the package.
        package: Import name of the package.
        inner: Path inside the package.
        dataset: Name of the data set.
        source: Where the data set comes from.

    Raises:
        DataError: The package is not installed, or the path is missing.
    """
    if root is not None:
        return need(root, dataset, source)
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise DataError(f"The package that carries {dataset} is missing.", where_to_get(source))
    return need(Path(next(iter(found.submodule_search_locations))) / inner, dataset, source)


def read_text(path: Path) -> str:
    """Read a text file as UTF-8 (a byte-order mark is dropped), else as Latin-1."""
    data = path.read_bytes()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def read_numbers(
    path: Path,
    num_columns: int,
    *,
    separator: str = "",
    end: str = "",
    skip: tuple[str, ...] = (),
) -> np.ndarray:
    """Read a table of numbers.

    Args:
        path: Text file.
        num_columns: Columns that every row has to have.
        separator: Text between columns; empty = blanks.
        end: Text that closes every row, such as ";"; empty = none.
        skip: Beginnings of lines that are no rows, such as "#".

    Returns:
        float64 [rows, num_columns].

    Raises:
        FileFormatError: The file is empty or cut off, a row has another number of columns,
            or a cell is no number.
    """
    lines = [
        line
        for raw in read_text(path).splitlines()
        if (line := raw.strip()) and not line.startswith(skip)
    ]
    if not lines:
        raise FileFormatError(f"{path} holds no rows.", "Fetch it again.")
    if end:
        bad = next((n for n, x in enumerate(lines, start=1) if not x.endswith(end)), None)
        if bad is not None:
            raise FileFormatError(
                f'Row {bad} of {path} does not end with "{end}"; the file seems cut off.',
                "Fetch it again.",
            )
        lines = [line.removesuffix(end) for line in lines]
    try:
        table = np.loadtxt(lines, delimiter=separator or None, comments=None, ndmin=2)
    except ValueError as error:
        reason = str(error).split(";")[0].rstrip(".")
        raise FileFormatError(f"{path} is damaged: {reason}.", "Fetch it again.") from None
    if table.shape[1] != num_columns:
        raise FileFormatError(
            f"{path} has {table.shape[1]} columns instead of {num_columns}.", "Fetch it again."
        )
    return table
