"""Text tables: comma, tab, semicolon, bar or blank separated, read by pyarrow with fixed types."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
from pyarrow import csv

from otolith.core.errors import FileFormatError
from otolith.recordings.inference.columns import ColumnPlan, Signal, plan_columns
from otolith.recordings.inference.notes import Notes, plural, some
from otolith.recordings.options import ReadOptions
from otolith.recordings.readers.arrow import compute
from otolith.recordings.readers.layout import (
    HEAD_BYTES,
    Layout,
    count_numbers,
    find_layout,
    split_line,
)
from otolith.recordings.readers.raw_table import RawTable, to_columns

_NULLS = ["", "NaN", "nan", "NA", "N/A", "n/a", "null", "NULL", "None", "-nan", "#N/A", "-NaN"]
_BOMS = {b"\xef\xbb\xbf": "utf8", b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}


def read_text_table(path: Path, options: ReadOptions, notes: Notes) -> RawTable:
    """Read a text table of any common layout.

    Args:
        path: The file.
        options: Uses `columns`, `on_bad_row`, `on_bad_value`, `on_missing_axis`.
        notes: Receives what was found.

    Returns:
        Columns with fixed types.

    Raises:
        FileFormatError: The file is empty or is no text.
        DataError: It is no table of signals, or a policy refuses.
    """
    buffer, encoding = _open(path, notes)
    head = bytes(buffer.slice(0, min(HEAD_BYTES, buffer.size)))
    layout = find_layout(head, encoding, is_whole=buffer.size <= HEAD_BYTES, notes=notes)
    plan = _with_units(
        plan_columns([n for n in layout.names if not n.startswith("unnamed_")], options, notes),
        layout,
    )
    body = buffer.slice(layout.data_offset)
    if layout.separator == " ":
        body = pa.py_buffer(
            re.sub(rb"(?m)^[ \t]+|[ \t]+$", b"", re.sub(rb"[ \t]+", b"\t", bytes(body)))
        )
        layout = replace(layout, separator="\t")
    plan = replace(plan, extras=tuple(_textual_extras(plan, layout, notes)))
    table = _read(body, encoding, layout, plan, options, notes)
    _note_end(body, layout, notes)
    numbers, texts = to_columns(table, plan, options, notes)
    num_rows = len(next(iter(table.values())))
    return RawTable(path, num_rows, plan, numbers, texts, layout.stated_rate_hz)


def _open(path: Path, notes: Notes) -> tuple[pa.Buffer, str]:
    """The file's bytes (memory-mapped where they can stay as they are) and encoding."""
    if path.stat().st_size == 0:
        raise FileFormatError(f"{path.name} [file.empty] is empty.", "Copy it again.")
    buffer = pa.memory_map(str(path)).read_buffer()
    head = bytes(buffer.slice(0, min(HEAD_BYTES, buffer.size)))
    if head.startswith(
        (b"PK\x03\x04", b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x89HDF", b"%PDF", b"\xd0\xcf\x11\xe0")
    ):
        raise FileFormatError(
            f"{path.name} [file.binary] is an archive or a spreadsheet, not a text table.",
            "Unpack it, or save it as CSV.",
        )
    mark = next((m for m in _BOMS if head.startswith(m)), b"")
    wide = _BOMS.get(mark, "")
    if not mark and len(head) > 8 and head[1::2].count(0) > 0.8 * len(head[1::2]):
        wide = "utf-16-le"
    if mark:
        notes.add(
            "file.byte_order_mark", "fixed", "The file starts with a byte order mark.", mark.hex()
        )
    if wide.startswith("utf-16"):
        notes.add("file.encoding", "inferred", f"The text is encoded as {wide.upper()}.")
        data = bytes(buffer.slice(len(mark))).decode(wide, errors="replace")
        return pa.py_buffer(data.encode()), "utf8"
    buffer = buffer.slice(len(mark))
    if bytes(head).count(0) or _has_zero_bytes(buffer):
        buffer = _without_zero_bytes(path, buffer, notes)
        head = bytes(buffer.slice(0, min(HEAD_BYTES, buffer.size)))
    control = sum(head.count(bytes([c])) for c in range(32) if c not in (9, 10, 12, 13))
    if control > 0.01 * len(head):
        raise FileFormatError(
            f"{path.name} [file.binary] is not text.", "Give a CSV, TSV or Parquet file."
        )
    if not _is_utf8(buffer):
        notes.add(
            "file.encoding",
            "inferred",
            "The text is not UTF-8; it was read as Latin-1.",
            remedy="Save it as UTF-8 if letters look wrong.",
        )
        return buffer, "latin1"
    return buffer, "utf8"


def _has_zero_bytes(buffer: pa.Buffer) -> bool:
    step = 1 << 24
    return any(
        b"\0" in bytes(buffer.slice(i, min(step, buffer.size - i)))
        for i in range(0, buffer.size, step)
    )


def _is_utf8(buffer: pa.Buffer) -> bool:
    """Check block by block; a letter cut at a block's edge belongs to the next block."""
    step, start = 1 << 24, 0
    while start < buffer.size:
        block = bytes(buffer.slice(start, min(step, buffer.size - start)))
        if block.isascii():
            start += len(block)
            continue
        try:
            block.decode("utf-8")
            start += len(block)
        except UnicodeDecodeError as error:
            if error.end < len(block) or start + len(block) == buffer.size or error.start == 0:
                return False
            start += error.start
    return True


def _without_zero_bytes(path: Path, buffer: pa.Buffer, notes: Notes) -> pa.Buffer:
    data = bytes(buffer)
    count = data.count(b"\0")
    if count > 0.5 * len(data):
        raise FileFormatError(
            f"{path.name} [file.zero_bytes] holds mostly zero bytes.", "Copy it again."
        )
    notes.add(
        "file.zero_bytes",
        "fixed",
        f"{plural(count, 'zero byte')} were left out, as an interrupted write leaves them.",
    )
    return pa.py_buffer(data.replace(b"\0", b""))


def _with_units(plan: ColumnPlan, layout: Layout) -> ColumnPlan:
    """Add the units row to what the names state."""
    if not layout.units:
        return plan
    below = dict(zip(layout.names, layout.units, strict=False))
    signals = {
        stream: tuple(
            Signal(s.source, replace(s.name, unit=s.name.unit or below.get(s.source, "")))
            for s in group
        )
        for stream, group in plan.signals.items()
    }
    unit = plan.time_unit or below.get(plan.roles.get("t", ""), "")
    return replace(plan, signals=signals, time_unit=unit)


def _textual_extras(plan: ColumnPlan, layout: Layout, notes: Notes) -> list[str]:
    """Unknown columns with words are kept (they may name a trial); those with numbers are not."""
    first = dict(zip(layout.names, layout.sample, strict=False))
    words = [c for c in plan.extras if not count_numbers([first.get(c, "")], layout.decimal)]
    rest = [c for c in plan.extras if c not in words]
    if rest:
        notes.add(
            "columns.unused",
            "inferred",
            "Columns of unknown meaning were not read.",
            some(rest, 8),
            "Map them with columns if they are needed.",
        )
    return words


def _read(
    body: pa.Buffer,
    encoding: str,
    layout: Layout,
    plan: ColumnPlan,
    options: ReadOptions,
    notes: Notes,
) -> dict[str, pa.ChunkedArray]:
    """Read the wanted columns; if a value does not parse, read all as text to find it."""
    wanted = [*plan.roles.values(), *plan.signal_columns, *plan.extras]
    first = dict(zip(layout.names, layout.sample, strict=False))
    kinds: dict[str, pa.DataType] = {c: pa.dictionary(pa.int32(), pa.string()) for c in wanted}
    kinds |= {c: pa.float32() for c in plan.signal_columns}
    kinds |= {plan.roles[r]: pa.float64() for r in ("t", "sample") if r in plan.roles}
    if (time := plan.roles.get("t")) and not count_numbers([first.get(time, "")], layout.decimal):
        kinds[time] = pa.string()
    bad: list[str] = []
    try:
        table = _parse(body, encoding, layout, kinds, bad)
    except pa.ArrowInvalid:
        bad.clear()
        try:
            table = _parse(body, encoding, layout, dict.fromkeys(wanted, pa.string()), bad)
        except pa.ArrowInvalid as error:
            raise notes.error(
                "file.table", "The rows cannot be read", str(error)[:120], "Repair the file."
            ) from None
        table = _drop_repeated_headers(table, plan, options, notes)
        if layout.decimal == ",":
            numeric = {*plan.signal_columns, *(plan.roles.get(r, "") for r in ("t", "sample"))}
            for i, name in enumerate(table.column_names):
                if name in numeric:
                    table = table.set_column(
                        i, name, compute.replace_substring(table[name], ",", ".")
                    )
    _note_bad_rows(bad, table.num_rows, body, options, notes)
    if table.num_rows == 0:
        raise notes.error(
            "file.rows", "There are no data rows", "", "Give a table with one row per sample."
        )
    return {name: table[name] for name in wanted}


def _parse(
    body: pa.Buffer, encoding: str, layout: Layout, kinds: dict[str, pa.DataType], bad: list[str]
) -> pa.Table:
    """One pass of pyarrow's reader; rows with a wrong number of fields go to `bad`."""

    def skip(row: csv.InvalidRow) -> str:
        bad.append(row.text)
        return "skip"

    return csv.read_csv(
        pa.BufferReader(body),
        read_options=csv.ReadOptions(
            column_names=list(layout.names), encoding=encoding, block_size=1 << 22
        ),
        parse_options=csv.ParseOptions(delimiter=layout.separator, invalid_row_handler=skip),
        convert_options=csv.ConvertOptions(
            column_types=kinds,
            include_columns=list(kinds),
            null_values=_NULLS,
            decimal_point=layout.decimal,
        ),
    )


def _drop_repeated_headers(
    table: pa.Table, plan: ColumnPlan, options: ReadOptions, notes: Notes
) -> pa.Table:
    """Leave out rows that repeat the column names (files that were glued together)."""
    is_header = None
    for name in plan.signal_columns[:3]:
        same = compute.equal(compute.utf8_trim_whitespace(table[name]), name).fill_null(False)
        is_header = same if is_header is None else compute.and_(is_header, same)
    count = int(compute.sum(is_header).as_py() or 0) if is_header is not None else 0
    if not count:
        return table
    notes.act(
        options.on_bad_row,
        "rows.repeated_header",
        "fixed",
        f"The header is repeated in {plural(count, 'row')}; they were left out",
        "",
        "Several files may have been glued together: check for restarting times.",
    )
    return table.filter(compute.invert(is_header))


def _note_bad_rows(
    bad: list[str], num_rows: int, body: pa.Buffer, options: ReadOptions, notes: Notes
) -> None:
    """Say which rows had a wrong number of fields."""
    if not bad:
        return
    tail = bytes(body.slice(max(0, body.size - 4096))).rstrip(b"\r\n").splitlines()
    last = tail[-1].decode("utf-8", errors="replace").strip() if tail else ""
    comments = [b for b in bad if b.lstrip().startswith(("#", "%", "//"))]
    truncated = [b for b in bad if b.strip() == last and b not in comments][:1]
    ragged = [b for b in bad if b not in comments]
    for row in truncated:
        ragged.remove(row)
    kinds = (
        ("rows.truncated", truncated, "The last line is cut off; it was left out"),
        (
            "rows.comment",
            comments,
            f"{plural(len(comments), 'comment line')} between the rows were left out",
        ),
        (
            "rows.ragged",
            ragged,
            f"{plural(len(ragged), 'row')} with a wrong number of fields were left out",
        ),
    )
    if len(ragged) > max(10, 0.02 * num_rows):
        raise notes.error(
            "rows.ragged",
            f"{plural(len(ragged), 'row')} have a wrong number of fields",
            some([b[:60] for b in ragged]),
            "Check separator and decimal sign, and write the file again.",
        )
    for check, rows, fact in kinds:
        if rows:
            notes.act(
                options.on_bad_row,
                check,
                "fixed",
                fact,
                some([b[:60] for b in rows]),
                "Repair the rows.",
            )


def _note_end(body: pa.Buffer, layout: Layout, notes: Notes) -> None:
    """A file without a final line end may have lost the end of its last value."""
    tail = bytes(body.slice(max(0, body.size - 4096)))
    if tail.endswith((b"\n", b"\r")):
        return
    last = tail.splitlines()[-1].decode("utf-8", errors="replace")
    if len(split_line(last, layout.separator)) == len(layout.names):
        notes.add(
            "file.end",
            "unknown",
            "The file has no final line end, so its last value may be cut off.",
            last[-40:],
            "Delete the last line if it is.",
        )
