"""Settings that a named size fills in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic_core import ArgsKwargs

from otolith.core.errors import suggest


def fill_from_preset(data: Any, presets: Mapping[str, Mapping[str, Any]]) -> Any:
    """Add the values of the size called `preset` for keys that are not given.

    Args:
        data: What a settings class is made from, before it is validated.
        presets: Settings of every size.

    Raises:
        ValueError: There is no such size.
    """
    given = data.kwargs if isinstance(data, ArgsKwargs) else data
    if not isinstance(given, Mapping) or not given.get("preset"):
        return data
    name = str(given["preset"])
    if name not in presets:
        raise ValueError(f'there is no size called "{name}". {suggest(name, presets)}')
    return {**presets[name], **given}
