"""What a model needs of a batch: a stream or a target that is there, or an error that names it."""

from __future__ import annotations

from torch import Tensor

from otolith.core.errors import DataError, suggest
from otolith.windows.batch import Batch, StreamBatch


def needed_stream(batch: Batch, name: str) -> StreamBatch:
    """Return a stream of a batch.

    Raises:
        DataError: The batch has no such stream.
    """
    if name in batch.streams:
        return batch.streams[name]
    raise DataError(
        f'The windows have no stream "{name}", which the model reads; they have '
        f"{', '.join(sorted(batch.streams)) or 'none'}.",
        "Name all streams of the model in the window's streams (data.window.streams of a recipe, "
        "windows.streams with windows.joint=true of an evaluation), or set the model's streams.",
    )


def needed_target(batch: Batch, name: str) -> Tensor:
    """Return a target with one entry per sample of a batch.

    Raises:
        DataError: The batch has no such target.
        TypeError: The target has rows of different length.
    """
    if name not in batch.targets:
        raise DataError(
            f'The windows have no target "{name}", which the model learns.',
            f"Name it in data.window.targets. {suggest(name, sorted(batch.targets))}",
        )
    target = batch.targets[name]
    if not isinstance(target, Tensor):
        raise TypeError(f"the target {name} must be a tensor")
    return target
