"""MobiAct v2 and MobiFall v2: a phone in the trouser pocket, daily activities and simulated falls.

Raw files `<CODE>_<acc|gyro>_<person>_<trial>.txt` (in `Raw Data/<CODE>` or `sub<n>/<ADL|FALLS>/<CODE>`)
hold lines that begin with "#", a line "@DATA" and rows `nanoseconds, x, y, z` in m/s^2 with gravity
and rad/s. Both sensors jitter and have their own rates (about 80 to 100 and 200 Hz), so they are
joined by time stamp. `Annotated Data/<CODE>/<CODE>_<person>_<trial>_annotated.csv` hold both sensors
joined by the publishers and a code per row.
"""

# T time

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from otolith.core.config import config
from otolith.core.errors import FileFormatError
from otolith.datasets import Card, Source, Split
from otolith.datasets._clocks import (
    Span,
    covered,
    grid,
    in_order,
    mean_rate_hz,
    overlap,
    sample_at,
)
from otolith.datasets._csv_columns import Kind, read_columns
from otolith.datasets._files import find_root, need, read_numbers, read_text
from otolith.datasets._labels import groups_of
from otolith.datasets._rows import regular_pieces
from otolith.datasets._streams import bouts, motion_stream, unit_findings, whole
from otolith.recordings.recording import Finding, Gravity, Quality, Recording

CODES = {
    "STD": "standing", "WAL": "walking", "JOG": "jogging", "JUM": "jumping", "STU": "stairs_up",
    "STN": "stairs_down", "SCH": "sitting_chair", "SIT": "sitting", "CHU": "sit_to_stand",
    "CSI": "car_step_in", "CSO": "car_step_out", "LYI": "lying", "FOL": "fall_forward",
    "FKL": "fall_forward_knees", "BSC": "fall_backward_sitting", "SDL": "fall_sideways",
}  # fmt: skip
SCENARIOS = {
    "SLH": "leaving home", "SBW": "being at work", "SLW": "leaving work", "SBE": "exercising",
    "SRH": "returning home",
}  # fmt: skip
_ORDER = tuple(CODES)
_SYNONYMS = {"fall_forward_knees": "fall_forward"}
PLACEMENT = "trouser pocket"
RATE_HZ = 200.0
SLOW_STEP_S = 0.1  # longer steps between samples count as not measured
NUM_SUBJECTS = 67
_UNITS = {"acc": "m/s^2", "gyro": "rad/s"}
_AXES = [f"{sensor}_{axis}" for sensor in _UNITS for axis in "xyz"]
_RAW = r"([A-Z]{3})_acc_(\d+)_(\d+)\.txt"
_ANNOTATED = r"([A-Z]{3})_(\d+)_(\d+)_annotated\.csv"
_PAGE = "https://bmi.hmu.gr/the-mobifall-and-mobiact-datasets-2/"

SOURCE = Source(
    licence="free for non-commercial research and education, with citation",
    licence_url=_PAGE,
    cite=(
        "G. Vavoulas, C. Chatzaki, T. Malliotakis, M. Pediaditis, M. Tsiknakis, The MobiAct "
        "Dataset: Recognition of Activities of Daily Living using Smartphones, ICT4AWE 2016."
    ),
    homepage=_PAGE,
    manual="Ask for MobiAct v2 (or MobiFall v2) on the page and unpack it.",
)

CARD = Card(
    title="MobiAct v2 and MobiFall v2: daily activities and falls with a phone",
    description=(
        "67 people with a phone in the trouser pocket: standing, walking, jogging, jumping, "
        "stairs, sitting, getting into and out of a car, four kinds of simulated falls, and daily "
        "scenarios of leaving home, working, exercising and returning."
    ),
    rate_hz=(RATE_HZ,),
    placements=(PLACEMENT,),
    gravity=Gravity.INCLUDED,
    num_subjects=NUM_SUBJECTS,
    labels=tuple(CODES.values()),
    label_groups=groups_of(tuple(CODES.values()), _SYNONYMS),
    caveats=(
        "No official copy was at hand: the reader of raw files was tried on a public copy of "
        "MobiFall v2 (all 630 trials of 24 people), that of annotated files on made-up files in "
        "their layout.",
        "The licence is not a formal one: the publishers allow non-commercial research and "
        "education.",
        "FKL is a forward fall onto the knees; in other code it is called a backward fall.",
        "SCH (sitting_chair) is the transition from standing to sitting, although it is grouped "
        "with sitting.",
        "A raw fall trial is labelled as a fall from start to end; it begins with standing and "
        "ends with lying. The annotated files label every row.",
        "LYI files repeat the time of lying after falls, which the files of the falls hold too.",
        "Raw acceleration has about 80 to 100 Hz, often 5 Hz in the first second; it is "
        "interpolated to the rate of the gyroscope.",
        "In MobiFall, people 12 and above only fall.",
        "How the phone lay in the pocket was free.",
    ),
)


@config
class Config:
    """Settings of the reader.

    Args:
        root: Folder of the release.
        layout: Which files to read; None = the annotated ones if `Annotated Data` is there, else
            the raw ones.
        max_gap_s: A longer hole between samples splits a recording.
        max_clock_error_s: Rows of annotated files whose stamps are farther from a regular clock
            are interpolated.
    """

    root: Path
    layout: Literal["annotated", "raw"] | None = None
    max_gap_s: Annotated[float, Field(gt=0)] = 1.0
    max_clock_error_s: Annotated[float, Field(gt=0)] = 0.05


def recordings(config: Config) -> Iterator[Recording]:
    """Yield one recording per person, activity and trial, more where there are long holes.

    Raises:
        DataError: A file is missing.
        FileFormatError: A file is damaged, holds an unknown code, or a trial is there twice.
    """
    root = find_root(config.root, ("MobiAct_Dataset_v2.0",), "mobiact", SOURCE)
    annotated = root / "Annotated Data"
    if config.layout == "annotated" or (config.layout is None and annotated.is_dir()):
        paths = sorted(need(annotated, "mobiact", SOURCE).rglob("*_annotated.csv"))
        if not paths:
            need(annotated / "STD" / "STD_1_1_annotated.csv", "mobiact", SOURCE)
        for path in _distinct(paths):
            yield from _read_annotated(path, config)
        return
    paths = sorted(root.rglob("*_acc_*.txt"))
    if not paths:
        need(root / "Raw Data" / "STD" / "STD_acc_1_1.txt", "mobiact", SOURCE)
    for path in _distinct(paths):
        yield from _read_raw(path, config.max_gap_s)


def splits() -> dict[str, Split]:
    """Return a division into people: every fifth for testing."""
    everyone = range(1, NUM_SUBJECTS + 1)
    test = tuple(str(n) for n in everyone if n % 5 == 0)
    return {
        "subjects": Split(
            train=tuple(str(n) for n in everyone if n % 5), test=test, origin="otolith"
        )
    }


def _distinct(paths: list[Path]) -> list[Path]:
    """The files, if none of their names is there twice."""
    names = Counter(path.name for path in paths)
    for path in paths:
        if names[path.name] > 1:
            raise FileFormatError(
                f"{path} is there more than once in different folders.",
                "Keep one copy of the release in the folder.",
            )
    return paths


def _name_parts(path: Path, pattern: str) -> tuple[str, str, str]:
    """Code, person and trial."""
    match = re.fullmatch(pattern, path.name)
    if match is None or match[1] not in {*CODES, *SCENARIOS}:
        raise FileFormatError(
            f"{path} does not name an activity, a person and a trial.",
            "Move it out of the release.",
        )
    return match[1], match[2], match[3]


def _names(count: int, name: str) -> list[str]:
    """Names of the pieces of a recording."""
    return [name] if count == 1 else [f"{name}_{i}" for i in range(1, count + 1)]


def _read_raw(path: Path, max_gap_s: float) -> Iterator[Recording]:
    code, person, trial = _name_parts(path, _RAW)
    gyro_path = path.with_name(f"{code}_gyro_{person}_{trial}.txt")
    sensors, notes = {}, unit_findings("m/s^2", "rad/s")
    for sensor, file in (("acc", path), ("gyro", need(gyro_path, "mobiact", SOURCE))):
        table = read_numbers(file, 4, separator=",", skip=("#", "@"))
        times_s, samples_T3, more = in_order(table[:, 0] * 1e-9, table[:, 1:], f"the {sensor} file")
        sensors[sensor] = (times_s, samples_T3)
        notes += more
    spans = [covered(times_s, max_gap_s) for times_s, _ in sensors.values()]
    pieces = overlap(spans[0], spans[1])
    if not pieces:
        raise FileFormatError(
            f"{path} and {gyro_path.name} share no time without holes longer than {max_gap_s:g} s.",
            "Move both out of the release, or allow a larger max_gap_s.",
        )
    if len(pieces) > 1:
        fact = f"Holes longer than {max_gap_s:g} s split the recording into {len(pieces)}."
        notes += (Finding(check="time.gap", status="fixed", fact=fact),)
    source = f"{code}_{person}_{trial}"
    facts = _facts(path) | {"code": code, "trial": trial, "source_recording": source}
    if code in SCENARIOS:
        facts["scenario"] = SCENARIOS[code]
        fact = "The raw files do not say when what is done; the annotated ones do."
        notes += (Finding(check="label.missing", status="warning", fact=fact),)
    for name, piece in zip(_names(len(pieces), source), pieces, strict=True):
        yield _raw_piece(name, person, sensors, piece, facts, notes)


def _facts(path: Path) -> dict[str, str]:
    """Facts about the person in the head of a raw file."""
    head = read_text(path).split("@DATA", maxsplit=1)[0]
    pairs = re.findall(r"^#\s*(Age|Height|Weight|Gender)[^:\n]*:\s*([\w.]+)", head, re.MULTILINE)
    return {key.lower(): value for key, value in pairs}


def _raw_piece(
    name: str,
    person: str,
    sensors: dict[str, tuple[np.ndarray, np.ndarray]],
    piece: Span,
    facts: dict[str, str],
    notes: tuple[Finding, ...],
) -> Recording:
    rates_hz = {s: mean_rate_hz(times_s, piece) for s, (times_s, _) in sensors.items()}
    rate_hz = max(rates_hz.values())
    instants_s = grid(piece, rate_hz)
    triads = {s: sample_at(t, x, instants_s) for s, (t, x) in sensors.items()}
    fact = (
        f"Acceleration ({rates_hz['acc']:.1f} Hz) and angular rate ({rates_hz['gyro']:.1f} Hz) "
        f"were joined by time stamp and interpolated to {rate_hz:g} Hz."
    )
    notes += (Finding(check="time.grid", status="fixed", fact=fact),)
    valid = min(_measured(times_s, piece) for times_s, _ in sensors.values())
    if valid < 1.0:
        fact = (
            f"{1.0 - valid:.1%} of the time lies in steps longer than {SLOW_STEP_S:g} s between "
            "samples, which were bridged."
        )
        notes += (Finding(check="time.slow", status="warning", fact=fact),)
    stream = motion_stream(
        "phone", triads, _UNITS,
        rate_hz=rate_hz, gravity=Gravity.INCLUDED, placement=PLACEMENT,
        quality=Quality(flag="good" if valid > 0.95 else "suspect", valid_fraction=valid),
    )  # fmt: skip
    label = CODES.get(facts["code"])
    return Recording(
        id=name,
        subject=str(int(person)),
        dataset="mobiact",
        streams={"phone": stream},
        annotations=whole(label, stream.duration_s) if label else (),
        attributes=facts,
        findings=notes,
    )


def _measured(times_s: np.ndarray, piece: Span) -> float:
    """Share of a span that lies in short steps between samples."""
    inside_s = times_s[(times_s >= piece[0]) & (times_s <= piece[1])]
    steps_s = np.diff(np.concatenate([[piece[0]], inside_s, [piece[1]]]))
    return float(1.0 - steps_s[steps_s > SLOW_STEP_S].sum() / (piece[1] - piece[0]))


def _read_annotated(path: Path, config: Config) -> Iterator[Recording]:
    code, person, trial = _name_parts(path, _ANNOTATED)
    numbers: dict[str, Kind] = dict.fromkeys(["timestamp", *_AXES], "number")
    table = read_columns(path, {**numbers, "label": "text"})
    words, word_T = np.unique(table["label"], return_inverse=True)
    if unknown := [word for word in words.tolist() if word not in CODES]:
        raise FileFormatError(f'{path} holds the unknown code "{unknown[0]}".', "Fetch it again.")
    samples_TC = np.stack([table[name] for name in _AXES], axis=1)
    if not (np.isfinite(samples_TC).all() and np.isfinite(table["timestamp"]).all()):
        raise FileFormatError(f"{path} has empty cells.", "Fetch it again.")
    pieces = list(
        regular_pieces(
            table["timestamp"] * 1e-9, samples_TC, np.array([_ORDER.index(w) for w in words])[word_T],
            rate_hz=RATE_HZ, max_gap_s=config.max_gap_s, max_error_s=config.max_clock_error_s,
        )
    )  # fmt: skip
    if not pieces:
        raise FileFormatError(f"{path} holds no two rows that follow each other.", "Leave it out.")
    source = f"{code}_{person}_{trial}"
    facts = {"code": code, "trial": trial, "source_recording": source}
    if code in SCENARIOS:
        facts["scenario"] = SCENARIOS[code]
    for name, piece in zip(_names(len(pieces), source), pieces, strict=True):
        stream = motion_stream(
            "phone", {"acc": piece.samples_TC[:, :3], "gyro": piece.samples_TC[:, 3:]}, _UNITS,
            rate_hz=piece.rate_hz, gravity=Gravity.INCLUDED, placement=PLACEMENT,
            quality=piece.quality,
        )  # fmt: skip
        yield Recording(
            id=name,
            subject=str(int(person)),
            dataset="mobiact",
            streams={"phone": stream},
            annotations=bouts(piece.codes_T, dict(enumerate(CODES.values())), piece.rate_hz),
            attributes=facts,
            findings=(*unit_findings("m/s^2", "rad/s"), *piece.findings),
        )
