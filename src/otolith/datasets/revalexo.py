"""RevalExo: 27 people walk, climb and sit with seven lower-body sensors, 13 of them with a head camera.

Reads `trimmed.zip` as published, or the pairs of four sensors that `otolith data revalexo-pairs` (or the
authors' script) makes of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from otolith.core.config import config
from otolith.datasets import Card, Source, Split, _evi_release
from otolith.datasets._files import find_root, need
from otolith.datasets._labels import groups_of
from otolith.datasets._revalexo_files import SENSORS, Clip, read_clips, read_motion
from otolith.datasets._revalexo_pairs import STREAMS as PAIR_STREAMS
from otolith.datasets._streams import motion_stream
from otolith.recordings.recording import (
    Annotation,
    Finding,
    Gravity,
    Recording,
    Stream,
)
from otolith.recordings.video import open_video

RATE_HZ = 60.0
LABELS = (
    "carry", "grass", "level ground", "ramp down", "ramp up", "sit to stand", "sitting",
    "stair down", "stair up", "stand to sit", "uneven ground",
)  # fmt: skip
_SYNONYMS = {
    "level ground": "walking",
    "stair down": "walking_downstairs",
    "stair up": "walking_upstairs",
}
WITH_VIDEO = (
    "Subject01", "Subject02", "Subject03", "Subject05", "Subject06", "Subject07", "Subject08",
    "Subject11", "Subject17", "Subject20", "Subject24", "Subject26", "Subject29",
)  # fmt: skip
NESTED = ("RevalExoDataset", "trimmed/RevalExoDataset", "trimmed")

SOURCE = Source(
    licence="CC-BY-NC-4.0",
    licence_url="https://creativecommons.org/licenses/by-nc/4.0/",
    cite="RevalExo dataset, KU Leuven RDR, 2025, doi 10.48804/OWJOID.",
    homepage="https://rdr.kuleuven.be/dataset.xhtml?persistentId=doi:10.48804/OWJOID",
    manual="Download and unpack trimmed.zip by hand and give the folder as root.",
    redistributable=False,
)

CARD = Card(
    title="RevalExo",
    description=(
        "27 older adults, among them people after a stroke and with sarcopenia, do 11 kinds of "
        "locomotion with seven Xsens sensors on pelvis, legs and feet; 13 also wear a head camera."
    ),
    rate_hz=(RATE_HZ,),
    placements=tuple(s.lower().replace("_", " ") for s in SENSORS),
    gravity=Gravity.INCLUDED,
    num_subjects=27,
    labels=LABELS,
    label_groups=groups_of(LABELS, _SYNONYMS),
    caveats=(
        "Neighbouring clips share four seconds, so a split by clip shares footage.",
        "Units are not stated; values agree with m/s^2 and rad/s.",
        "The licence forbids commercial use.",
        "14 people wore no camera.",
    ),
)


@config
class Config:
    """Settings of the reader.

    Args:
        root: Folder with `data_pairs`, or with `cav_label` for the pairs of four sensors.
        has_video: Whether to read all clips, or only those with a video.
        task: Label files of the pairs, `all` = those that are there; of no effect on the release
            itself.
        upstream_quirks: Behaviour of the authors' code that is kept only on request:
            `first_row_is_header` drops the first sample of pairs without a header row.
    """

    root: Path
    has_video: Literal["any", "required"] = "any"
    task: Literal["all", "pretrain", "finetune"] = "all"
    upstream_quirks: tuple[Literal["first_row_is_header"], ...] = ()


def recordings(config: Config) -> Iterator[Recording]:
    """Yield one recording per clip: motion in m/s^2 and rad/s at 60 Hz, video where there is one.

    Raises:
        DataError: A file is missing.
        FileFormatError: A file is damaged.
    """
    root = find_root(config.root, NESTED, "revalexo", SOURCE)
    if (root / "cav_label").is_dir():
        yield from _from_pairs(root, config)
        return
    for clip in read_clips(root, "revalexo", SOURCE):
        if clip.video is not None or config.has_video == "any":
            yield _recording(clip)


def splits() -> dict[str, Split]:
    """Return no split: the authors leave one person out at a time."""
    return {}


def release_splits(config: Config) -> dict[str, Split]:
    """Return the division that the label files of the pairs make; none for the release itself."""
    root = find_root(config.root, NESTED, "revalexo", SOURCE)
    if not (root / "cav_label").is_dir():
        return {}
    return _evi_release.release_split(
        _evi_release.read_pairs(root, config.task, "revalexo", SOURCE)
    )


def _from_pairs(root: Path, config: Config) -> Iterator[Recording]:
    layout = _evi_release.Layout(
        dataset="revalexo", source=SOURCE, columns=tuple(range(12)), streams=PAIR_STREAMS,
        rate_hz=RATE_HZ, unit="m/s^2", gravity=Gravity.INCLUDED,
        first_row_is_header="first_row_is_header" in config.upstream_quirks,
    )  # fmt: skip
    pairs = _evi_release.read_pairs(root, config.task, "revalexo", SOURCE)
    classes = {name: name for name in LABELS}
    yield from _evi_release.read_recordings(pairs, layout, classes)


def _recording(clip: Clip) -> Recording:
    samples, columns = read_motion(
        need(clip.imu, "revalexo", SOURCE), SENSORS, kinds=("acc", "gyro")
    )
    position = {name: i for i, name in enumerate(columns)}
    streams: dict[str, Stream] = {}
    for sensor in SENSORS:
        found = {
            kind: samples[:, position[f"{kind}_{sensor}_X"] :][:, :3]
            for kind in ("acc", "gyro")
            if f"{kind}_{sensor}_X" in position
        }
        streams[sensor.lower()] = motion_stream(
            sensor.lower(), found, {"acc": "m/s^2", "gyro": "rad/s"}, rate_hz=RATE_HZ,
            gravity=Gravity.INCLUDED, placement=sensor.lower().replace("_", " "),
        )  # fmt: skip
    if clip.video is not None:
        streams["camera"] = open_video(need(clip.video, "revalexo", SOURCE))
    length_s = max(s.duration_s for s in streams.values())
    annotations = _annotations(clip.activities, "activity", length_s)
    annotations += _annotations(clip.transitions, "transition", length_s)
    return Recording(
        id=clip.id,
        subject=clip.subject,
        dataset="revalexo",
        streams=streams,
        annotations=annotations,
        findings=_findings(clip, length_s),
    )


def _annotations(
    segments: tuple[tuple[float, float, str], ...], track: str, length_s: float
) -> tuple[Annotation, ...]:
    """Segments as annotations; what lies behind the end of the signals is cut."""
    is_activity = track == "activity"
    return tuple(
        Annotation(
            start_s=start,
            end_s=min(end, length_s),
            labels=(name,) if is_activity else (),
            text="" if is_activity else name,
            track=track,
        )
        for start, end, name in segments
        if start < min(end, length_s)
    )


def _findings(clip: Clip, length_s: float) -> tuple[Finding, ...]:
    found = [
        Finding(
            check=f"units.{kind}",
            status="inferred",
            fact=f"The publishers state no unit of {what}; {unit} is taken.",
        )
        for kind, what, unit in (
            ("acc", "acceleration", "m/s^2"),
            ("gyro", "angular rate", "rad/s"),
        )
    ]
    late = [end for _, end, _ in (*clip.activities, *clip.transitions) if end > length_s + 0.05]
    if late:
        found.append(
            Finding(
                check="labels.end",
                status="fixed",
                fact=f"{len(late)} segments end behind the signals; they were cut at their end.",
                evidence=f"signals end at {length_s:.2f} s, a segment at {max(late):.2f} s",
            )
        )
    return tuple(found)
