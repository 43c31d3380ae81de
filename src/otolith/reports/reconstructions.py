"""Pictures of what a masked autoencoder makes of windows, from a model and while it trains."""

# B batch, N windows

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from otolith.core.errors import CheckpointError
from otolith.encoders import _mae_masks
from otolith.reports.reconstruction_picture import draw_reconstruction, hidden_error_db
from otolith.systems import System, himu_mae
from otolith.windows.batch import Batch, StreamBatch

PHASE = "Signals are made from the maps; the phase, which maps lack, starts from that of the input."
LEVELS = "The model predicts hidden patches up to their level and contrast; both were taken from the input. "


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """Pictures and how good the reconstruction is.

    Args:
        paths: One PNG file per window.
        error_db: Root mean square error of hidden pixels in dB.
        guess_db: The same if each were the mean of the visible pixels of its channel and frequency.
    """

    paths: tuple[Path, ...]
    error_db: float
    guess_db: float


def require_reconstruction(system: System, name: str) -> himu_mae.System:
    """Return a system that reconstructs spectrograms.

    Raises:
        CheckpointError: It is another one.
    """
    if not isinstance(system, himu_mae.System):
        raise CheckpointError(
            f'The model "{name}" reconstructs no spectrograms.',
            "Give a run of a pretraining recipe of himu_mae.",
        )
    return system


def draw_windows(
    system: himu_mae.System,
    batch: Batch,
    paths: tuple[Path, ...],
    masking: _mae_masks.Config | None = None,
) -> Drawn:
    """Reconstruct the first windows of a batch and draw them; the model stays as it is.

    Args:
        system: The model, on any device.
        batch: Windows; which patches are hidden follows from their keys.
        paths: Where to write; as many windows are drawn.
        masking: What is hidden; None = as in training.
    """
    chosen = first_windows(batch, len(paths)).to(system.encoder.cls_token.device)
    was_training = system.training
    system.eval()
    found = system.reconstruct(chosen, masking)
    system.train(was_training)
    processor = system.encoder.config.processor
    settings = system.encoder.processor.spectrogram
    share = float(found.hidden_BHW.float().mean())
    note = (LEVELS if system.config.is_target_normalised else "") + PHASE
    for number, path in enumerate(paths[: len(chosen)]):
        names, units = _channels(chosen, number, (processor.stream, *processor.more_streams))
        one = himu_mae.Reconstruction(
            **{f.name: getattr(found, f.name)[number : number + 1] for f in fields(found)}
        )
        error, guess = hidden_error_db(one, settings)
        draw_reconstruction(
            one, settings, path, channels=names, units=units, note=note,
            title=f"{_where(chosen, number)}: {share:.0%} hidden, error {error:.1f} dB "
            f"(mean of the row: {guess:.1f} dB)",
        )  # fmt: skip
    error, guess = hidden_error_db(found, settings)
    return Drawn(paths=paths[: len(chosen)], error_db=error, guess_db=guess)


def first_windows(batch: Batch, count: int) -> Batch:
    """Return the first samples of a batch: their streams, names and keys."""
    streams = {
        name: replace(stream, **{f.name: _head(getattr(stream, f.name), count) for f in fields(StreamBatch)})
        for name, stream in batch.streams.items()
    }  # fmt: skip
    return Batch(
        streams=streams, ids=batch.ids[:count], names=batch.names[:count], keys_B=batch.keys_B[:count]
    )  # fmt: skip


def _head(value: Any, count: int) -> Any:
    return value[:count] if isinstance(value, Tensor | tuple) else value


def _channels(
    batch: Batch, number: int, streams: tuple[str, ...]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names and units of the channels of a window; empty if they are not known."""
    known = [batch.streams[name].channels for name in streams]
    own = [channel for channels in known if channels for channel in channels[number]]
    prefix = len(streams) > 1
    names = [
        f"{name} {channel.name}" if prefix else channel.name
        for name, channels in zip(streams, known, strict=True)
        if channels
        for channel in channels[number]
    ]
    return tuple(names), tuple(channel.unit for channel in own)


def _where(batch: Batch, number: int) -> str:
    """`data set/recording at 12.0 s` of a window."""
    if number >= len(batch.names):
        return f"window {number}"
    recording, _, start = batch.names[number].rpartition("@")
    return f"{recording} at {float(start):.1f} s"


def draw_progress(system: System, preview: Callable[[], Batch], path: Path) -> None:
    """Draw the first window of a batch if the system reconstructs spectrograms; else do nothing.

    Args:
        system: Any system.
        preview: Gives the batch; called only if there is something to draw.
        path: PNG file to write.
    """
    if isinstance(system, himu_mae.System):
        draw_windows(system, preview(), (path,))
