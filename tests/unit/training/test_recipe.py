"""Recipes."""

import pytest
from tests.support.training_toys import NAME, register

from otolith.core.config import dump_yaml, parse, read_yaml, to_plain
from otolith.core.errors import ConfigError
from otolith.training.recipe import Recipe

PLAIN = {
    "about": {"paper": "A paper", "size": "debug"},
    "seed": 7,
    "data": {"datasets": ["hapt", {"name": "mine", "subjects": ["s1"]}], "augment": "weak"},
    "system": {"name": NAME, "width": 4},
    "training": {"epochs": 3, "early_stop": {"patience": 2}},
}


@pytest.fixture(autouse=True)
def _toy():
    register()


def test_a_recipe_survives_its_file(tmp_path):
    recipe = parse(Recipe, PLAIN)
    path = tmp_path / "config.yaml"
    path.write_text(dump_yaml(recipe))
    again = parse(Recipe, read_yaml(path))
    assert to_plain(again) == to_plain(recipe)
    assert again.system.config.width == 4


def test_short_forms_are_filled_in():
    recipe = parse(Recipe, PLAIN)
    assert [c.name for c in recipe.data.datasets] == ["hapt", "mine"]
    assert recipe.data.datasets[1].subjects == ("s1",)
    assert recipe.data.augment.steps == {"jitter": 0.8, "scale": 0.8, "time_shift": 0.8}


def test_mistakes_in_all_parts_are_reported_together():
    wrong = {
        "data": {"datasets": [], "augment": "wek", "validation_fraction": 1.5},
        "system": "toy_clasifier",
        "training": {"epochs": -1},
    }
    with pytest.raises(ConfigError) as error:
        parse(Recipe, wrong)
    message = str(error.value)
    for words in (
        "data.datasets",
        '"weak"',
        "validation_fraction",
        "toy_classifier",
        "training.epochs",
    ):
        assert words in message
