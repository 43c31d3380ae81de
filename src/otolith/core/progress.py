"""Progress with remaining time for long work; silent where nobody watches."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Progress(Protocol):
    """What `progress` gives."""

    def advance(self, amount: float = 1) -> None:
        """Say that `amount` more units are done."""

    def describe(self, text: str) -> None:
        """Change the text beside the bar."""


class _Silent:
    def advance(self, amount: float = 1) -> None:
        """Do nothing."""

    def describe(self, text: str) -> None:
        """Do nothing."""


@contextmanager
def progress(total: float | None, text: str, *, show: bool | None = None) -> Iterator[Progress]:
    """Show a bar with elapsed and remaining time on standard error.

    Args:
        total: Units of work; None if not known.
        text: What is being done.
        show: Whether to draw; None = only on a terminal.

    Yields:
        An object with `advance(amount)` and `describe(text)`.
    """
    if not (sys.stderr.isatty() if show is None else show):
        yield _Silent()
        return
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:g}/{task.total:g}" if total else "{task.completed:g}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Bars(*columns, console=Console(stderr=True)) as bars:
        task = bars.add_task(text, total=total)

        class _Bar:
            def advance(self, amount: float = 1) -> None:
                bars.advance(task, amount)

            def describe(self, text: str) -> None:
                bars.update(task, description=text)

        yield _Bar()
