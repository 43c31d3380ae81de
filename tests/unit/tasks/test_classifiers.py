"""Shallow classifiers on features."""

import numpy as np
import pytest

from otolith.core.errors import DataError
from otolith.tasks._classifiers import (
    fit_logistic,
    fit_predict,
    neighbours,
    normalise,
    prototypes,
    similarity,
    softmax,
    standardise,
)

RNG = np.random.default_rng(0)
LABEL = np.repeat([0, 2], 20)
TRAIN = RNG.normal(size=(40, 3)) + 6.0 * LABEL[:, None]
TEST = RNG.normal(size=(6, 3)) + 6.0 * np.repeat([0, 2], 3)[:, None]


@pytest.mark.parametrize("head", ["logistic", "forest"])
def test_a_class_without_training_rows_gets_probability_zero(head):
    scores = fit_predict(head, TRAIN, LABEL, TEST, num_classes=3, seed=0, num_trees=20)
    assert scores.shape == (6, 3)
    np.testing.assert_allclose(scores.sum(1), 1.0)
    assert (scores[:, 1] == 0).all()
    assert scores.argmax(1).tolist() == [0, 0, 0, 2, 2, 2]


def test_one_class_to_learn_from_is_always_predicted():
    scores = fit_predict("logistic", TRAIN[:5], LABEL[:5], TEST, num_classes=3, seed=0)
    assert scores.tolist() == [[1.0, 0.0, 0.0]] * 6


def test_nothing_to_learn_from_is_refused():
    with pytest.raises(DataError, match="no window to learn from"):
        fit_predict("logistic", TRAIN[:0], LABEL[:0], TEST, num_classes=3, seed=0)
    with pytest.raises(DataError, match="one class"):
        fit_logistic(TRAIN[:5], LABEL[:5], num_classes=3)


def test_the_forest_is_a_function_of_its_seed():
    noise = RNG.normal(size=TRAIN.shape)
    runs = [
        fit_predict("forest", noise, LABEL, TEST, num_classes=3, seed=s, num_trees=10)
        for s in (1, 1, 2)
    ]
    assert (runs[0] == runs[1]).all()
    assert (runs[0] != runs[2]).any()


def test_a_fitted_regression_scores_in_pieces_as_at_once():
    predict = fit_logistic(TRAIN, LABEL, num_classes=3)
    np.testing.assert_allclose(
        np.concatenate([predict(TEST[:2]), predict(TEST[2:])]), predict(TEST), rtol=1e-12
    )


def test_scaling_uses_the_training_rows_alone():
    train, test = standardise(TRAIN, TEST)
    other_train, other_test = standardise(TRAIN, TEST * 100)
    np.testing.assert_allclose(train.mean(0), 0.0, atol=1e-9)
    np.testing.assert_allclose(train.std(0), 1.0)
    np.testing.assert_array_equal(train, other_train)
    np.testing.assert_allclose(test[0] * TRAIN.std(0) + TRAIN.mean(0), TEST[0])
    assert not np.allclose(test, other_test)


def test_missing_values_become_the_mean_and_constants_stay_finite():
    values = np.array([[1.0, 5.0], [3.0, 5.0], [np.nan, 5.0]])
    train, test = standardise(values, np.array([[np.nan, 5.0]]))
    np.testing.assert_allclose(train, [[-1, 0], [1, 0], [0, 0]])
    np.testing.assert_allclose(test, [[0, 0]])


def test_prototypes_are_unit_means_and_zero_without_examples():
    means = prototypes(np.array([[2.0, 0.0], [0.0, 3.0]]), np.array([0, 0]), 2)
    np.testing.assert_allclose(means, [[2**-0.5, 2**-0.5], [0, 0]])


def test_neighbours_vote_by_cosine(monkeypatch):
    train = np.array([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0]])
    label = np.array([0, 0, 1])
    test = np.array([[5.0, 0.1], [0.1, 5.0]])
    scores = neighbours(train, label, test, num_classes=3, k=1)
    np.testing.assert_allclose(scores, [[1, 0, 0], [0, 1, 0]])
    everyone = neighbours(train, label, test, num_classes=3, k=99)
    np.testing.assert_allclose(everyone.sum(1), 1.0)
    monkeypatch.setattr("otolith.tasks._classifiers._PAIRS", 1)
    np.testing.assert_allclose(neighbours(train, label, test, num_classes=3, k=99), everyone)


def test_the_best_prototype_of_a_text_counts():
    texts = np.array([[[1.0, 0.0], [0.0, 1.0]], [[-1.0, 0.0], [-1.0, 0.0]]])
    np.testing.assert_allclose(similarity(np.array([[0.0, 2.0]]), texts), [[1.0, 0.0]])
    np.testing.assert_allclose(similarity(np.array([[0.0, 2.0]]), texts[:, 0]), [[0.0, 0.0]])


def test_softmax_and_normalise_stay_finite():
    np.testing.assert_allclose(softmax(np.array([[1e4, 0.0]])), [[1.0, 0.0]])
    assert normalise(np.zeros((1, 2))).tolist() == [[0.0, 0.0]]
