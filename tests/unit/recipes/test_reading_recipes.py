"""Recipes that extend each other: layers, circles, components that replace each other."""

import pytest

from otolith.core.errors import ConfigError
from otolith.recipes import load_recipe, read_recipe, recipe_names, recipe_path


def write(folder, name, text):
    path = folder / f"{name}.yaml"
    path.write_text(text)
    return path


def test_values_on_top_replace_those_below(tmp_path):
    base = write(tmp_path, "base", "a: 1\nb: {c: 2, d: [1, 2]}\n")
    top = write(tmp_path, "top", f"extends: {base}\nb: {{d: [3]}}\ne: 4\n")
    assert read_recipe(top) == {"a": 1, "b": {"c": 2, "d": [3]}, "e": 4}


def test_a_component_of_another_name_does_not_inherit_settings(tmp_path):
    base = write(tmp_path, "base", "system: {name: one, width: 3}\n")
    same = write(tmp_path, "same", f"extends: {base}\nsystem: {{name: one, depth: 2}}\n")
    other = write(tmp_path, "other", f"extends: {base}\nsystem: {{name: two, depth: 2}}\n")
    silent = write(tmp_path, "silent", f"extends: {base}\nsystem: {{depth: 2}}\n")
    assert read_recipe(same)["system"] == {"name": "one", "width": 3, "depth": 2}
    assert read_recipe(other)["system"] == {"name": "two", "depth": 2}
    assert read_recipe(silent)["system"] == {"name": "one", "width": 3, "depth": 2}


def test_three_layers_and_null_values(tmp_path):
    one = write(tmp_path, "one", "a: 1\nb: 1\nc: {x: 1}\n")
    two = write(tmp_path, "two", f"extends: {one}\nb: 2\nc: null\n")
    three = write(tmp_path, "three", f"extends: {two}\nc: {{y: 3}}\n")
    assert read_recipe(three) == {"a": 1, "b": 2, "c": {"y": 3}}


def test_a_file_extends_its_neighbour(tmp_path, monkeypatch):
    (tmp_path / "deep").mkdir()
    write(tmp_path / "deep", "base", "a: 1\n")
    top = write(tmp_path / "deep", "top", "extends: base.yaml\nb: 2\n")
    monkeypatch.chdir(tmp_path)
    assert read_recipe(top) == {"a": 1, "b": 2}


@pytest.mark.parametrize("length", [1, 3])
def test_circles_are_refused(tmp_path, length):
    for i in range(length):
        write(tmp_path, f"r{i}", f"extends: {tmp_path / f'r{(i + 1) % length}.yaml'}\n")
    with pytest.raises(ConfigError, match="extends itself"):
        read_recipe(tmp_path / "r0.yaml")


def test_a_circle_through_another_spelling_is_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "one", f"extends: {tmp_path}/./two.yaml\n")
    write(tmp_path, "two", "extends: ./one.yaml\n")
    with pytest.raises(ConfigError, match="extends itself"):
        read_recipe("one.yaml")


def test_what_is_extended_must_be_a_name(tmp_path):
    with pytest.raises(ConfigError, match="top.yaml"):
        read_recipe(write(tmp_path, "top", "extends: [1, 2]\n"))
    with pytest.raises(ConfigError, match="no recipe"):
        read_recipe(write(tmp_path, "top", "extends: demo/pretrian\n"))


def test_names_and_files(tmp_path):
    assert "demo/pretrain" in recipe_names()
    assert recipe_path("demo/pretrain").is_file()
    own = write(tmp_path, "own", "extends: demo/pretrain\ntraining: {epochs: 3}\n")
    recipe, name = load_recipe(own, ["training.batch_size=16"])
    assert (recipe.training.epochs, recipe.training.batch_size, name) == (3, 16, "own")
    assert load_recipe("demo/pretrain")[1] == "demo/pretrain"
    with pytest.raises(ConfigError, match='Did you mean "demo/pretrain"'):
        recipe_path("demo/pretran")
    with pytest.raises(ConfigError, match="is a folder"):
        recipe_path(tmp_path)
