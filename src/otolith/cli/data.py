"""`otolith data`: list, inspect, fetch, import, export, check and look at recordings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from otolith.cli._show import errors, facts, results, say, table

app = typer.Typer(no_args_is_help=True, help="Recordings and data sets.")
Home = Annotated[Path | None, typer.Option(help="Home folder instead of $OTOLITH_HOME.")]


@app.command("list")
def list_() -> None:
    """List built-in data sets and those on this machine."""
    from otolith.core.home import home
    from otolith.datasets import DATASETS

    stored = home() / "data"
    here = (
        {p.name for p in stored.iterdir() if (p / "MANIFEST.json").is_file()}
        if stored.is_dir()
        else set()
    )
    rows = [
        [name, "yes" if name in here else "", DATASETS.describe(name)] for name in DATASETS.names()
    ]
    rows += [[name, "yes", "imported"] for name in sorted(here - set(DATASETS.names()))]
    table("Data sets", ("name", "here", "what"), rows)
    say(f"Data lie in {stored}. Get one with `otolith data download NAME`.")


@app.command("info")
def info(name: Annotated[str, typer.Argument(help="Data set or data folder.")]) -> None:
    """Show the card of a data set: licence, citation, placements, counts, caveats."""
    from otolith.core.config import to_plain
    from otolith.datasets import DATASETS

    if name in DATASETS.names():
        module = DATASETS.get(name)
        source, card = to_plain(module.SOURCE), to_plain(module.CARD)
        facts(
            {
                "title": card["title"],
                "what": card["description"],
                "licence": f"{source['licence']} {source['licence_url']}".strip(),
                "cite": source["cite"],
                "homepage": source["homepage"],
                "package": source["package"] or "-",
                "people": card["num_subjects"],
                "rate": ", ".join(f"{r:g} Hz" for r in card["rate_hz"]),
                "worn at": ", ".join(card["placements"]),
                "gravity": card["gravity"],
                "labels": ", ".join(card["labels"]),
            }
        )
        for caveat in card["caveats"]:
            say(f"Note: {caveat}")
        return
    from otolith.api import load_dataset

    folder = load_dataset(name).folder
    shown = {k: v for k, v in folder.info.items() if not isinstance(v, dict | list)}
    facts({"folder": folder.path, **shown, "channels": ", ".join(folder.info["channels"])})


@app.command("download")
def download(
    name: Annotated[str, typer.Argument(help="Data set.")],
    accept_licence: Annotated[
        bool, typer.Option(help="I have read its licence and accept it.")
    ] = False,
) -> None:
    """Fetch a data set from its publishers, check it, and convert it into a data folder."""
    from otolith.datasets import DATASETS
    from otolith.datasets._fetch import fetch

    module = DATASETS.get(name)
    folder = fetch(name, module, accept_licence=accept_licence)
    results(folder)


@app.command("import")
def import_(
    path: Annotated[Path, typer.Argument(help="File, folder of files, or official release.")],
    name: Annotated[str, typer.Option(help="Name of the new data set.")],
    format: Annotated[
        str,
        typer.Option(help="table, tsfm, or the name of a data set whose official layout it is."),
    ] = "table",  # the option is --format
    unit_acc: Annotated[str, typer.Option(help="g, mg or m/s2; inferred if not given.")] = "",
    unit_gyro: Annotated[str, typer.Option(help="rad/s or deg/s; inferred if not given.")] = "",
    rate: Annotated[
        float | None, typer.Option(help="Sampling rate in Hz, if there are no time stamps.")
    ] = None,
    gravity: Annotated[str, typer.Option(help="included or removed.")] = "",
    placement: Annotated[str, typer.Option(help="Where the sensor was worn.")] = "",
    subject: Annotated[str, typer.Option(help="Who was recorded, if no column says so.")] = "",
    column: Annotated[
        list[str] | None, typer.Option(help="Our column name=the file's; repeat.")
    ] = None,
    policy: Annotated[
        list[str] | None,
        typer.Option(
            help="What to do about damage: on_gap=split, on_nan=interpolate, ...; repeat."
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace a data set of that name.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="Data folder to write instead of the home folder.")
    ] = None,
) -> None:
    """Read your own files into a data set; say what was inferred and why."""
    from otolith.core.config import apply_overrides
    from otolith.core.home import data_folder
    from otolith.datasets import DATASETS, prepare
    from otolith.recordings.store import write_data_folder

    target = out or data_folder(name)
    if format in DATASETS.names():
        results(prepare(format, path, target, overwrite=overwrite))
        return
    given = {
        "unit_acc": unit_acc,
        "unit_gyro": unit_gyro,
        "rate_hz": rate,
        "gravity": gravity,
        "placement": placement,
        "subject": subject,
    }
    options: dict[str, Any] = {k: v for k, v in given.items() if v}
    options["columns"] = dict(pair.split("=", 1) for pair in column or [] if "=" in pair)
    options = apply_overrides(options, policy or [])
    recordings = _read(path, format, options, name)
    write_data_folder(target, recordings, name=name, card={"title": name}, overwrite=overwrite)
    _say_findings(recordings)
    results(target)


@app.command("export")
def export(
    name: Annotated[str, typer.Argument(help="Data set or data folder.")],
    out: Annotated[Path, typer.Argument(help="Folder to write.")],
    format: Annotated[
        str, typer.Option(help="parquet (one tidy table) or tsfm.")
    ] = "parquet",  # the option is --format
) -> None:
    """Write a data set for other tools."""
    from otolith.api import load_dataset
    from otolith.core.errors import ConfigError, suggest

    part = load_dataset(name)
    recordings = (part.folder.recording(i) for i in part.recording_ids)
    if format == "tsfm":
        from otolith.recordings.tsfm_writer import write_tsfm

        write_tsfm(out, recordings, name=part.name)
    elif format == "parquet":
        from otolith.recordings.tidy import write_tidy

        write_tidy(out / f"{part.name}.parquet", recordings)
    else:
        raise ConfigError(f'There is no format "{format}".', suggest(format, ["parquet", "tsfm"]))
    results(out)


@app.command("check")
def check(name: Annotated[str, typer.Argument(help="Data set or data folder.")]) -> None:
    """Compare every file with the manifest, and list what was found while reading."""
    from otolith.api import load_dataset

    folder = load_dataset(name).folder
    problems = folder.verify()
    for problem in problems:
        errors.print(f"Problem: {problem}", markup=False)
    _say_findings([folder.recording(i) for i in folder.recording_ids[:500]])
    if problems:
        raise typer.Exit(2)
    say(f"{folder.path} is whole.")


@app.command("show")
def show(
    source: Annotated[str, typer.Argument(help="Data set, data folder or recording file.")],
    recording: Annotated[str, typer.Option(help="Recording id; default: the first.")] = "",
    out: Annotated[Path, typer.Option(help="PNG file to write.")] = Path("recording.png"),
    start: Annotated[float, typer.Option(help="Start of the shown part in s.")] = 0.0,
    end: Annotated[float | None, typer.Option(help="End in s.")] = None,
) -> None:
    """Draw the signals of a recording with its labels on the time axis."""
    from otolith import api
    from otolith.reports.recording_picture import draw_recording

    if Path(source).is_file():
        found = {r.id: r for r in api.open_all(source)}
        chosen = found[recording] if recording in found else next(iter(found.values()))
    else:
        part = api.load_dataset(source)
        chosen = part.folder.recording(recording or part.recording_ids[0])
    facts(
        {
            "recording": chosen.id,
            "subject": chosen.subject or "unknown",
            "length": f"{chosen.duration_s:.1f} s",
            "streams": ", ".join(
                f"{s.name} ({len(s.channels)} channels, {s.rate_hz:g} Hz)"
                for s in chosen.imus.values()
            ),
        }
    )
    results(draw_recording(chosen, out, start_s=start, end_s=end))


def _read(path: Path, format_: str, options: dict[str, Any], name: str) -> list[Any]:
    """Recordings of the user's files."""
    from otolith.core.errors import ConfigError, suggest
    from otolith.datasets import DATASETS

    if format_ == "table":
        from otolith.api import open_all

        return open_all(path, **{**options, "dataset": name})
    if format_ == "tsfm":
        from otolith.recordings.tsfm_format import read_tsfm

        return list(read_tsfm(path))
    known = ["table", "tsfm", *DATASETS.names()]
    raise ConfigError(f'There is no format "{format_}".', suggest(format_, known))


def _say_findings(recordings: list[Any]) -> None:
    """Print findings once each, with the number of recordings they concern."""
    counts: dict[tuple[str, str, str, str], int] = {}
    for recording in recordings:
        for f in recording.findings:
            if f.status != "ok":
                key = (f.status, f.check, f.fact, f.remedy)
                counts[key] = counts.get(key, 0) + 1
    order = {"warning": 0, "unknown": 1, "fixed": 2, "inferred": 3}
    grouped: dict[tuple[str, str], list[tuple[str, str, int]]] = {}
    for (status, check_name, fact, remedy), count in counts.items():
        grouped.setdefault((status, check_name), []).append((fact, remedy, count))
    rows = [
        [status, check_name, sum(n for *_, n in found), found[0][0], found[0][1]]
        for (status, check_name), found in sorted(
            grouped.items(), key=lambda item: order[item[0][0]]
        )
    ]
    if rows:
        table(
            "What was found while reading",
            ("status", "check", "recordings", "fact (first case)", "what you can do"),
            rows,
        )
    seconds = sum(r.duration_s for r in recordings)
    say(f"{len(recordings)} recordings, {seconds / 3600:.2f} hours.")
