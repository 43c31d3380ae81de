"""The layout in which EVI-MAE publishes pairs of motion and video, as its loaders read it.

`cav_label/<train|test>_<pretrain|finetune>/labels_<N>.json` lists pairs; paths are relative to the
folder above `cav_label`. A pair is a CSV file with a header row and a video of the same seconds. One
recording is made of a pair that both tasks list.
"""

# T time, C channels

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from otolith.core.errors import FileFormatError
from otolith.core.files import read_json
from otolith.datasets import Source, Split
from otolith.datasets._files import need
from otolith.datasets._streams import motion_stream
from otolith.recordings.recording import Annotation, Finding, Gravity, Recording, Stream
from otolith.recordings.video import open_video

Task = Literal["all", "pretrain", "finetune"]
SPLITS = {"finetune": "official", "pretrain": "pretrain"}
"""Task -> name of the split that its label files make, the first one first."""
PARTS = ("train", "test")
SLOTS = ("left_arm", "right_arm", "left_leg", "right_leg")
CLASSES = "class_labels_indices.csv"


@dataclass(frozen=True, kw_only=True)
class Layout:
    """What differs between data sets.

    Args:
        dataset: Name of the data set.
        source: Where it comes from.
        columns: The 12 columns of acceleration in the order left arm, right arm, left leg, right
            leg, each x, y, z.
        streams: Names of the streams of the four sensors, which say where they are worn.
        rate_hz: Rows per second.
        unit: Unit of the files.
        gravity: Whether acceleration contains gravity.
        is_unit_inferred: Whether the publishers do not state the unit.
        first_row_is_header: Take the first row for a header whatever it holds; False = only if it
            holds no numbers.
        person_column: Column whose first cell is the number of the person, where an entry names
            nobody; empty = none.
        person_prefix: What stands before that number in the name of the person.
    """

    dataset: str
    source: Source
    columns: tuple[int, ...]
    streams: tuple[str, str, str, str]
    rate_hz: float
    unit: Literal["g", "m/s^2"]
    gravity: Gravity
    is_unit_inferred: bool = True
    first_row_is_header: bool = False
    person_column: str = ""
    person_prefix: str = ""


@dataclass(frozen=True, kw_only=True)
class Pair:
    """One pair of motion and video.

    Args:
        id: `<part>_<video_id>`; a pretraining pair of other files under a name that fine-tuning
            uses too has `_pretrain` behind it.
        part: train or test.
        tasks: Tasks whose label files list it.
        subject: Person, where the entry says so.
        imu: CSV file.
        video: Video file.
        labels: Class names; empty = not labelled.
    """

    id: str
    part: str
    tasks: tuple[str, ...]
    subject: str
    imu: Path
    video: Path
    labels: tuple[str, ...]


def read_pairs(root: Path, task: Task, dataset: str, source: Source) -> list[Pair]:
    """Return the pairs of both parts in the order of the files, those of fine-tuning first.

    Args:
        root: Folder that holds `cav_label`.
        task: Which label files to read; `all` = those that are there.
        dataset: Name of the data set, for messages.
        source: Where it comes from, for messages.

    Raises:
        DataError: A label file is missing.
        FileFormatError: A label file is damaged.
    """
    base = need(root, dataset, source)
    found: list[Pair] = []
    for name in _tasks(base, task):
        before = {pair.id: number for number, pair in enumerate(found)}
        for part in PARTS:
            for pair in _listed(base, part, name, dataset, source):
                number = before.get(pair.id)
                if number is None:
                    found.append(pair)
                elif (found[number].imu, found[number].video) == (pair.imu, pair.video):
                    found[number] = replace(found[number], tasks=(*found[number].tasks, name))
                else:
                    found.append(replace(pair, id=f"{pair.id}_{name}"))
    return found


def release_split(pairs: Sequence[Pair]) -> dict[str, Split]:
    """Return the divisions that the label files make, by recording: `official`, `pretrain`."""
    made = {}
    for task, name in SPLITS.items():
        train, test = (
            tuple(p.id for p in pairs if p.part == part and task in p.tasks) for part in PARTS
        )
        if train or test:
            made[name] = Split(train=train, test=test, by="recording")
    return made


def read_classes(root: Path, dataset: str, source: Source) -> tuple[str, ...]:
    """Return the class names of the release in the order of their numbers.

    Raises:
        DataError: The file is missing.
        FileFormatError: It has other columns, or numbers with gaps.
    """
    path = need(root / "cav_label" / CLASSES, dataset, source)
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise FileFormatError(f"{path} is no text ({error.reason}).", "Fetch it again.") from None
    rows = [line.split(",", 2) for line in lines[1:] if line.strip()]
    numbers = [row[0].strip() for row in rows]
    if numbers != [str(i) for i in range(len(rows))] or any(len(row) < 3 for row in rows):
        raise FileFormatError(
            f"{path} does not list classes as index,mid,display_name from 0 on.", "Fetch it again."
        )
    return tuple(row[2].strip().strip('"') for row in rows)


def read_recordings(
    pairs: Sequence[Pair], layout: Layout, classes: dict[str, str]
) -> Iterator[Recording]:
    """Yield one recording per pair, acceleration in m/s^2.

    Args:
        pairs: What to read.
        layout: How to read it.
        classes: Class name in the files -> class name on the card; other names are refused.

    Raises:
        DataError: A file is missing.
        FileFormatError: A file is damaged, or a class is unknown.
    """
    for pair in pairs:
        unknown = [name for name in pair.labels if name not in classes]
        if unknown:
            raise FileFormatError(
                f'{pair.id} of {layout.dataset} is labelled "{unknown[0]}", which {CLASSES} lacks.',
                "Restore the file.",
            )
        yield _recording(pair, layout, tuple(classes[name] for name in pair.labels))


def read_columns(
    path: Path, columns: Sequence[int], *, first_row_is_header: bool = False
) -> tuple[np.ndarray, bool]:
    """Read columns of a CSV file.

    Args:
        path: The file.
        columns: Numbers of the columns, 0-based.
        first_row_is_header: Leave the first row out whatever it holds.

    Returns:
        float64 [T, C], missing cells NaN; and whether the first row was a header.

    Raises:
        FileFormatError: The file is damaged, too narrow, or holds text in a wanted column.
    """
    import pyarrow as pa
    from pyarrow import csv

    try:
        with path.open(encoding="utf-8-sig") as file:
            first = file.readline().strip().split(",")
        has_header = not all(_is_number(cell) for cell in first if cell)
        skip = int(has_header or first_row_is_header)
        table = csv.read_csv(
            path,
            read_options=csv.ReadOptions(autogenerate_column_names=True, skip_rows=skip),
        )
    except (pa.ArrowInvalid, UnicodeDecodeError) as error:
        reason = str(error).split("\n")[0].rstrip(".")
        raise FileFormatError(f"{path} is damaged: {reason}.", "Fetch it again.") from None
    if max(columns) >= table.num_columns or not table.num_rows:
        raise FileFormatError(
            f"{path} has {table.num_columns} columns and {table.num_rows} rows, "
            f"column {max(columns)} is needed.",
            "Fetch it again.",
        )
    try:
        chosen = [table.column(c).cast(pa.float64()).to_numpy() for c in columns]
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise FileFormatError(
            f"{path} holds text among its numbers: {str(error).splitlines()[0]}.", "Fetch it again."
        ) from None
    return np.stack(chosen, 1).astype(np.float64), has_header


def _recording(pair: Pair, layout: Layout, labels: tuple[str, ...]) -> Recording:
    samples, has_header = read_columns(
        need(pair.imu, layout.dataset, layout.source), layout.columns,
        first_row_is_header=layout.first_row_is_header,
    )  # fmt: skip
    streams: dict[str, Stream] = {
        name: motion_stream(
            name, {"acc": samples[:, 3 * i : 3 * i + 3]}, {"acc": layout.unit},
            rate_hz=layout.rate_hz, gravity=layout.gravity, placement=name.replace("_", " "),
        )
        for i, name in enumerate(layout.streams)
    }  # fmt: skip
    motion_s = len(samples) / layout.rate_hz
    camera = open_video(need(pair.video, layout.dataset, layout.source))
    text = ", ".join(pair.labels)
    end_s = max(motion_s, camera.duration_s)
    whole = Annotation(start_s=0.0, end_s=end_s, labels=labels, text=text)
    return Recording(
        id=pair.id,
        subject=pair.subject or _person(pair.imu, layout),
        dataset=layout.dataset,
        streams=streams | {"camera": camera},
        annotations=(whole,) if labels else (),
        attributes={"part": pair.part},
        findings=_findings(layout, pair, has_header=has_header),
    )


def _person(path: Path, layout: Layout) -> str:
    """Name of the person that the first row of a table gives; empty if it gives none."""
    if not layout.person_column:
        return ""
    with path.open(encoding="utf-8-sig") as file:
        header, first = (file.readline().strip().split(",") for _ in range(2))
    if layout.person_column not in header:
        return ""
    cell = first[header.index(layout.person_column)]
    return f"{layout.person_prefix}{float(cell):g}" if _is_number(cell) else cell


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _entries(file: Path) -> list[dict[str, Any]]:
    content = read_json(file)
    entries = content.get("data") if isinstance(content, dict) else None
    if not isinstance(entries, list) or not all(isinstance(e, dict) for e in entries):
        raise FileFormatError(f"{file} holds no list called data.", "Fetch it again.")
    if not entries:
        raise FileFormatError(f"{file} lists no pair.", "Fetch it again.")
    return entries


def _tasks(base: Path, task: Task) -> tuple[str, ...]:
    """Tasks to read: the one that is wanted, or those of which a label folder is there."""
    if task != "all":
        return (task,)
    there = tuple(
        name
        for name in SPLITS
        if any((base / "cav_label" / f"{part}_{name}").is_dir() for part in PARTS)
    )
    return there or tuple(SPLITS)


def _listed(base: Path, part: str, task: str, dataset: str, source: Source) -> list[Pair]:
    folder = need(base / "cav_label" / f"{part}_{task}", dataset, source)
    files = sorted(folder.glob("labels_*.json"))
    if not files:
        need(folder / "labels_<number>.json", dataset, source)
    return [_pair(base, part, task, entry, file) for file in files for entry in _entries(file)]


def _pair(base: Path, part: str, task: str, entry: dict[str, Any], file: Path) -> Pair:
    missing = [key for key in ("video_id", "imu", "frame_path", "label") if key not in entry]
    if missing:
        raise FileFormatError(f"An entry of {file} has no {missing[0]}.", "Fetch it again.")
    texts = {key: entry[key] for key in ("video_id", "imu", "frame_path")}
    if wrong := [key for key, value in texts.items() if not isinstance(value, str)]:
        raise FileFormatError(
            f"An entry of {file} has the {wrong[0]} {texts[wrong[0]]!r}.", "Fetch it again."
        )
    label = entry["label"]
    if label != 0 and not isinstance(label, str):
        raise FileFormatError(
            f"{entry['video_id']} in {file} has the label {label!r}; class names or 0 are known.",
            "Write the names of its classes, separated by commas.",
        )
    names = tuple(n.strip() for n in label.split(",")) if isinstance(label, str) else ()
    return Pair(
        id=f"{part}_{entry['video_id']}",
        part=part,
        tasks=(task,),
        subject=str(entry.get("subject", "")),
        imu=base / entry["imu"],
        video=base / entry["frame_path"],
        labels=tuple(n for n in names if n not in {"", "0"}),
    )


def _findings(layout: Layout, pair: Pair, *, has_header: bool) -> tuple[Finding, ...]:
    done = "multiplied by 9.80665" if layout.unit == "g" else "kept as it is"
    found = [
        Finding(
            check="units.acc",
            status="inferred" if layout.is_unit_inferred else "ok",
            fact=f"Acceleration is taken to be in {layout.unit}; it was {done}.",
        )
    ]
    if not has_header:
        found.append(
            Finding(
                check="columns.header",
                status="warning" if layout.first_row_is_header else "ok",
                fact=f"{pair.imu.name} has no header row.",
                evidence="its first sample was left out" if layout.first_row_is_header else "",
            )
        )
    return tuple(found)
