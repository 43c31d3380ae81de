"""WEAR in EVI-MAE's release: five-second pairs of four limb accelerometers and the head camera."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

from otolith.core.config import config
from otolith.core.errors import FileFormatError
from otolith.datasets import Source, Split, _evi_release, wear
from otolith.recordings.recording import Gravity, Recording

COLUMNS = (10, 11, 12, 1, 2, 3, 7, 8, 9, 4, 5, 6)
STREAMS = _evi_release.SLOTS
RATE_HZ = 50.0
_PERSON = re.compile(r"(?:^|[^a-z])(sbj_\d+)(?!\d)")

SOURCE = Source(
    licence=wear.SOURCE.licence,
    licence_url=wear.SOURCE.licence_url,
    cite=(
        f"{wear.SOURCE.cite} Pairs: M. Zhang et al., Masked Video and Body-worn IMU Autoencoder "
        "for Egocentric Action Recognition, ECCV 2024."
    ),
    homepage="https://github.com/mf-zhang/IMU-Video-MAE",
    manual="Download the folder wear-release that EVI-MAE's page links and give it as root.",
    redistributable=wear.SOURCE.redistributable,
)

CARD = replace(
    wear.CARD,
    title="WEAR, pairs of EVI-MAE",
    placements=tuple(name.replace("_", " ") for name in STREAMS),
    caveats=(
        "For non-commercial use.",
        "The people and activities of `wear`, cut into clips of five seconds.",
        "Acceleration without gyroscope; missing samples stay missing.",
        "Whether the publishers' parts share people is not stated; the label files decide.",
    ),
    same_people_as=("wear", "wear_ssl"),
)


@config
class Config:
    """Settings of the reader.

    Args:
        root: Folder that holds `cav_label`.
        task: Which pairs: `finetune` (2 553 / 1 136, the split `official`), `pretrain` (7 621 /
            3 242, not labelled, the split `pretrain`), or all that are there.
        classes: How a class of the release is found among WEAR's: by `name` (case and punctuation
            do not matter), or by `number`, its place in `class_labels_indices.csv`.
    """

    root: Path
    task: Literal["all", "pretrain", "finetune"] = "all"
    classes: Literal["name", "number"] = "name"


def recordings(config: Config) -> Iterator[Recording]:
    """Yield one recording per pair, in m/s^2 at 50 Hz, with its video.

    Raises:
        DataError: A file is missing.
        FileFormatError: A file is damaged, or its classes are not those of WEAR.
    """
    pairs = [replace(p, subject=p.subject or _person(p.id)) for p in _pairs(config)]
    layout = _evi_release.Layout(
        dataset="wear_evi", source=SOURCE, columns=COLUMNS, streams=STREAMS, rate_hz=RATE_HZ,
        unit="g", gravity=Gravity.INCLUDED, is_unit_inferred=False, person_column="sbj_id",
        person_prefix="sbj_",
    )  # fmt: skip
    yield from _evi_release.read_recordings(pairs, layout, _classes(config))


def splits() -> dict[str, Split]:
    """Return no split that is known without the release; see `release_splits`."""
    return {}


def release_splits(config: Config) -> dict[str, Split]:
    """Return the divisions that the label files of the release make, by recording."""
    return _evi_release.release_split(_pairs(config))


def _pairs(config: Config) -> list[_evi_release.Pair]:
    return _evi_release.read_pairs(config.root, config.task, "wear_evi", SOURCE)


def _classes(config: Config) -> dict[str, str]:
    """Class name in the release -> class name of WEAR."""
    names = _evi_release.read_classes(config.root, "wear_evi", SOURCE)
    path = config.root / "cav_label" / _evi_release.CLASSES
    if config.classes == "number":
        if len(names) != len(wear.LABELS):
            raise FileFormatError(
                f"{path} has {len(names)} classes instead of {len(wear.LABELS)}.", "Fetch it again."
            )
        return dict(zip(names, wear.LABELS, strict=True))
    known = {_key(label): label for label in wear.LABELS}
    if unknown := [name for name in names if _key(name) not in known]:
        raise FileFormatError(
            f'{path} names the class "{unknown[0]}", which WEAR lacks.',
            "Set classes to number if the classes have WEAR's order.",
        )
    return {name: known[_key(name)] for name in names}


def _key(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "", name.lower())


def _person(name: str) -> str:
    match = _PERSON.search(name)
    return match[1] if match else ""
