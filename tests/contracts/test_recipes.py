"""What every recipe has to fulfil; a new YAML file in `recipes/` is tested the moment it exists."""

import importlib.util
import math

import pytest
import yaml
from tests.fixtures.official_layouts import has_fixture, write_synthetic
from tests.support.tasks_data import make_part
from typer.testing import CliRunner

from otolith.cli.main import app
from otolith.core.config import parse, to_plain
from otolith.core.errors import ConfigError
from otolith.datasets import DATASETS, prepare
from otolith.recipes import load_recipe, read_recipe, recipe_names, recipe_path
from otolith.systems import SYSTEMS
from otolith.training import runs
from otolith.training.data import build_data
from otolith.training.recipe import Recipe

NAMES = recipe_names()
DEBUG = [n for n in NAMES if read_recipe(n).get("about", {}).get("size") == "debug"]
PAPER = [n for n in NAMES if read_recipe(n).get("about", {}).get("size") == "paper"]
BASES = [n for n in NAMES if "extends" in yaml.safe_load(recipe_path(n).read_text("utf-8"))]
SIMULATED = {"pocket_simulation": ("walking", "walking_upstairs", "standing")}
"""Data sets that a command makes from others, with a few of their labels."""
needs_seglearn = pytest.mark.skipif(
    importlib.util.find_spec("seglearn") is None, reason="the package seglearn is not installed"
)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A home folder with the packaged data and tiny releases in the official layouts."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTOLITH_HOME", str(folder))
        patch.setenv("OTOLITH_OFFLINE", "1")
        yield folder


@pytest.fixture(scope="module")
def data(home):
    """Make sure that the data sets of a recipe are there."""

    def get(recipe):
        for choice in recipe.data.datasets:
            target = home / "data" / choice.name
            if target.exists():
                continue
            if choice.name == "seglearn_watch":
                prepare(choice.name, None, target, progress=False)
            elif choice.name in SIMULATED:
                make_part(home / "data", 2, SIMULATED[choice.name], name=choice.name)
            else:
                assert has_fixture(choice.name)
                made = write_synthetic(choice.name, home / "releases" / choice.name)
                settings = {k: v for k, v in vars(made.config).items() if k != "root"}
                prepare(choice.name, made.config.root, target, progress=False, **settings)

    return get


def run_cli(*arguments):
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_there_are_recipes_of_both_sizes():
    assert len(DEBUG) >= 3
    assert {"tsfm/pretrain", "tsfm/align"} <= set(PAPER)
    assert len(BASES) >= 5


@pytest.mark.parametrize("name", NAMES)
def test_recipe_is_whole(name):
    recipe, short = load_recipe(name)
    assert short == name
    assert recipe.about.size
    assert recipe.about.paper
    assert recipe.system.name in SYSTEMS.names()
    assert {choice.name for choice in recipe.data.datasets} <= {
        *DATASETS.names(),
        *SIMULATED,
    }
    assert recipe_path(name).read_text("utf-8").startswith("# ")


@pytest.mark.parametrize("name", NAMES)
def test_settings_survive_being_written_and_read(name):
    recipe, _ = load_recipe(name)
    assert parse(Recipe, yaml.safe_load(yaml.safe_dump(to_plain(recipe)))) == recipe


@pytest.mark.parametrize("name", PAPER)
def test_a_recipe_of_a_paper_says_what_to_expect(name):
    about = load_recipe(name)[0].about
    assert about.table
    assert about.expected


@pytest.mark.parametrize("name", BASES)
def test_a_recipe_that_extends_another_changes_it(name):
    own = yaml.safe_load(recipe_path(name).read_text("utf-8"))
    base = read_recipe(own["extends"])
    merged = read_recipe(name)
    assert "extends" not in merged
    assert merged != base
    assert set(base) <= set(merged)


def test_a_circle_of_recipes_is_refused(tmp_path):
    for one, other in (("a", "b"), ("b", "a")):
        (tmp_path / f"{one}.yaml").write_text(f"extends: {tmp_path / other}.yaml\n")
    with pytest.raises(ConfigError, match="extends itself"):
        read_recipe(tmp_path / "a.yaml")


@pytest.mark.parametrize("name", NAMES)
def test_config_prints_what_repeats_the_run(name, tmp_path):
    path = tmp_path / "saved.yaml"
    path.write_text(run_cli("config", name), encoding="utf-8")
    assert load_recipe(path)[0] == load_recipe(name)[0]
    assert f"size: {load_recipe(name)[0].about.size}" in path.read_text("utf-8")


def test_config_lists_every_recipe():
    listed = run_cli("config")
    assert all(name in listed for name in NAMES)


@needs_seglearn
@pytest.mark.parametrize("name", NAMES)
def test_dry_run_builds_data_and_model(name, data):
    data(load_recipe(name)[0])
    # The tiny releases hold fewer windows than a batch of the paper size.
    said = run_cli("train", name, "--dry-run", "training.batch_size=2")
    assert "training windows" in said
    assert "validation batches" in said


@needs_seglearn
@pytest.mark.parametrize("name", DEBUG)
def test_debug_recipe_takes_steps(name, data, tmp_path):
    """Two optimizer steps with finite losses, and a model that can be loaded."""
    changes = ["training.epochs=1", "data.window.stride_s=24.0", "training.accumulate=1"]
    recipe, _ = load_recipe(name, changes)
    data(recipe)
    result = runs.train(recipe, name=name, folder=tmp_path / "run")
    assert result.status == "finished"
    assert result.metrics["steps"] >= 2
    last = result.metrics["last"]
    assert math.isfinite(last["train"]["loss"])
    assert math.isfinite(last["validation"]["loss"])
    assert (tmp_path / "run" / "checkpoints" / "best" / "model.json").is_file()


@needs_seglearn
@pytest.mark.parametrize(
    "name", [n for n in PAPER if read_recipe(n)["system"]["name"] == "tsfm_align"]
)
def test_a_change_of_stage_2_reaches_the_loss(name, data):
    """Every variant, made small, gives a finite loss on a real batch."""
    changes = [
        "data.datasets=[seglearn_watch]", "system.preset=debug", "training.num_workers=0",
        "training.batch_size=8", "system.queue_size=16",
    ]  # fmt: skip
    recipe, _ = load_recipe(name, changes)
    data(recipe)
    train, _, _ = build_data(recipe)
    system = recipe.system.module.System(recipe.system.config).train()
    loss = system.loss(next(iter(train.batches(0)))).total
    loss.backward()
    assert math.isfinite(loss.item())


@needs_seglearn
def test_stage_2_starts_from_stage_1(data, tmp_path):
    """The seed's recipe takes the encoder of a Stage-1 run and leaves the rest new."""
    short = ["training.epochs=1", "data.window.stride_s=24.0"]
    first, _ = load_recipe("tsfm/pretrain_debug", short)
    data(first)
    runs.train(first, name="first", folder=tmp_path / "first")
    second, _ = load_recipe("tsfm/align_seed_debug", [*short, f"init_from={tmp_path / 'first'}"])
    runs.train(second, name="second", folder=tmp_path / "second")
    report = yaml.safe_load((tmp_path / "second" / "init_from.json").read_text("utf-8"))
    assert report["loaded"]
    assert all(key.startswith("encoder.") for key in report["loaded"])
    assert not [key for key in report["missing"] if key.startswith("encoder.")]
