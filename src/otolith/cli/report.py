"""`otolith report`: a page about a run, or about evaluation results."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from otolith.cli._show import results


def run(
    source: Annotated[
        list[Path], typer.Argument(help="A run folder, or JSON files of `otolith evaluate`.")
    ],
    out: Annotated[
        Path | None, typer.Option(help="HTML file; default: report.html beside the source.")
    ] = None,
) -> None:
    """Write one self-contained HTML page."""
    from otolith.reports.build import evaluation_report, read_results, run_report

    if len(source) == 1 and source[0].is_dir():
        page = run_report(source[0])
        target = out or source[0] / "report.html"
    else:
        page = evaluation_report([r for path in source for r in read_results(path)])
        target = out or source[0].with_name("report.html")
    results(page.write(target))
