"""A run that starts from weights remembers what those were trained on, also after a resume."""

from tests.support.tasks_data import ToyComponent, make_part

from otolith.core.config import parse
from otolith.core.files import read_json
from otolith.systems import SYSTEMS
from otolith.tasks._people import seen_people
from otolith.training import runs
from otolith.training.recipe import Recipe


def recipe(part, **settings):
    return parse(
        Recipe,
        {
            "data": {"datasets": [{"name": str(part.folder.path)}], "validation_fraction": 0.0},
            "system": "toy_text",
            "training": {"epochs": 1, "batch_size": 16, "device": "cpu"},
            **settings,
        },
    )


def test_ancestors_are_saved_with_the_weights(tmp_path):
    SYSTEMS.register("toy_text", ToyComponent)
    try:
        first, second = make_part(tmp_path, 2, name="first"), make_part(tmp_path, 2, name="second")
        runs.train(recipe(first), name="a", folder=tmp_path / "a")
        runs.train(recipe(second, init_from=str(tmp_path / "a")), name="b", folder=tmp_path / "b")
        runs.resume(tmp_path / "b")
    finally:
        SYSTEMS.unregister("toy_text")
    provenance = read_json(tmp_path / "b" / "checkpoints" / "best" / "model.json")["provenance"]
    assert seen_people(provenance, "first") == {"p0", "p1"}
    assert seen_people(provenance, "second") == {"p0", "p1"}
    alone = read_json(tmp_path / "a" / "checkpoints" / "best" / "model.json")["provenance"]
    assert alone["init_provenance"] == {}
