"""Entry point of the `otolith` command: joins the verbs and turns mistakes into messages.

Each verb is one file. Its module is imported when the command line is built, so a verb's file
imports heavy packages (torch, pandas) inside its function only.
"""

from __future__ import annotations

import os
import sys
from typing import NoReturn

import typer

from otolith.cli import (
    benchmark,
    checkpoint,
    config,
    data,
    demo,
    doctor,
    embed,
    evaluate,
    features,
    label,
    reconstruct,
    report,
    train,
)
from otolith.cli._words import for_command_line
from otolith.core.errors import OtolithError

app = typer.Typer(
    name="otolith",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Understand what a person does from what they wear: motion sensors, video, language.",
    epilog="Start with `otolith demo`, then `otolith label FILE`.",
)
app.command("demo")(demo.run)
app.add_typer(data.app, name="data")
app.command("train", context_settings={"allow_interspersed_args": True})(train.run)
app.command("resume")(train.resume)
app.command("evaluate")(evaluate.run)
app.add_typer(benchmark.app, name="benchmark")
app.command("label")(label.run)
app.command("embed")(embed.run)
app.command("features")(features.run)
app.command("report")(report.run)
app.command("reconstruct")(reconstruct.run)
app.add_typer(checkpoint.app, name="checkpoint")
app.command("config")(config.run)
app.command("doctor")(doctor.run)


def main() -> None:
    """Run the command line; mistakes of the user end with code 2 and no traceback."""
    try:
        app()
    except OtolithError as error:
        _stop(f"Error: {error.fact.rstrip()}\n{for_command_line(error.remedy)}", 2)
    except BrokenPipeError:
        # the reader, such as `head`, has seen enough; nothing more can be flushed to it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        if error.filename is None:
            raise
        place = error.filename if error.filename2 is None else error.filename2
        _stop(
            f"Error: {place} cannot be used: {error.strerror}.\n"
            "Check that the path is right, may be written and that the disk has room.",
            2,
        )
    except KeyboardInterrupt:
        _stop("Stopped.", 130)


def _stop(text: str, code: int) -> NoReturn:
    print(text, file=sys.stderr)  # noqa: T201  # the message is the output
    sys.exit(code)


if __name__ == "__main__":
    main()
