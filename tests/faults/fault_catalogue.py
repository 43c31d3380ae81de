"""How a fault is described and registered."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.faults.imu_tables import CHANNELS, Table

ACC, GYRO = CHANNELS[:3], CHANNELS[3:]


@dataclass
class Fault:
    """One fault.

    `check` is the finding or error that must appear; `same` the tolerance within which the
    samples must equal the clean ones after the fix (None: they cannot), `share` the share of
    rows for which that must hold.
    """

    name: str
    make: Callable[[Table], bytes]
    check: str
    options: dict[str, Any] = field(default_factory=dict)
    same: float | None = None
    share: float = 1.0
    suffix: str = ".csv"
    refused: bool = False


FAULTS: list[Fault] = []


def fault(check, *, name=None, **settings):
    """Register a function that returns a damaged Table, text or bytes."""

    def add(function):
        def make(table):
            result = function(table.copy())
            result = result.text() if isinstance(result, Table) else result
            return result.encode() if isinstance(result, str) else result

        FAULTS.append(Fault(name or function.__name__, make, check, **settings))
        return function

    return add


def lines_of(table):
    return table.text().splitlines()


def join(lines):
    return "\n".join(lines) + "\n"
