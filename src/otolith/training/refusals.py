"""A run that was refused before it began leaves nothing, so that its folder can be used again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from otolith.core.errors import OtolithError, TrainingError
from otolith.training.logs import METRICS_LOG
from otolith.training.saving import CHECKPOINTS


@contextmanager
def forgotten_if_refused(folder: Path, names: tuple[str, ...], *, is_main: bool) -> Iterator[None]:
    """Remove the files that a run wrote if its data, weights or settings are refused.

    A run that took a step that was logged, or that stopped while training, stays: it can be resumed,
    or its files say what happened.

    Args:
        folder: The run folder; the folders that are new are removed with it.
        names: Files that are written before the first step.
        is_main: Whether this process writes.
    """
    new_folders = [p for p in (folder, *folder.parents) if not p.exists()]
    try:
        yield
    except OtolithError as error:
        if is_main and not isinstance(error, TrainingError) and not _has_begun(folder):
            for name in (*names, METRICS_LOG):
                (folder / name).unlink(missing_ok=True)
            with suppress(OSError):  # somebody else put something there
                for new in new_folders:
                    new.rmdir()
        raise


def _has_begun(folder: Path) -> bool:
    log = folder / METRICS_LOG
    return (folder / CHECKPOINTS).exists() or (log.is_file() and log.stat().st_size > 0)
