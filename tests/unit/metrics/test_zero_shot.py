"""Zero-shot scores against hand counts and scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import f1_score

from otolith.metrics.zero_shot import (
    group_accuracy,
    group_f1,
    majority_vote,
    mean_reciprocal_rank,
    vote_counts,
)

GROUPS = {"jogging": "running", "running": "running", "laying": "lying", "lying": "lying"}
NAMES = ["jogging", "running", "laying", "lying", "sitting"]


def test_accuracy_by_name_and_by_group():
    truth, guess = ["running", "lying", "sitting"], ["jogging", "lying", "lying"]
    assert group_accuracy(truth, guess) == pytest.approx(1 / 3)
    assert group_accuracy(truth, guess, GROUPS) == pytest.approx(2 / 3)
    assert np.isnan(group_accuracy([], []))


@pytest.mark.parametrize("groups", [None, GROUPS])
def test_f1_agrees_with_scikit_learn(groups):
    rng = np.random.default_rng(0)
    truth, guess = (list(rng.choice(NAMES, 60)) for _ in range(2))
    table = groups or {}
    a, b = [table.get(x, x) for x in truth], [table.get(x, x) for x in guess]
    macro, weighted = group_f1(truth, guess, groups)
    assert macro == pytest.approx(f1_score(a, b, average="macro"))
    assert weighted == pytest.approx(f1_score(a, b, average="weighted"))


def test_f1_counts_groups_that_are_only_predicted():
    assert group_f1(["sitting", "sitting"], ["sitting", "lying"])[0] == pytest.approx(1 / 3)
    assert np.isnan(group_f1([], [])).all()


def test_reciprocal_rank():
    similarity = np.array([[0.9, 0.5, 0.1], [0.1, 0.2, 0.3]])
    names = ["sitting", "jogging", "lying"]
    assert mean_reciprocal_rank(similarity, ["lying", "lying"], names) == pytest.approx(2 / 3)
    assert mean_reciprocal_rank(similarity, ["running", "x"], names, GROUPS) == pytest.approx(0.25)
    assert np.isnan(mean_reciprocal_rank(np.zeros((0, 3)), [], names))


def test_votes():
    similarity = np.eye(3)[[[0, 1, 1, 2], [2, 0, 2, 1], [0, 0, 0, 0]]]
    mask = np.array([[1, 1, 1, 1], [1, 1, 0, 0], [0, 0, 0, 0]], bool)
    assert vote_counts(similarity, mask).tolist() == [[1, 2, 1], [1, 0, 1], [0, 0, 0]]
    assert majority_vote(similarity, mask).tolist() == [1, 0, -1]
