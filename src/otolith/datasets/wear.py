"""WEAR: 18 people, 18 sports activities outdoors, accelerometers on four limbs, head camera features.

The folder holds `annotations/wear_split_1.json` (any split; only the segments are read),
`raw/inertial/50hz/<person>.csv` (or `raw/inertial/<person>.csv`) with three axes of each limb in g, and,
where they are, `processed/i3d_features/120_frames_60_stride/<person>.npy`.
"""

# T time, N feature windows

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from otolith.core.config import config
from otolith.core.errors import FileFormatError
from otolith.datasets import Card, Source, Split
from otolith.datasets._files import need
from otolith.datasets._labels import groups_of
from otolith.datasets._streams import unit_findings
from otolith.datasets._wear_rows import LIMBS, RATE_HZ
from otolith.recordings.recording import (
    Annotation,
    Channel,
    FeatureStream,
    Gravity,
    ImuStream,
    Recording,
    Stream,
)
from otolith.signals.units import STANDARD_GRAVITY_M_S2

LABELS = (
    "jogging", "jogging (rotating arms)", "jogging (skipping)", "jogging (sidesteps)",
    "jogging (butt-kicks)", "stretching (triceps)", "stretching (lunging)", "stretching (shoulders)",
    "stretching (hamstrings)", "stretching (lumbar rotation)", "push-ups", "push-ups (complex)",
    "sit-ups", "sit-ups (complex)", "burpees", "lunges", "lunges (complex)", "bench-dips",
)  # fmt: skip
PEOPLE = tuple(f"sbj_{i}" for i in range(18))
COLUMNS = tuple(f"{limb.replace(' ', '_')}_acc_{axis}" for limb in LIMBS for axis in "xyz")
_FPS = 60.0

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
    label_groups=groups_of(LABELS),
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
    """

    root: Path
    clip: str = "120_frames_60_stride"


def recordings(config: Config) -> Iterator[Recording]:
    """Yield one recording per person.

    Raises:
        DataError: A folder or file is missing.
        FileFormatError: A file is damaged or shorter than its annotations.
    """
    people = _read_annotations(config.root)
    folder = config.root / "raw" / "inertial"
    folder = folder / "50hz" if (folder / "50hz").is_dir() else folder
    for person in PEOPLE:
        if person in people:
            path = need(folder / f"{person}.csv", "wear", SOURCE)
            yield _recording(config, person, path, people[person])


def splits() -> dict[str, Split]:
    """Return the publishers' three divisions: six people are tested in each."""
    parts = [PEOPLE[i : i + 6] for i in (0, 6, 12)]
    return {
        f"split_{number}": Split(
            train=tuple(p for p in PEOPLE if p not in test), test=tuple(test)
        )
        for number, test in enumerate(parts, start=1)
    }  # fmt: skip


def _recording(config: Config, person: str, path: Path, facts: Mapping[str, Any]) -> Recording:
    samples = _read_samples(path)
    segments = [
        (float(a["segment"][0]), float(a["segment"][1]), a["label"]) for a in facts["annotations"]
    ]
    duration_s = len(samples) / RATE_HZ
    last = max((end for _, end, _ in segments), default=0.0)
    if duration_s < last - 1.0:
        raise FileFormatError(
            f"{path} ends after {duration_s:.0f} s and its annotations after {last:.0f} s.",
            "Fetch it again.",
        )
    streams: dict[str, Stream] = {
        "imu": ImuStream(
            name="imu",
            samples_TC=samples,
            rate_hz=RATE_HZ,
            channels=tuple(
                Channel.from_name(name, placement=LIMBS[i // 3]) for i, name in enumerate(COLUMNS)
            ),
            gravity=Gravity.INCLUDED,
        )
    }
    features = config.root / "processed" / "i3d_features" / config.clip / f"{person}.npy"
    if features.exists():
        streams["i3d"] = _read_features(features, config.clip)
    return Recording(
        id=person,
        subject=person,
        dataset="wear",
        streams=streams,
        annotations=tuple(
            Annotation(start_s=max(0.0, a), end_s=min(b, duration_s), labels=(label,))
            for a, b, label in segments
        ),
        findings=unit_findings("g", None),
    )


def _read_annotations(root: Path) -> dict[str, Any]:
    """Facts of every person, from whichever file of a split is there."""
    found = sorted((root / "annotations").rglob("wear_split_*.json"))
    path = found[0] if found else need(root / "annotations" / "wear_split_1.json", "wear", SOURCE)
    try:
        return json.loads(path.read_text(encoding="utf-8"))["database"]
    except (ValueError, KeyError, UnicodeDecodeError) as error:
        raise FileFormatError(
            f"{path} holds no annotations ({error}).", "Fetch it again."
        ) from None


def _read_samples(path: Path) -> np.ndarray:
    """Acceleration [T, 12] in m/s^2, NaN = missing."""
    import pyarrow as pa
    from pyarrow import csv

    kinds = dict.fromkeys(COLUMNS, pa.float64())
    try:
        table = csv.read_csv(path, convert_options=csv.ConvertOptions(column_types=kinds))
        columns = [table[name].to_numpy() for name in COLUMNS]
    except (pa.ArrowInvalid, KeyError) as error:
        reason = str(error).splitlines()[0]
        raise FileFormatError(f"{path} is damaged: {reason}.", "Fetch it again.") from None
    return (np.stack(columns, axis=1) * STANDARD_GRAVITY_M_S2).astype(np.float32)


def _read_features(path: Path, clip: str) -> FeatureStream:
    try:
        values = np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise FileFormatError(f"{path} is no array ({error}).", "Fetch it again.") from None
    window, stride = (float(word) for word in clip.replace("_stride", "").split("_frames_"))
    return FeatureStream(
        name="i3d",
        values_ND=values.astype(np.float32),
        extractor="i3d",
        window_s=window / _FPS,
        stride_s=stride / _FPS,
    )
