"""`otolith embed`: features of a recording or a data set, for your own models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from otolith.cli._show import facts, results


def run(
    source: Annotated[str, typer.Argument(help="Recording file, or data set.")],
    model: Annotated[str, typer.Option(help="Run or model folder, or `statistics`.")],
    out: Annotated[Path, typer.Option(help="Parquet file to write.")] = Path("embeddings.parquet"),
    window_seconds: Annotated[float, typer.Option(help="Length of a window in s.")] = 5.0,
    stride_seconds: Annotated[float | None, typer.Option(help="Distance of windows in s.")] = None,
    unit_acc: Annotated[str, typer.Option(help="Unit of acceleration: g, mg or m/s2.")] = "",
    unit_gyro: Annotated[str, typer.Option(help="Unit of angular rate: rad/s or deg/s.")] = "",
    rate: Annotated[float | None, typer.Option(help="Sampling rate in Hz.")] = None,
    gravity: Annotated[str, typer.Option(help="included or removed.")] = "",
    placement: Annotated[str, typer.Option(help="Where the sensor was worn.")] = "",
) -> None:
    """Embed every window: recording, start_s, end_s, label and the features e0, e1, ..."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from otolith import api
    from otolith.core.config import parse
    from otolith.core.errors import ConfigError
    from otolith.core.files import atomic_path
    from otolith.tasks._model import load_model
    from otolith.windows.dataset import WindowDataset
    from otolith.windows.memory import memory_part
    from otolith.windows.spec import WindowSpec

    options = {
        "unit_acc": unit_acc,
        "unit_gyro": unit_gyro,
        "rate_hz": rate,
        "gravity": gravity,
        "placement": placement,
    }
    options = {name: value for name, value in options.items() if value}
    ready = load_model(model)
    path = Path(source)
    if options and not path.is_file():
        raise ConfigError(
            f"{source} is no file, so units and rate are known.",
            f"Leave {', '.join(options)} out.",
        )
    part = (
        memory_part(api.open_all(path, **options)) if path.is_file() else api.load_dataset(source)
    )
    spec = parse(
        WindowSpec,
        {
            "window_s": window_seconds,
            "stride_s": stride_seconds,
            "separate": True,
            "label_rule": "none" if path.is_file() else "majority",
            "keep_unlabelled": True,
        },
        source="otolith embed",
    )
    windows = WindowDataset([part], spec)
    features = ready.embed_windows(windows)
    cut = windows.table
    names = (*cut.labels, "")
    columns = {
        "recording": [cut.recording_names[i] for i in cut.recording],
        "start_s": cut.start_s,
        "end_s": cut.end_s,
        "label": [names[i] for i in cut.label],
        **{f"e{i}": features[:, i] for i in range(features.shape[1])},
    }
    with atomic_path(out) as temporary:
        pq.write_table(pa.table(columns), temporary)
    facts({"windows": len(features), "width": features.shape[1], "model": ready.name})
    results(out)
