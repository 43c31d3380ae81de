"""Settings: every mistake at once, with path, value, allowed values and nearest name."""

from dataclasses import field
from typing import Literal

import pytest

from otolith.core.config import (
    apply_overrides,
    component,
    config,
    dump_yaml,
    merge,
    parse,
    read_yaml,
    select,
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


def test_merging_goes_mapping_by_mapping_and_replaces_other_components():
    base = {"a": {"b": {"c": 1, "d": 2}}, "part": {"name": "fern", "fronds": 2}, "list": [1, 2]}
    top = {"a": {"b": {"c": 9}}, "part": {"name": "moss"}, "list": [3]}
    assert merge(base, top) == {
        "a": {"b": {"c": 9, "d": 2}}, "part": {"name": "moss"}, "list": [3],
    }  # fmt: skip
    assert merge(base, {"part": {"fronds": 5}})["part"] == {"name": "fern", "fronds": 5}
    assert base["a"]["b"]["c"] == 1


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


@config
class Water:
    litres: float = 1.0
    hours: tuple[int, ...] = (8,)
    marks: dict[str, int] = field(default_factory=dict)


@config
class Bed:
    water: Water = field(default_factory=lambda: Water(litres=2.0, hours=(6, 18)))
    shade: Pot | None = field(default_factory=lambda: Pot(depth_cm=1.0, colour="green"))
    plant: component(PLANTS) = field(
        default_factory=lambda: select(PLANTS, {"name": "fern", "fronds": 9})
    )


@config
class Park:
    bed: Bed = field(default_factory=lambda: Bed(water=Water(marks={"low": 1}), shade=None))
    other: Bed = field(default_factory=Bed)


def test_a_nested_mapping_keeps_the_rest_of_the_fields_default():
    assert parse(Bed, {"water": {"litres": 3}}).water == Water(litres=3.0, hours=(6, 18))
    assert parse(Bed, {"water": {}}) == Bed()
    assert parse(Bed, {"shade": {"colour": "brown"}}).shade == Pot(depth_cm=1.0)
    assert Bed(water={"hours": (7,)}).water == Water(litres=2.0, hours=(7,))  # pyrefly: ignore  # pydantic reads plain data


def test_a_default_is_kept_at_every_depth():
    park = parse(Park, {"bed": {"water": {"hours": [5]}}, "other": {"water": {"litres": 4}}})
    assert park.bed == Bed(water=Water(hours=(5,), marks={"low": 1}), shade=None)
    assert park.other == Bed(water=Water(litres=4.0, hours=(6, 18)))


def test_plain_mappings_and_whole_settings_replace_the_default():
    assert parse(Park, {"bed": {"water": {"marks": {"high": 9}}}}).bed.water.marks == {"high": 9}
    assert parse(Bed, {"water": Water()}).water == Water()
    assert parse(Bed, {"shade": None}).shade is None


def test_a_component_keeps_its_settings_unless_another_is_named():
    assert parse(Bed, {"plant": {"fronds": 2}}).plant.config.fronds == 2
    assert parse(Bed, {"plant": {"name": "fern"}}).plant.config.fronds == 9
    assert parse(Bed, {"plant": "fern"}).plant.config.fronds == 3
    with pytest.raises(ConfigError, match='no plant called "moss"'):
        parse(Bed, {"plant": {"name": "moss"}})
    with pytest.raises(ConfigError, match=r"water\.litre: unknown key"):
        parse(Bed, {"water": {"litre": 1}})


def test_settings_with_special_defaults_round_trip():
    for settings in (Park(), Bed(water=Water()), Bed(shade=None, plant=select(PLANTS, "fern"))):
        assert parse(type(settings), to_plain(settings)) == settings
