"""A data set, or a part of it, on disk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from otolith.recordings.store import DataFolder


@dataclass(frozen=True, kw_only=True)
class DatasetPart:
    """Recordings of a data folder that belong together.

    Args:
        name: Name of the data set.
        folder: Where the recordings lie.
        recording_ids: Ids of the recordings of this part, in the order of the folder.
        subjects: People of these recordings, each once, in order of appearance; recordings of
            unknown people add nothing.
        labels: Class names in the publishers' order; empty for pretraining.
        is_pretrain: Whether labels must not be used.
    """

    name: str
    folder: DataFolder
    recording_ids: tuple[str, ...]
    subjects: tuple[str, ...]
    labels: tuple[str, ...]
    is_pretrain: bool = False

    def __len__(self) -> int:
        """Return the number of recordings."""
        return len(self.recording_ids)


def derived_from(part: Any) -> tuple[str, ...]:
    """Return the data sets that a simulated one was made from; its people are `<data set>/<person>`.

    Args:
        part: A part; recordings in memory have no card and are derived from nothing.
    """
    card = getattr(part.folder, "info", {}).get("card") or {}
    return tuple(card.get("derived_from") or ())
