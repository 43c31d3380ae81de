"""Runs `otolith ...` inside the test's own process, and makes small recordings for it."""

import contextlib
import io
import sys
from dataclasses import dataclass
from unittest import mock

import numpy as np

from otolith.cli.main import main


@dataclass
class Ran:
    """What a command printed and how it ended."""

    code: int
    out: str
    err: str


def otolith(*arguments) -> Ran:
    """Run the command line; an exception that is no exit fails the test."""
    out, err = io.StringIO(), io.StringIO()
    code = 0
    with (
        mock.patch.object(sys, "argv", ["otolith", *map(str, arguments)]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as stop:
            code = int(stop.code or 0)
    return Ran(code, out.getvalue(), err.getvalue())


def refused(*arguments) -> list[str]:
    """Run a command that must be refused; return the lines of its message, without notes before it."""
    ran = otolith(*arguments)
    assert ran.code == 2, ran
    said = ran.err.strip().splitlines()
    lines = said[next((i for i, line in enumerate(said) if not line.startswith("Note: ")), 0) :]
    assert lines[0].startswith("Error: "), ran.err
    assert "Traceback" not in ran.err
    assert lines[-1].endswith((".", "?")), "the remedy is a sentence"
    return lines


def walk_csv(
    path, *, seconds=30.0, rate_hz=50.0, seed=0, labels=("walking", "standing"), subject="1"
):
    """Write a made-up recording in g and deg/s with stamps, two labels and gravity."""
    rng = np.random.default_rng(seed)
    t = np.arange(int(seconds * rate_hz)) / rate_hz
    is_first = t < seconds / 2
    swing = np.sin(2 * np.pi * 1.8 * t) * is_first
    acc = np.stack([0.25 * swing, 0.1 * swing, 1.0 + 0.3 * swing], 1)
    gyro = np.stack([60 * swing, 25 * swing, -40 * swing], 1)
    rows = np.column_stack(
        [t, acc + rng.normal(0, 0.01, acc.shape), gyro + rng.normal(0, 0.5, gyro.shape)]
    )
    names = [labels[0] if first else labels[1] for first in is_first]
    with path.open("w") as file:
        file.write("t,acc_x,acc_y,acc_z,gyro_x,gyro_y,gyro_z,label,subject\n")
        for row, name in zip(rows, names, strict=True):
            file.write(",".join(f"{value:.5f}" for value in row) + f",{name},{subject}\n")
    return path
