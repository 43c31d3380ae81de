"""CMU-MMAC in EVI-MAE's release: five-second pairs of four body-worn accelerometers and a head camera."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from otolith.core.config import config
from otolith.core.errors import FileFormatError
from otolith.datasets import Card, Source, Split, _evi_release
from otolith.recordings.recording import Gravity, Recording

NUM_CLASSES = 32
LABELS = tuple(f"class {number:02d}" for number in range(NUM_CLASSES))
COLUMNS = (1, 8, 15, 5, 12, 19, 3, 10, 17, 4, 11, 18)
STREAMS = ("left_arm", "right_arm", "left_leg", "right_leg")
_SUBJECT = re.compile(r"(?:^|[^A-Za-z])(S\d{2,3})(?:[^0-9]|$)")

SOURCE = Source(
    licence="none stated; CMU-MMAC is offered for research, the pairs by the authors of EVI-MAE",
    cite=(
        "F. De la Torre et al., Guide to the Carnegie Mellon University Multimodal Activity "
        "(CMU-MMAC) Database, CMU-RI-TR-08-22, 2008; M. Zhang et al., Masked Video and Body-worn "
        "IMU Autoencoder for Egocentric Action Recognition, ECCV 2024."
    ),
    homepage="https://github.com/mf-zhang/IMU-Video-MAE",
    manual="Ask for the folder cmu-mmac-release of EVI-MAE and give it as root.",
)

CARD = Card(
    title="CMU Multimodal Activity, pairs of EVI-MAE",
    description=(
        "People cook brownies, pizza, salad and other dishes in a kitchen with accelerometers on "
        "both arms and both legs and a camera on the head."
    ),
    rate_hz=(30.0,),
    placements=tuple(name.replace("_", " ") for name in STREAMS),
    gravity=Gravity.UNKNOWN,
    num_subjects=43,
    labels=LABELS,
    label_groups={label: label for label in LABELS},
    caveats=(
        "No formal licence.",
        "Classes carry the numbers of class_labels_indices.csv; their names are the texts of the "
        "annotations.",
        "Unit and gravity of the acceleration are not stated; g is taken.",
        "The number of people in the pairs is not stated; 43 are in the whole collection. Where "
        "the name of a pair holds S and a number, that is taken for the person.",
    ),
)


@config
class Config:
    """Settings of the reader.

    Args:
        root: Folder that holds `cav_label`.
        task: Which pairs: `finetune` (1 574 / 542, the split `official`), `pretrain` (6 785 / 2 808,
            not labelled, the split `pretrain`), or all that are there.
        unit: Unit of the files.
        rate_hz: Rows per second.
    """

    root: Path
    task: Literal["all", "pretrain", "finetune"] = "all"
    unit: Literal["g", "m/s^2"] = "g"
    rate_hz: Annotated[float, Field(gt=0)] = 30.0


def recordings(config: Config) -> Iterator[Recording]:
    """Yield one recording per pair, in m/s^2 at 30 Hz, with its video.

    Raises:
        DataError: A file is missing.
        FileFormatError: A file is damaged, or there are more classes than the card has.
    """
    pairs = [replace(p, subject=p.subject or _subject(p.id)) for p in _pairs(config)]
    names = _evi_release.read_classes(config.root, "cmu_mmac", SOURCE)
    if len(names) > NUM_CLASSES:
        raise FileFormatError(
            f"{config.root} has {len(names)} classes instead of {NUM_CLASSES}.", "Fetch it again."
        )
    layout = _evi_release.Layout(
        dataset="cmu_mmac", source=SOURCE, columns=COLUMNS, streams=STREAMS,
        rate_hz=config.rate_hz, unit=config.unit, gravity=Gravity.UNKNOWN,
    )  # fmt: skip
    classes = dict(zip(names, LABELS, strict=False))
    yield from _evi_release.read_recordings(pairs, layout, classes)


def splits() -> dict[str, Split]:
    """Return no split that is known without the release; see `release_splits`."""
    return {}


def release_splits(config: Config) -> dict[str, Split]:
    """Return the divisions that the label files of the release make, by recording."""
    return _evi_release.release_split(_pairs(config))


def _pairs(config: Config) -> list[_evi_release.Pair]:
    return _evi_release.read_pairs(config.root, config.task, "cmu_mmac", SOURCE)


def _subject(name: str) -> str:
    match = _SUBJECT.search(name)
    return match[1] if match else ""
