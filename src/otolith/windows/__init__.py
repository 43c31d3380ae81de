"""From recordings to batches: cutting, sampling, augmenting, collating."""

from otolith.windows.batch import Batch, Ragged, StreamBatch

__all__ = ["Batch", "Ragged", "StreamBatch"]
