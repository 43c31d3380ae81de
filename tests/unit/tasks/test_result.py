"""From predictions to a result: repetitions, intervals, classes that are missing."""

import json

import numpy as np
import pytest

from otolith.tasks._result import Predictions, summarise

TRUTH = np.array([0, 0, 1, 1])


def result(predicted, repetition, subjects=("a", "a", "b", "b"), labels=("x", "y")):
    count = len(predicted) // 4
    return summarise(
        Predictions(
            truth_N=np.tile(TRUTH, count),
            predicted_N=np.array(predicted),
            subjects_N=np.tile(np.array(subjects), count),
            repetition_N=np.array(repetition),
            window_N=np.tile(np.arange(4), count),
        ),
        labels=labels,
        task="t",
        model="m",
        data="d",
        protocol="p",
        counts={"subjects": 2},
        settings={"a": (1, 2)},
    )


def test_every_repetition_weighs_the_same():
    found = result([0, 0, 1, 1, 1, 1, 1, 1], [0] * 4 + [1] * 4)
    assert found.accuracy == pytest.approx(0.75)
    assert found.macro_f1 == pytest.approx((1.0 + 1 / 3) / 2)
    assert found.spread["accuracy"] == pytest.approx(np.std([1.0, 0.5], ddof=1))
    assert found.confusion == [[2, 2], [0, 4]]
    assert found.counts == {"subjects": 2, "test_subjects": 2, "test_windows": 4, "repetitions": 2}


def test_a_listed_class_that_never_occurs_counts_as_zero():
    assert result([0, 0, 1, 1], [0] * 4, labels=("x", "y", "z")).macro_f1 == pytest.approx(2 / 3)


def test_choosing_none_of_the_labels_is_wrong():
    found = result([0, -1, 1, 1], [0] * 4)
    assert found.accuracy == 0.75
    assert found.confusion == [[1, 0], [0, 2]]


def test_one_person_gives_no_interval():
    found = result([0, 0, 1, 0], [0] * 4, subjects=("a",) * 4)
    assert found.ci95 == {"macro_f1": None, "accuracy": None}
    assert json.loads(json.dumps(found.to_json()))["ci95"]["accuracy"] is None


def test_the_interval_is_over_people():
    low, high = result([0, 0, 1, 0], [0] * 4).ci95["accuracy"]
    assert (low, high) == (0.5, 1.0)
    assert result([0, 0, 1, 1], [0] * 4).spread == {}
