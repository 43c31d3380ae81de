"""SIGTERM and SIGINT: the first asks the loop to stop after the step, the second stops at once."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

from otolith.core.errors import TrainingError

_WATCHED = (signal.SIGTERM, signal.SIGINT)


class InterruptedRunError(TrainingError):
    """A run stopped because a signal asked for it; its state is saved."""


class SignalWatch:
    """Context in which the first signal only sets `name`; handlers are restored at the end.

    Outside the main thread Python allows no handlers; then signals work as before.

    Attributes:
        name: Name of the signal that arrived, empty if none did.
    """

    def __init__(self) -> None:
        self.name = ""
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> SignalWatch:
        if threading.current_thread() is threading.main_thread():
            for number in _WATCHED:
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._restore()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.name = signal.Signals(number).name
        self._restore()  # so that a second signal acts as if there were no watch

    def _restore(self) -> None:
        while self._before:
            number, handler = self._before.popitem()
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
