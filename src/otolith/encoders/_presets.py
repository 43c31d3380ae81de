"""Settings that a named preset fills in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic_core import ArgsKwargs

from otolith.core.config import merge
from otolith.core.errors import suggest


def fill_from_preset(data: Any, presets: Mapping[str, Mapping[str, Any]]) -> Any:
    """Add the values of the preset that is named for keys that are not given, at every depth.

    Args:
        data: What a settings class is made from, before it is validated.
        presets: Settings of every preset.

    Raises:
        ValueError: There is no such preset.
    """
    given = data.kwargs if isinstance(data, ArgsKwargs) else data
    if not isinstance(given, Mapping) or not given.get("preset"):
        return data
    name = str(given["preset"])
    if name not in presets:
        raise ValueError(f'there is no preset "{name}". {suggest(name, presets)}')
    return merge(presets[name], given)
