"""GPMF: the key-length-value stream in which GoPro cameras store telemetry.

An item is a key of four characters, a type, the size of one element in bytes, a big-endian count
of 16 bits, and the payload, padded to four bytes; type 0 is a container of items. `DEVC` is a
device and holds `STRM` containers, each with one kind of sensor data behind the items that describe
it: `SCAL` (divisor), `SIUN` or `UNIT`, `STNM` (name), `ORIN`, `ORIO`, `MTRX` (axes), `STMP` (time)
and `TSMP` (samples so far). This module knows bytes alone; what axes and units mean is decided in
`gopro.py`. Format: https://gopro.github.io/gpmf-parser.
"""

# N samples, C components

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np

from otolith.core.errors import FileFormatError

MAX_DEPTH = 8
MAX_ITEMS = 20_000
MAX_PACKET_BYTES = 64 << 20
SENSORS = ("ACCL", "GYRO", "GRAV")
_HEADER = 8
_KINDS = {
    "b": "i1", "B": "u1", "s": ">i2", "S": ">u2", "l": ">i4", "L": ">u4", "j": ">i8", "J": ">u8",
    "f": ">f4", "d": ">f8",
}  # fmt: skip
_REMEDY = "Copy the file from the camera again."


@dataclass(frozen=True)
class Item:
    """One key-length-value item.

    Args:
        key: Four characters.
        kind: Type character; empty for a container.
        size: Bytes of one element.
        count: Number of elements.
        payload: Bytes without padding.
        depth: Containers around it.
    """

    key: str
    kind: str
    size: int
    count: int
    payload: memoryview
    depth: int


@dataclass(frozen=True, kw_only=True)
class SensorBlock:
    """The samples of one sensor in one packet, and what the packet says about them.

    Args:
        key: `ACCL`, `GYRO`, ...
        values_NC: float64 [N, C], divided by the scale; in the order and unit of the file.
        unit: Unit as written; empty if there is none.
        name: Name of the stream as written.
        device: Name of the device as written.
        order_in: Axes of the stored components (`ORIN`), a small letter for a reversed one.
        order_out: Axes behind the matrix (`ORIO`).
        matrix: Float values of `MTRX`, row by row; empty if there is none.
        stamp_us: Time of the packet's first sample by the device's clock in microseconds.
        total: Samples since the start of the recording, those of this packet included.
    """

    key: str
    values_NC: np.ndarray
    unit: str = ""
    name: str = ""
    device: str = ""
    order_in: str = ""
    order_out: str = ""
    matrix: tuple[float, ...] = ()
    stamp_us: int | None = None
    total: int | None = None


def items(payload: bytes | memoryview) -> Iterator[Item]:
    """Yield all items of a packet, containers before what they hold.

    Args:
        payload: One packet of the telemetry track.

    Raises:
        FileFormatError: The packet is larger, deeper or has more items than any camera writes, or
            an item reaches beyond its container.
    """
    if len(payload) > MAX_PACKET_BYTES:
        raise FileFormatError(f"A telemetry packet has {len(payload)} bytes.", _REMEDY)
    # (position, end, depth) of the containers that are being read, innermost last
    open_spans = [(0, len(payload), 0)]
    view, num_items = memoryview(payload), 0
    while open_spans:
        start, end, depth = open_spans.pop()
        if end - start < _HEADER:
            if any(view[start:end]):
                raise FileFormatError("A telemetry packet ends inside an item.", _REMEDY)
            continue
        item = _item(view, start, end, depth)
        num_items += 1
        if num_items > MAX_ITEMS:
            raise FileFormatError(f"A packet holds more than {MAX_ITEMS} items.", _REMEDY)
        inside = start + _HEADER
        behind = inside + -(-len(item.payload) // 4) * 4
        open_spans.append((min(behind, end), end, depth))
        yield item
        if not item.kind:
            if depth + 1 > MAX_DEPTH:
                raise FileFormatError(f"A packet is nested deeper than {MAX_DEPTH}.", _REMEDY)
            open_spans.append((inside, inside + len(item.payload), depth + 1))


def _item(view: memoryview, start: int, end: int, depth: int) -> Item:
    """Header and payload of the item that begins at `start`."""
    raw = bytes(view[start : start + 4])
    if raw == b"\0\0\0\0":
        if any(view[start:end]):
            raise FileFormatError("A telemetry packet has bytes behind its items.", _REMEDY)
        return Item("", "\0", 0, 0, view[start + _HEADER : end], depth)
    key = raw.decode("latin-1")
    if not key.isascii() or not key.isprintable():
        raise FileFormatError(f"A telemetry item is called {raw!r}.", _REMEDY)
    kind, size = view[start + 4], view[start + 5]
    count = int.from_bytes(view[start + 6 : start + 8], "big")
    num_bytes = size * count
    if num_bytes > end - start - _HEADER:
        raise FileFormatError(
            f"The telemetry item {key} needs {num_bytes} bytes, but {end - start - _HEADER} are left.",
            _REMEDY,
        )
    inside = start + _HEADER
    return Item(
        key, chr(kind) if kind else "", size, count, view[inside : inside + num_bytes], depth
    )


def read_sensors(
    payload: bytes | memoryview, wanted: Collection[str] = SENSORS
) -> list[SensorBlock]:
    """Read the samples of some sensors from one packet.

    Args:
        payload: One packet of the telemetry track.
        wanted: Keys of the sensors.

    Returns:
        One block for every sensor that is there and holds samples.

    Raises:
        FileFormatError: The packet is damaged, or describes samples that cannot be.
    """
    found: list[SensorBlock] = []
    device, facts = "", {}
    for item in items(payload):
        if item.key == "DEVC":
            device = ""
        elif item.key == "DVNM":
            device = _text(item)
        elif item.key == "STRM":
            facts = {}
        elif item.key in wanted and item.count:
            found.append(_block(item, facts, device))
        else:
            facts[item.key] = item
    return found


def sensor_keys(payload: bytes | memoryview) -> tuple[str, ...]:
    """Return the keys of all sensors in a packet: the last item of every stream.

    Raises:
        FileFormatError: The packet is damaged.
    """
    keys: dict[int, str] = {}
    stream, depth = -1, MAX_DEPTH
    for item in items(payload):
        if item.key == "STRM":
            stream, depth = stream + 1, item.depth
        elif stream >= 0 and item.depth == depth + 1:
            keys[stream] = item.key
    return tuple(dict.fromkeys(keys.values()))


def numbers(item: Item) -> np.ndarray:
    """Return the numbers of an item as float64 [elements, components].

    Raises:
        FileFormatError: Its type is none of a number, or its size is no multiple of the type's.
    """
    code = _KINDS.get(item.kind)
    if code is None:
        raise FileFormatError(f"The telemetry item {item.key} holds no numbers.", _REMEDY)
    width = np.dtype(code).itemsize
    if not item.size or item.size % width:
        raise FileFormatError(
            f"The telemetry item {item.key} has elements of {item.size} bytes of type "
            f'"{item.kind}".',
            _REMEDY,
        )
    values = np.frombuffer(item.payload, code).astype(np.float64)
    return values.reshape(item.count, item.size // width)


def _block(item: Item, facts: dict[str, Item], device: str) -> SensorBlock:
    values_NC = numbers(item)
    if "SCAL" in facts:
        scale = numbers(facts["SCAL"]).ravel()
        fits = scale.size in {1, values_NC.shape[1]}
        if not (fits and np.isfinite(scale).all() and scale.all()):
            raise FileFormatError(f"The scale of {item.key} is {scale.tolist()[:4]}.", _REMEDY)
        values_NC = values_NC / scale
    if not np.isfinite(values_NC).all():
        raise FileFormatError(f"{item.key} holds values that are no numbers.", _REMEDY)
    unit = facts.get("SIUN") or facts.get("UNIT")
    return SensorBlock(
        key=item.key,
        values_NC=values_NC,
        unit=_text(unit) if unit else "",
        name=_text(facts["STNM"]) if "STNM" in facts else "",
        device=device,
        order_in=_text(facts["ORIN"]) if "ORIN" in facts else "",
        order_out=_text(facts["ORIO"]) if "ORIO" in facts else "",
        matrix=tuple(numbers(facts["MTRX"]).ravel().tolist()) if "MTRX" in facts else (),
        stamp_us=_whole(facts.get("STMP")),
        total=_whole(facts.get("TSMP")),
    )


def _whole(item: Item | None) -> int | None:
    """The one whole number of an item."""
    if item is None or not item.payload or item.kind not in set("bBsSlLjJ"):
        return None
    width = np.dtype(_KINDS[item.kind]).itemsize
    if len(item.payload) < width:
        return None
    return int(np.frombuffer(item.payload[:width], _KINDS[item.kind])[0])


def _text(item: Item) -> str:
    """Text of an item up to the first zero byte."""
    return bytes(item.payload).split(b"\0", 1)[0].decode("latin-1").strip()
