"""Probe, few-shot and nearest neighbours on people that were not learned from."""

import json

import numpy as np
import pytest
from tests.support.tasks_data import LABELS, make_part, statistics, toy_model, trained_on

from otolith.core.config import parse
from otolith.core.errors import ConfigError, DataError, LeakageError
from otolith.tasks import few_shot, knn, probe
from otolith.tasks._windows import EvaluationWindows, labelled_windows

TASKS = {"probe": probe, "few_shot": few_shot, "knn": knn}


@pytest.fixture(scope="module")
def part(tmp_path_factory):
    return make_part(tmp_path_factory.mktemp("data"), 6)


@pytest.mark.parametrize("name", TASKS)
def test_easy_classes_are_found_and_the_result_is_complete(part, name):
    result = TASKS[name].evaluate(statistics(), part, TASKS[name].Config(folds=3))
    assert result.macro_f1 > 0.95
    assert result.labels == LABELS
    assert result.counts["test_subjects"] == 6
    assert result.counts["test_windows"] == 72
    assert np.sum(result.confusion) == 72 * result.counts["repetitions"]
    low, high = result.ci95["macro_f1"]
    assert low <= result.macro_f1 <= high
    plain = json.loads(json.dumps(result.to_json()))
    assert plain["settings"]["folds"] == 3
    assert {"accuracy", "macro_f1", "ci95", "per_class", "confusion", "counts"} <= set(plain)


@pytest.mark.parametrize("name", TASKS)
def test_numbers_are_a_function_of_the_seeds(part, name):
    def run(*seeds):
        chosen = TASKS[name].Config(folds=2, seeds=seeds, windows=EvaluationWindows(window_s=2.0))
        return TASKS[name].evaluate(statistics("gravity"), part, chosen).to_json()

    assert run(3) == run(3)
    assert run(3, 4)["counts"]["repetitions"] == 2
    assert run(3, 4)["spread"].keys() == {"accuracy", "macro_f1"}


@pytest.mark.parametrize("name", TASKS)
def test_seen_people_are_not_tested(part, name):
    model = toy_model(trained_on(toy=["p0", "p1"]))
    result = TASKS[name].evaluate(model, part, TASKS[name].Config(folds=2))
    assert result.counts["test_subjects"] == 4
    assert "never tested" in result.warnings[0]
    with pytest.raises(LeakageError):
        everyone = toy_model(trained_on(toy=[f"p{i}" for i in range(6)]))
        TASKS[name].evaluate(everyone, part, TASKS[name].Config(folds=2))


def test_the_forest_and_fractions_work(part):
    settings = probe.Config(folds=2, head="forest", num_trees=20, train_fraction=0.1)
    assert probe.evaluate(statistics(), part, settings).macro_f1 > 0.8


def test_the_penalty_is_chosen_without_the_test_people(part, monkeypatch):
    data = labelled_windows(part, EvaluationWindows())
    seen = []
    real = probe.fit_predict

    def watched(head, train, label, test, **settings):
        seen.append((len(train), len(test)))
        return real(head, train, label, test, **settings)

    monkeypatch.setattr(probe, "fit_predict", watched)
    probe.evaluate(statistics(), part, probe.Config(folds=3, strengths=(0.1, 1.0)))
    # Per fold: 2 strengths in 3 inner folds of the training people, then one fit on all of them.
    assert len(seen) == 3 * 7
    train_windows = len(data.label_N) * 4 // 6
    for start in range(0, len(seen), 7):
        assert all(a + b == train_windows for a, b in seen[start : start + 6])
        assert seen[start + 6] == (train_windows, len(data.label_N) - train_windows)


def test_a_fraction_keeps_every_class():
    label = np.repeat([0, 1], [100, 3])
    rows = probe.take_fraction(np.arange(103), label, 0.1, seed=0)
    assert np.bincount(label[rows]).tolist() == [10, 1]
    assert (rows == probe.take_fraction(np.arange(103), label, 0.1, seed=0)).all()
    assert (rows != probe.take_fraction(np.arange(103), label, 0.1, seed=1)).any()
    assert len(probe.take_fraction(np.arange(103), label, 1.0, seed=0)) == 103


def test_shots_are_spread_over_people(part):
    data = labelled_windows(part, EvaluationWindows())
    train = np.flatnonzero(np.isin(data.subject_N, ["p0", "p1", "p2"]))
    shots = few_shot.draw_shots(data, train, 3, seed=0)
    assert np.bincount(data.label_N[shots]).tolist() == [3, 3, 3]
    for label in range(3):
        assert set(data.subject_N[shots[data.label_N[shots] == label]]) == {"p0", "p1", "p2"}


def test_more_shots_than_windows_are_refused(part):
    with pytest.raises(DataError, match="fewer than 50 shots"):
        few_shot.evaluate(statistics(), part, few_shot.Config(shots=50, folds=2))


@pytest.mark.parametrize("head", ["prototypes", "logistic"])
def test_both_few_shot_heads_learn(part, head):
    result = few_shot.evaluate(statistics(), part, few_shot.Config(head=head, folds=2, shots=2))
    assert result.accuracy > 0.9
    assert head in result.protocol


def test_a_class_that_cannot_be_learned_costs_its_f1(tmp_path):
    part = make_part(tmp_path, {"p0": LABELS[:2], "p1": LABELS[:2], "p2": LABELS})
    result = probe.evaluate(statistics(), part, probe.Config(folds=3))
    f1 = {row["label"]: row["f1"] for row in result.per_class}
    assert f1["running"] == 0.0
    assert result.macro_f1 < 0.7


@pytest.mark.parametrize(
    ("module", "bad"),
    [
        (probe, {"folds": 1}),
        (probe, {"folds": "five"}),
        (probe, {"strengths": []}),
        (probe, {"train_fraction": 0}),
        (few_shot, {"shots": 0}),
        (few_shot, {"seeds": []}),
        (knn, {"k": 0}),
    ],
)
def test_impossible_settings_are_refused(module, bad):
    with pytest.raises(ConfigError):
        parse(module.Config, bad)
