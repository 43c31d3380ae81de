"""`otolith label`: named activities of a recording."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from otolith.cli import _label_options as option
from otolith.cli._show import console, errors, results, table

if TYPE_CHECKING:
    from otolith.tasks.label import Labelling

_MAX_ROWS = 40


def run(
    file: option.File,
    model: option.ModelName = option.DEFAULT_MODEL,
    labels: option.Labels = "",
    learn_from: option.LearnFrom = "",
    examples: option.Examples = None,
    out: option.Out = Path("labelled"),
    window_seconds: option.WindowSeconds = None,
    stride_seconds: option.StrideSeconds = None,
    min_seconds: option.MinSeconds = 2.0,
    smoothing_seconds: option.SmoothingSeconds = 4.0,
    min_confidence: option.MinConfidence = 0.0,
    unknown: option.Unknown = False,
    coverage: option.Coverage = None,
    unit_acc: option.UnitAcc = "",
    unit_gyro: option.UnitGyro = "",
    rate: option.Rate = None,
    gravity: option.Gravity = "",
    placement: option.Placement = "",
) -> None:
    """Name the activities of a recording: segments as CSV, and a page with the timeline.

    Of a video the motion that the camera measured is read (GoPro telemetry), not the pictures.
    """
    facts = {
        "unit_acc": unit_acc,
        "unit_gyro": unit_gyro,
        "rate_hz": rate,
        "gravity": gravity,
        "placement": placement,
    }
    settings = {
        "window_s": window_seconds,
        "stride_s": stride_seconds,
        "min_s": min_seconds,
        "smoothing_s": smoothing_seconds,
        "min_confidence": min_confidence,
        "find_unknown": unknown,
        "coverage": coverage,
    }
    words = [word.strip() for word in labels.split(",") if word.strip()]
    sources = (examples, learn_from)
    found = _label(file, model, words, sources, settings, {k: v for k, v in facts.items() if v})
    _say(found)
    results(*_write(found, out))


def _label(
    file: Path,
    model: str,
    words: list[str],
    sources: tuple[Path | None, str],
    given: dict[str, Any],
    facts: dict[str, Any],
) -> list[Labelling]:
    """Label all recordings of a file."""
    from otolith.core.config import parse
    from otolith.core.errors import DataError
    from otolith.recordings.reading import ReadOptions, read_recordings
    from otolith.tasks._model import load_model
    from otolith.tasks.label import label_recordings

    ready = load_model(model)
    settings = option.settings_of(ready, given)
    options = parse(ReadOptions, facts, source="The options")
    examples = option.examples_of(*sources, settings, options)
    recordings = read_recordings(file, options)
    if not recordings:
        raise DataError(f"{file} holds no recording.", "Check the path.")
    return label_recordings(ready, recordings, settings, labels=words, examples=examples)


def _say(found: list[Labelling]) -> None:
    from otolith.reports.drawing import clock

    for value in found:
        has_sets = value.coverage is not None
        columns = [
            "start",
            "end",
            "activity",
            "confidence",
            *(["also possible"] if has_sets else []),
        ]
        rows = [
            [
                clock(s.start_s), clock(s.end_s), s.label, s.confidence,
                *([", ".join(s.also)] if has_sets else []),
            ]
            for s in value.segments
        ]  # fmt: skip
        table(value.recording.id, columns, rows[:_MAX_ROWS])
        if len(rows) > _MAX_ROWS:
            console.print(f"... and {len(rows) - _MAX_ROWS} more segments in the CSV file.")
        for finding in value.recording.findings:
            if finding.status in {"warning", "fixed", "inferred"}:
                errors.print(
                    f"{finding.status}: {finding.fact} {finding.remedy}".rstrip(), markup=False
                )
    for note in dict.fromkeys(note for value in found for note in value.notes):
        errors.print(f"Note: {note}", markup=False)


def _write(found: list[Labelling], out: Path) -> list[Path]:
    """One CSV of all segments and one page per recording."""
    from otolith.core.files import write_text
    from otolith.reports.build import labelling_report, segments_csv

    csv = out / "segments.csv"
    write_text(csv, segments_csv(found))
    pages = []
    for number, value in enumerate(found):
        name = "timeline.html" if len(found) == 1 else f"timeline_{number:03d}.html"
        pages.append(labelling_report(value).write(out / name))
    return [csv, *pages]
