"""`otolith data download`: fetch public data sets, one by name, several, or all."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from otolith.cli._show import results, say, table

if TYPE_CHECKING:
    from otolith.datasets._fetch_many import Outcome


def run(
    names: Annotated[list[str] | None, typer.Argument(help="Data sets.")] = None,
    all_: Annotated[
        bool, typer.Option("--all", help="All built-in data sets; go on after failures.")
    ] = False,
    accept_licence: Annotated[
        bool, typer.Option(help="I have read its licence and accept it (one data set).")
    ] = False,
    accept_licences: Annotated[
        bool, typer.Option(help="I have read the licences of all that I ask for and accept them.")
    ] = False,
) -> None:
    """Fetch data sets from their publishers, check them, and convert them into data folders.

    What is here is left alone; a download that broke goes on where it stopped.
    """
    from otolith.datasets import DATASETS

    wanted = list(dict.fromkeys(names or []))
    _check(wanted, all_=all_, accept_licence=accept_licence)
    if len(wanted) == 1:
        _fetch_one(wanted[0], accept_licence=accept_licence or accept_licences)
        return
    outcomes = _fetch_each(DATASETS.names() if all_ else wanted, accept_licences=accept_licences)
    _summarize(outcomes, by_name=not all_)


def _check(names: list[str], *, all_: bool, accept_licence: bool) -> None:
    from otolith.core.errors import ConfigError

    if bool(names) == all_:
        raise ConfigError(
            "Both names and --all were given." if all_ else "No data set was named.",
            "Name data sets (see `otolith data list`), or pass --all.",
        )
    if accept_licence and len(names) != 1:
        raise ConfigError(
            "--accept-licence is for one data set.",
            "Read all the licences and pass --accept-licences.",
        )


def _fetch_one(name: str, *, accept_licence: bool) -> None:
    """One data set; what is wrong is an error of its own."""
    from otolith.core.home import data_folder
    from otolith.datasets import DATASETS
    from otolith.datasets._fetch import fetch
    from otolith.recordings.store import is_data_folder

    module = DATASETS.get(name)
    if is_data_folder(data_folder(name)):
        say(f"{name} is here already.")
    results(fetch(name, module, accept_licence=accept_licence))


def _fetch_each(names: list[str], *, accept_licences: bool) -> list[Outcome]:
    """Fetch in turn and say one line about each."""
    from otolith.datasets._fetch_many import fetch_each

    width = max(map(len, names))
    done: list[Outcome] = []
    for outcome in fetch_each(names, accept_licences=accept_licences):
        done.append(outcome)
        say(f"{len(done):>2} of {len(names)}  {outcome.name:<{width}}  {outcome.status}")
    return done


def _summarize(outcomes: list[Outcome], *, by_name: bool) -> None:
    """Print the table; data sets that were named and are not here are an error."""
    from otolith.core.errors import DownloadError

    rows = [[o.name, str(o.status), o.detail] for o in outcomes]
    table("Data sets", ("name", "status", "where, or what to do"), rows)
    counts = Counter(str(o.status) for o in outcomes)
    say(", ".join(f"{number} {status}" for status, number in counts.items()) + ".")
    _say_next(outcomes)
    results(*(Path(o.detail) for o in outcomes if o.is_here))
    missing = [o.name for o in outcomes if not o.is_here]
    if missing and by_name:
        raise DownloadError(
            f"{len(missing)} of {len(outcomes)} data sets are not here: {', '.join(missing)}.",
            "The table says what each of them needs.",
        )


def _say_next(outcomes: list[Outcome]) -> None:
    """Say once what several data sets need in the same way."""
    from otolith.datasets._fetch_many import Status

    seen = {o.status for o in outcomes}
    if Status.NEEDS_LICENCE in seen:
        say("Read the licences above; then repeat with --accept-licences.")
    if Status.BY_HAND in seen:
        say("What was got by hand: otolith data import FOLDER --name NAME --format NAME.")
    if Status.OFFLINE in seen:
        say("Without a network nothing can be fetched; what is here can be used.")
