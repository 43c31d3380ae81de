"""A feature of another modality beside the signal: one vector per window from a feature stream."""

# B batch, T rows of the stream, X width

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from torch import Tensor

from otolith.core.config import config
from otolith.core.errors import DataError
from otolith.windows.batch import Batch
from otolith.windows.needed import needed_stream


@config
class ContextConfig:
    """Which feature is used.

    Args:
        stream: Name of the feature stream, such as `omnivore` or `i3d`.
        width: Number of columns that are used.
        first_column: First column that is used; with `width` 1024 the RGB half of I3D begins at 0,
            the flow half at 1024.
        stream_width: Columns that the stream must have; None = `first_column + width`.
    """

    stream: str = "omnivore"
    width: Annotated[int, Field(gt=0)] = 1536
    first_column: Annotated[int, Field(ge=0)] = 0
    stream_width: Annotated[int, Field(gt=0)] | None = None


def read_context(batch: Batch, config: ContextConfig | None) -> Tensor | None:
    """Return the mean over the real rows of the stream, [B, X], float32; None without a context.

    Raises:
        DataError: The stream is missing in the batch or in one of its samples, or has other columns.
    """
    if config is None:
        return None
    stream = needed_stream(batch, config.stream)
    end = config.first_column + config.width
    found, wanted = stream.values.shape[-1], config.stream_width or end
    if stream.values.ndim != 3 or found != wanted or wanted < end:
        raise DataError(
            f'The stream "{config.stream}" has {found} columns, the model needs {wanted}.',
            "Use the features that the model was made for, or set context.width (and "
            "context.stream_width for a part of the columns).",
        )
    count_B = stream.mask_BT.sum(1)
    if bool((count_B == 0).any()):
        raise DataError(
            f'A window has no row of the stream "{config.stream}".',
            "Set data.window.overlap to all, so that such windows are left out.",
        )
    real_BT1 = stream.mask_BT[..., None]
    values = stream.values[..., config.first_column : end].float()
    return (values * real_BT1).sum(1) / count_B[:, None]
