"""Read foreign pickle files without running their code.

Only numpy arrays, scalars and plain containers are rebuilt. Every other class becomes an inert
`Stub` that remembers its name, arguments and state; nothing of it is imported or called.
This is for data files of others alone: Otolith itself never writes pickle.
"""

from __future__ import annotations

import io
import pickle  # the restricted reader below is the only use
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from otolith.core.errors import FileFormatError


@dataclass
class Stub:
    """Stands for an object of a foreign class.

    Args:
        module: Module of the class as written in the file.
        name: Name of the class.
        args: Arguments of its construction.
        state: What the file would have handed to `__setstate__`; None if nothing.
        items: What the file would have appended or set.
    """

    module: str
    name: str
    args: tuple[Any, ...] = ()
    state: Any = None
    items: list[Any] = field(default_factory=list)

    def __setstate__(self, state: Any) -> None:
        """Keep the state instead of applying it."""
        self.state = state

    def append(self, item: Any) -> None:
        """Keep a list item."""
        self.items.append(item)

    def extend(self, items: Any) -> None:
        """Keep list items."""
        self.items.extend(items)

    def __setitem__(self, key: Any, value: Any) -> None:
        """Keep a dictionary item."""
        self.items.append((key, value))

    def __hash__(self) -> int:
        """Hash by identity, so that a stub may be a key."""
        return id(self)

    def __eq__(self, other: object) -> bool:
        """Compare by identity."""
        return self is other


def _reconstruct_array(cls: Any, shape: tuple[int, ...], kind: bytes) -> np.ndarray:
    """Make the empty array that numpy's pickles start from; subclasses become plain arrays."""
    del cls, kind
    return np.ndarray(shape, dtype=np.int8)


def _scalar(dtype: np.dtype, data: Any = None) -> Any:
    """Rebuild a numpy scalar from its bytes."""
    if dtype.hasobject:
        return data
    return np.frombuffer(data, dtype=dtype)[0]


def _encode(text: str, encoding: str = "latin1") -> bytes:
    """Bytes as Python 3 writes them into protocol 2."""
    return text.encode("latin1" if encoding == "latin1" else "utf-8")


def _from_buffer(data: Any, dtype: np.dtype, shape: tuple[int, ...], order: str) -> np.ndarray:
    """Rebuild an array from the bytes that protocol 5 stores."""
    return np.frombuffer(bytes(data), dtype=dtype).reshape(
        shape, order="F" if order == "F" else "C"
    )


_ARRAY = {("numpy.core.multiarray", "_reconstruct"), ("numpy._core.multiarray", "_reconstruct")}
_ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("numpy.core.multiarray", "scalar"): _scalar,
    ("numpy._core.multiarray", "scalar"): _scalar,
    ("numpy.core.numeric", "_frombuffer"): _from_buffer,
    ("numpy._core.numeric", "_frombuffer"): _from_buffer,
    ("_codecs", "encode"): _encode,
    ("builtins", "slice"): slice,
    ("__builtin__", "slice"): slice,
    ("builtins", "range"): range,
    ("builtins", "complex"): complex,
    ("__builtin__", "complex"): complex,
    ("builtins", "bytearray"): bytearray,
    ("__builtin__", "bytearray"): bytearray,
    ("builtins", "set"): set,
    ("__builtin__", "set"): set,
    ("builtins", "frozenset"): frozenset,
    ("__builtin__", "frozenset"): frozenset,
    ("collections", "OrderedDict"): dict,
}


def _stub_class(module: str, name: str) -> type[Stub]:
    """A class whose construction, by any route, only remembers."""

    def construct(cls: type[Stub], *args: Any) -> Stub:
        stub = object.__new__(cls)
        Stub.__init__(stub, module, name, args)
        return stub

    def keep(self: Stub, *args: Any, **kwargs: Any) -> None:
        """Everything was remembered in `construct`."""

    return type(name, (Stub,), {"__new__": construct, "__init__": keep, "__slots__": ()})


def _reconstructor(cls: Any, base: Any, state: Any) -> Any:
    """Stand-in of `copyreg._reconstructor`, used by protocol-0/1 style objects."""
    del base
    known = isinstance(cls, type) and issubclass(cls, Stub)
    stub = cls.__new__(cls) if known else Stub("copyreg", "object")
    stub.args = () if state is None else (state,)
    return stub


class _Restricted(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Callable[..., Any]:
        """Return an allowed constructor or a stub class; never import."""
        if (module, name) in _ARRAY:
            return _reconstruct_array
        if name == "_reconstructor" and module in {"copyreg", "copy_reg"}:
            return _reconstructor
        return _ALLOWED.get((module, name)) or _stub_class(module, name)

    def persistent_load(self, pid: Any) -> Any:
        """Refuse references to objects outside the file."""
        raise pickle.UnpicklingError(f"reference to an outside object {pid!r}")


def load_restricted(file: Path | BinaryIO, *, encoding: str = "latin1") -> Any:
    """Read one pickled object, or a `.npy` file of objects.

    Args:
        file: Path or binary file (already decompressed).
        encoding: How to decode Python 2 strings.

    Returns:
        Plain containers, numpy arrays and `Stub` objects.

    Raises:
        FileFormatError: The file is damaged or is no pickle.
    """
    if isinstance(file, Path):
        with file.open("rb") as handle:
            return load_restricted(handle, encoding=encoding)
    name = getattr(file, "name", "the file")
    data = file.read()
    stream = io.BytesIO(data)
    try:
        if data.startswith(b"\x93NUMPY"):
            return _load_npy(stream, encoding)
        return _Restricted(stream, encoding=encoding).load()
    except (pickle.UnpicklingError, EOFError, ValueError, TypeError, KeyError, IndexError,
            AttributeError, UnicodeDecodeError, OverflowError, MemoryError) as error:  # fmt: skip
        raise FileFormatError(
            f"{name} cannot be read as a pickled data file ({error}).", "Fetch it again."
        ) from None


def _load_npy(stream: BinaryIO, encoding: str) -> np.ndarray:
    """Read a `.npy` file; object arrays go through the restricted reader."""
    version = np.lib.format.read_magic(stream)
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in readers:
        raise ValueError(f"npy version {version} is unknown")
    shape, fortran, dtype = readers[version](stream)
    if not dtype.hasobject:
        stream.seek(0)
        return np.load(stream, allow_pickle=False)
    value = _Restricted(stream, encoding=encoding).load()
    return value.reshape(shape, order="F" if fortran else "C")
