"""RevalExo's seven sensors to the four of EVI-MAE: pairs, label files, statistics of the maps.

Differences from the authors' script, on purpose: tables keep a header row, parts share no person,
fine-tuning files carry the real labels, and the statistics are those of the filter-bank maps of the
training part, which are what a model normalises. `upstream_quirks` brings each back.
"""

# T time, C channels

from __future__ import annotations

import random
import secrets
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from otolith.core.config import config
from otolith.core.errors import DataError
from otolith.core.files import replace_folder, write_json, write_manifest, write_text
from otolith.core.progress import progress
from otolith.core.randomness import rng
from otolith.datasets import Source
from otolith.datasets._evi_release import CLASSES, PARTS, SLOTS
from otolith.datasets._files import find_root, need
from otolith.datasets._revalexo_files import Clip, read_clips, read_motion
from otolith.recordings.video import open_video

Quirk = Literal["split_by_clip", "no_header_row", "raw_statistics", "dummy_labels"]
SENSORS_OF_SLOTS = ("Left_Foot", "Right_Foot", "Left_Upper_Leg", "Right_Upper_Leg")
STREAMS = ("left_foot", "right_foot", "left_upper_leg", "right_upper_leg")
STATISTICS = "imu_statistics.json"
TEST_SHARE = 0.2
SEED = 42
RATE_HZ = 60.0


@config
class Config:
    """Settings of the conversion.

    Args:
        source: Folder with `data_pairs`, `trim_imus` and `trim_videos`.
        target: Folder to write; must not exist.
        seed: Seed of the division.
        test_share: Share of the people (or clips) that test.
        statistics_window_s: Length of the segments whose maps are measured, in s.
        videos: Whether videos are copied or linked (hard links, where the file system allows).
        upstream_quirks: Behaviour of the authors' script that is kept only on request:
            `split_by_clip` divides clips instead of people (1 823 / 456 of the release);
            `no_header_row` writes tables without one; `raw_statistics` measures raw values of all
            clips; `dummy_labels` labels nothing and lists one class.
    """

    source: Path
    target: Path
    seed: int = SEED
    test_share: Annotated[float, Field(gt=0, lt=1)] = TEST_SHARE
    statistics_window_s: Annotated[float, Field(gt=0)] = 2.0
    videos: Literal["copy", "link"] = "copy"
    upstream_quirks: tuple[Quirk, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Written:
    """What a conversion wrote.

    Args:
        folder: The new folder.
        num_pairs: Part -> number of pairs.
        people: Part -> people.
        skipped: People without video, who were left out.
        mean: Mean of the statistics.
        std: Standard deviation of the statistics.
    """

    folder: Path
    num_pairs: dict[str, int]
    people: dict[str, tuple[str, ...]]
    skipped: tuple[str, ...]
    mean: float
    std: float


def convert(settings: Config, dataset_source: Source) -> Written:
    """Write the pairs; the folder appears when all is there.

    Args:
        settings: See `Config`.
        dataset_source: Where the data set comes from, for messages.

    Raises:
        DataError: The target exists, a file is missing, or too few people have video.
        FileFormatError: A file is damaged.
    """
    if settings.target.exists():
        raise DataError(f"{settings.target} exists already.", "Name a folder that is new.")
    root = find_root(
        settings.source, ("RevalExoDataset", "trimmed/RevalExoDataset"), "revalexo", dataset_source
    )
    clips = read_clips(root, "revalexo", dataset_source)
    paired = [clip for clip in clips if clip.video is not None]
    for clip in paired:
        need(clip.imu, "revalexo", dataset_source)
        need(clip.video or clip.imu, "revalexo", dataset_source)
    parts = divide(paired, settings)
    settings.target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = settings.target.with_name(f".{settings.target.name}.{secrets.token_hex(6)}.tmp")
    unfinished.mkdir()
    try:
        mean, std = _write(unfinished, parts, settings)
        write_manifest(unfinished)
        replace_folder(unfinished, settings.target)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    with_video = {clip.subject for clip in paired}
    return Written(
        folder=settings.target,
        num_pairs={part: len(found) for part, found in parts.items()},
        people={p: tuple(sorted({c.subject for c in found})) for p, found in parts.items()},
        skipped=tuple(sorted({clip.subject for clip in clips} - with_video)),
        mean=mean,
        std=std,
    )


def divide(clips: Sequence[Clip], settings: Config) -> dict[str, list[Clip]]:
    """Return the clips of each part; nobody is in both, unless clips are divided.

    Raises:
        DataError: There is nothing to divide.
    """
    people = sorted({clip.subject for clip in clips})
    if len(people) < 2:
        raise DataError(
            f"{len(people)} people have video, so they cannot be divided.",
            "Give the whole release.",
        )
    if "split_by_clip" in settings.upstream_quirks:
        order = list(clips)
        random.Random(settings.seed).shuffle(order)
        cut = int((1 - settings.test_share) * len(order))
        return {"train": order[:cut], "test": order[cut:]}
    count = min(max(1, round(settings.test_share * len(people))), len(people) - 1)
    tested = set(rng(settings.seed, purpose="revalexo pairs").permutation(people)[:count].tolist())
    return {
        "train": [clip for clip in clips if clip.subject not in tested],
        "test": [clip for clip in clips if clip.subject in tested],
    }


def _write(folder: Path, parts: dict[str, list[Clip]], settings: Config) -> tuple[float, float]:
    """Write tables, videos, label files and statistics; return mean and standard deviation."""
    quirks = settings.upstream_quirks
    for name in ("imu", "video"):
        (folder / name).mkdir()
    sums = np.zeros(3)
    with progress(sum(map(len, parts.values())), "Pairs") as bar:
        for part in PARTS:
            for clip in parts[part]:
                samples, _ = read_motion(clip.imu, SENSORS_OF_SLOTS)
                _write_table(folder / "imu" / f"{clip.id}.csv", samples, quirks)
                _place_video(clip, folder / "video" / f"{clip.id}.mp4", settings)
                if "raw_statistics" in quirks or part == "train":
                    sums += _moments(samples, settings)
                bar.advance(1)
    if not sums[0]:
        raise DataError(
            "No sensor of the training part has a segment without missing values to measure.",
            "Fetch the release again.",
        )
    mean = sums[1] / sums[0]
    std = float(np.sqrt(max(sums[2] / sums[0] - mean**2, 0.0)))
    _write_labels(folder, parts, quirks)
    is_raw = "raw_statistics" in quirks
    write_json(
        folder / STATISTICS,
        {
            "mean": round(float(mean), 6),
            "std": round(std, 6),
            "of": "raw values of all clips" if is_raw else "filter-bank maps in dB, training part",
            "num_values": int(sums[0]),
            "unit": "m/s^2" if is_raw else "dB of m/s^2",
        },
    )
    return float(mean), std


def _moments(samples_TC: np.ndarray, settings: Config) -> np.ndarray:
    """Count, sum and sum of squares of the maps of a clip's whole segments, or of its raw values."""
    if "raw_statistics" in settings.upstream_quirks:
        values = samples_TC[~np.isnan(samples_TC)]
    else:
        import torch

        from otolith.signals import fbank

        size = round(settings.statistics_window_s * RATE_HZ)
        count = max(1, len(samples_TC) // size)
        segments = [samples_TC[i * size : (i + 1) * size].T for i in range(count)]
        stacked = np.concatenate(segments).astype(np.float32)
        whole = torch.from_numpy(stacked[~np.isnan(stacked).any(axis=1)])
        values = fbank.fbank(whole, fbank.Config()).double().numpy() if len(whole) else np.zeros(0)
    return np.array([values.size, values.sum(), np.square(values).sum()])


def _write_table(path: Path, samples_TC: np.ndarray, quirks: Sequence[Quirk]) -> None:
    names = ",".join(f"{slot}_acc_{axis}" for slot in SLOTS for axis in "xyz")
    with path.open("w", encoding="utf-8", newline="\n") as file:
        if "no_header_row" not in quirks:
            file.write(names + "\n")
        np.savetxt(file, samples_TC, fmt="%.6f", delimiter=",")


def _place_video(clip: Clip, target: Path, settings: Config) -> None:
    source = clip.video
    assert source is not None  # noqa: S101  # only clips with video are written
    open_video(source)  # a damaged one is refused now, not when the pairs are read
    if settings.videos == "link":
        target.hardlink_to(source)
    else:
        shutil.copyfile(source, target)


def _write_labels(folder: Path, parts: dict[str, list[Clip]], quirks: Sequence[Quirk]) -> None:
    is_dummy = "dummy_labels" in quirks
    names = sorted({name for found in parts.values() for c in found for *_, name in c.activities})
    classes = ["dummy"] if is_dummy else names
    rows = [f"{i},/m/{i:02d},{name}" for i, name in enumerate(classes)]
    write_text(folder / "cav_label" / CLASSES, "\n".join(["index,mid,display_name", *rows]) + "\n")
    for part, found in parts.items():
        for task in ("pretrain", "finetune"):
            has_labels = task == "finetune" and not is_dummy
            entries = [_entry(clip, has_labels=has_labels) for clip in found]
            path = folder / "cav_label" / f"{part}_{task}" / f"labels_{len(found)}.json"
            write_json(path, {"data": entries})


def _entry(clip: Clip, *, has_labels: bool) -> dict[str, object]:
    names = dict.fromkeys(name for *_, name in clip.activities)
    return {
        "video_id": clip.id,
        "imu": f"imu/{clip.id}.csv",
        "frame_path": f"video/{clip.id}.mp4",
        "label": ",".join(names) if has_labels and names else 0,
        "subject": clip.subject,
    }
