"""WEAR from its processed windows, as HIMU-MAE pretrains on it; the same people and activities as `wear`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

from otolith.core.config import config
from otolith.datasets import Split, wear
from otolith.recordings.recording import Recording

SOURCE = wear.SOURCE
CARD = replace(
    wear.CARD,
    title="WEAR, put together from the windows of its processed features",
    caveats=(
        *wear.CARD.caveats,
        "The data of `wear` again; up to a window and its stride are missing at the end.",
        "A limb whose three axes are -1 counts as missing, which is how the publishers wrote it.",
    ),
    same_people_as=("wear",),
)


@config
class Config(wear.Config):
    """Settings of the reader; those of `wear`, from the processed features.

    Args:
        release: Where acceleration comes from.
    """

    release: Literal["raw", "processed"] = "processed"


def recordings(config: Config) -> Iterator[Recording]:
    """Yield one recording per person; see `otolith.datasets.wear.recordings`."""
    yield from wear.recordings(config, dataset="wear_ssl")


def splits() -> dict[str, Split]:
    """Return the publishers' three divisions: six people are tested in each."""
    return wear.splits()
