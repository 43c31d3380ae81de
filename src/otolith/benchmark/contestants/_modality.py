"""What a contestant of several modalities reads, where it starts and how it learns, from its name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from otolith.core.errors import ConfigError, suggest

What = Literal["imu", "video", "late", "fused"]
Start = Literal["pretrained", "scratch"]
Way = Literal["tuned", "probe"]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How a contestant learns.

    Args:
        what: One modality, both in one network (`fused`), or the sum of both alone (`late`).
        start: Weights to start from.
        way: Whether all weights learn or only a shallow classifier.
    """

    what: What
    start: Start
    way: Way

    @property
    def alone(self) -> tuple[What, ...]:
        """The networks that are needed."""
        return ("imu", "video") if self.what == "late" else (self.what,)


def parse_plan(name: str, argument: str) -> Plan:
    """Read WHAT-START-WAY.

    Args:
        name: Contestant, for the message.
        argument: What stands behind the colon.

    Raises:
        ConfigError: It is not of that form.
    """
    parts = argument.split("-")
    kinds = (get_args(What), get_args(Start), get_args(Way))
    if len(parts) != len(kinds):
        raise ConfigError(
            f'"{name}:{argument}" does not say what is read, from where it starts and how it learns.',
            f"Write {name}:WHAT-START-WAY, such as {name}:fused-pretrained-tuned.",
        )
    for part, kind in zip(parts, kinds, strict=True):
        if part not in kind:
            raise ConfigError(
                f'"{part}" in {name}:{argument} is none of {", ".join(kind)}.', suggest(part, kind)
            )
    return Plan(what=parts[0], start=parts[1], way=parts[2])  # pyrefly: ignore  # checked above
