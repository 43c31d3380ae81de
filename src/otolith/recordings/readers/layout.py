"""How a text table is laid out: encoding, separator, decimal sign, junk lines, header, units row."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from otolith.core.errors import DataError
from otolith.recordings.inference.names import known_unit, role_name, signal_name
from otolith.recordings.inference.notes import Notes, plural, some

HEAD_BYTES = 1 << 18
_MAX_LINES = 400
_SEPARATORS = ("\t", ";", "|", ",", " ")
_DOT = re.compile(r"\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*$")
_COMMA = re.compile(r"\s*[-+]?(\d+,?\d*|,\d+)([eE][-+]?\d+)?\s*$")
_RATE = re.compile(
    r"(?:rate|freq\w*|\bfs\b|sampling)\D{0,24}?(\d+(?:[.,]\d+)?)\s*(k?hz)?", re.IGNORECASE
)
_HERTZ = re.compile(r"(\d+(?:[.,]\d+)?)\s*hz\b", re.IGNORECASE)


@dataclass(frozen=True)
class Layout:
    """Layout of a text table.

    Args:
        separator: One character; a space stands for any run of blanks.
        decimal: "." or ",".
        names: Column names, one per field.
        units: Units row below the header, by column; empty if none.
        sample: Fields of the first data row.
        data_offset: Byte at which the first data row starts.
        stated_rate_hz: Rate stated above the header; None if none.
        has_trailing_separator: Whether rows end with a separator without a column.
    """

    separator: str
    decimal: str
    names: tuple[str, ...]
    units: tuple[str, ...]
    sample: tuple[str, ...]
    data_offset: int
    stated_rate_hz: float | None
    has_trailing_separator: bool


def find_layout(head: bytes, encoding: str, *, is_whole: bool, notes: Notes) -> Layout:
    """Find the layout from the first bytes of a file.

    Args:
        head: First bytes, after a byte order mark.
        encoding: "utf8" or "latin1".
        is_whole: Whether `head` is the whole file (else its last line is incomplete).
        notes: Receives what was found.

    Raises:
        DataError: There are no rows of numbers, or no header line names the columns.
    """
    raw_lines = re.findall(rb"[^\r\n]*(?:\r\n|\n|\r)|[^\r\n]+$", head)
    raw_lines = raw_lines[: None if is_whole else -1][:_MAX_LINES]
    lines = [raw.decode(encoding, errors="replace").rstrip("\r\n") for raw in raw_lines]
    separator, decimal, width, least = _best_separator(lines)
    if width == 0:
        raise notes.error(
            "file.rows",
            "No rows of numbers were found",
            plural(len(lines), "line"),
            "Give a table with one row per sample and a header line.",
        )
    fields = [split_line(line, separator) for line in lines]
    is_data = [len(f) == width and count_numbers(f, decimal) >= least for f in fields]
    first = is_data.index(True)
    header, units = _find_header(fields, first, width, decimal)
    if header is None:
        for i in range(first - 1, -1, -1):
            if sum(bool(signal_name(f)) for f in fields[i]) >= 3:
                raise _ragged(len(fields[i]), width, lines[i], lines[first], notes)
        raise notes.error(
            "file.header",
            "No header line names the columns",
            f"first row: {lines[first][:80]}",
            "Put one line with column names (t, acc_x, ...) above the data.",
        )
    names = [n.strip().strip('"').strip() for n in fields[header]]
    names[0] = names[0].lstrip("#% ").strip()
    has_trailing = len(names) == width - 1 and all(
        not f[-1].strip() for f, good in zip(fields, is_data, strict=True) if good
    )
    if has_trailing:
        names.append("")
    elif len(names) == width + 1 and not names[-1]:
        names.pop()
    if len(names) != width:
        raise _ragged(len(names), width, lines[header], lines[first], notes)
    _note_layout(lines, header, units, first, separator, decimal, has_trailing, notes)
    return Layout(
        separator=separator,
        decimal=decimal,
        names=tuple(n or f"unnamed_{i}" for i, n in enumerate(names)),
        units=tuple(known_unit(u) for u in fields[units]) if units is not None else (),
        sample=tuple(fields[first]),
        data_offset=sum(len(raw) for raw in raw_lines[:first]),
        stated_rate_hz=stated_rate(lines[:header]),
        has_trailing_separator=has_trailing,
    )


def _ragged(num_names: int, width: int, header: str, row: str, notes: Notes) -> DataError:
    """The refusal of a table whose rows do not fit its header."""
    return notes.error(
        "file.ragged",
        f"The header has {num_names} names but the rows have {width} fields",
        f"header: {header[:40]}; row: {row[:60]}",
        "Check separator and decimal sign of the file, and write it again.",
    )


def split_line(line: str, separator: str) -> list[str]:
    """Split one line into fields; quotes protect separators."""
    if separator == " ":
        return line.split()
    if '"' in line:
        return next(csv.reader([line], delimiter=separator), [])
    return line.split(separator)


def count_numbers(fields: Sequence[str], decimal: str) -> int:
    """Return how many fields are numbers."""
    pattern = _DOT if decimal == "." else _COMMA
    return sum(bool(pattern.match(f)) for f in fields)


def stated_rate(lines: Sequence[str]) -> float | None:
    """Return the sampling rate in Hz that free text states; None if it states none."""
    for line in lines:
        if match := _RATE.search(line) or _HERTZ.search(line):
            value = float(match[1].replace(",", "."))
            is_kilo = match.re is _RATE and (match[2] or "").lower() == "khz"
            value *= 1000.0 if is_kilo else 1.0
            if 1.0 <= value <= 10_000.0:
                return value
    return None


def _best_separator(lines: Sequence[str]) -> tuple[str, str, int, int]:
    """(separator, decimal sign, fields per row, fewest numbers of a data row); width 0 = none."""
    body = lines[len(lines) // 3 :] if len(lines) > 6 else lines
    best = (0.0, "", ".", 0, 0)
    for separator in _SEPARATORS:
        split = [split_line(line, separator) for line in body if line.strip()]
        counts = Counter(len(f) for f in split)
        for decimal in (".",) if separator == "," and '"' not in "".join(body) else (".", ","):
            # Rows of the table decide, not the most common line: a short table has long preambles.
            rows = [(len(f), count_numbers(f, decimal)) for f in split]
            rows = [r for r in rows if r[1] >= 2 and counts[r[0]]]
            if not rows:
                continue
            width = Counter(r[0] for r in rows).most_common(1)[0][0]
            numbers = sorted(n for w, n in rows if w == width)
            typical = numbers[len(numbers) // 2]
            score = typical * len(numbers) / len(split)
            if score > best[0] * 1.02:
                best = (score, separator, decimal, width, max(2, round(0.6 * typical)))
    return best[1], best[2], best[3], best[4]


def _find_header(
    fields: Sequence[Sequence[str]], first: int, width: int, decimal: str
) -> tuple[int | None, int | None]:
    """Line numbers of header and units row above the first data row."""
    units = None
    for i in range(first - 1, -1, -1):
        line = fields[i]
        filled = [f for f in line if f.strip()]
        if abs(len(line) - width) > 1 or len(filled) < 2:
            continue
        if count_numbers(line, decimal) > len(filled) // 3:
            continue
        share = sum(bool(known_unit(f)) for f in filled) / len(filled)
        speaks = sum(bool(signal_name(f) or role_name(f)) for f in filled)
        if share > 0.5 and units is None and i > 0 and speaks < len(filled):
            units = i
            continue
        return i, units
    return (units, None) if units is not None else (None, None)


def _note_layout(
    lines: Sequence[str],
    header: int,
    units: int | None,
    first: int,
    separator: str,
    decimal: str,
    has_trailing: bool,
    notes: Notes,
) -> None:
    """Say what is unlike a plain comma-separated table."""
    junk = [line for line in lines[:header] if line.strip()]
    between = [lines[i] for i in range(header + 1, first) if i != units and lines[i].strip()]
    if junk or between:
        notes.add(
            "file.header_rows",
            "fixed",
            f"{plural(len(junk) + len(between), 'line')} around the header are not part of the table.",
            some([s[:60] for s in [*junk, *between]]),
        )
    if units is not None:
        notes.add(
            "file.units_row",
            "inferred",
            "The line below the header holds units.",
            lines[units][:80],
        )
    words = {"\t": "tabs", ";": "semicolons", "|": "vertical bars", " ": "blanks"}
    if separator != ",":
        notes.add("file.separator", "inferred", f"Fields are separated by {words[separator]}.")
    if decimal != ".":
        notes.add("file.decimal", "inferred", "The decimal sign is a comma.", lines[first][:80])
    if has_trailing:
        notes.add(
            "file.trailing_separator",
            "fixed",
            "Every row ends with a separator that no column name belongs to.",
            lines[first][-40:],
        )
