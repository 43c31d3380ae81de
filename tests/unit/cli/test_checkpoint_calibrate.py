"""`otolith checkpoint calibrate` and `otolith checkpoint card`."""

import pytest
from tests.support.command_line import otolith, refused
from tests.support.otolith_data import small
from tests.support.tasks_data import make_part, trained_on

from otolith.core.files import read_json, write_json
from otolith.tasks._model import load_model
from otolith.training.checkpoints import save_model

LABELS = "walking,running,standing"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A model folder in a run, another run's model, and two data folders."""
    root = tmp_path_factory.mktemp("calibrate")
    origin = {**trained_on(foreign=["x"]), "recipe": "otolith_imu/debug", "is_pretrain": False}
    save_model(root / "run" / "checkpoints" / "best", "otolith_imu", small(), origin)
    write_json(
        root / "run" / "metrics.json", {"duration_s": 61.0, "device": "cpu", "last": {"loss": 1}}
    )
    save_model(root / "other", "otolith_imu", small(seed=1), origin)
    for name in ("one", "two"):
        make_part(root, 4, ("standing", "walking", "running"), name=name, seconds=12.0)
    return root


def calibrate(made, *extra, on=("one",), out="calibrated"):
    data = ",".join(str(made / name) for name in on)
    return (
        "checkpoint", "calibrate", made / "run" / "checkpoints" / "best", "--on", data, "--labels",
        LABELS, "--out", made / out, "--window-seconds", "4", *extra,
    )  # fmt: skip


def test_calibrate_then_card(made, tmp_path):
    ran = otolith(*calibrate(made, "--known", made / "two"))
    assert ran.code == 0, ran
    assert "temperature" in ran.out
    card = read_json(made / "calibrated" / "model.json")
    origin = card["provenance"]
    assert card["system"]["coverages"] == [0.8, 0.9, 0.95]
    assert origin["cost"] == {"duration_s": 61.0, "device": "cpu"}
    assert origin["calibration"]["novelty"]["windows"] > 0
    model = load_model(made / "calibrated")
    assert model.system.conformal_quantile(0.9) is not None
    numbers = tmp_path / "numbers.json"
    ran = otolith(
        "evaluate", "zero_shot", "--model", made / "calibrated", "--data", made / "two", "--json",
        numbers,
    )  # fmt: skip
    assert ran.code == 0, ran
    ran = otolith("checkpoint", "card", made / "calibrated", "--results", numbers)
    assert ran.code == 0, ran
    text = (made / "calibrated" / "card.md").read_text(encoding="utf-8")
    for words in (
        "| walking | walking, walk, strolling", "## Calibration", "zero shot | two", "61 s",
        "| one | 4 |", "set for 90% coverage", "novelty",
    ):  # fmt: skip
        assert words in text
    assert load_model(made / "calibrated")  # the card does not damage the folder


def test_one_scoring_model_for_each_data_set(made):
    scorers = f"{made / 'other'},{made / 'run'}"
    ran = otolith(*calibrate(made, "--scored-by", scorers, on=("one", "two"), out="scored"))
    assert ran.code == 0, ran
    found = read_json(made / "scored" / "model.json")["provenance"]["calibration"]["datasets"]
    assert found["one"]["scored_by"]["model"] == "other"
    assert found["two"]["scored_by"]["model"] != "other"


def test_mistakes(made, tmp_path):
    lines = refused(*calibrate(made, "--scored-by", f"{made / 'other'}," * 3, out="x"))
    assert "3 scoring models are given for 1 data sets" in lines[0]
    (tmp_path / "full").mkdir()
    lines = refused(*calibrate(made, out=tmp_path / "full"))
    assert "exists already" in lines[0]
    lines = refused(*calibrate(made, out="run/checkpoints/best"))
    assert "is the model that is calibrated" in lines[0]
    assert not (made / "x").exists()
    lines = refused(*calibrate(made, "--setting", "coverages=[0.9,2]", out="x"))
    assert "coverages" in "".join(lines)
    refused("checkpoint", "card", made / "other", "--results", made / "run" / "metrics.json")
