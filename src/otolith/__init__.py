"""Understand what a person does from what they wear: motion sensors, video, language.

`otolith.open`, `otolith.load_dataset`, `otolith.load_model`, `otolith.train` and
`otolith.evaluate` are the public words; they are loaded when first used, so that
`import otolith` is quick.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from otolith.api import (
        evaluate,
        load_dataset,
        load_model,
        make_dataset,
        open,  # the public word is otolith.open
        open_all,
        register_dataset,
        resume,
        train,
    )

__all__ = [
    "evaluate",
    "load_dataset",
    "load_model",
    "make_dataset",
    "open",
    "open_all",
    "register_dataset",
    "resume",
    "train",
]


def __getattr__(name: str) -> Any:
    """Load a public word when it is first used."""
    if name in __all__:
        from otolith import api

        return getattr(api, name)
    raise AttributeError(f"module 'otolith' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
