"""Columns of pandas tables in old pickle files, without pandas and without running code."""

from __future__ import annotations

import gzip
import io
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from otolith.core.errors import FileFormatError
from otolith.core.unpickle import Stub, load_restricted

_LAYOUT = "0.14.1"  # key under which pandas 0.14 to 1.1 store axes and blocks


def read_gzipped(path: Path) -> Any:
    """Read a gzipped pickle through the restricted reader.

    Raises:
        FileFormatError: The file is cut off or is no gzipped pickle.
    """
    try:
        data = gzip.decompress(path.read_bytes())
        return load_restricted(io.BytesIO(data))
    except FileFormatError as error:
        raise FileFormatError(f"{path} is damaged: {error.fact}", "Fetch it again.") from None
    except (OSError, EOFError, zlib.error) as error:
        raise FileFormatError(f"{path} is damaged: {error}.", "Fetch it again.") from None


def columns(table: Any, path: Path) -> dict[str, np.ndarray]:
    """Return the columns of a pickled table.

    Args:
        table: Stub of a pandas `DataFrame` of the old block layout.
        path: Where it comes from, for the message.

    Returns:
        Column name -> values [T].

    Raises:
        FileFormatError: It is no such table.
    """
    try:
        layout = table.state["_data"].state[-1][_LAYOUT]
        names = [str(n) for n in _labels(layout["axes"][0])]
        found = {}
        for block in layout["blocks"]:
            where = block["mgr_locs"]
            places = range(len(names))[where] if isinstance(where, slice) else where
            for place, values in zip(places, block["values"], strict=True):
                found[names[int(place)]] = values
        return {name: found[name] for name in names}
    except (AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
        raise FileFormatError(
            f"{path} holds no table of the expected layout ({error!r}).", "Fetch it again."
        ) from None


def _labels(axis: Stub) -> np.ndarray:
    """Names of a pickled pandas Index: (class, {"data": names, ...})."""
    return axis.args[1]["data"]
