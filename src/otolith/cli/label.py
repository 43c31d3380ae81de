"""`otolith label`: named activities of a recording."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from otolith.cli._show import console, errors, results, table

if TYPE_CHECKING:
    from otolith.tasks.label import Labelling


def run(
    file: Annotated[Path, typer.Argument(help="CSV, TSV or Parquet file, or a folder of them.")],
    model: Annotated[
        str,
        typer.Option(help="Run or model folder, a classifier kept by fine_tune, or `statistics`."),
    ],
    labels: Annotated[
        str,
        typer.Option(help="Words to choose from, separated by commas; a classifier knows its own."),
    ] = "",
    learn_from: Annotated[
        str, typer.Option(help="Data set with labels to learn from, for models without text.")
    ] = "",
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("labelled"),
    window_seconds: Annotated[
        float | None,
        typer.Option(help="Length of a window in s; 5, or what a kept classifier learned with."),
    ] = None,
    stride_seconds: Annotated[float, typer.Option(help="Resolution of the segments in s.")] = 1.0,
    min_seconds: Annotated[
        float, typer.Option(help="Shortest recording, or rest at its end, in s.")
    ] = 2.0,
    smoothing_seconds: Annotated[
        float, typer.Option(help="How long an activity lasts at least, as a preference.")
    ] = 4.0,
    min_confidence: Annotated[
        float, typer.Option(help="Segments below it are called unknown.")
    ] = 0.0,
    unit_acc: Annotated[str, typer.Option(help="Unit of acceleration: g, mg or m/s2.")] = "",
    unit_gyro: Annotated[str, typer.Option(help="Unit of angular rate: rad/s or deg/s.")] = "",
    rate: Annotated[float | None, typer.Option(help="Sampling rate in Hz.")] = None,
    gravity: Annotated[str, typer.Option(help="included or removed.")] = "",
    placement: Annotated[str, typer.Option(help="Where the sensor was worn.")] = "",
) -> None:
    """Name the activities of a recording: segments as CSV, and a page with the timeline."""
    from otolith import api
    from otolith.core.config import parse
    from otolith.core.errors import DataError
    from otolith.tasks._model import load_model
    from otolith.tasks._windows import EvaluationWindows, labelled_windows
    from otolith.tasks.label import Config, label_recordings

    options = {
        "unit_acc": unit_acc,
        "unit_gyro": unit_gyro,
        "rate_hz": rate,
        "gravity": gravity,
        "placement": placement,
    }
    ready = load_model(model)
    learned_s = float(ready.provenance.get("window_s", 5.0))
    window_s = learned_s if window_seconds is None else window_seconds
    settings = parse(
        Config,
        {
            "window_s": window_s,
            "stride_s": stride_seconds,
            "min_s": min_seconds,
            "smoothing_s": smoothing_seconds,
            "min_confidence": min_confidence,
        },
        source="otolith label",
    )
    recordings = api.open_all(file, **{k: v for k, v in options.items() if v})
    if not recordings:
        raise DataError(f"{file} holds no recording.", "Check the path.")
    examples = None
    if learn_from:
        windows = EvaluationWindows(window_s=window_s)
        examples = labelled_windows(api.load_dataset(learn_from), windows)
    words = [w.strip() for w in labels.split(",") if w.strip()]
    found = label_recordings(ready, recordings, settings, labels=words, examples=examples)
    _say(found)
    results(*_write(found, out))


def _say(found: list[Labelling]) -> None:
    from otolith.reports.drawing import clock

    for value in found:
        rows = [[clock(s.start_s), clock(s.end_s), s.label, s.confidence] for s in value.segments]
        table(value.recording.id, ("start", "end", "activity", "confidence"), rows[:40])
        if len(rows) > 40:
            console.print(f"... and {len(rows) - 40} more segments in the CSV file.")
        for finding in value.recording.findings:
            if finding.status in {"warning", "fixed", "inferred"}:
                errors.print(
                    f"{finding.status}: {finding.fact} {finding.remedy}".rstrip(), markup=False
                )


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
