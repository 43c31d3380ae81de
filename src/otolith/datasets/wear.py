"""WEAR: 18 people, 18 sports activities outdoors, accelerometers on four limbs, head camera features.

The folder holds `annotations/wear_split_1.json` (any split; only the segments are read),
`raw/inertial/50hz/<person>.csv` (or `raw/inertial/<person>.csv`) with three axes of each limb in g (which
is checked), and, where they are, `processed/i3d_features/120_frames_60_stride/<person>.npy`. With
`release="processed"` the signals come from `processed/combined_features/<clip>/<person>.npy` (windows
channel by channel, then I3D), for those who fetched no raw data.
"""

# T time, C channels

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np

from otolith.core.config import config
from otolith.core.errors import FileFormatError
from otolith.datasets import Card, Source, Split
from otolith.datasets._files import need
from otolith.datasets._labels import groups_of
from otolith.datasets._wear_files import (
    COLUMNS,
    FPS,
    clip_frames,
    read_annotations,
    read_i3d,
    read_processed,
    read_raw,
    segments_of,
)
from otolith.datasets._wear_rows import LIMBS, RATE_HZ
from otolith.datasets._wear_units import to_si
from otolith.recordings.recording import (
    Annotation,
    Channel,
    FeatureStream,
    Finding,
    Gravity,
    ImuStream,
    Recording,
    Stream,
)

LABELS = (
    "jogging", "jogging (rotating arms)", "jogging (skipping)", "jogging (sidesteps)",
    "jogging (butt-kicks)", "stretching (triceps)", "stretching (lunging)", "stretching (shoulders)",
    "stretching (hamstrings)", "stretching (lumbar rotation)", "push-ups", "push-ups (complex)",
    "sit-ups", "sit-ups (complex)", "burpees", "lunges", "lunges (complex)", "bench-dips",
)  # fmt: skip
_SYNONYMS = {
    **{label: "jogging" for label in LABELS if label.startswith("jogging")},
    "push-ups": "push_up",
    "push-ups (complex)": "push_up",
    "sit-ups": "sit_up",
    "sit-ups (complex)": "sit_up",
}
PEOPLE = tuple(f"sbj_{i}" for i in range(18))

SOURCE = Source(
    licence="CC-BY-NC-SA-4.0",
    licence_url="https://creativecommons.org/licenses/by-nc-sa/4.0/",
    cite=(
        "M. Bock, H. Kuehne, K. Van Laerhoven, M. Moeller, WEAR: An Outdoor Sports Dataset for "
        "Wearable and Egocentric Activity Recognition, IMWUT 8(4), 2024."
    ),
    homepage="https://mariusbock.github.io/wear/",
    manual="Download annotations, raw inertial data and, for video, the I3D features.",
    redistributable=False,
)

CARD = Card(
    title="WEAR: An Outdoor Sports Dataset for Wearable and Egocentric Activity Recognition",
    description=(
        "18 people jog, stretch and do strength exercises outdoors with a smart watch on each "
        "limb and a camera on the head."
    ),
    rate_hz=(RATE_HZ,),
    placements=LIMBS,
    gravity=Gravity.INCLUDED,
    num_subjects=len(PEOPLE),
    labels=LABELS,
    label_groups=groups_of(LABELS, _SYNONYMS),
    caveats=(
        "For non-commercial use.",
        "Acceleration without gyroscope, 12 channels in one stream; missing samples stay missing.",
        "Later releases have more people; the reader takes the 18 of the first one.",
    ),
)


@config
class Config:
    """Settings of the reader.

    Args:
        root: Folder of the release.
        clip: Folder name of the video features, which says their window and stride in frames of 60
            per second.
        release: Where acceleration comes from: the `raw` tables, or the windows of the `processed`
            features, put together again.
    """

    root: Path
    clip: str = "120_frames_60_stride"
    release: Literal["raw", "processed"] = "raw"


def recordings(config: Config, *, dataset: str = "wear") -> Iterator[Recording]:
    """Yield one recording per person.

    Args:
        config: Settings.
        dataset: Name that the recordings carry.

    Raises:
        DataError: A folder or file is missing.
        FileFormatError: A file is damaged or shorter than its annotations.
    """
    need(config.root, dataset, SOURCE)
    clip_frames(config.clip)
    people = read_annotations(config.root, SOURCE)
    if not any(person in people for person in PEOPLE):
        raise FileFormatError(
            f"The annotations in {config.root} name none of sbj_0 to sbj_17.", "Fetch them again."
        )
    for person in PEOPLE:
        if person in people:
            yield _recording(config, person, people[person], dataset)
        elif (path := _motion_file(config, person)).exists():
            raise FileFormatError(
                f"{path} is there, but the annotations do not name {person}.",
                "Fetch the annotations again.",
            )


def splits() -> dict[str, Split]:
    """Return the publishers' three divisions: six people are tested in each."""
    parts = [PEOPLE[i : i + 6] for i in (0, 6, 12)]
    return {
        f"split_{number}": Split(
            train=tuple(p for p in PEOPLE if p not in test), test=tuple(test)
        )
        for number, test in enumerate(parts, start=1)
    }  # fmt: skip


def _motion_file(config: Config, person: str) -> Path:
    """Where a person's acceleration is expected."""
    if config.release == "processed":
        return config.root / "processed" / "combined_features" / config.clip / f"{person}.npy"
    folder = config.root / "raw" / "inertial"
    folder = folder / "50hz" if (folder / "50hz").is_dir() else folder
    return folder / f"{person}.csv"


def _samples(config: Config, person: str) -> np.ndarray:
    """Acceleration [T, 12] in the unit of the file."""
    if config.release == "processed":
        return read_processed(config.root, config.clip, person, SOURCE)
    return read_raw(need(_motion_file(config, person), "wear", SOURCE), LABELS)


def _recording(config: Config, person: str, facts: dict[str, Any], dataset: str) -> Recording:
    file = _motion_file(config, person)
    samples_TC, unit = to_si(_samples(config, person), str(file))
    segments = segments_of(person, facts, LABELS)
    duration_s = len(samples_TC) / RATE_HZ
    last = max((end for _, end, _ in segments), default=0.0)
    # processed windows leave out what lies behind the last whole one
    slack_s = 1.0 if config.release == "raw" else clip_frames(config.clip)[0] / FPS
    if duration_s < last - slack_s:
        raise FileFormatError(
            f"{file} ends after {duration_s:.0f} s and its annotations after {last:.0f} s.",
            "Fetch it again.",
        )
    streams: dict[str, Stream] = {
        "imu": ImuStream(
            name="imu",
            samples_TC=samples_TC,
            rate_hz=RATE_HZ,
            channels=tuple(
                Channel.from_name(name, placement=LIMBS[i // 3]) for i, name in enumerate(COLUMNS)
            ),
            gravity=Gravity.INCLUDED,
        )
    }
    features = read_i3d(config.root, config.clip, person)
    if features is not None:
        streams["i3d"] = features
        if features.duration_s > duration_s + features.window_s:
            raise FileFormatError(
                f"The {len(features.values_ND)} video features of {person} describe "
                f"{features.duration_s:.0f} s, but {file} lasts {duration_s:.0f} s.",
                "Fetch both again; they must be of the same clip.",
            )
    return Recording(
        id=person,
        subject=person,
        dataset=dataset,
        streams=streams,
        annotations=tuple(
            Annotation(start_s=max(0.0, a), end_s=min(b, duration_s), labels=(label,))
            for a, b, label in segments
            if a < duration_s
        ),
        findings=(unit, *_findings(samples_TC, features, config.clip)),
    )


def _findings(
    samples_TC: np.ndarray, features: FeatureStream | None, clip: str
) -> Iterator[Finding]:
    missing = int(np.isnan(samples_TC).any(axis=1).sum())
    if missing:
        fact = f"{missing} of {len(samples_TC)} rows lack a value; they stay missing."
        yield Finding(check="values.missing", status="warning", fact=fact)
    duration_s = len(samples_TC) / RATE_HZ
    if features is None:
        fact = f"The release at hand has no video features of the clip {clip}."
        yield Finding(check="features.none", status="warning", fact=fact)
    elif features.duration_s < duration_s - 2 * features.window_s:
        fact = "Video features end before the motion; later windows have none."
        seen = f"after {features.duration_s:.1f} of {duration_s:.1f} s"
        yield Finding(check="features.end", status="warning", fact=fact, evidence=seen)
