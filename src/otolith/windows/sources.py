"""What windows are cut from: the words of a data set part that this folder relies on."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import pyarrow as pa

from otolith.recordings.recording import Recording


class Folder(Protocol):
    """A data folder: three tables, and rows of signals by number of the stream."""

    @property
    def recordings(self) -> pa.Table:
        """One row per recording: recording_id, subject, attributes (JSON), ..."""

    @property
    def streams(self) -> pa.Table:
        """One row per stream: recording_id, stream, kind, rate_hz, num_rows, offset_s, ..."""

    @property
    def annotations(self) -> pa.Table:
        """One row per annotation: recording_id, track, stream, start_s, end_s, labels, ..."""

    def recording(self, recording_id: str) -> Recording:
        """Return one recording whose samples are views on the memory map."""

    def rows(self, stream_row: int, start: int, stop: int) -> np.ndarray:
        """Return rows [start, stop) of the stream in row `stream_row` of `streams`, as a view."""


class Part(Protocol):
    """Recordings of one data set that are used together."""

    @property
    def name(self) -> str:
        """Name of the data set."""

    @property
    def folder(self) -> Folder:
        """Where its recordings lie."""

    @property
    def recording_ids(self) -> tuple[str, ...]:
        """Which recordings of the folder belong to the part."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names in order; empty for pretraining."""

    @property
    def is_pretrain(self) -> bool:
        """Whether labels must not be read."""
