"""Examples on top of words: no example gives the words, more examples weigh more."""

import numpy as np
import pytest

from otolith.core.errors import DataError
from otolith.tasks._classifiers import softmax
from otolith.tasks._prior_examples import (
    DEFAULT_SHRINKAGE,
    SHRINKAGES,
    _folds,
    choose_shrinkage,
    fit_with_prior,
)

K, D = 3, 20


def toy(count, seed=0, people=4, noise=0.6):
    """Separable features, and a prior that takes class 1 for class 2."""
    generator = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(K, D))
    target = np.arange(count) % K
    features = centres[target] + noise * generator.normal(size=(count, D))
    prior = np.full((count, K), 0.1)
    prior[np.arange(count), np.where(target == 1, 2, target)] = 0.8
    return features, np.log(prior), target, np.arange(count) // K % people


def accuracy(scores, target):
    return float((scores.argmax(1) == target).mean())


def test_without_examples_the_words_alone_count():
    features, prior, target, _ = toy(30)
    predict = fit_with_prior(features[:0], prior[:0], target[:0])
    np.testing.assert_allclose(predict(features, prior), softmax(prior), atol=1e-12)


def test_much_shrinkage_gives_the_words():
    features, prior, target, _ = toy(30)
    predict = fit_with_prior(features, prior, target, shrinkage=1e7)
    np.testing.assert_allclose(predict(features, prior), softmax(prior), atol=1e-4)


def test_examples_beat_a_wrong_prior():
    features, prior, target, _ = toy(15)
    new, new_prior, truth, _ = toy(300, seed=1)
    scores = fit_with_prior(features, prior, target)(new, new_prior)
    assert accuracy(softmax(new_prior), truth) == pytest.approx(2 / 3)
    assert accuracy(scores, truth) > 0.95
    np.testing.assert_allclose(scores.sum(1), 1.0)


def test_the_probability_of_the_truth_rises_with_the_number_of_examples():
    new, new_prior, truth, _ = toy(300, seed=1)
    found = []
    for count in (0, 3, 9, 30, 120):
        features, prior, target, _ = toy(count)
        scores = fit_with_prior(features, prior, target)(new, new_prior)
        found.append(np.log(scores[np.arange(len(truth)), truth]).mean())
    assert (np.diff(found) > 0).all(), found


def test_less_shrinkage_follows_the_examples_more():
    features, prior, target, _ = toy(15)
    found = []
    for shrinkage in sorted(SHRINKAGES, reverse=True):
        scores = fit_with_prior(features, prior, target, shrinkage=shrinkage)(features, prior)
        found.append(scores[np.arange(15), target].mean())
    assert (np.diff(found) > 0).all(), found


def test_a_class_without_examples_keeps_its_words():
    features, prior, target, _ = toy(60)
    some = target != 0
    scores = fit_with_prior(features[some], prior[some], target[some])(features, prior)
    assert accuracy(scores[target == 0], target[target == 0]) > 0.8
    assert accuracy(scores[some], target[some]) > 0.95


def test_the_good_prior_helps_where_examples_are_few():
    features, _, target, _ = toy(3, noise=2.0)
    new, _, truth, _ = toy(300, seed=1, noise=2.0)
    flat = np.full((3, K), -np.log(K)), np.full((300, K), -np.log(K))
    good = [np.log(0.7 * np.eye(K)[t] + 0.1) for t in (target, truth)]
    without = fit_with_prior(features, flat[0], target)(new, flat[1])
    with_words = fit_with_prior(features, good[0], target)(new, good[1])
    assert accuracy(with_words, truth) > accuracy(without, truth) + 0.05


def test_held_out_examples_choose_the_shrinkage():
    features, prior, target, people = toy(60)
    trusted = choose_shrinkage(features, prior, target, groups=(people,))
    generator = np.random.default_rng(5)
    noise = generator.normal(size=features.shape)
    said = np.where(generator.random(60) < 0.8, target, (target + 1) % K)
    calibrated = np.log(0.7 * np.eye(K)[said] + 0.1)
    useless = choose_shrinkage(noise, calibrated, target, groups=(people,))
    assert trusted.shrinkage <= 0.3
    assert useless.shrinkage > trusted.shrinkage
    assert trusted.held_out_NK.shape == (60, K)
    assert accuracy(trusted.held_out_NK, target) > 0.9


def test_held_out_probabilities_do_not_see_their_own_label():
    features, prior, target, people = toy(24)
    wrong = target.copy()
    wrong[0] = (target[0] + 1) % K
    kept = people != people[0]
    choice = choose_shrinkage(features, prior, wrong, groups=(people,), shrinkages=(0.3,))
    assert choice.held_out_NK[0].argmax() == target[0]
    alone = fit_with_prior(
        features[kept], prior[kept], wrong[kept], shrinkage=0.3, background_MD=features[~kept]
    )
    # Classes are balanced over all examples there and over the kept ones here.
    np.testing.assert_allclose(
        choice.held_out_NK[~kept], alone(features[~kept], prior[~kept]), atol=0.03
    )


def test_people_are_left_out_where_every_class_has_two():
    target = np.array([0, 0, 1, 1])
    people, recordings = np.array(list("aabb")), np.array([0, 1, 2, 3])
    assert len(set(_folds(target, [np.array(list("abab"))]))) == 2
    own = _folds(target, [people, recordings])
    np.testing.assert_array_equal(own, recordings)
    assert len(set(_folds(target, [people]))) == 4


def test_missing_features_and_constant_ones_are_no_trouble():
    features, prior, target, _ = toy(15)
    features[:, 3] = 7.0
    features[2, 5] = np.nan
    scores = fit_with_prior(features, prior, target)(features, prior)
    assert np.isfinite(scores).all()
    assert accuracy(scores, target) == 1.0


@pytest.mark.parametrize(
    ("cut", "shrinkage", "fact"),
    [(14, 0.3, "14 labels"), (15, 0.0, "shrinkage is 0"), (15, -1.0, "shrinkage is -1")],
)
def test_what_does_not_fit_is_refused(cut, shrinkage, fact):
    features, prior, target, _ = toy(15)
    with pytest.raises(DataError, match=fact):
        fit_with_prior(features, prior, target[:cut], shrinkage=shrinkage)


def test_one_example_cannot_choose():
    features, prior, target, _ = toy(1)
    with pytest.raises(DataError, match="1 examples cannot choose"):
        choose_shrinkage(features, prior, target)


def test_one_example_per_class_chooses_nothing():
    features, prior, target, _ = toy(3)
    choice = choose_shrinkage(features, prior, target)
    assert choice.shrinkage == DEFAULT_SHRINKAGE
    assert choice.held_out_NK.shape == (3, K)
