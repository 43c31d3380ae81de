"""Calibration on held-out people."""

import dataclasses

import numpy as np
import pytest
import torch
from tests.support.otolith_data import small
from tests.support.tasks_data import make_part, statistics, trained_on

from otolith.core.config import parse
from otolith.core.errors import CheckpointError, DataError, LeakageError
from otolith.systems._concepts import concepts
from otolith.tasks._calibrate import Config, calibrate, match_labels
from otolith.tasks._calibration_fits import fit_temperature, label_scores
from otolith.tasks._model import Model
from otolith.tasks._people import learned_people, seen_people, training_datasets

WORDS = ("walking", "running", "standing")
LABELS = ("standing", "walking", "running")
SETTINGS = parse(Config, {"labels": WORDS, "windows": {"window_s": 4.0}, "folds": 3})


@pytest.fixture(scope="module")
def part(tmp_path_factory):
    return make_part(tmp_path_factory.mktemp("data"), 6, LABELS, seconds=16.0)


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    folder = tmp_path_factory.mktemp("other")
    return make_part(folder, 4, (*LABELS, "lying"), name="other", seconds=40.0)


def model(provenance=None, name="mine", **settings):
    return Model(
        name, small(**settings), provenance or trained_on(foreign=["x"]), None, "otolith_imu"
    )


def simulated(factor, num=4000, seed=0):
    """Concept scores that are `factor` times too sure, with the true label of each window."""
    rng = np.random.default_rng(seed)
    logits = torch.from_numpy(rng.normal(size=(num, len(concepts())))).float() * 1.5
    system = small()
    probability = label_scores(system, logits.log_softmax(1), 1.0, WORDS).exp().double().numpy()
    draws = rng.random(num)[:, None]
    truth = (draws > probability.cumsum(1)).sum(1).clip(max=len(WORDS) - 1)
    return system, logits.log_softmax(1) * factor, truth


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_the_temperature_undoes_what_is_too_sure(factor):
    system, scores, truth = simulated(factor)
    assert fit_temperature(system, scores, truth, WORDS) == pytest.approx(factor, rel=0.12)


def test_classes_are_matched_to_labels():
    wanted = ("walking", "going upstairs", "running", "still", "sitting")
    own = ("Walking", "walking_upstairs", "jogging", "standing", "sitting", "stairs", "typing")
    assert match_labels(own, wanted).tolist() == [0, 1, 2, 3, 4, -1, -1]
    with pytest.raises(DataError, match="jogging.*running and sprinting"):
        match_labels(["jogging"], ["running", "sprinting"])
    assert match_labels(["running"], ["running", "sprinting"]).tolist() == [0]


def test_a_model_is_calibrated(part, other):
    mine = model()
    made = calibrate(mine, [(mine, part)], SETTINGS, known=[part, other])
    facts = made.provenance["calibration"]
    assert float(mine.system.temperature) == 1.0
    assert mine.system.conformal_quantile(0.9) is None
    assert float(made.system.temperature) == pytest.approx(facts["temperature"])
    assert made.system.conformal_quantile(0.9) == pytest.approx(facts["quantiles"][1])
    assert facts["quantiles"] == sorted(facts["quantiles"])
    assert facts["windows"] == 6 * 3 * 4
    assert facts["datasets"]["toy"]["people"] == [f"p{i}" for i in range(6)]
    assert facts["after"]["log_loss"] <= facts["before"]["log_loss"] + 0.05
    for coverage in ("0.8", "0.9", "0.95"):
        found = facts["after"]["sets"][coverage]
        assert found["coverage"] >= float(coverage) - 0.15
        assert 1 <= found["labels_per_set"] <= len(WORDS)
    assert facts["novelty"]["measured_against"] == {"toy": ["other"]}
    assert made.system.novelty.is_fitted
    assert not mine.system.novelty.is_fitted
    same = {k: v for k, v in mine.system.state_dict().items() if not k.startswith("novelty.")}
    changed = {k for k, v in same.items() if not torch.equal(v, made.system.state_dict()[k])}
    assert changed <= {"temperature"}


def test_scores_come_from_the_other_run(part):
    mine, flat = model(), model(name="flat", seed=1)
    with torch.no_grad():
        for weights in (flat.system.members.weight_out, flat.system.conv_head.weight):
            weights.mul_(0.1)
    own = calibrate(mine, [(mine, part)], SETTINGS)
    made = calibrate(mine, [(flat, part)], SETTINGS)
    assert own.provenance["calibration"]["before"] != made.provenance["calibration"]["before"]
    assert made.provenance["calibration"]["datasets"]["toy"]["scored_by"]["model"] == "flat"
    ours, theirs = made.system.state_dict(), mine.system.state_dict()
    assert torch.equal(ours["members.weight_out"], theirs["members.weight_out"])
    assert not made.system.novelty.is_fitted


def test_people_that_were_learned_from_are_left_out(part):
    origin = {
        "data": {
            "datasets": {"toy": {"train_subjects": ["p0", "p1"], "validation_subjects": ["p2"]}}
        }
    }
    mine = model(origin)
    facts = calibrate(mine, [(mine, part)], SETTINGS).provenance["calibration"]
    assert facts["datasets"]["toy"]["people"] == ["p2", "p3", "p4", "p5"]
    assert "2 people of toy were learned from" in facts["warnings"][0]
    assert "1 people of toy were held out" in facts["warnings"][1]
    other_run = model(name="loo")
    facts = calibrate(mine, [(other_run, part)], SETTINGS).provenance["calibration"]
    assert len(facts["datasets"]["toy"]["people"]) == 6
    assert not facts["warnings"]
    everyone = model(trained_on(toy=["*"]))
    with pytest.raises(LeakageError, match="all people"):
        calibrate(everyone, [(everyone, part)], SETTINGS)


def test_people_of_calibration_count_as_seen(part):
    mine = model()
    made = calibrate(mine, [(mine, part)], SETTINGS)
    assert seen_people(made.provenance, "toy") == {f"p{i}" for i in range(6)}
    assert set(training_datasets(made.provenance)) == {"foreign", "toy"}
    assert learned_people(made.provenance, "toy") == set()
    assert learned_people(made.provenance, "foreign") == {"x"}


def test_novelty_without_another_data_set_is_measured_against_other_people(part):
    origin = trained_on(toy=["p0", "p1", "p2"])
    mine = model(origin)
    made = calibrate(mine, [(mine, part)], SETTINGS, known=[part])
    assert made.provenance["calibration"]["novelty"]["measured_against"] == {"toy": "other people"}
    stranger = model()
    with pytest.raises(DataError, match="besides the people"):
        calibrate(stranger, [(stranger, part)], SETTINGS, known=[part])


def test_mistakes(part):
    mine = model()
    with pytest.raises(CheckpointError, match="nothing to calibrate"):
        calibrate(statistics(), [(mine, part)], SETTINGS)
    mine.system._sentences = lambda texts: torch.eye(2)[[int(t != "knitting") for t in texts]]
    far = dataclasses.replace(SETTINGS, labels=("walking", "knitting"))
    with pytest.raises(DataError, match="knitting"):
        calibrate(mine, [(mine, part)], far)
    twice = dataclasses.replace(SETTINGS, labels=("walking", "Walking"))
    with pytest.raises(DataError, match="given twice"):
        calibrate(mine, [(mine, part)], twice)
    foreign = dataclasses.replace(SETTINGS, labels=("lying", "jumping"))
    with pytest.raises(DataError, match="No window of"):
        calibrate(mine, [(mine, part)], foreign)
