"""`otolith benchmark`: contestants in one table, by a protocol that anyone can run again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from otolith.benchmark import PROTOCOLS
from otolith.cli._show import errors, results, say, table

if TYPE_CHECKING:
    from otolith.benchmark._table import Row, Table

app = typer.Typer(
    no_args_is_help=True,
    help="Compare models by one protocol; people who are tested were never learned from.",
)
Models = Annotated[
    str,
    typer.Option(
        help="Contestants, separated by commas: statistics_lr[:device|gravity|both], statistics_rf, "
        "scratch:ENCODER, or a model name or folder."
    ),
]
Data = Annotated[str, typer.Option(help="Data sets or data folders, separated by commas.")]
Json = Annotated[Path | None, typer.Option(help="Write the table here.")]
Html = Annotated[Path | None, typer.Option(help="Write the leaderboard page here.")]
Out = Annotated[Path, typer.Option(help="Folder of finished cells, which are never run again.")]
Seeds = Annotated[str, typer.Option(help="Seeds, separated by commas; one repetition each.")]
Limit = Annotated[int | None, typer.Option(help="Most windows of a data set, to try things out.")]
Settings = Annotated[
    list[str] | None, typer.Option(help="Setting of the protocol: key.path=value; repeat.")
]

Study = Annotated[
    str,
    typer.Option(
        "--settings",
        help="YAML file of settings, or a packaged study such as utd_mhad; --setting comes on top.",
    ),
]


def _run(
    protocol: str,
    models: str,
    data: str,
    json: Path | None,
    html: Path | None,
    out: Path,
    seeds: str,
    limit_windows: int | None,
    setting: list[str] | None,
    study: str,
) -> None:
    """Run a protocol, print its table and write files."""
    from otolith.benchmark._runner import run_benchmark
    from otolith.benchmark._table import write_table
    from otolith.benchmark.studies import read_study
    from otolith.core.config import apply_overrides

    found = run_benchmark(
        protocol,
        _words(models),
        _words(data),
        settings=apply_overrides(read_study(study) if study else {}, setting or []),
        seeds=_seeds(seeds),
        limit_windows=limit_windows,
        out=out,
        say=lambda line: errors.print(line, markup=False),
    )
    _print(found)
    written = [out]
    if json is not None:
        write_table(json, found)
        written.append(json)
    if html is not None:
        from otolith.reports.leaderboard import leaderboard

        written.append(leaderboard([found]).write(html))
    results(*written)


def _add(protocol: str) -> None:
    """Make a command of a protocol."""

    @app.command(protocol, help=PROTOCOLS.describe(protocol))
    def command(
        models: Models,
        data: Data,
        json: Json = None,
        html: Html = None,
        out: Out = Path("benchmark"),
        seeds: Seeds = "0,1,2",
        limit_windows: Limit = None,
        setting: Settings = None,
        study: Study = "",
    ) -> None:
        _run(protocol, models, data, json, html, out, seeds, limit_windows, setting, study)


for _name in PROTOCOLS.names():
    _add(_name)


@app.command("leaderboard")
def draw(
    files: Annotated[
        list[Path], typer.Argument(help="JSON files of `otolith benchmark`; several are joined.")
    ],
    html: Annotated[Path, typer.Option(help="HTML file to write.")] = Path("leaderboard.html"),
) -> None:
    """Draw one self-contained page from the tables of one or many runs."""
    from otolith.reports.leaderboard import leaderboard, read_tables

    results(leaderboard(read_tables(files)).write(html))


def _print(found: Table) -> None:
    """A table per data set, then notes and refusals."""
    measured = [row for row in found.rows if not row.is_published]
    shown = _shown(found)
    names = [name.replace("macro_f1", "macro-F1").replace("_", " ") for name in shown]
    for data in dict.fromkeys(row.data for row in measured):
        own = [row for row in measured if row.data == data]
        own.sort(key=lambda r: (r.variant != found.headline, -r.numbers.get(found.metric, 0.0)))
        table(
            f"{found.protocol.replace('_', ' ')}: {data}, {own[0].counts.get('people', 0)} people",
            ("model", "variant", *names),
            [
                [row.model, row.variant, *(_number(row, n, found.metric) for n in shown)]
                for row in own
            ],
        )
    if measured:
        say("Brackets: 95 % interval over people.")
    for note in dict.fromkeys(note for row in measured for note in row.notes):
        errors.print(f"Note: {note}", markup=False)
    for r in found.refused:
        cells = "1 cell" if r.num_cells == 1 else f"{r.num_cells} cells"
        say(f"Refused: {r.model} on {r.data} ({cells}): {r.reason}")


def _number(row: Row, name: str, metric: str) -> str:
    """A number with three decimals, that of the protocol with its interval."""
    if name not in row.numbers:
        return "-"
    interval = row.intervals.get(name) if name == metric else None
    bounds = f" [{interval[0]:.3f}, {interval[1]:.3f}]" if interval else ""
    return f"{row.numbers[name]:.3f}{bounds}"


def _shown(found: Table) -> list[str]:
    """Numbers that the measured rows have, the first being that of the protocol."""
    names = dict.fromkeys([found.metric])
    names |= dict.fromkeys(n for r in found.rows if not r.is_published for n in r.numbers)
    return [name for name in names if name != "macro_f1_fold_mean"]


def _seeds(text: str) -> list[int]:
    from otolith.core.errors import ConfigError

    words = _words(text)
    if wrong := [word for word in words if not word.isdecimal()]:
        raise ConfigError(f'"{wrong[0]}" is no seed.', "Give whole numbers, such as --seeds 0,1,2.")
    return [int(word) for word in words]


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]
