"""`otolith reconstruct`: pictures of what a masked autoencoder makes of windows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from otolith.cli._show import facts, results

if TYPE_CHECKING:
    from otolith.tasks._model import Model
    from otolith.windows.sources import Part
    from otolith.windows.spec import WindowSpec


def run(
    model: Annotated[str, typer.Argument(help="Run or model folder of himu_mae.")],
    data: Annotated[str, typer.Option(help="Data set, data folder or recording file.")],
    out: Annotated[Path, typer.Option(help="Folder for the PNG files.")] = Path("reconstructions"),
    count: Annotated[int, typer.Option(min=1, help="How many windows, from the first on.")] = 4,
    recording: Annotated[str, typer.Option(help="Only windows of this recording.")] = "",
    start: Annotated[float, typer.Option(help="Only windows from this second on.")] = 0.0,
    masking: Annotated[
        list[str] | None,
        typer.Option(help="What is hidden instead, such as kind=time or share=0.5; repeat."),
    ] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option(help="How windows are cut instead of as in the run: key=value; repeat."),
    ] = None,
    rate: Annotated[
        float | None, typer.Option(help="Sampling rate in Hz of a file without time stamps.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Which patches are hidden.")] = 0,
) -> None:
    """Draw input, masked input and reconstruction, as spectrograms and as signals."""
    import numpy as np

    from otolith.core.config import apply_overrides, parse, to_plain
    from otolith.core.errors import DataError
    from otolith.reports.reconstructions import draw_windows, require_reconstruction
    from otolith.tasks._model import load_model
    from otolith.windows.dataset import WindowDataset

    ready = load_model(model)
    system = require_reconstruction(ready.system, ready.name)
    plain = apply_overrides(to_plain(system.config.masking), masking or [])
    hidden = parse(type(system.config.masking), plain, source="--masking")
    spec = _windows(ready, setting or [])
    windows = WindowDataset([_part(data, rate)], spec, seed=seed)
    table = windows.table
    names = [name.partition("/")[2] for name in table.recording_names]
    wanted = (table.start_s >= start - 1e-9) & (
        np.array([not recording or name == recording for name in names])[table.recording]
    )
    rows = np.flatnonzero(wanted)[:count]
    if not len(rows):
        raise DataError(
            f"{data} has no such window among {len(table)}.",
            f"Choose another --start, or a --recording such as {names[0]}.",
        )
    paths = tuple(out / f"reconstruction_{i:03d}.png" for i in range(len(rows)))
    drawn = draw_windows(system, windows.batch(rows, epoch=0), paths, hidden)
    facts(
        {
            "windows": len(rows),
            "error of hidden pixels": f"{drawn.error_db:.2f} dB",
            "mean of visible pixels": f"{drawn.guess_db:.2f} dB",
            "model": ready.name,
        }
    )
    results(*drawn.paths)


def _windows(model: Model, changes: list[str]) -> WindowSpec:
    """Windows as in the run, with changes; without labels."""
    from otolith.core.config import apply_overrides, parse, to_plain
    from otolith.core.errors import ConfigError
    from otolith.tasks._run_windows import windows_of_run
    from otolith.windows.spec import WindowSpec

    try:
        plain = to_plain(windows_of_run(model))
    except ConfigError:
        if not changes:
            raise
        plain = {}
    plain |= {"label_rule": "none", "targets": ["label"]}
    return parse(WindowSpec, apply_overrides(plain, changes), source="--setting")


def _part(data: str, rate_hz: float | None) -> Part:
    """A data set, or the recordings of a file."""
    from otolith import api
    from otolith.core.errors import ConfigError
    from otolith.windows.memory import memory_part

    if Path(data).is_file():
        options: dict[str, Any] = {} if rate_hz is None else {"rate_hz": rate_hz}
        return memory_part(api.open_all(data, **options))
    if rate_hz is not None:
        raise ConfigError(f"{data} states its rates itself.", "Leave --rate out.")
    return api.load_dataset(data)
