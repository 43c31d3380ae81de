"""`otolith features`: the windows' features as the folders that the WEAR benchmark reads."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from otolith.cli._show import facts, results


def run(
    source: Annotated[str, typer.Argument(help="Data set or data folder.")],
    model: Annotated[str, typer.Option(help="Run or model folder, or `statistics`.")],
    out: Annotated[Path, typer.Option(help="Folder `processed` to write into.")],
    clip: Annotated[
        str, typer.Option(help="Window and stride in frames of the camera.")
    ] = "120_frames_60_stride",
    fps: Annotated[float, typer.Option(help="Frames per second that the clip counts in.")] = 60.0,
    name: Annotated[str, typer.Option(help="Folder of this kind of features.")] = "mae",
    variant: Annotated[str, typer.Option(help="Folders below it, such as split_1/base.")] = "",
    stream: Annotated[
        list[str] | None, typer.Option(help="Motion stream of a window; repeat. All if not given.")
    ] = None,
    video: Annotated[
        str, typer.Option(help="Video features to put behind; an empty text for none.")
    ] = "i3d",
    batch_size: Annotated[int, typer.Option(help="Windows per forward pass.")] = 256,
    precision: Annotated[str, typer.Option(help="float32 or bfloat16.")] = "float32",
    overwrite: Annotated[bool, typer.Option(help="Replace features of another model.")] = False,
) -> None:
    """Write one array of features per recording, in one pass; an interrupted run goes on."""
    from otolith import api
    from otolith.core.config import parse
    from otolith.tasks._feature_tree import Config, write_feature_tree
    from otolith.tasks._model import load_model

    settings = parse(
        Config,
        {
            "clip": clip, "fps": fps, "name": name, "variant": variant,
            "streams": tuple(stream or ()), "video": video, "batch_size": batch_size,
            "precision": precision,
        },
        source="otolith features",
    )  # fmt: skip
    ready = load_model(model)
    found = write_feature_tree(ready, api.load_dataset(source), out, settings, overwrite=overwrite)
    facts(
        {
            "recordings": f"{len(found.written)} computed, {len(found.kept)} kept",
            "windows": found.num_windows,
            "width": found.width,
            "model": ready.name,
        }
    )
    results(*found.folders)
