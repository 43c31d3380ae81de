"""The section about a labelled recording: timeline, time per activity, segments."""

# T samples

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from otolith.recordings.recording import Recording
from otolith.reports import charts, drawing, page
from otolith.reports.page import Report, Section
from otolith.reports.timeline import Bar, timeline
from otolith.tasks.label import Labelling, Segment

_MAX_TRACKS = 4


def labelling(report: Report, value: Labelling) -> Section:
    """Add the timeline of a labelled recording, with the truth below it where there is one."""
    recording = value.recording
    section = report.section(
        "Timeline",
        f"{_count(len(value.segments), 'segment').capitalize()}; point at one to read its time and "
        "confidence.",
    )
    given = _given(recording)
    tracks = {"labelled": [_bar(s) for s in value.segments], **given}
    names = list(
        dict.fromkeys([*value.labels, *(b.label for bars in given.values() for b in bars)])
    )
    sure = (value.times_G, value.scores_GK.max(axis=1)) if len(value.times_G) else None
    chart = timeline(tracks, recording.duration_s, names, signal=_norm(recording), confidence=sure)
    share = agreement(value)
    about = [] if value.coverage is None else [_about_sets(value)]
    if share is not None:
        about.append(f"The labels agree with the truth {drawing.percent(share)} of the time.")
    section.add(chart, note=" ".join(about))
    if value.notes:
        section.add(page.warnings(value.notes))
    bars = charts.time_bars(_time_per_label(value), drawing.colours(names))
    section.add(bars, "Time per activity")
    section.add(page.folded(f"All {_count(len(value.segments), 'segment')}", _table(value)))
    return section


def _table(value: Labelling) -> Markup:
    """Segments; columns that say nothing of any of them are left out."""
    columns = ["start", "end", "activity", "confidence"]
    has_sets, has_reasons = value.coverage is not None, any(s.reason for s in value.segments)
    columns += ["also possible"] * has_sets + ["why unknown"] * has_reasons
    rows = [
        [
            drawing.clock(s.start_s), drawing.clock(s.end_s), s.label, s.confidence,
            *[", ".join(s.also)] * has_sets, *[s.reason] * has_reasons,
        ]
        for s in value.segments
    ]  # fmt: skip
    return page.table(columns, rows, label="Segments")


def agreement(value: Labelling) -> float | None:
    """Return the share of time, 0..1, in which label and truth agree.

    None where the activity track is absent, or has no name that could have been chosen. Time
    with an annotation only counts; of several labels at a time any one is right.
    """
    truth = [
        a
        for a in value.recording.annotations
        if a.track == "activity" and a.labels and a.end_s is not None
    ]
    if not any(set(a.labels) & set(value.labels) for a in truth):
        return None
    times = [t for s in value.segments for t in (s.start_s, s.end_s)]
    times += [t for a in truth for t in (a.start_s, a.end_s) if t is not None]
    edges = np.unique(np.asarray(times, float))
    middle, length = (edges[:-1] + edges[1:]) / 2, np.diff(edges)
    right, known = np.zeros(len(middle), bool), np.zeros(len(middle), bool)
    chosen = np.full(len(middle), -1)
    for number, s in enumerate(value.segments):
        chosen[(middle >= s.start_s) & (middle < s.end_s)] = number
    labels = np.array([*(s.label for s in value.segments), ""], dtype=object)[chosen]
    for a in truth:
        inside = (middle >= a.start_s) & (middle < (a.end_s or 0.0)) & (chosen >= 0)
        known |= inside
        right |= inside & np.isin(labels.astype(str), a.labels)
    total = float(length[known].sum())
    return float(length[right].sum()) / total if total > 0 else None


def _about_sets(value: Labelling) -> str:
    """How large the label sets are, by time."""
    assert value.coverage is not None  # noqa: S101  # the caller has looked
    length_S = np.array([s.end_s - s.start_s for s in value.segments])
    size_S = np.array([len(s.also) + (s.label in value.labels) for s in value.segments], float)
    mean = float((length_S * size_S).sum() / max(length_S.sum(), 1e-9))
    return (
        f"Label and further possible labels together are meant to hold the truth "
        f"{100 * value.coverage:g} % of the time; they are {mean:.1f} labels on average."
    )


def _bar(segment: Segment) -> Bar:
    lines = [_span(segment.start_s, segment.end_s), f"confidence {segment.confidence:.2f}"]
    if segment.also:
        lines.append(f"also possible: {', '.join(segment.also)}")
    if segment.reason:
        lines.append(segment.reason)
    return Bar(segment.start_s, segment.end_s, segment.label, "\n".join(lines))


def _given(recording: Recording) -> dict[str, list[Bar]]:
    """Annotated intervals per track; the activity track is called the truth."""
    tracks: dict[str, list[Bar]] = {}
    for a in sorted(recording.annotations, key=lambda a: a.start_s):
        if a.end_s is not None and a.labels:
            name = "truth" if a.track == "activity" else a.track
            others = f"\nalso {', '.join(a.labels[1:])}" if len(a.labels) > 1 else ""
            bar = Bar(a.start_s, a.end_s, a.labels[0], _span(a.start_s, a.end_s) + others)
            tracks.setdefault(name, []).append(bar)
    return dict(list(tracks.items())[:_MAX_TRACKS])


def _norm(recording: Recording) -> tuple[np.ndarray, np.ndarray] | None:
    """Times and norm of acceleration of the first sensor that has three axes of it."""
    for stream in recording.imus.values():
        columns: dict[str, list[int]] = {}
        for i, c in enumerate(stream.channels):
            if c.sensor == "acc" and c.axis in {"x", "y", "z"}:
                columns.setdefault(c.triad, []).append(i)
        for found in columns.values():
            if len(found) == 3:
                return stream.times_s, np.linalg.norm(stream.samples_TC[:, found], axis=1)
    return None


def _time_per_label(value: Labelling) -> dict[str, float]:
    """Seconds per label, most first."""
    sums: dict[str, float] = {}
    for segment in value.segments:
        sums[segment.label] = sums.get(segment.label, 0.0) + segment.end_s - segment.start_s
    return dict(sorted(sums.items(), key=lambda item: -item[1]))


def _span(start_s: float, end_s: float) -> str:
    return f"{drawing.clock(start_s)} to {drawing.clock(end_s)}"


def _count(number: int, noun: str, words: Sequence[str] = ("", "s")) -> str:
    return f"{number:,} {noun}{words[number != 1]}"
