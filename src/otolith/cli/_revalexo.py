"""`otolith data revalexo-pairs`: seven sensors to the four that EVI-MAE reads."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from otolith.cli._show import facts, results


def run(
    source: Annotated[Path, typer.Argument(help="Folder of the RevalExo release.")],
    target: Annotated[Path, typer.Argument(help="New folder to write.")],
    upstream_quirk: Annotated[
        list[str] | None,
        typer.Option(
            help="As the authors' script does: split_by_clip (the published 1,823 / 456), "
            "no_header_row, raw_statistics, dummy_labels; repeat."
        ),
    ] = None,
    test_share: Annotated[float, typer.Option(help="Share of the people that test.")] = 0.2,
    seed: Annotated[int, typer.Option(help="Seed of the division.")] = 42,
    videos: Annotated[str, typer.Option(help="copy, or link (hard links).")] = "copy",
) -> None:
    """Write pairs of four sensors and video, label files and statistics for EVI-MAE."""
    from otolith.core.config import parse
    from otolith.datasets._revalexo_pairs import Config, convert
    from otolith.datasets.revalexo import SOURCE

    settings = parse(
        Config,
        {
            "source": source,
            "target": target,
            "seed": seed,
            "test_share": test_share,
            "videos": videos,
            "upstream_quirks": tuple(upstream_quirk or ()),
        },
        source="The options",
    )
    written = convert(settings, SOURCE)
    facts(
        {
            "pairs": ", ".join(f"{n} {part}" for part, n in written.num_pairs.items()),
            "people": ", ".join(f"{len(p)} {part}" for part, p in written.people.items()),
            "without video": ", ".join(written.skipped) or "nobody",
            "mean": f"{written.mean:.6g}",
            "std": f"{written.std:.6g}",
        }
    )
    results(written.folder)
