"""The table of windows: plain arrays that say where every window lies and what it is."""

# N windows, S streams of a window

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Literal

import numpy as np

from otolith.core.errors import DataError
from otolith.windows.spec import WindowSpec
from otolith.windows.splits import group_folds

__all__ = ["WindowSpec", "WindowTable"]


@dataclass(frozen=True, kw_only=True)
class WindowTable:
    """Windows of all recordings of all parts.

    Args:
        id: Number of the window in the table it was first cut into, int64 [N]; stays the same in
            every selection, so draws and order of a sample do not depend on the selection.
        part: Number of the part.
        recording: Position in `recording_names`.
        source: Position in `source_names`: the recording that a pre-cut recording was taken from,
            else the recording itself.
        subject: Position in `subject_names`.
        dataset: Position in `dataset_names`.
        label: Position in `labels`; -1 = unknown.
        start_s: Start on the recording's clock in s.
        end_s: End in s.
        stream_row: Row in the part's `streams` table [N, S]; -1 = absent in this window.
        start_row: First row of the window, counted from the start of the stream [N, S].
        num_rows: Number of rows [N, S]; 0 where absent.
        streams: Names of the streams of a window, in column order.
        labels: Class names in order.
        recording_names: `dataset/recording`.
        source_names: `dataset/recording` of the source recordings.
        subject_names: `dataset/subject`; what follows the slash is empty if it is unknown.
        dataset_names: Names of the data sets.
        dropped: Why windows or recordings were left out, and how many.
    """

    id: np.ndarray
    part: np.ndarray
    recording: np.ndarray
    source: np.ndarray
    subject: np.ndarray
    dataset: np.ndarray
    label: np.ndarray
    start_s: np.ndarray
    end_s: np.ndarray
    stream_row: np.ndarray
    start_row: np.ndarray
    num_rows: np.ndarray
    streams: tuple[str, ...]
    labels: tuple[str, ...]
    recording_names: tuple[str, ...]
    source_names: tuple[str, ...]
    subject_names: tuple[str, ...]
    dataset_names: tuple[str, ...]
    dropped: dict[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        """Return the number of windows."""
        return len(self.id)

    @property
    def subjects(self) -> np.ndarray:
        """Subject of every window as `dataset/subject`, object [N]."""
        return np.asarray(self.subject_names, object)[self.subject]

    @property
    def datasets(self) -> np.ndarray:
        """Data set of every window, object [N]."""
        return np.asarray(self.dataset_names, object)[self.dataset]

    def select(self, chosen: np.ndarray) -> WindowTable:
        """Return the windows of a boolean mask [N] or of positions, in that order."""
        arrays = {
            f.name: value[chosen]
            for f in fields(self)
            if isinstance(value := getattr(self, f.name), np.ndarray)
        }
        return replace(self, **arrays)

    def split_by_subject(
        self,
        num_folds: int,
        *,
        seed: int = 0,
        by: Literal["subject", "source"] = "subject",
    ) -> list[np.ndarray]:
        """Divide the windows into folds that share no person.

        Args:
            num_folds: Number of folds.
            seed: Decides between equally good divisions.
            by: `subject`, or `source` for folds that only share no source recording.

        Returns:
            One boolean mask [N] per fold: the windows tested in it.

        Raises:
            DataError: A subject is unknown, or there are fewer subjects than folds.
        """
        groups = self.subject if by == "subject" else self.source
        used = sorted(set(self.subjects)) if by == "subject" else []
        unknown = [name for name in used if name.endswith("/")]
        if unknown:
            raise DataError(
                f"Recordings of {unknown[0].rstrip('/')} name no subject.",
                'Say who was recorded, or divide by recordings (by="source").',
            )
        return group_folds(groups, self.label, num_folds, seed=seed)

    def counts(self, by: Literal["label", "dataset", "subject"] = "label") -> dict[str, int]:
        """Return the number of windows per label (`""` = unknown), data set or subject."""
        names: Sequence[str] = {
            "label": (*self.labels, ""),
            "dataset": self.dataset_names,
            "subject": self.subject_names,
        }[by]
        values = {"label": self.label, "dataset": self.dataset, "subject": self.subject}[by]
        count = np.bincount(np.where(values < 0, len(names) - 1, values), minlength=len(names))
        return {name: int(n) for name, n in zip(names, count, strict=True) if n or by == "label"}
