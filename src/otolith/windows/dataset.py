"""Windows as a torch data set that gives whole batches."""

# B batch, N windows

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch.utils.data import Dataset

from otolith.core.errors import DataError
from otolith.core.randomness import sample_keys
from otolith.windows.batch import Batch
from otolith.windows.building import build
from otolith.windows.reading import StreamReader
from otolith.windows.sources import Part
from otolith.windows.streams import Layout
from otolith.windows.table import WindowSpec, WindowTable
from otolith.windows.targets import TargetMaker


class BatchRequest(NamedTuple):
    """What a sampler asks for: positions in the data set, in one epoch.

    Args:
        epoch: Epoch, 0-based; random draws depend on it.
        ids: Positions int64 [B].
    """

    epoch: int
    ids: np.ndarray


class WindowDataset(Dataset[Batch]):
    """Windows of all recordings of some parts.

    Args:
        parts: Recordings of data sets.
        spec: How to cut, label and read.
        labels: Class names in the order of their numbers; None = those of the parts.
        seed: Seed of the samples' keys.
        transform: Changes every batch, such as an augmentation; its draws come from `keys_B`.

    Attributes:
        table: The windows.
        verbs: Verbs in the order of their numbers.
        nouns: Nouns in the order of their numbers.

    Raises:
        DataError: No window can be cut.
    """

    def __init__(
        self,
        parts: Sequence[Part],
        spec: WindowSpec,
        *,
        labels: Sequence[str] | None = None,
        seed: int = 0,
        transform: Callable[[Batch], Batch] | None = None,
    ) -> None:
        built = build(parts, spec, labels)
        self.spec = spec
        self.seed = seed
        self.transform = transform
        self.table: WindowTable = built.table
        self._targets = TargetMaker(built, spec)
        self.verbs, self.nouns = self._targets.verbs, self._targets.nouns
        self._reader = StreamReader(parts, built.infos, spec)
        self._usual = tuple(self._usual_look(column) for column in range(len(self.table.streams)))

    def _usual_look(self, column: int) -> tuple[Layout, float]:
        """How a stream looks where it is absent; one name must mean one kind everywhere."""
        name = self.table.streams[column]
        found, rate_hz = self._reader.looks(self.table.part, self.table.stream_row[:, column])
        if len({layout.kind for layout in found}) > 1:
            raise DataError(
                f'Stream "{name}" is motion in one recording and not in another.',
                "Rename one of them.",
            )
        if not found:
            raise DataError(
                f'No window holds the stream "{name}".',
                "Leave it out of WindowSpec.streams, or look at overlap and min_measured.",
            )
        return found[0], rate_hz

    def __len__(self) -> int:
        """Return the number of windows."""
        return len(self.table)

    def __getitem__(self, index: int) -> Batch:
        """Return a batch of one window, with the draws of epoch 0."""
        return self.batch(np.asarray([index]), 0)

    def __getitems__(self, request: BatchRequest) -> Batch:
        """Return the batch that a sampler asked for; called by `DataLoader`."""
        return self.batch(request.ids, request.epoch)

    def select(self, chosen: np.ndarray) -> WindowDataset:
        """Return the windows of a boolean mask [N] or of positions; the data are shared."""
        other = copy.copy(self)
        other.table = self.table.select(chosen)
        return other

    def with_transform(self, transform: Callable[[Batch], Batch] | None) -> WindowDataset:
        """Return the same windows with another transform; the data are shared."""
        other = copy.copy(self)
        other.transform = transform
        return other

    def batch(self, ids: np.ndarray, epoch: int) -> Batch:
        """Read a batch.

        Args:
            ids: Positions of the windows [B], 0..len-1.
            epoch: Epoch, 0-based; random draws depend on it.

        Returns:
            The batch, after the transform. A sample's part of it does not depend on the others,
            except for the amount of padding.
        """
        at = np.asarray(ids, np.int64)
        table = self.table
        part, number, label = table.part[at], table.id[at], table.label[at]
        start_s, end_s = table.start_s[at], table.end_s[at]
        streams = {
            name: self._reader.read(
                part,
                table.stream_row[at, column],
                table.start_row[at, column],
                table.num_rows[at, column],
                start_s,
                *self._usual[column],
            )
            for column, name in enumerate(table.streams)
        }
        recordings = table.recording[at].tolist()
        batch = Batch(
            streams=streams,
            targets=self._targets.targets(number, start_s, end_s, label),
            texts=self._targets.texts(number, label),
            ids=torch.from_numpy(number),
            names=tuple(
                f"{table.recording_names[r]}@{s:.3f}"
                for r, s in zip(recordings, start_s.tolist(), strict=True)
            ),
            datasets=tuple(table.dataset_names[d] for d in table.dataset[at].tolist()),
            keys_B=sample_keys(self.seed, epoch, number),
        )
        return self.transform(batch) if self.transform else batch
