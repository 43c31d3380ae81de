"""The words of Python in a remedy, said as options of the command line."""

from __future__ import annotations

import re

_RULES = (
    (r"overwrite=True", "--overwrite"),
    (r"\b\w+ \((--[^)]*)\)", r"\1"),
    (r"\b(on_\w+|time_unit)=[\"']?(\w+)[\"']?", r"--policy \1=\2"),
    (r"\b([Pp]ass|give) rate_hz\b", r"\1 --rate"),
    (r"\b([Pp]ass) time_unit\b", r"\1 --policy time_unit=UNIT"),
    (r"\ba smaller (max_\w+)", r"a smaller --policy \1=SECONDS"),
    (r"\ba larger (max_\w+)", r"a larger --policy \1=SECONDS"),
    (r"with columns, such as \{\"acc_x\": \"Ch 1\"\}", 'with --column, such as --column acc_x="Ch 1"'),
    (r"\b([Mm]ap [\w ]+) with columns\b", r"\1 with --column"),
)  # fmt: skip


def for_command_line(remedy: str) -> str:
    """Return a remedy with options (`--rate`) in place of Python's arguments (`rate_hz`)."""
    for pattern, words in _RULES:
        remedy = re.sub(pattern, words, remedy)
    return remedy
