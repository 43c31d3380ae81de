"""Ego-Exo4D: skilled activities with the motion sensors and the camera of Aria glasses.

The folder holds `takes.json`, `annotations/keystep_train.json` and `keystep_val.json`, motion as arrays
that were taken from the VRS files (`features/imu_aria01/<take>/left.npy` at 800 Hz and `right.npy` at
1 kHz: time in ns, acceleration in m/s^2, angular rate in rad/s) and, where they are, the official
Omnivore features (`features/omnivore_video/<take_uid>_aria01_rgb.pt`, 32 frames every 16 of 30 per s) and
`annotations/splits.json`.
"""

# T time, N feature windows

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from otolith.core.config import config
from otolith.datasets import Card, Source, Split
from otolith.datasets._egoexo4d_files import (
    RATES_HZ,
    read_json,
    read_key_steps,
    read_motion,
    read_omnivore,
    read_takes,
)
from otolith.datasets._egoexo4d_lists import ListedWindow, read_window_list
from otolith.datasets._files import need
from otolith.datasets._labels import groups_of
from otolith.datasets._streams import unit_findings
from otolith.recordings.recording import (
    Annotation,
    Channel,
    Finding,
    Gravity,
    ImuStream,
    Recording,
    Stream,
)
from otolith.signals.resampling import interpolate_to_grid

VERBS = (
    "wash", "wipe", "add", "peel", "cut", "remove", "turn", "adjust", "lift", "close", "place",
    "check", "set", "get", "transfer", "pour", "stir", "put", "throw", "locate", "arrange", "unwrap",
    "return", "read", "fold", "fill", "open", "cover", "wrap", "insert", "swirl", "extract", "repeat",
    "unbox", "dip", "apply", "wait", "shake", "position", "stop", "dispose", "unfold", "collect",
    "loosen", "pull", "push", "release", "rotate", "move", "brush", "have", "confirm", "kneel",
    "press", "do", "call", "toss", "crack", "whisk", "begin", "cook", "flip", "steep", "drain",
    "simmer", "break", "strain", "mistake",
)  # fmt: skip
_COLUMNS = ("acc_x", "acc_y", "acc_z", "gyro_x", "gyro_y", "gyro_z")
_MAX_GAP_S = 0.1

SOURCE = Source(
    licence="Ego-Exo4D licence agreement, to be signed",
    licence_url="https://ego4ddataset.com/egoexo-license/",
    cite=(
        "K. Grauman et al., Ego-Exo4D: Understanding Skilled Human Activity from First- and "
        "Third-Person Perspectives, CVPR 2024."
    ),
    homepage="https://docs.ego-exo4d-data.org",
    manual="Sign the licence, download takes with the egoexo tool, and take arrays from the VRS files.",
    redistributable=False,
)

CARD = Card(
    title="Ego-Exo4D (motion sensors of the glasses)",
    description=(
        "People cook, repair bikes, climb, dance or do first aid with Aria glasses on the head; "
        "steps of the procedures are annotated."
    ),
    rate_hz=(800.0, 1000.0),
    placements=("head, left temple", "head, right temple"),
    gravity=Gravity.INCLUDED,
    num_subjects=740,
    labels=VERBS,
    label_groups=groups_of(VERBS),
    caveats=(
        "The verb of a step is the first word of its text that is one of the 68 verbs of the authors "
        "of HIMU-MAE; they chose it with a tagger and by hand.",
        "The division `key_steps` is that of HIMU-MAE: takes of keystep_train.json, tested on those of "
        "keystep_val.json; other takes are in neither part but serve pretraining. Where splits.json is "
        "there, `release` is its division.",
        "The number of people is that of the whole release.",
    ),
)


@config
class Config:
    """Settings of the reader.

    Args:
        root: Folder of the release.
        sensors: Which motion sensors to read; the first one becomes the stream `imu`.
        has_gyro: Whether to read angular rates.
        parts: Which takes to read, by their list of key steps; `other` have none.
        windows: Window lists of HIMU-MAE (pickled); their windows become the track `window`, with
            the class of the authors where the list has one.
    """

    root: Path
    sensors: tuple[Literal["left", "right"], ...] = ("left",)
    has_gyro: bool = False
    parts: tuple[Literal["train", "val", "other"], ...] = ("train", "val", "other")
    windows: tuple[Path, ...] = ()


def recordings(config: Config) -> Iterator[Recording]:
    """Yield one recording per take that has motion data.

    Raises:
        DataError: The folder, the list of takes or the key steps are missing.
        FileFormatError: A file is damaged.
    """
    takes, part_of = _takes(config)
    steps, _ = read_key_steps(config.root, SOURCE)
    listed = _listed(config.windows)
    for take in takes:
        part = part_of.get(take["take_uid"], "other")
        own = listed.get(take["take_name"], [])
        yield _recording(config, take, steps.get(take["take_uid"], []), part, own)


def splits() -> dict[str, Split]:
    """Return no split that is known without the release; see `release_splits`."""
    return {}


def release_splits(config: Config) -> dict[str, Split]:
    """Return the divisions by take that the annotations make.

    `key_steps`: takes whose key steps are for training, tested on those for validation, as in HIMU-MAE.
    `release`: the publishers' parts of all takes, if `annotations/splits.json` is there.

    Raises:
        DataError: The list of takes or the key steps are missing.
        FileFormatError: A file is damaged.
    """
    takes, part_of = _takes(config)
    name_of = {take["take_uid"]: take["take_name"] for take in takes}
    of_part: dict[str, list[str]] = {"train": [], "val": [], "other": []}
    for uid, name in name_of.items():
        of_part[part_of.get(uid, "other")].append(name)
    found = {
        "key_steps": Split(
            train=tuple(of_part["train"]), test=tuple(of_part["val"]), by="recording"
        )
    }
    path = config.root / "annotations" / "splits.json"
    if path.is_file():
        lists = read_json(path).get("split_to_take_uids", {})
        parts = {
            part: tuple(name_of[uid] for uid in lists.get(key, ()) if uid in name_of)
            for part, key in (("train", "train"), ("validation", "val"), ("test", "test"))
        }
        found["release"] = Split(
            train=parts["train"], validation=parts["validation"], test=parts["test"], by="recording"
        )
    return {name: split for name, split in found.items() if split.train or split.test}


def _takes(config: Config) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """The takes of the wanted parts that have motion, and which list of key steps a take is in."""
    takes = read_takes(config.root, SOURCE)
    _, part_of = read_key_steps(config.root, SOURCE)
    folder = need(config.root / "features" / "imu_aria01", "egoexo4d", SOURCE)
    found = [take for take in takes if (folder / take["take_name"]).is_dir()]
    if not found:
        need(folder / "<take_name>" / "left.npy", "egoexo4d", SOURCE)
    wanted = [t for t in found if part_of.get(t["take_uid"], "other") in config.parts]
    return wanted, part_of


def _recording(
    config: Config,
    take: Mapping[str, Any],
    steps: list[dict[str, Any]],
    part: str,
    listed: list[ListedWindow],
) -> Recording:
    folder = config.root / "features" / "imu_aria01" / take["take_name"]
    tables = {
        side: read_motion(need(folder / f"{side}.npy", "egoexo4d", SOURCE))
        for side in config.sensors
    }
    origin_ns = max(table[0, 0] for table in tables.values())
    streams: dict[str, Stream] = {}
    for number, (side, table) in enumerate(tables.items()):
        name = "imu" if number == 0 else f"imu_{side}"
        streams[name] = _motion_stream(name, side, table, origin_ns, config.has_gyro)
    path = config.root / "features" / "omnivore_video" / f"{take['take_uid']}_aria01_rgb.pt"
    if path.exists():
        streams["omnivore"] = read_omnivore(path)
    end_s = max(s.offset_s + s.duration_s for s in streams.values())
    return Recording(
        id=take["take_name"],
        subject=str(take.get("participant_uid") or take["take_name"]),
        dataset="egoexo4d",
        streams=streams,
        annotations=(
            *(a for step in steps if (a := _annotation(step, end_s)) is not None),
            *(a for w in listed if (a := _window(w, origin_ns * 1e-9, end_s)) is not None),
        ),
        attributes={"take_uid": take["take_uid"], "part": part},
        findings=(
            *unit_findings("m/s^2", "rad/s" if config.has_gyro else None),
            Finding(
                check="labels.verb", status="inferred",
                fact="The verb of a step was taken from the first known verb of its text.",
            ),
        ),
    )  # fmt: skip


def _motion_stream(
    name: str, side: str, table: np.ndarray, origin_ns: float, has_gyro: bool
) -> ImuStream:
    num = 6 if has_gyro else 3
    times_s = (table[:, 0] - origin_ns) / 1e9
    keep = times_s >= 0
    values, start_s = interpolate_to_grid(
        times_s[keep], table[keep, 1 : 1 + num].astype(np.float32), RATES_HZ[side], _MAX_GAP_S
    )
    return ImuStream(
        name=name,
        samples_TC=values.astype(np.float32),
        rate_hz=RATES_HZ[side],
        channels=tuple(
            Channel.from_name(n, placement=f"head, {side} temple") for n in _COLUMNS[:num]
        ),
        gravity=Gravity.INCLUDED,
        offset_s=start_s,
    )


def _annotation(step: Mapping[str, Any], end_s: float) -> Annotation | None:
    """A step as far as it lies within the motion data; None if it does not."""
    start, end = max(0.0, float(step["start_time"])), min(end_s, float(step["end_time"]))
    if end <= start:
        return None
    text = str(step.get("step_description") or step.get("step_name") or "")
    words = re.findall(r"[a-z]+", text.lower())
    verb = next((word for word in words if word in VERBS), "")
    return Annotation(
        start_s=start, end_s=end, labels=(verb,) if verb else (), text=text, verb=verb
    )


def _listed(paths: tuple[Path, ...]) -> dict[str, list[ListedWindow]]:
    """Windows of all lists by take."""
    found: dict[str, list[ListedWindow]] = {}
    for path in paths:
        for name, windows in read_window_list(path, len(VERBS)).items():
            found.setdefault(name, []).extend(windows)
    return found


def _window(window: ListedWindow, origin_s: float, end_s: float) -> Annotation | None:
    """A listed window on the recording's clock, as far as it lies within the motion data."""
    shift = window.origin_s - origin_s
    start, end = max(0.0, window.start_s + shift), min(end_s, window.end_s + shift)
    if end <= start:
        return None
    verb = "" if window.label is None else VERBS[window.label]
    return Annotation(
        start_s=start, end_s=end, labels=(verb,) if verb else (), verb=verb, source="himu_mae",
        track="window",
    )  # fmt: skip
