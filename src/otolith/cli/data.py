"""`otolith data`: list, inspect, fetch, import, export, check and look at recordings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from otolith.cli import _download, _import, _revalexo, _simulate
from otolith.cli._findings import say_findings, say_total
from otolith.cli._show import errors, facts, results, say, table

if TYPE_CHECKING:
    from otolith.datasets._part import DatasetPart
    from otolith.recordings.recording import Recording, Stream
    from otolith.recordings.store import DataFolder

app = typer.Typer(no_args_is_help=True, help="Recordings and data sets.")
app.command("download")(_download.run)
app.command("import")(_import.run)
app.add_typer(_simulate.app, name="simulate")
app.command("revalexo-pairs")(_revalexo.run)
_MAX_PROBLEMS = 20


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
    say(f"Data lie in {stored}. Get them with `otolith data download NAME...`.")


@app.command("info")
def info(name: Annotated[str, typer.Argument(help="Data set or data folder.")]) -> None:
    """Show the card of a data set: licence, citation, placements, counts, caveats."""
    from otolith.core.home import data_folder
    from otolith.datasets import DATASETS
    from otolith.recordings.store import is_data_folder

    if name not in DATASETS.names():
        facts(_counts(_open(name)))
        return
    _say_card(name)
    if is_data_folder(data_folder(name)):
        facts(_counts(_open(name)))
    else:
        say(f"It is not on this machine: `otolith data download {name}`.")


@app.command("export")
def export(
    name: Annotated[str, typer.Argument(help="Data set or data folder.")],
    out: Annotated[Path, typer.Argument(help="Folder to write.")],
    format: Annotated[
        str, typer.Option(help="parquet (one tidy table) or tsfm.")
    ] = "parquet",  # the option is --format
    stream: Annotated[
        str, typer.Option(help="Only this stream; tsfm holds one (such as phone or wrist).")
    ] = "",
    rate: Annotated[float | None, typer.Option(help="Resample to this rate in Hz.")] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace what an export wrote there.")] = False,
) -> None:
    """Write a data set for other tools."""
    from otolith.core.errors import ConfigError, suggest
    from otolith.recordings.tidy import select_motion

    if format not in ("parquet", "tsfm"):
        raise ConfigError(f'There is no format "{format}".', suggest(format, ["parquet", "tsfm"]))
    part = _part(name)
    chosen = (
        select_motion(part.folder.recording(i), stream=stream, rate_hz=rate)
        for i in part.recording_ids
    )
    if format == "tsfm":
        from otolith.recordings.tsfm_writer import write_tsfm

        left_out = write_tsfm(out, chosen, name=part.name, overwrite=overwrite)
        say_findings((part.name, finding) for finding in left_out)
        results(out)
        return
    from otolith.recordings.tidy import write_tidy

    target = out / f"{part.name}.parquet"
    if target.exists() and not overwrite:
        raise ConfigError(f"{target} exists already.", "Pass --overwrite, or give another folder.")
    say(f"{write_tidy(target, chosen):,} rows.")
    results(target)


@app.command("check")
def check(
    name: Annotated[str, typer.Argument(help="Data set or data folder.")],
    recording: Annotated[
        str, typer.Option(help="List all findings of this recording, in full.")
    ] = "",
) -> None:
    """Compare every file with the manifest, and list what was found while reading."""
    from otolith.core.errors import IntegrityError

    folder = _open(name)
    problems = folder.verify()
    for problem in problems[:_MAX_PROBLEMS]:
        errors.print(f"Problem: {problem}", markup=False)
    if problems:
        number = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        raise IntegrityError(
            f"{folder.path} has {number}.", "Restore it from a copy, or import it again."
        )
    if recording:
        found = folder.recording(recording).findings
        say_findings(((recording, f) for f in found), everything=True)
    else:
        say_findings(_stored_findings(folder))
        seconds = folder.recordings["duration_s"].to_pylist()
        say_total(len(seconds), sum(seconds))
    say(f"{folder.path} is whole.")


@app.command("show")
def show(
    source: Annotated[str, typer.Argument(help="Data set, data folder, or recording files.")],
    recording: Annotated[str, typer.Option(help="Recording id; default: the first.")] = "",
    out: Annotated[Path, typer.Option(help="PNG file to write.")] = Path("recording.png"),
    start: Annotated[float, typer.Option(help="Start of the shown part in s.")] = 0.0,
    end: Annotated[float | None, typer.Option(help="End in s.")] = None,
    rate: Annotated[
        float | None, typer.Option(help="Sampling rate in Hz of a file without time stamps.")
    ] = None,
) -> None:
    """Draw the signals of a recording with its labels on the time axis."""
    from otolith.core.errors import ConfigError

    if out.suffix.lower() != ".png":
        raise ConfigError(f"{out} does not end with .png.", "Give a PNG file with --out.")
    if start < 0:
        raise ConfigError("--start is negative.", "Give seconds from the recording's start.")
    chosen = _choose(source, recording, rate)
    from otolith.reports.recording_picture import draw_recording

    picture = draw_recording(chosen, out, start_s=start, end_s=end)
    facts(
        {
            "recording": chosen.id,
            "subject": chosen.subject or "unknown",
            "length": f"{chosen.duration_s:.1f} s",
            "streams": ", ".join(f"{s.name} ({_described(s)})" for s in chosen.streams.values()),
        }
    )
    results(picture)


def _described(stream: Stream) -> str:
    """What a stream holds, and how often."""
    from otolith.recordings.recording import FeatureStream, ImuStream, VideoStream

    match stream:
        case ImuStream():
            return f"{len(stream.channels)} channels, {stream.rate_hz:g} Hz"
        case VideoStream():
            return f"video {stream.width_px} x {stream.height_px}, {stream.fps:g} frames per second"
        case FeatureStream():
            return f"{stream.values_ND.shape[1]} features every {stream.stride_s:g} s"
    return f"{stream.duration_s:.1f} s"


def _choose(source: str, recording: str, rate_hz: float | None) -> Recording:
    """The wanted recording, or the first one, of files or of a data set."""
    from otolith.core.errors import ConfigError, UnknownNameError, suggest
    from otolith.recordings.store import is_data_folder

    path = Path(source)
    if path.is_file() or (path.is_dir() and "/" in source and not is_data_folder(path)):
        from otolith.core.config import parse
        from otolith.recordings.reading import ReadOptions, read_recordings

        options = parse(ReadOptions, {"rate_hz": rate_hz}, source="The options")
        found = {r.id: r for r in read_recordings(path, options)}
        if recording and recording not in found:
            raise UnknownNameError(
                f'{source} holds no recording "{recording}".', suggest(recording, found)
            )
        return found[recording] if recording else next(iter(found.values()))
    if rate_hz is not None:
        raise ConfigError(f"{source} states its rates itself.", "Leave --rate out.")
    part = _part(source)
    return part.folder.recording(recording or part.recording_ids[0])


def _part(name: str) -> DatasetPart:
    from otolith.datasets import make_dataset

    return make_dataset(name)


def _open(name: str) -> DataFolder:
    return _part(name).folder


def _say_card(name: str) -> None:
    """Facts about a built-in data set, and its caveats."""
    from otolith.core.config import to_plain
    from otolith.datasets import DATASETS

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


def _counts(folder: DataFolder) -> dict[str, Any]:
    """What a data folder on this machine holds."""
    rows = folder.streams
    names = dict.fromkeys(rows["stream"].to_pylist())
    rates = sorted({r for r in rows["rate_hz"].to_pylist() if r})
    labels = sorted({x for found in folder.annotations["labels"].to_pylist() for x in found or ()})
    return {
        "folder": folder.path,
        "recordings": folder.info["num_recordings"],
        "people": folder.info["num_subjects"],
        "hours": f"{folder.info['duration_s'] / 3600:.2f}",
        "streams": ", ".join(names),
        "rates": ", ".join(f"{r:.6g} Hz" for r in rates),
        "channels": ", ".join(folder.info["channels"]),
        "labels found": ", ".join(labels) or "none",
        "splits": ", ".join(folder.info.get("splits") or {}) or "none",
    }


def _stored_findings(folder: DataFolder) -> list[tuple[str, Any]]:
    """Recording id and finding, without opening any signals."""
    from otolith.recordings.store_tables import findings_from_json

    rows = folder.recordings
    ids, texts = rows["recording_id"].to_pylist(), rows["findings"].to_pylist()
    parsed = {text: findings_from_json(text) for text in set(texts)}
    return [(i, f) for i, text in zip(ids, texts, strict=True) for f in parsed[text]]
