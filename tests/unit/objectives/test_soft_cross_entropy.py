"""Cross entropy with soft targets against torch's own."""

import pytest
import torch
import torch.nn.functional as F

from otolith.objectives.soft_cross_entropy import (
    Config,
    Objective,
    balanced_weights,
    mix_samples,
    smooth,
)

torch.manual_seed(0)
LOGITS = torch.randn(6, 5)
LABELS = torch.tensor([0, 4, 2, 2, 1, 3])
WEIGHTS = torch.tensor([1.0, 2.0, 0.5, 4.0, 1.0])


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_hard_labels_give_torchs_loss(smoothing):
    objective = Objective(Config(label_smoothing=smoothing))
    found = objective(LOGITS, objective.targets(LABELS, 5))
    expected = F.cross_entropy(LOGITS, LABELS, label_smoothing=smoothing, reduction="none")
    torch.testing.assert_close(found.per_sample_B, expected)
    torch.testing.assert_close(found.total, expected.mean())


def test_weights_are_divided_out_unless_asked_otherwise():
    right = Objective(Config(label_smoothing=0.0))
    target = right.targets(LABELS, 5)
    expected = F.cross_entropy(LOGITS, LABELS, weight=WEIGHTS)
    torch.testing.assert_close(right(LOGITS, target, WEIGHTS).total, expected)
    theirs = Objective(Config(label_smoothing=0.0, divides_by_weights=False))
    expected = F.cross_entropy(LOGITS, LABELS, weight=WEIGHTS, reduction="sum") / 6
    torch.testing.assert_close(theirs(LOGITS, target, WEIGHTS).total, expected)


def test_unknown_labels_do_not_count():
    objective = Objective(Config())
    labels = torch.tensor([0, -1, 2, -1, 1, 3])
    known = labels >= 0
    found = objective(LOGITS, objective.targets(labels, 5))
    only = objective(LOGITS[known], objective.targets(labels[known], 5))
    torch.testing.assert_close(found.total, only.total)
    assert found.per_sample_B is None


def test_mixtures_are_of_opposite_samples():
    objective = Objective(Config())
    mix = torch.tensor(0.3)
    target = objective.targets(LABELS, 5, mix)
    one_hot = F.one_hot(LABELS, 5).float()
    torch.testing.assert_close(target, 0.3 * one_hot + 0.7 * one_hot.flip(0))
    x = torch.randn(6, 2)
    torch.testing.assert_close(mix_samples(x, mix)[0], 0.3 * x[0] + 0.7 * x[5])
    twice = Objective(Config(smooths_mixed_twice=True)).targets(LABELS, 5, mix)
    torch.testing.assert_close(twice, smooth(target, 0.1))


def test_rare_classes_weigh_more_and_absent_ones_nothing():
    found = balanced_weights(torch.tensor([1.0, 3.0, 0.0]))
    assert found.tolist() == pytest.approx([4.0, 4 / 3, 0.0])
