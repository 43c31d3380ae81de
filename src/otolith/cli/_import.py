"""`otolith data import`: the user's own files, or an official release, to a data folder."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from otolith.cli._findings import say_files, say_findings, say_total
from otolith.cli._show import results

if TYPE_CHECKING:
    from otolith.recordings.options import ReadOptions
    from otolith.recordings.recording import Recording

# our option -> field of TsfmOptions
_TSFM = {
    "unit_acc": "acc_unit",
    "unit_gyro": "gyro_unit",
    "rate_hz": "rate_hz",
    "gravity": "gravity",
}
_ARIA = ("aria-csv", "aria-vrs")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


def run(
    path: Annotated[Path, typer.Argument(help="File, folder of files, or official release.")],
    name: Annotated[str, typer.Option(help="Name of the new data set.")],
    format: Annotated[
        str,
        typer.Option(
            help="table (or video), tsfm, aria-csv, aria-vrs, or the name of a data set whose official layout it is."
        ),
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
    side: Annotated[
        str, typer.Option(help="Motion sensors of Aria glasses: left, right or both.")
    ] = "",
    setting: Annotated[
        list[str] | None,
        typer.Option(help="Setting of the reader of an official release, key=value; repeat."),
    ] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace a data set of that name.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="Data folder to write instead of the home folder.")
    ] = None,
) -> None:
    """Read your own files into a data set; say what was inferred and why."""
    from otolith.core.home import data_folder
    from otolith.datasets import DATASETS, prepare
    from otolith.recordings.store import write_data_folder

    given = {
        "unit_acc": unit_acc,
        "unit_gyro": unit_gyro,
        "rate_hz": rate,
        "gravity": gravity,
        "placement": placement,
        "subject": subject,
        "side": side,
    }
    options = {k: v for k, v in given.items() if v not in {"", None}}
    options |= {"columns": columns} if (columns := _pairs(column or [])) else {}
    stated = [*options, *(policy or []), *(["--setting"] if setting else [])]
    _check(name, format, stated)
    target = out or data_folder(name)
    if format in DATASETS.names():
        results(prepare(format, path, target, overwrite=overwrite, **_settings(setting or [])))
        return
    recordings = _read(path, format, options, policy or [], name)
    write_data_folder(target, recordings, name=name, card={"title": name}, overwrite=overwrite)
    if format in ("table", *_ARIA):
        from otolith.recordings.reading import summarize_files

        say_files(summarize_files(recordings))
    say_findings((r.id, f) for r in recordings for f in r.findings)
    say_total(len(recordings), sum(r.duration_s for r in recordings))
    results(target)


def _check(name: str, format_: str, stated: list[str]) -> None:
    """Refuse names that are no plain folder names, and options that would have no effect."""
    from otolith.core.errors import ConfigError, suggest
    from otolith.datasets import DATASETS

    known = ["table", "tsfm", *_ARIA, *DATASETS.names()]
    if format_ not in known:
        raise ConfigError(f'There is no format "{format_}".', suggest(format_, known))
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f'"{name}" cannot name a data set.', "Use letters, digits, hyphens and underscores."
        )
    if name in DATASETS.names() and format_ != name:
        raise ConfigError(
            f'"{name}" is the name of a built-in data set.',
            f"Choose another name, or pass --format {name} for its official release.",
        )
    aria = [text for text in stated if "=" in text or text in ("side", "subject", "placement")]
    table = [text for text in stated if text not in ("side", "--setting")]
    takes = {"table": table, "tsfm": list(_TSFM), **dict.fromkeys(_ARIA, aria)}.get(
        format_, ["--setting"]
    )
    if useless := [text for text in stated if text not in takes]:
        raise ConfigError(
            f"With --format {format_}, {useless[0]} has no effect.", "Leave that option out."
        )


def _pairs(texts: list[str]) -> dict[str, str]:
    """`ours=theirs` texts as a mapping; all that are none are named."""
    from otolith.core.errors import ConfigError

    wrong = [t for t in texts if not all(t.partition("="))]
    if wrong:
        raise ConfigError(
            f'--column "{wrong[0]}" is not of the form ours=theirs.',
            'Write --column acc_x="Ch 1".',
        )
    return dict(t.split("=", 1) for t in texts)


def _settings(texts: list[str]) -> dict[str, Any]:
    """`key=value` texts as settings of a reader; what the command says itself is refused."""
    from otolith.core.config import apply_overrides
    from otolith.core.errors import ConfigError

    found = apply_overrides({}, texts)
    own = {"name", "root", "target", "overwrite", "progress"}
    if taken := sorted(own & found.keys()):
        raise ConfigError(f'"{taken[0]}" is no setting of a reader.', "Leave it out of --setting.")
    return found


def _read(
    path: Path, format_: str, options: dict[str, Any], policies: list[str], name: str
) -> list[Recording]:
    """Recordings of the user's files."""
    from otolith.core.config import apply_overrides, parse
    from otolith.recordings.reading import ReadOptions, read_recordings

    if format_ == "tsfm":
        from otolith.recordings.tsfm_format import TsfmOptions, read_tsfm

        stated = {_TSFM[k]: "m/s^2" if v == "m/s2" else v for k, v in options.items()}
        return list(read_tsfm(path, parse(TsfmOptions, stated, source="The options")))
    side = options.pop("side", "both")
    given = apply_overrides({**options, "dataset": name}, policies)
    if format_ in _ARIA:
        return [_read_aria(path, format_, side, parse(ReadOptions, given, source="The options"))]
    return read_recordings(path, parse(ReadOptions, given, source="The options"))


def _read_aria(path: Path, format_: str, side: str, options: ReadOptions) -> Recording:
    """The recording of Aria glasses."""
    from otolith.core.errors import ConfigError, suggest
    from otolith.recordings.readers import aria

    read = aria.read_aria_csv if format_ == "aria-csv" else aria.read_aria_vrs
    match side:
        case "left" | "right" | "both":
            return read(path, side, options)
    raise ConfigError(
        f'Aria glasses have no sensor "{side}".', suggest(side, ["left", "right", "both"])
    )
