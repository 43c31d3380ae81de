"""`otolith data simulate`: data sets made from others by physics and textbook curves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from otolith.cli._show import results, say, table

if TYPE_CHECKING:
    from otolith.datasets._pocket import Made

app = typer.Typer(no_args_is_help=True, help="Make a data set from others by simulation.")


@app.callback()
def _group() -> None:
    """Keep `pocket` a word of its own, however few simulations there are."""


@app.command("pocket")
def pocket(
    sources: Annotated[
        str, typer.Option("--from", help="Data sets or folders, separated by commas.")
    ],
    name: Annotated[str, typer.Option(help="Name of the new data set.")] = "pocket_simulation",
    copies: Annotated[int | None, typer.Option(help="Simulations of each bout.")] = None,
    seed: Annotated[int | None, typer.Option(help="Decides all draws.")] = None,
    setting: Annotated[
        list[str] | None, typer.Option(help="Any other setting: key.path=value; repeat.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Data folder to write instead of the home folder.")
    ] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace a data set of that name.")] = False,
) -> None:
    """Phones in trouser pockets, from recordings at the waist or chest."""
    from otolith.core.config import apply_overrides, parse
    from otolith.core.errors import ConfigError
    from otolith.core.home import data_folder
    from otolith.datasets import make_dataset
    from otolith.datasets._pocket import PocketSimulation, check_name, write_pocket_simulation

    check_name(name)
    names = [word.strip() for word in sources.split(",") if word.strip()]
    if len(set(names)) != len(names) or not names:
        raise ConfigError(
            f'--from "{sources}" names no, or one, data set twice.', "Name each once."
        )
    given = {k: v for k, v in {"copies": copies, "seed": seed}.items() if v is not None}
    settings = parse(PocketSimulation, apply_overrides(given, setting or []), source="The settings")
    parts = [make_dataset(n) for n in names]
    target = out or data_folder(name)
    _say(write_pocket_simulation(parts, target, name=name, settings=settings, overwrite=overwrite))
    results(target)


def _say(made: Made) -> None:
    """What was made, and what was left out and why."""
    table(
        "Simulated recordings",
        ("from", "label", "recordings"),
        [[dataset, label, count] for (dataset, label), count in sorted(made.made.items())],
    )
    if made.skipped:
        table(
            "Left out",
            ("from", "why", "number"),
            [[dataset, why, count] for (dataset, why), count in made.skipped.most_common()],
        )
    info = made.folder.info
    say(f"{info['num_recordings']} recordings, {info['duration_s'] / 3600:.2f} h.")
