"""The options of `otolith label`, and the settings that they make."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from otolith.core.errors import ConfigError
from otolith.core.home import SHIPPED_MODEL

if TYPE_CHECKING:
    from otolith.recordings.options import ReadOptions
    from otolith.tasks._model import Model
    from otolith.tasks._windows import Labelled
    from otolith.tasks.label import Config

File = Annotated[
    Path,
    typer.Argument(
        help="CSV, TSV or Parquet file, a video with the camera's telemetry (GoPro MP4), or a folder "
        "of them."
    ),
]
ModelName = Annotated[
    str,
    typer.Option(
        "--model",
        help="Model that comes with Otolith, run or model folder, a classifier kept by fine_tune, "
        "or `statistics`.",
    ),
]
Labels = Annotated[
    str,
    typer.Option(
        help="Words to choose from, separated by commas; without it all that the model, the "
        "examples or the classifier know."
    ),
]
LearnFrom = Annotated[
    str,
    typer.Option(help="Data set with labels to learn from; on top of words if the model has text."),
]
Examples = Annotated[
    Path | None,
    typer.Option(
        help="Folder of example recordings: sub-folders named by activity, or files with a label "
        "column."
    ),
]
Out = Annotated[Path, typer.Option(help="Folder for the results.")]
WindowSeconds = Annotated[
    float | None,
    typer.Option(help="Length of a window in s; 5, or what a kept classifier learned with."),
]
StrideSeconds = Annotated[
    float | None,
    typer.Option(help="Resolution of the segments in s; what is usual for the model."),
]
MinSeconds = Annotated[float, typer.Option(help="Shortest recording, or rest at its end, in s.")]
SmoothingSeconds = Annotated[
    float, typer.Option(help="How long an activity lasts at least, as a preference.")
]
MinConfidence = Annotated[float, typer.Option(help="Segments below it are called unknown.")]
Unknown = Annotated[
    bool, typer.Option("--unknown", help="Call unknown what is unlike all that the model learned.")
]
Coverage = Annotated[
    float | None,
    typer.Option(
        help="Name further possible labels, so that the truth is among them this often: 0.9."
    ),
]
UnitAcc = Annotated[str, typer.Option(help="Unit of acceleration: g, mg or m/s2.")]
UnitGyro = Annotated[str, typer.Option(help="Unit of angular rate: rad/s or deg/s.")]
Rate = Annotated[float | None, typer.Option(help="Sampling rate in Hz.")]
Gravity = Annotated[str, typer.Option(help="included or removed.")]
Placement = Annotated[str, typer.Option(help="Where the sensor was worn.")]
DEFAULT_MODEL = SHIPPED_MODEL


def settings_of(model: Model, given: dict[str, Any]) -> Config:
    """Return the settings of labelling; what is not given is the model's own.

    Args:
        model: The model, whose provenance says the window that it learned with.
        given: Fields of the settings; None = not given.
    """
    from otolith.core.config import parse
    from otolith.tasks.label import Config

    own = {"window_s": float(model.provenance.get("window_s", 5.0))}
    chosen = {key: value for key, value in given.items() if value is not None}
    return parse(Config, {**own, **chosen}, source="otolith label")


def examples_of(
    folder: Path | None, learn_from: str, settings: Config, options: ReadOptions
) -> Labelled | None:
    """Return labelled windows of a folder or a data set; None if neither is named.

    Raises:
        ConfigError: Both are named.
        DataError: They cannot be used.
    """
    if folder is not None and learn_from:
        raise ConfigError(
            "Both --examples and --learn-from are given.",
            "Give one of them, or import the examples into the data set.",
        )
    if folder is not None:
        from otolith.tasks._example_folder import example_windows, read_examples

        recordings = read_examples(folder, options)
        return example_windows(
            recordings, window_s=settings.window_s, min_s=settings.min_s, streams=settings.streams
        )
    if learn_from:
        from otolith import api
        from otolith.tasks._windows import EvaluationWindows, labelled_windows

        windows = EvaluationWindows(window_s=settings.window_s)
        return labelled_windows(api.load_dataset(learn_from), windows)
    return None
