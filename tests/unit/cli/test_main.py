"""The entry point: quick to start, and every mistake is a message."""

import os
import subprocess
import sys

import pytest
from tests.support.command_line import otolith, refused
from tests.support.processes import ROOT

from otolith.cli import config as config_verb
from otolith.cli._words import for_command_line

HEAVY = ("torch", "pandas", "pyarrow", "scipy", "sklearn", "matplotlib", "transformers", "av")


def program(*arguments, **settings):
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")} | settings
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
        timeout=120,
    )


def test_building_the_command_line_loads_nothing_heavy():
    code = f"import sys, otolith.cli.main; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = program("-c", code)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_help_lists_every_verb():
    ran = otolith("--help")
    assert ran.code == 0
    for verb in ("demo", "data", "train", "resume", "evaluate", "label", "embed", "report",
                 "checkpoint", "config", "doctor"):  # fmt: skip
        assert f" {verb} " in ran.out


def test_a_mistyped_verb_names_the_nearest():
    ran = otolith("trian")
    assert ran.code == 2
    assert "train" in ran.err


def test_a_mistake_ends_the_program_with_code_2_and_two_lines(tmp_path):
    done = program("-m", "otolith.cli.main", "config", "demo/pretrian", OTOLITH_HOME=str(tmp_path))
    assert done.returncode == 2
    assert done.stdout == ""
    fact, remedy = done.stderr.strip().splitlines()
    assert fact == 'Error: There is no recipe "demo/pretrian".'
    assert remedy.startswith('Did you mean "demo/pretrain"?')


def test_a_path_that_the_system_refuses_is_named(monkeypatch, tmp_path):
    def fail():
        (tmp_path / "file").write_text("")
        (tmp_path / "file" / "inside").mkdir()

    monkeypatch.setattr(config_verb, "recipe_names", fail)
    lines = refused("config")
    assert str(tmp_path / "file" / "inside") in lines[0]
    assert "Not a directory" in lines[0]


def test_our_own_mistakes_stay_visible(monkeypatch):
    def fail():
        raise ZeroDivisionError

    monkeypatch.setattr(config_verb, "recipe_names", fail)
    with pytest.raises(ZeroDivisionError):
        otolith("config")


def test_ctrl_c_stops_with_code_130(monkeypatch):
    def stop():
        raise KeyboardInterrupt

    monkeypatch.setattr(config_verb, "recipe_names", stop)
    ran = otolith("config")
    assert ran.code in {1, 130}
    assert "Traceback" not in ran.err


def test_a_reader_that_leaves_early_is_no_error():
    command = f"'{sys.executable}' -m otolith.cli.main config tsfm/pretrain | head -1"
    done = subprocess.run(
        ["sh", "-c", command],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        check=False,
        timeout=120,
    )
    assert "Traceback" not in done.stderr
    assert done.stdout.strip().startswith("about")


@pytest.mark.parametrize(
    ("words", "options"),
    [
        ("Pass rate_hz (--rate).", "Pass --rate."),
        ("Pass rate_hz to decide otherwise.", "Pass --rate to decide otherwise."),
        ('Pass on_gap="split" to cut there.', "Pass --policy on_gap=split to cut there."),
        ("Pass on_stuck='nan'.", "Pass --policy on_stuck=nan."),
        ("Pass overwrite=True, or give another path.", "Pass --overwrite, or give another path."),
        ("Pass unit_acc (--unit-acc g or m/s2).", "Pass --unit-acc g or m/s2."),
        ('Pass time_unit="ms" if it holds milliseconds.',
         "Pass --policy time_unit=ms if it holds milliseconds."),
        ("Map them with columns if they are needed.", "Map them with --column if they are needed."),
        ('Name them, or map them with columns, such as {"acc_x": "Ch 1"}.',
         'Name them, or map them with --column, such as --column acc_x="Ch 1".'),
        ("Check the path.", "Check the path."),
    ],
)  # fmt: skip
def test_remedies_speak_of_options(words, options):
    assert for_command_line(words) == options
