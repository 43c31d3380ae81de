"""`otolith embed`: features of a recording or a data set, for your own models."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from otolith.cli._show import errors, facts, results

if TYPE_CHECKING:
    import numpy as np

    from otolith.tasks._model import Model
    from otolith.windows.dataset import WindowDataset
    from otolith.windows.sources import Part
    from otolith.windows.spec import WindowSpec


def run(
    source: Annotated[
        str, typer.Argument(help="Recording file (also a GoPro video), or data set.")
    ],
    model: Annotated[str, typer.Option(help="Run or model folder, or `statistics`.")],
    out: Annotated[Path, typer.Option(help="Parquet file to write.")] = Path("embeddings.parquet"),
    window_seconds: Annotated[
        float | None,
        typer.Option(help="Length of a window in s; as in the model's training, or 5."),
    ] = None,
    stride_seconds: Annotated[
        float | None, typer.Option(help="Distance of windows in s; the length of a window.")
    ] = None,
    joint: Annotated[
        bool | None,
        typer.Option(
            "--joint/--separate",
            help="Windows of all streams together, which may hold video, or of each motion stream; "
            "as in the model's training.",
        ),
    ] = None,
    streams: Annotated[
        str, typer.Option(help="Only these streams, separated by commas; as in the training.")
    ] = "",
    channels: Annotated[
        str, typer.Option(help="Only these channels, such as `acc_*`, separated by commas.")
    ] = "",
    video_fps: Annotated[
        float | None, typer.Option(help="Frames per second that are read from video.")
    ] = None,
    video_size: Annotated[
        str, typer.Option(help="Height and width of frames in pixels: 224x224.")
    ] = "",
    unit_acc: Annotated[str, typer.Option(help="Unit of acceleration: g, mg or m/s2.")] = "",
    unit_gyro: Annotated[str, typer.Option(help="Unit of angular rate: rad/s or deg/s.")] = "",
    rate: Annotated[float | None, typer.Option(help="Sampling rate in Hz.")] = None,
    gravity: Annotated[str, typer.Option(help="included or removed.")] = "",
    placement: Annotated[str, typer.Option(help="Where the sensor was worn.")] = "",
) -> None:
    """Embed every window: recording, start_s, end_s, label and the features e0, e1, ..."""
    from otolith.tasks._model import load_model
    from otolith.windows.dataset import WindowDataset

    options = {
        "unit_acc": unit_acc,
        "unit_gyro": unit_gyro,
        "rate_hz": rate,
        "gravity": gravity,
        "placement": placement,
    }
    given = {
        "window_s": window_seconds,
        "stride_s": stride_seconds,
        "joint": joint,
        "streams": _words(streams) or None,
        "channels": _words(channels) or None,
        "video_fps": video_fps,
        "video_size_px": _size(video_size),
    }
    ready = load_model(model)
    part = _part(source, {name: value for name, value in options.items() if value})
    spec = _spec(
        ready,
        {name: value for name, value in given.items() if value is not None},
        is_file=Path(source).is_file(),
    )
    windows = WindowDataset([part], spec)
    features = ready.embed_windows(windows)
    _write(out, windows, features)
    facts({"windows": len(features), "width": features.shape[1], "model": ready.name})
    results(out)


def _part(source: str, options: dict[str, Any]) -> Part:
    """The recordings of a file, or a data set."""
    from otolith import api
    from otolith.core.errors import ConfigError
    from otolith.windows.memory import memory_part

    if Path(source).is_file():
        return memory_part(api.open_all(source, **options))
    if options:
        raise ConfigError(
            f"{source} is no file, so units and rate are known.",
            f"Leave {', '.join(options)} out.",
        )
    return api.load_dataset(source)


def _write(out: Path, windows: WindowDataset, features_ND: np.ndarray) -> None:
    """One row per window."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from otolith.core.files import atomic_path

    cut = windows.table
    names = (*cut.labels, "")
    columns = {
        "recording": [cut.recording_names[i] for i in cut.recording],
        "start_s": cut.start_s,
        "end_s": cut.end_s,
        "label": [names[i] for i in cut.label],
        **{f"e{i}": features_ND[:, i] for i in range(features_ND.shape[1])},
    }
    with atomic_path(out) as temporary:
        pq.write_table(pa.table(columns), temporary)


def _spec(model: Model, given: dict[str, Any], *, is_file: bool) -> WindowSpec:
    """How windows are cut: as given, else as in the training of the model."""
    from otolith.core.config import parse
    from otolith.tasks._run_windows import about_length, described, usual_windows, with_usual
    from otolith.tasks._windows import EvaluationWindows, window_spec

    usual = usual_windows(model)
    settings = parse(EvaluationWindows, with_usual(given, usual), source="otolith embed")
    spec = dataclasses.replace(
        window_spec(settings),
        label_rule="none" if is_file else "majority",
        min_label_share=0.5,
        keep_unlabelled=True,
    )
    for note in (*described(usual, given), *about_length(model, spec)):
        errors.print(f"Note: {note}", markup=False)
    return spec


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _size(text: str) -> list[int] | None:
    """Height and width of `224x224`; None if not given."""
    from otolith.core.errors import ConfigError

    if not text:
        return None
    height, _, width = text.lower().partition("x")
    if not (height.isdecimal() and width.isdecimal()):
        raise ConfigError(
            f'"{text}" is no height and width.', "Write them as --video-size 224x224."
        )
    return [int(height), int(width)]
