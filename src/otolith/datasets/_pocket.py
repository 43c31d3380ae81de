"""A simulated data set: phones in trouser pockets, made from recordings at the waist or chest.

Every bout of a label that is understood gives copies, each with a person's gait, a pocket and a
phone of its own. Labels are the origin's; people are called `<data set>/<person>`, and the card says
what the simulation is derived from, so that nobody is learned from here and tested there.
"""

# T time, C channels

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Field

from otolith.core.config import config, to_plain
from otolith.core.errors import DataError
from otolith.core.progress import progress as progress_bar
from otolith.core.randomness import rng
from otolith.datasets import DATASETS
from otolith.datasets._streams import motion_stream, whole
from otolith.recordings.recording import Annotation, Finding, Gravity, ImuStream, Recording
from otolith.recordings.store import DataFolder, write_data_folder
from otolith.signals.thigh_simulation import (
    Activity,
    Posture,
    ThighSimulation,
    simulate_gait,
    simulate_posture,
)
from otolith.signals.triads import find_triads, sensor_name

if TYPE_CHECKING:
    from otolith.datasets._part import DatasetPart

PLACEMENT = "thigh pocket"
STREAM = "phone"
_UNITS = {"acc": "m/s^2", "gyro": "rad/s"}


def _labels() -> dict[Activity | Posture, tuple[str, ...]]:
    return {
        "walking": (
            "walking", "walking_forward", "walking_straight", "walking_treadmill_flat",
            "walking_treadmill_incline", "walking_parking",
        ),
        "stairs_up": (
            "ascending_stairs", "climbing_stairs", "going_up_stairs", "stairs_up",
            "walking_upstairs",
        ),
        "stairs_down": (
            "descending_stairs", "going_down_stairs", "stairs_down", "walking_downstairs",
        ),
        "running": ("jogging", "running", "running_forward", "running_treadmill"),
        "standing": ("standing",),
        "sitting": ("sitting", "sitting_chair"),
    }  # fmt: skip


@config
class PocketSimulation:
    """What is simulated.

    Args:
        thigh: How widely people and phones differ.
        copies: Simulations of each bout.
        seed: Decides all draws; a bout's draws do not depend on what else is simulated.
        placements: Words, one of which a stream's placement or name must hold.
        labels: Activity -> labels that mean it; case, blanks and hyphens do not matter. Given, it
            replaces the whole table, and activities that it does not name are not simulated.
        min_bout_s: Shorter bouts are left out, in s.
        min_rate_hz: Slower streams are left out, in Hz.
        max_still_std_m_s2: Standing and sitting with more motion than this are left out: standard
            deviation of the acceleration's length in m/s^2.
    """

    thigh: ThighSimulation = field(default_factory=ThighSimulation)
    copies: Annotated[int, Field(ge=1)] = 4
    seed: int = 0
    placements: tuple[str, ...] = ("waist", "chest")
    labels: dict[Activity | Posture, tuple[str, ...]] = field(default_factory=_labels)
    min_bout_s: Annotated[float, Field(gt=0)] = 7.0
    min_rate_hz: Annotated[float, Field(ge=10)] = 15.0
    max_still_std_m_s2: Annotated[float, Field(gt=0)] = 1.0


@dataclass(frozen=True, kw_only=True)
class Made:
    """What a simulation gave.

    Args:
        folder: The data folder.
        made: (data set, label) -> number of simulated recordings.
        skipped: (data set, reason) -> number of bouts, or of recordings without a fitting stream.
    """

    folder: DataFolder
    made: Counter[tuple[str, str]]
    skipped: Counter[tuple[str, str]]


@dataclass(frozen=True, kw_only=True)
class _Bout:
    """A labelled piece of a stream."""

    dataset: str
    recording: Recording
    stream: ImuStream
    columns: tuple[int, ...]
    label: str
    rows: slice

    def samples(self) -> np.ndarray:
        """Acceleration and angular rate, float64 [T, 6]."""
        return np.asarray(self.stream.samples_TC[self.rows, :][:, self.columns], np.float64)


def write_pocket_simulation(
    parts: Sequence[DatasetPart],
    target: Path,
    *,
    name: str,
    settings: PocketSimulation,
    overwrite: bool = False,
    progress: bool = True,
) -> Made:
    """Simulate a phone in the trouser pocket and write a data folder.

    Args:
        parts: Data sets with streams at the waist or chest.
        target: Folder to write.
        name: Name of the new data set.
        settings: What is simulated.
        overwrite: Whether a data folder that is there may be replaced.
        progress: Whether to show progress when standard error is a terminal.

    Returns:
        The folder and what was made and left out.

    Raises:
        DataError: Nothing could be simulated, or the target may not be replaced.
    """
    made: Counter[tuple[str, str]] = Counter()
    skipped: Counter[tuple[str, str]] = Counter()
    total = sum(len(part) for part in parts)

    def recordings() -> Iterator[Recording]:
        with progress_bar(total, "simulating", show=None if progress else False) as bar:
            for part in parts:
                for recording_id in part.recording_ids:
                    origin = part.folder.recording(recording_id)
                    for copy in simulate_pocket(origin, part.name, settings, skipped):
                        made[part.name, copy.annotations[0].labels[0]] += 1
                        yield copy
                    bar.advance()
        if not made:
            reasons = ", ".join(f"{reason} ({n})" for (_, reason), n in skipped.most_common(3))
            raise DataError(
                f"Nothing could be simulated from {', '.join(p.name for p in parts)}: {reasons}.",
                "Name data sets with labelled motion at the waist or chest.",
            )

    folder = write_data_folder(
        target, recordings(), name=name, card=_card(parts, settings), splits=_splits(parts),
        overwrite=overwrite, progress=False,
    )  # fmt: skip
    return Made(folder=folder, made=made, skipped=skipped)


def simulate_pocket(
    recording: Recording,
    dataset: str,
    settings: PocketSimulation,
    skipped: Counter[tuple[str, str]],
) -> Iterator[Recording]:
    """Yield the simulated copies of all bouts of a recording.

    Args:
        recording: The origin.
        dataset: Name of its data set.
        settings: What is simulated.
        skipped: Gets one count per (data set, reason) for what is left out.
    """
    streams = list(_streams(recording, dataset, settings, skipped))
    meaning = {label: kind for kind, labels in settings.labels.items() for label in labels}
    for stream, columns in streams:
        for number, annotation in enumerate(recording.annotations):
            label = annotation.labels[0] if annotation.labels else ""
            kind = meaning.get(re.sub(r"[\s\-]+", "_", label.strip().lower()))
            rows = _rows(annotation, stream)
            reason = _reason(annotation, stream, kind, rows, settings)
            if reason is None:
                continue
            bout = _Bout(
                dataset=dataset, recording=recording, stream=stream, columns=columns, label=label,
                rows=_whole_rows(stream, columns, rows),
            )  # fmt: skip
            reason = reason or _signal_reason(bout, kind, settings)
            if reason:
                skipped[dataset, reason] += 1
                continue
            yield from _copies(bout, number, kind, settings, skipped)


def _streams(
    recording: Recording,
    dataset: str,
    settings: PocketSimulation,
    skipped: Counter[tuple[str, str]],
) -> Iterator[tuple[ImuStream, tuple[int, ...]]]:
    """Streams that can be simulated from, with the columns of acceleration and angular rate.

    A stream may hold sensors of several places; each place counts as a stream.
    """
    found, reason = 0, "no stream at " + " or ".join(settings.placements)
    for stream in recording.imus.values():
        for place in dict.fromkeys(c.placement for c in stream.channels):
            where = f"{place or stream.name}".lower()
            if not any(word in where for word in settings.placements):
                continue
            columns = _six_columns(stream, place)
            if not columns:
                reason = "no accelerometer with gyroscope there"
            elif stream.gravity is Gravity.REMOVED:
                reason = "gravity was removed"
            elif stream.rate_hz < settings.min_rate_hz:
                reason = f"sampled below {settings.min_rate_hz:g} Hz"
            else:
                found += 1
                yield stream, columns
    if not found:
        skipped[dataset, reason] += 1


def _six_columns(stream: ImuStream, place: str) -> tuple[int, ...]:
    """Columns of the first accelerometer and the first gyroscope of a place; () without one."""
    triads = find_triads([c.name for c in stream.channels])
    first: dict[str, tuple[int, int, int]] = {}
    for columns in triads.values():
        channel = stream.channels[columns[0]]
        if channel.placement == place:
            first.setdefault(sensor_name(channel.name), columns)
    return (*first["acc"], *first["gyro"]) if {"acc", "gyro"} <= set(first) else ()


def _rows(annotation: Annotation, stream: ImuStream) -> slice:
    """Rows of a stream that an annotation covers wholly."""
    if annotation.end_s is None:
        return slice(0, 0)
    step_s = (1.0 + stream.drift_ppm * 1e-6) / stream.rate_hz
    ends = (np.array([annotation.start_s, annotation.end_s]) - stream.offset_s) / step_s
    start, stop = np.clip(np.ceil(ends - 1e-6), 0, len(stream.samples_TC)).astype(int).tolist()
    return slice(start, max(start, stop))


def _whole_rows(stream: ImuStream, columns: tuple[int, ...], rows: slice) -> slice:
    """The longest run of rows without a missing value; the earliest of equals."""
    is_bad_T = ~np.isfinite(stream.samples_TC[rows, :][:, columns]).all(axis=1)
    edges = np.r_[-1, np.flatnonzero(is_bad_T), rows.stop - rows.start]
    longest = int(np.diff(edges).argmax())
    return slice(rows.start + int(edges[longest]) + 1, rows.start + int(edges[longest + 1]))


def _reason(
    annotation: Annotation,
    stream: ImuStream,
    kind: str | None,
    rows: slice,
    settings: PocketSimulation,
) -> str | None:
    """Why an annotation is left out; empty if it is not, None if it says nothing about this."""
    if annotation.track != "activity" or annotation.stream not in ("", stream.name):
        return None
    if not annotation.labels:
        return None
    if len(annotation.labels) > 1:
        return "several labels at once"
    if kind is None:
        return f'"{annotation.labels[0]}" is not simulated'
    if rows.stop - rows.start < settings.min_bout_s * stream.rate_hz:
        return f"shorter than {settings.min_bout_s:g} s"
    return ""


def _signal_reason(bout: _Bout, kind: str | None, settings: PocketSimulation) -> str:
    samples_T6 = bout.samples()
    if len(samples_T6) < settings.min_bout_s * bout.stream.rate_hz:
        return "missing values"
    if kind in ("standing", "sitting"):
        length_T = np.linalg.norm(samples_T6[:, :3], axis=1)
        if length_T.std() > settings.max_still_std_m_s2:
            return f"not still in {kind}"
    return ""


def _copies(
    bout: _Bout,
    number: int,
    kind: Any,
    settings: PocketSimulation,
    skipped: Counter[tuple[str, str]],
) -> Iterator[Recording]:
    """Simulated recordings of a bout."""
    place = bout.stream.channels[bout.columns[0]].placement or bout.stream.name
    name = f"{bout.dataset}-{bout.recording.id}-{bout.stream.name}-{_word(place)}-{number}"
    samples_T6 = bout.samples()
    for copy in range(settings.copies):
        draws = rng(settings.seed, copy, f"pocket/{name}")
        if kind in ("standing", "sitting"):
            made_T6 = simulate_posture(samples_T6, kind, settings.thigh, draws)
        else:
            made_T6 = simulate_gait(samples_T6, bout.stream.rate_hz, kind, settings.thigh, draws)
        if made_T6 is None:
            skipped[bout.dataset, f"fewer than {settings.thigh.min_steps} steps"] += 1
            return
        yield _recording(bout, f"{name}-{copy}", place, kind, made_T6)


def _word(text: str) -> str:
    return re.sub(r"\W+", "_", text.strip().lower())


def _recording(
    bout: _Bout, recording_id: str, place: str, kind: str, made_T6: np.ndarray
) -> Recording:
    origin, rate_hz = bout.recording, bout.stream.rate_hz
    start_s = float(bout.stream.times_s[bout.rows.start])
    stream = motion_stream(
        STREAM, {"acc": made_T6[:, :3], "gyro": made_T6[:, 3:]}, _UNITS, rate_hz=rate_hz,
        gravity=Gravity.INCLUDED, placement=PLACEMENT, quality=bout.stream.quality,
    )  # fmt: skip
    fact = (
        f"The signals were simulated from the {place} of {bout.dataset}; "
        "nobody carried this phone in a pocket."
    )
    return Recording(
        id=recording_id,
        subject=f"{bout.dataset}/{origin.subject}" if origin.subject else "",
        dataset="",
        streams={STREAM: stream},
        annotations=whole(bout.label, len(made_T6) / rate_hz),
        attributes={
            "origin_dataset": bout.dataset,
            "origin_recording": origin.id,
            "origin_stream": bout.stream.name,
            "origin_placement": place,
            "origin_start_s": f"{start_s:.3f}",
            "simulated_activity": kind,
        },
        findings=(Finding(check="signals.simulated", status="inferred", fact=fact),),
    )


def _card(parts: Sequence[DatasetPart], settings: PocketSimulation) -> dict[str, Any]:
    """Card of the simulation: what it was made from, under whose licence, and its limits."""
    cards = {part.name: part.folder.info.get("card", {}) for part in parts}
    licences = {name: card.get("licence") or "not stated" for name, card in cards.items()}
    known = {label for labels in settings.labels.values() for label in labels}
    labels = dict.fromkeys(
        label
        for part in parts
        for label in part.labels
        if re.sub(r"[\s\-]+", "_", label.strip().lower()) in known
    )
    groups = {k: v for card in cards.values() for k, v in card.get("label_groups", {}).items()}
    return {
        "title": "Simulated phones in trouser pockets",
        "description": (
            f"Motion at {' and '.join(settings.placements)} of {', '.join(cards)}, turned into that "
            "of a phone on the thigh by textbook curves and rigid-body kinematics."
        ),
        "placements": [PLACEMENT],
        "gravity": Gravity.INCLUDED.value,
        "labels": list(labels),
        "label_groups": {label: groups[label] for label in labels if label in groups},
        "derived_from": list(cards),
        "same_people_as": sorted(
            {r for name, card in cards.items() for r in card.get("same_people_as") or ()}
            - set(cards)
        ),
        "licence": "; ".join(f"{name}: {licence}" for name, licence in licences.items()),
        "citation": " ".join(c for card in cards.values() if (c := card.get("citation"))),
        "caveats": [
            "These are simulations: train on them, but do not report numbers on them.",
            "Soft tissue, loose phones and the way the trunk faces are not modelled.",
            *(f"{name}: {c}" for name, card in cards.items() for c in card.get("caveats") or ()),
        ],
        "simulation": to_plain(settings),
    }


def _splits(parts: Sequence[DatasetPart]) -> dict[str, Any]:
    """The origins' first splits by person, joined; people of the others are learned from."""
    joined: dict[str, list[str]] = {"train": [], "validation": [], "test": []}
    for part in parts:
        first = next(iter((part.folder.info.get("splits") or {}).values()), None)
        by_person = first is not None and first.get("by", "subject") == "subject"
        held = {
            key: [s for s in part.subjects if by_person and s in (first or {}).get(key, ())]
            for key in ("validation", "test")
        }
        rest = [s for s in part.subjects if s not in held["validation"] + held["test"]]
        for key, people in {"train": rest, **held}.items():
            joined[key] += [f"{part.name}/{s}" for s in people]
    if not joined["test"]:
        return {}
    return {"origins": {**joined, "by": "subject", "origin": "otolith"}}


def check_name(name: str) -> None:
    """Refuse a name that would hide a built-in data set or is no folder name."""
    if name in DATASETS.names() or not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", name):
        raise DataError(
            f'"{name}" cannot name a simulation.',
            "Use letters, digits, hyphens and underscores, and no name of a built-in data set.",
        )
