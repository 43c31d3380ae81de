"""How commands print: tables, key facts, and where the results lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

console = Console(highlight=False, soft_wrap=True)
errors = Console(stderr=True, highlight=False, soft_wrap=True)

_WIDEST = 10_000


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print a table; numbers are right-aligned, floats get three decimals, nothing is cut off."""
    view = Table(title=escape(title), title_justify="left", header_style="bold")
    for position, name in enumerate(columns):
        numeric = bool(rows) and all(isinstance(row[position], int | float) for row in rows)
        view.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        view.add_row(*(_text(value) for value in row))
    # A terminal folds long words; a file or pipe gets every row on one line.
    needed = console.measure(view, options=console.options.update(max_width=_WIDEST)).maximum
    if not console.is_terminal and needed > console.width:
        view.width = needed
    console.print(view, soft_wrap=False, crop=False)


def facts(values: Mapping[str, Any]) -> None:
    """Print `name: value` lines with aligned values."""
    width = max((len(name) for name in values), default=0)
    for name, value in values.items():
        console.print(f"[bold]{escape(name.ljust(width))}[/bold]  {_text(value)}")


def say(text: str) -> None:
    """Print one line of plain text."""
    console.print(escape(text))


def results(*paths: Path) -> None:
    """Say where the results lie; the last words of every command that writes."""
    for path in paths:
        console.print(f"Results: [bold]{escape(str(path))}[/bold]")


def _text(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, float) else escape(str(value))
