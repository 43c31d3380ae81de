"""`otolith report`: a page about a run, a model, a data folder, or evaluation results."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from otolith.cli._show import results

if TYPE_CHECKING:
    from otolith.reports.card import Card
    from otolith.reports.page import Report


def run(
    source: Annotated[
        list[Path],
        typer.Argument(
            help="A run, model or data folder, or JSON files of `otolith evaluate` or `otolith "
            "benchmark` (several are joined into one page)."
        ),
    ],
    out: Annotated[
        Path | None, typer.Option(help="HTML file; default: report.html beside the source.")
    ] = None,
    card: Annotated[
        Path | None, typer.Option(help="Also write the card as Markdown here (folders only).")
    ] = None,
) -> None:
    """Write one self-contained HTML page; it loads nothing and can be sent by mail."""
    from otolith.core.errors import ConfigError
    from otolith.core.files import write_text

    folders = [path for path in source if path.is_dir()]
    if folders and len(source) > 1:
        raise ConfigError(
            "A page is about one folder or about JSON files.", "Give one folder, or files alone."
        )
    if folders:
        page, text = _folder_page(folders[0])
        target = out or folders[0] / "report.html"
    else:
        page = _files_page(source)
        target, text = out or source[0].with_name("report.html"), None
    if card is not None and text is None:
        raise ConfigError(f"{source[0]} has no card.", "Leave out --card.")
    written = [page.write(target)]
    if card is not None and text is not None:
        write_text(card, text.markdown())
        written.append(card)
    results(*written)


def _files_page(paths: list[Path]) -> Report:
    """Page about JSON files: a leaderboard if the first is the table of a benchmark."""
    from otolith.benchmark._table import is_table
    from otolith.core.files import read_json
    from otolith.reports.build import evaluation_report, read_results
    from otolith.reports.leaderboard import leaderboard, read_tables

    if is_table(read_json(paths[0])):
        return leaderboard(read_tables(paths))
    return evaluation_report([r for path in paths for r in read_results(path)])


def _folder_page(folder: Path) -> tuple[Report, Card | None]:
    """Page about a folder and the card that belongs to it."""
    from otolith.core.errors import FileFormatError
    from otolith.recordings.store import DataFolder, is_data_folder
    from otolith.reports import build, cards
    from otolith.tasks._model import load_model

    if (folder / "config.yaml").is_file():
        model = build.model_of(folder)
        found = build.results_in(folder)
        card = cards.model_card(model, results=found) if model is not None else None
        return build.run_report(folder), card
    if (folder / "model.json").is_file():
        model = load_model(folder)
        return build.model_report(model), cards.model_card(model)
    if is_data_folder(folder):
        data = DataFolder.open(folder)
        return build.dataset_report(data), cards.dataset_card(data)
    raise FileFormatError(
        f"{folder} holds no run, model or data set.", "Name a folder below runs/, or JSON files."
    )
