"""What the documentation promises: commands parse, Python compiles, links lead somewhere."""

import re
import shlex
from pathlib import Path

import pytest
import yaml
from typer.main import get_command

from otolith.cli.main import app
from otolith.core.errors import ConfigError
from otolith.datasets import DATASETS
from otolith.encoders import ENCODERS
from otolith.objectives import OBJECTIVES
from otolith.recipes import load_recipe, recipe_names
from otolith.systems import SYSTEMS
from otolith.tasks import TASKS

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
SCRIPTS = sorted(ROOT.glob("examples/*.py"))
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"(?<!`)`(otolith [a-z][^`\n]*)`(?!`)")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
COMMAND = get_command(app)


def blocks(path, *languages):
    return [text for name, text in FENCE.findall(path.read_text("utf-8")) if name in languages]


def command_lines(text):
    """Lines that call `otolith`, with continued lines joined and comments removed."""
    joined = text.replace("\\\n", " ")
    return [
        line.split(" #")[0].strip() for line in joined.splitlines() if line.startswith("otolith ")
    ]


class WrongCommandError(Exception):
    """A command line that the real command line would refuse."""

    is_incomplete = False


def parse(line):
    """Parse a command line without running it; returns the path of the command and the rest.

    Typer brings its own copy of click in some versions, so errors are told apart by their names.
    """
    command, words, path = COMMAND, shlex.split(line)[1:], []
    while hasattr(command, "commands"):
        if not words or words[0] not in command.commands:
            raise WrongCommandError(f"there is no command {words[:1]} of {path or 'otolith'}")
        path.append(words[0])
        command = command.commands[words.pop(0)]
    try:
        command.make_context(path[-1], [w for w in words if w != "--help"])
    except Exception as error:
        if not hasattr(error, "format_message"):
            raise
        wrong = WrongCommandError(error.format_message())
        wrong.is_incomplete = type(error).__name__ in {"MissingParameter", "NoArgsIsHelpError"}
        raise wrong from error
    return path, words


FULL = [
    (page.relative_to(ROOT).as_posix(), line)
    for page in PAGES
    for block in blocks(page, "", "bash", "sh", "console")
    for line in command_lines(block)
]
INLINE = [
    (page.relative_to(ROOT).as_posix(), line)
    for page in PAGES
    for line in SPAN.findall(FENCE.sub("", page.read_text("utf-8")))
]
INLINE += [
    (script.relative_to(ROOT).as_posix(), line)
    for script in SCRIPTS
    for line in SPAN.findall(script.read_text("utf-8"))
]


def test_there_is_something_to_check():
    assert len(FULL) >= 30
    assert len(INLINE) >= 10
    assert len(SCRIPTS) >= 3
    assert {"README.md", "docs/tsfm.md"} <= {p.relative_to(ROOT).as_posix() for p in PAGES}


@pytest.mark.parametrize(("page", "line"), FULL)
def test_command_parses(page, line):
    path, words = parse(line)
    if path == ["train"] and words[0] in recipe_names():
        changes = [w for w in words[1:] if "=" in w and not w.startswith("-")]
        load_recipe(words[0], changes)


@pytest.mark.parametrize(("page", "line"), INLINE)
def test_command_in_a_sentence_parses(page, line):
    """A command may stand in a sentence without its arguments, but not with wrong ones."""
    words = shlex.split(line)
    if hasattr(COMMAND.commands.get(words[1]), "commands") and len(words) == 2:
        return
    try:
        parse(line)
    except WrongCommandError as error:
        if not error.is_incomplete:
            pytest.fail(f"{page}: {line}: {error}")


@pytest.mark.parametrize(
    "line",
    [
        "otolith trian tsfm/pretrain",
        "otolith label",
        "otolith data list --all",
        "otolith evaluate probe --model statistics --data x --shots many",
    ],
)
def test_a_wrong_command_is_noticed(line):
    with pytest.raises(WrongCommandError):
        parse(line)


def test_a_wrong_setting_is_noticed():
    with pytest.raises(ConfigError):
        load_recipe("tsfm/pretrain", ["training.epoch=3"])


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_python_compiles(page):
    for number, text in enumerate(blocks(page, "python"), 1):
        compile(text, f"{page.name}, block {number}", "exec")


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_yaml_is_a_mapping(page):
    assert all(isinstance(yaml.safe_load(text), dict) for text in blocks(page, "yaml"))


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page):
    wrong = []
    for link in LINK.findall(FENCE.sub("", page.read_text("utf-8"))):
        target, _, anchor = link.partition("#")
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        path = (page.parent / target).resolve() if target else page
        is_there = path.exists() and path.is_relative_to(ROOT)
        if not is_there or (anchor and path.suffix == ".md" and anchor not in anchors(path)):
            wrong.append(link)
    assert not wrong


def anchors(path):
    """Anchors of the headings of a page, as web sites make them."""
    heads = re.findall(r"^#+ (.+)$", path.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in heads}


@pytest.mark.parametrize(
    "registry", [DATASETS, TASKS, SYSTEMS, ENCODERS, OBJECTIVES], ids=lambda r: r.kind
)
def test_every_component_is_mentioned(registry):
    text = "\n".join(page.read_text("utf-8") for page in PAGES)
    names = [n for n in registry.names() if n in registry._files()]
    assert names
    assert not [n for n in names if f"`{n}`" not in text and f"[{n}]" not in text]


def test_every_recipe_is_mentioned():
    text = "\n".join(page.read_text("utf-8") for page in PAGES)
    assert not [n for n in recipe_names() if f"`{n}`" not in text]


def test_files_that_the_map_names_exist():
    """Paths in the map from the original code exist, so that it cannot go stale unseen."""
    text = (ROOT / "docs" / "from_upstream.md").read_text("utf-8")
    found = set(re.findall(r"`((?:[a-z_]+/)+[a-z_]+\.(?:py|yaml))\b", text))
    ours = {f for f in found if f.split("/")[0] in {"src", "tests", "examples", *_folders()}}
    missing = [
        f for f in ours if not (ROOT / f).exists() and not (ROOT / "src/otolith" / f).exists()
    ]
    known = {"datasets/imu_pretraining_dataset"}
    assert len(ours) >= 40
    assert not [f for f in missing if not f.startswith(tuple(known))]


def _folders():
    return {p.name for p in (ROOT / "src" / "otolith").iterdir() if p.is_dir()}


def test_no_page_names_a_machine():
    for page in [*PAGES, *SCRIPTS]:
        assert not re.search(r"/(?:work|root|tmp)/|/home/\w", page.read_text("utf-8")), page
