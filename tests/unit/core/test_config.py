"""Settings: every mistake at once, with path, value, allowed values and nearest name."""

from typing import Literal

import pytest

from otolith.core.config import (
    apply_overrides,
    component,
    config,
    dump_yaml,
    parse,
    read_yaml,
    to_plain,
)
from otolith.core.errors import ConfigError, UnknownNameError
from otolith.core.registry import Registry

PLANTS = Registry("tests.no_such_folder", "plant")


class Fern:
    @config
    class Config:
        fronds: int = 3


PLANTS.register("fern", Fern)


@config
class Pot:
    depth_cm: float
    colour: Literal["brown", "green"] = "brown"


@config
class Garden:
    name: str
    pots: tuple[Pot, ...] = ()
    best: Pot | None = None
    plant: component(PLANTS) = None


def test_valid_settings_round_trip_through_yaml(tmp_path):
    data = {"name": "front", "pots": [{"depth_cm": 3}], "plant": {"name": "fern", "fronds": 5}}
    garden = parse(Garden, data)
    path = tmp_path / "garden.yaml"
    path.write_text(dump_yaml(garden))
    assert parse(Garden, read_yaml(path)) == garden
    assert to_plain(garden)["plant"] == {"name": "fern", "fronds": 5}


def test_all_mistakes_are_reported_at_once():
    data = {
        "nam": "front",
        "pots": [{"depth_cm": "deep", "colour": "gren"}],
        "best": {"depth": 2},
        "plant": {"name": "fren", "fronds": 1},
    }
    with pytest.raises(ConfigError) as caught:
        parse(Garden, data, source="garden.yaml")
    text = str(caught.value)
    for expected in ('nam: unknown key; did you mean "name"?', "name: required", "pots.0.depth_cm", "'deep'",
                     'did you mean "green"?', 'Did you mean "fern"?', "best.depth"):  # fmt: skip
        assert expected in text
    assert "mistakes in garden.yaml" in text


def test_settings_are_frozen_and_keyword_only():
    pot = Pot(depth_cm=1)
    with pytest.raises(AttributeError):
        pot.depth_cm = 2
    with pytest.raises(Exception, match="positional|argument"):
        Pot(3)


def test_overrides_reach_into_nested_settings_and_names():
    data = {"plant": "fern", "pots": []}
    out = apply_overrides(data, ["plant.fronds=7", "name=back", "best.depth_cm=1.5"])
    assert out["plant"] == {"name": "fern", "fronds": 7}
    assert out["best"] == {"depth_cm": 1.5}
    assert data == {"plant": "fern", "pots": []}


def test_bad_overrides_are_all_listed():
    with pytest.raises(ConfigError) as caught:
        apply_overrides({"name": 3}, ["noequals", "name.x.y=1"])
    assert "noequals" in str(caught.value)
    assert '"name"' in str(caught.value)


@pytest.mark.parametrize(
    "text", ["a: [1", "- 1\n- 2\n", "!!python/object/apply:os.system ['true']"]
)
def test_broken_yaml_is_one_clear_error(tmp_path, text):
    path = tmp_path / "x.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match="x.yaml"):
        read_yaml(path)


def test_missing_file(tmp_path):
    with pytest.raises(ConfigError, match="no file"):
        read_yaml(tmp_path / "none.yaml")


def test_registry_lists_files_and_names_the_nearest():
    folder = Registry("otolith.core", "part")
    assert "config" in folder.names()
    assert folder.describe("config").startswith("Typed settings")
    with pytest.raises(UnknownNameError, match='Did you mean "config"'):
        folder.get("confg")
    with pytest.raises(UnknownNameError, match="registered already"):
        folder.register("config", object())
